// dv.Staging: waits, gives a memoryview of the copy, and takes it back.
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>

#include "buffer/buffer_request.hpp"
#include "device/staging_object.hpp"
#include "devview/error.hpp"
#include "devview/staging.hpp"
#include "view/view_object.hpp"
#include "view/whole_type.hpp"

namespace devview::python {

namespace {

/// Counts as one export of its view from start to release.
class StagingObject {
public:
    StagingObject(PyObject* view, bool writable, const Stream& stream)
        : owner_(py::reinterpret_borrow<py::object>(view)), writable_(writable) {
        const View held = live_view(view);
        format_ = held.format();
        ++view_object(view)->exports;
        try {
            const GilRelease release;
            staging_ = std::make_unique<Staging>(held, writable, Order::C, stream);
        } catch (...) {
            --view_object(view)->exports;
            throw;
        }
    }
    ~StagingObject() {
        if (!staging_) return;
        try {
            finish();
        } catch (const std::exception& error) {
            report_release_error(error.what());
        }
    }
    StagingObject(const StagingObject&) = delete;
    StagingObject& operator=(const StagingObject&) = delete;

    bool pinned() const { return live().pinned(); }
    bool ready() {
        return in_use([](Staging& staging) { return staging.ready(); });
    }
    void wait() {
        in_use([](Staging& staging) { staging.wait(); });
    }
    py::object memory() {
        wait();
        auto memory = py::reinterpret_steal<py::object>(
            PyMemoryView_FromObject(py::cast(this, py::return_value_policy::reference).ptr()));
        if (!memory) throw py::error_already_set();
        memory_ = py::weakref(memory);  // a strong one would be a cycle
        return memory;
    }
    /// Refused while memoryviews of the copy are in use elsewhere, as memoryview.release() is.
    void release() {
        if (!staging_) return;
        if (memory_) {
            const py::object memory = memory_();
            memory_ = py::object();
            if (!memory.is_none()) memory.attr("release")();
        }
        if (users_ > 0) throw BufferError("release: another thread waits for this Staging");
        if (host_views_ > 0) {
            throw BufferError("release: Staging has " + std::to_string(host_views_) +
                              (host_views_ == 1 ? " export" : " exports") + ", limit 0");
        }
        finish();
    }
    bool released() const { return staging_ == nullptr; }
    std::size_t nbytes() const { return live().nbytes(); }
    bool writable() const { return writable_; }

    // The buffer that memoryviews of the copy are made from.
    int get_buffer(PyObject* self, Py_buffer* buffer, int flags) {
        const Staging& staging = live();
        if ((flags & PyBUF_WRITABLE) != 0 && !writable_) {
            throw BufferError("Staging: the copy is read-only, stage(writable=True)");
        }
        check_request("Staging", staging.layout(), format_.itemsize(), flags);
        describe(buffer, format_, staging.layout(), flags);
        buffer->buf = staging.data();
        buffer->readonly = writable_ ? 0 : 1;
        buffer->internal = nullptr;
        buffer->obj = self;
        Py_INCREF(self);
        ++host_views_;
        return 0;
    }
    void release_buffer() noexcept { --host_views_; }

    int traverse(visitproc visit, void* arg) {
        Py_VISIT(owner_.ptr());
        return 0;
    }

private:
    /// Calls without the GIL, one thread at a time; no release meanwhile.
    template <class F>
    std::invoke_result_t<F, Staging&> in_use(F&& call) {
        Staging& staging = live();
        struct Count {
            Py_ssize_t& users;
            explicit Count(Py_ssize_t& n) : users(n) { ++users; }
            ~Count() { --users; }
        } const count(users_);  // ends with the GIL held again
        const GilRelease release;
        const std::lock_guard<std::mutex> lock(mutex_);
        return std::forward<F>(call)(staging);
    }
    Staging& live() const {
        if (!staging_) throw ReleasedError("operation forbidden on released Staging object");
        return *staging_;
    }
    void finish() {
        const std::unique_ptr<Staging> staging = std::move(staging_);
        std::exception_ptr failure;
        {
            const GilRelease release;
            try {
                staging->finish();
            } catch (...) {
                failure = std::current_exception();
            }
        }
        --view_object(owner_.ptr())->exports;
        if (failure) std::rethrow_exception(failure);
    }

    py::object owner_;
    Format format_;
    std::unique_ptr<Staging> staging_;
    py::object memory_;  // a weak reference to the last memoryview given out
    Py_ssize_t host_views_ = 0;
    Py_ssize_t users_ = 0;  // threads inside wait() or ready(); guarded by the GIL
    std::mutex mutex_;
    bool writable_;
};

StagingObject& staging_of(PyObject* object) { return *py::handle(object).cast<StagingObject*>(); }

/// pybind11's own buffer support knows neither read-only requests nor releases.
void install_slots(PyHeapTypeObject* heap_type) {
    PyTypeObject& type = heap_type->ht_type;
    type.tp_new = refuse_new;  // View.stage() makes them
    type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
        Py_VISIT(Py_TYPE(self));
        if (!py::detail::is_holder_constructed(self)) return 0;
        return staging_of(self).traverse(visit, arg);
    };
    // No tp_clear: the view's own clears every cycle that goes through here.
    type.tp_as_buffer = &heap_type->as_buffer;
    heap_type->as_buffer.bf_getbuffer = [](PyObject* self, Py_buffer* buffer, int flags) {
        buffer->obj = nullptr;
        return guarded<int>(-1, [&] { return staging_of(self).get_buffer(self, buffer, flags); });
    };
    heap_type->as_buffer.bf_releasebuffer = [](PyObject* self, Py_buffer*) {
        staging_of(self).release_buffer();
    };
}

}  // namespace

PyObject* new_staging(PyObject* view, bool writable, const Stream& stream) {
    return py::cast(std::make_unique<StagingObject>(view, writable, stream)).release().ptr();
}

void bind_staging(py::module_& module) {
    py::class_<StagingObject>(module, "Staging", py::is_final(),
                              py::custom_type_setup(install_slots),
                              R"(A host copy of a view's items, started by ``View.stage()``.

As a context manager it waits, gives a memoryview of the copy, and at the end writes it back if it is
writable. Its memory is pinned where it fits under the pinned limit. It counts in ``View.exports``.)")
        .def_property_readonly("pinned", &StagingObject::pinned,
                               "True if the copy lies in pinned memory (or is the view's own).")
        .def_property_readonly("writable", &StagingObject::writable,
                               "True if the copy is written back at the end.")
        .def_property_readonly("released", &StagingObject::released, "True after release().")
        .def_property_readonly("nbytes", &StagingObject::nbytes, "Bytes of the copy.")
        .def("ready", &StagingObject::ready, "True if the copy is complete. Does not wait.")
        .def("wait", &StagingObject::wait, "Blocks until the copy is complete.")
        .def("release", &StagingObject::release,
             "Writes back if writable, and gives everything back. Idempotent. Raises BufferError "
             "while memoryviews of the copy are in use, DeviceError if the write-back failed.")
        .def("__reduce__", refuse_pickle)
        .def("__enter__", &StagingObject::memory, "Waits, then gives a memoryview of the copy.")
        .def(
            "__exit__",
            [](StagingObject& self, const py::args&) {
                self.release();
                return false;
            },
            "Releases the staging.");
}

}  // namespace devview::python
