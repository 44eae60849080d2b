// Host access to items, and the guard over implicit transfers.
#include "buffer/host_access.hpp"

#include <cstring>
#include <string>

#include "devview/copy.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "item/item.hpp"
#include "view/whole_type.hpp"

namespace devview::python {

namespace {

PyObject* guard_mode = nullptr;  // a ContextVar: the mode belongs to a context, not to a thread

void check_mode(const std::string& mode) {
    if (mode != "allow" && mode != "warn" && mode != "forbid") {
        throw py::value_error("transfer_guard: mode '" + mode +
                              "', expected 'allow', 'warn' or 'forbid'");
    }
}

/// The mode holds from the call on; as a context manager the old one comes back at its end.
class TransferGuard {
public:
    explicit TransferGuard(const std::string& mode) {
        check_mode(mode);
        token_ =
            py::reinterpret_steal<py::object>(PyContextVar_Set(guard_mode, py::str(mode).ptr()));
        if (!token_) throw py::error_already_set();
    }
    void restore() {
        if (!token_) return;
        if (PyContextVar_Reset(guard_mode, token_.ptr()) != 0) throw py::error_already_set();
        token_ = py::object();  // only now: another context's exit fails and may be repeated
    }

private:
    py::object token_;
};

}  // namespace

void guard_transfer(const View& view, const char* operation) {
    PyObject* mode = nullptr;
    if (PyContextVar_Get(guard_mode, nullptr, &mode) != 0) throw py::error_already_set();
    if (mode == nullptr) return;
    const auto held = py::reinterpret_steal<py::object>(mode);
    if (PyUnicode_CompareWithASCIIString(mode, "allow") == 0) return;
    const std::string message = std::string(operation) + ": implicit copy of " +
                                std::to_string(view.nbytes()) + " bytes from " +
                                to_string(view.device()) +
                                " to the host; stage(), to() and copy() are explicit";
    if (PyUnicode_CompareWithASCIIString(mode, "forbid") == 0) {
        throw BufferError(message + " (transfer_guard is \"forbid\")");
    }
    if (PyErr_WarnEx(PyExc_RuntimeWarning, message.c_str(), 1) != 0) throw py::error_already_set();
}

void bind_transfer_guard(py::module_& module) {
    guard_mode = PyContextVar_New("devview.transfer_guard", nullptr);
    if (guard_mode == nullptr) throw py::error_already_set();
    py::class_<TransferGuard>(module, "_TransferGuard", py::is_final(), made_elsewhere())
        .def("__reduce__", refuse_pickle)
        .def("__enter__", [](const py::object& self) { return self; })
        .def("__exit__", [](TransferGuard& self, const py::args&) {
            self.restore();
            return false;
        });
    module.def(
        "transfer_guard", [](const std::string& mode) { return TransferGuard(mode); },
        py::arg("mode"),
        R"(Rules implicit device→host copies in this context: "allow", "warn" or "forbid".

Implicit are ``memoryview(v)`` and every other buffer consumer, ``bytes(v)``, indexing, iteration
and comparison of a device view. ``to``, ``copy``, ``copyto`` and ``stage`` are explicit and pass.
The mode holds from the call on, in the current context (contextvars: asyncio tasks and threads have
their own; the default is "allow"). Used as a context manager it is restored at the end.

Under "forbid" an implicit copy raises BufferError, under "warn" it issues a RuntimeWarning.)");
}

HostItems::HostItems(const View& view, const char* operation, Order order) : view_(view) {
    if (view.format().is_packed()) {
        if (operation != nullptr && !host_accessible(view.device())) {
            guard_transfer(view, operation);
        }
        const GilRelease release;
        view_ = unpack(view);
        data_ = static_cast<const char*>(view_.data());
        layout_ = &view_.layout();
        return;
    }
    if (host_accessible(view.device())) {
        if (view.allocation()->uses() != nullptr) {
            const GilRelease release;
            wait_for_host(*view.allocation());
        }
        data_ = static_cast<const char*>(view_.data());
        layout_ = &view_.layout();
        return;
    }
    if (operation != nullptr) guard_transfer(view, operation);
    const GilRelease release;
    staging_ = std::make_unique<Staging>(view_, false, order);
    staging_->wait();
    data_ = static_cast<const char*>(staging_->data());
    layout_ = &staging_->layout();
}

namespace {

/// Bytes of one item, aside; most items need no block of their own.
class ItemCopy {
public:
    ItemCopy(const char* data, std::size_t size)
        : block_(size > sizeof small_ ? new char[size] : nullptr) {
        std::memcpy(this->data(), data, size);
    }
    char* data() noexcept { return block_ ? block_.get() : small_; }

private:
    char small_[64];
    std::unique_ptr<char[]> block_;
};

}  // namespace

void write_item(PyObject* object, const View& where, PyObject* value) {
    const FormatNode& format = *where.format().node();
    if (format.packed) return write_packed(object, where, 0, value);
    if (plain_host(where)) {
        char* const to = static_cast<char*>(where.data());
        if (where.format().has_objects()) return pack_item(format, to, value);  // counted in place
        ItemCopy item(to, static_cast<std::size_t>(where.itemsize()));
        pack_item(format, item.data(), value);
        live_view(object);
        std::memcpy(to, item.data(), static_cast<std::size_t>(where.itemsize()));
        return;
    }
    const auto block = allocate_host(static_cast<std::size_t>(where.itemsize()));
    const View item(block, block->data(), where.format(), Layout(), false);
    if (format.kind == Kind::record || format.kind == Kind::array || format.kind == Kind::bits) {
        copy_items(item, where);  // what a value does not cover stays: padding, bits beside it
    } else {
        std::memset(block->data(), 0, block->nbytes());
    }
    pack_item(format, static_cast<char*>(block->data()), value);
    live_view(object);
    copy_items(where, item);
}

void copy_items(const View& dst, const View& src, const Stream& stream) {
    if (plain_host(dst) && plain_host(src) && src.nbytes() <= 4096) {
        copy(dst, src, stream);  // cheaper than letting the GIL go
        return;
    }
    const GilRelease release;
    copy(dst, src, stream);
}

}  // namespace devview::python
