// bf_getbuffer and bf_releasebuffer: host views as they stand, device views as a staging copy.
#include <memory>

#include "buffer/buffer_request.hpp"
#include "buffer/host_access.hpp"
#include "devview/error.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

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
        refuse("View", "cannot cast to unsigned bytes if the format flag is present");
    }
    auto staging = staged(view, flags);
    describe(buffer, view.format(), staging->layout(), flags);
    buffer->buf = staging->data();
    buffer->readonly = asks(flags, PyBUF_WRITABLE) ? 0 : 1;
    buffer->internal = staging.release();
}

void get_host(const View& view, Py_buffer* buffer, int flags) {
    if (!takes_any_layout(flags)) {
        check_request("View", view.layout(), view.itemsize(), flags);
    }
    if (!plain_host(view)) {
        const GilRelease release;
        wait_for_host(*view.allocation());
    }
    describe(buffer, view.format(), view.layout(), flags);
    buffer->buf = view.data();
    buffer->readonly = view.readonly() ? 1 : 0;
    buffer->internal = nullptr;
}

int get(PyObject* object, Py_buffer* buffer, int flags) {
    auto* const self = view_object(object);
    const View& view = live_view(object);
    if (asks(flags, PyBUF_WRITABLE) && view.readonly()) {
        refuse("View", "underlying buffer is not writable");
    }
    if (view.format().is_packed()) {
        refuse("View",
               "packed items of less than a byte have no address each; cast('B') has their "
               "bytes, astype() unpacks them");
    }
    // Counted before the GIL may be let go: a release() meanwhile is refused.
    ++self->exports;
    try {
        if (host_accessible(view.device())) {
            get_host(view, buffer, flags);
            view.allocation()->add_bound_export();
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

/// get() for memoryview's request, which takes any layout, of host memory that nobody works on
/// asynchronously and without suboffsets: nothing can be refused.
void give_all(PyObject* object, const View& view, Py_buffer* buffer) noexcept {
    const Format& format = view.format();
    const int ndim = view.ndim();
    buffer->buf = view.data();
    buffer->obj = object;
    buffer->len = static_cast<Py_ssize_t>(view.size() * format.itemsize());
    buffer->itemsize = static_cast<Py_ssize_t>(format.itemsize());
    buffer->readonly = view.readonly() ? 1 : 0;
    buffer->ndim = ndim;
    buffer->format = const_cast<char*>(format.text());
    buffer->shape = ndim == 0 ? nullptr : axes_of(view.shape());
    buffer->strides = ndim == 0 ? nullptr : axes_of(view.strides());
    buffer->suboffsets = nullptr;
    buffer->internal = nullptr;
    ++view_object(object)->exports;
    view.allocation()->add_bound_export();
    Py_INCREF(object);
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

// Kept out of the functions below: these would save registers for it that plain host memory needs
// none of.

__attribute__((noinline)) int answer(PyObject* object, Py_buffer* buffer, int flags) {
    if (buffer == nullptr) {
        PyErr_SetString(PyExc_BufferError, "View: the Py_buffer is NULL");
        return -1;
    }
    const View& view = view_object(object)->view;
    buffer->obj = nullptr;
    const int result = guarded<int>(-1, [&] { return get(object, buffer, flags); });
    const bool staging = result != 0 && !view.released() && !host_accessible(view.device());
    if (staging && !PyErr_ExceptionMatches(PyExc_BufferError) &&
        !PyErr_ExceptionMatches(PyExc_Warning)) {
        refuse_with_cause();
    }
    return result;
}

__attribute__((noinline)) void release_staging(Py_buffer* buffer) {
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

}  // namespace

int view_getbuffer(PyObject* object, Py_buffer* buffer, int flags) {
    const View& view = view_object(object)->view;
    if (flags != PyBUF_FULL_RO || buffer == nullptr || view.released() || !plain_host(view) ||
        view.suboffsets() != nullptr) {
        return answer(object, buffer, flags);
    }
    give_all(object, view, buffer);
    return 0;
}

void view_releasebuffer(PyObject* object, Py_buffer* buffer) {
    auto* const self = view_object(object);
    if (buffer->internal == nullptr) {
        self->view.allocation()->drop_bound_export();
    } else {
        release_staging(buffer);
    }
    --self->exports;
}

}  // namespace devview::python
