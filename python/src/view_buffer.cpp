// bf_getbuffer and bf_releasebuffer: host views as they stand, device views as a staging copy.
#include <memory>

#include "devview/error.hpp"
#include "host_access.hpp"
#include "view_object.hpp"
#include "view_slots.hpp"

namespace devview::python {

namespace {

constexpr bool asks(int flags, int what) noexcept { return (flags & what) == what; }

[[noreturn]] void refuse(const char* why) { throw BufferError(std::string("View: ") + why); }

/// The answers of CPython's memoryview to each request (Objects/memoryobject.c, memory_getbuf).
void check_request(const Layout& layout, std::int64_t itemsize, int flags) {
    const auto is = [&](Order order) { return layout.contiguous(itemsize, order); };
    if (asks(flags, PyBUF_C_CONTIGUOUS) && !is(Order::C)) {
        refuse("underlying buffer is not C-contiguous");
    }
    if (asks(flags, PyBUF_F_CONTIGUOUS) && !is(Order::F)) {
        refuse("underlying buffer is not Fortran contiguous");
    }
    if (asks(flags, PyBUF_ANY_CONTIGUOUS) && !is(Order::C) && !is(Order::F)) {
        refuse("underlying buffer is not contiguous");
    }
    if (!asks(flags, PyBUF_INDIRECT) && layout.suboffsets() != nullptr) {
        refuse("underlying buffer requires suboffsets");
    }
    if (!asks(flags, PyBUF_STRIDES) && !is(Order::C)) {
        refuse("underlying buffer is not C-contiguous");
    }
    if (!asks(flags, PyBUF_ND) && asks(flags, PyBUF_FORMAT)) {
        refuse("cannot cast to unsigned bytes if the format flag is present");
    }
}

/// Points `buffer` at `layout`, with what the flags ask for and NULL for the rest.
void describe(Py_buffer* buffer, const View& view, const Layout& layout, int flags) {
    buffer->len = static_cast<Py_ssize_t>(view.nbytes());
    buffer->itemsize = static_cast<Py_ssize_t>(view.itemsize());
    buffer->ndim = layout.ndim();
    buffer->format = asks(flags, PyBUF_FORMAT) ? const_cast<char*>(view.format().text()) : nullptr;
    buffer->shape = nullptr;
    buffer->strides = nullptr;
    buffer->suboffsets = nullptr;
    if (!asks(flags, PyBUF_ND)) {
        buffer->ndim = 1;  // plain bytes
        return;
    }
    if (layout.ndim() == 0) return;
    static_assert(sizeof(Py_ssize_t) == sizeof(std::int64_t), "64-bit systems only");
    buffer->shape = const_cast<Py_ssize_t*>(reinterpret_cast<const Py_ssize_t*>(layout.shape()));
    if (!asks(flags, PyBUF_STRIDES)) return;
    buffer->strides =
        const_cast<Py_ssize_t*>(reinterpret_cast<const Py_ssize_t*>(layout.strides()));
    buffer->suboffsets =
        const_cast<Py_ssize_t*>(reinterpret_cast<const Py_ssize_t*>(layout.suboffsets()));
}

/// A pinned copy of a device view in the order that the request wants.
std::unique_ptr<Staging> staged(const View& view, int flags) {
    const bool fortran = asks(flags, PyBUF_F_CONTIGUOUS) && !asks(flags, PyBUF_C_CONTIGUOUS);
    guard_transfer(view, "memoryview");
    const GilRelease release;
    auto staging =
        std::make_unique<Staging>(view, asks(flags, PyBUF_WRITABLE), fortran ? Order::F : Order::C);
    staging->wait();
    return staging;
}

void get_device(const View& view, Py_buffer* buffer, int flags) {
    if (!asks(flags, PyBUF_ND) && asks(flags, PyBUF_FORMAT)) {
        refuse("cannot cast to unsigned bytes if the format flag is present");
    }
    auto staging = staged(view, flags);
    describe(buffer, view, staging->layout(), flags);
    buffer->buf = staging->data();
    buffer->readonly = asks(flags, PyBUF_WRITABLE) ? 0 : 1;
    buffer->internal = staging.release();
}

void get_host(const View& view, Py_buffer* buffer, int flags) {
    check_request(view.layout(), view.itemsize(), flags);
    if (!plain_host(view)) {
        const GilRelease release;
        wait_for_host(*view.allocation());
    }
    describe(buffer, view, view.layout(), flags);
    buffer->buf = view.data();
    buffer->readonly = view.readonly() ? 1 : 0;
    buffer->internal = nullptr;
}

int get(PyObject* object, Py_buffer* buffer, int flags) {
    auto* const self = view_object(object);
    const View& view = live_view(object);
    if (asks(flags, PyBUF_WRITABLE) && view.readonly()) {
        refuse("underlying buffer is not writable");
    }
    // Counted before the GIL may be let go: a release() meanwhile is refused.
    ++self->exports;
    try {
        if (host_accessible(view.device())) {
            get_host(view, buffer, flags);
            view.allocation()->add_export();
        } else {
            get_device(view, buffer, flags);  // the staging counts itself
        }
    } catch (...) {
        --self->exports;
        throw;
    }
    Py_INCREF(object);
    buffer->obj = object;
    return 0;
}

/// Under a BufferError, as PEP 3118 wants it; what happened stays visible as its cause.
void refuse_with_cause() noexcept {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != nullptr) PyException_SetTraceback(value, traceback);
    PyErr_Format(PyExc_BufferError, "View: the staging copy failed: %S", value);
    PyObject *outer_type, *outer, *outer_traceback;
    PyErr_Fetch(&outer_type, &outer, &outer_traceback);
    PyErr_NormalizeException(&outer_type, &outer, &outer_traceback);
    PyException_SetCause(outer, value);  // steals value
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    PyErr_Restore(outer_type, outer, outer_traceback);
}

}  // namespace

int view_getbuffer(PyObject* object, Py_buffer* buffer, int flags) {
    if (buffer == nullptr) {
        PyErr_SetString(PyExc_BufferError, "View: the Py_buffer is NULL");
        return -1;
    }
    buffer->obj = nullptr;
    const int result = guarded<int>(-1, [&] { return get(object, buffer, flags); });
    const bool staging = result != 0 && !view_object(object)->view.released() &&
                         !host_accessible(view_object(object)->view.device());
    if (staging && !PyErr_ExceptionMatches(PyExc_BufferError) &&
        !PyErr_ExceptionMatches(PyExc_Warning)) {
        refuse_with_cause();
    }
    return result;
}

void view_releasebuffer(PyObject* object, Py_buffer* buffer) {
    auto* const self = view_object(object);
    if (buffer->internal == nullptr) {
        self->view.allocation()->drop_export();
    } else {
        const std::unique_ptr<Staging> staging(static_cast<Staging*>(buffer->internal));
        buffer->internal = nullptr;
        std::string failure;
        {
            const GilRelease release;
            try {
                staging->finish();
            } catch (const std::exception& error) {
                failure = error.what();
            }
        }
        if (!failure.empty()) report_release_error(("memoryview: write-back: " + failure).c_str());
    }
    --self->exports;
}

}  // namespace devview::python
