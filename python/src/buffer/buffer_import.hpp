// Import by the buffer protocol (PEP 3118): the request, its checks, and the view.
#pragma once

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// Holds a Py_buffer until an allocation takes it over.
class BufferRequest {
public:
    BufferRequest() = default;
    ~BufferRequest() {
        if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
    }
    BufferRequest(const BufferRequest&) = delete;
    BufferRequest& operator=(const BufferRequest&) = delete;
    /// Writable if the exporter can, else read-only. False with a Python error set.
    bool get(PyObject* object, int flags = PyBUF_FULL_RO) {
        if (PyObject_GetBuffer(object, &buffer_, flags) == 0) return true;
        buffer_.obj = nullptr;  // exporters of before 3.3's rules leave anything there
        return false;
    }
    Py_buffer& operator*() noexcept { return buffer_; }
    Py_buffer* operator->() noexcept { return &buffer_; }

private:
    Py_buffer buffer_{};  // an exporter may succeed and fill nothing
};

/// Everything is checked before the buffer is taken over; then it belongs to the allocation.
/// Without `trust_format`, items of a format that makes no sense are opaque bytes.
/// @throws LayoutError, FormatError  the exporter's description makes no sense.
View view_of_buffer(BufferRequest& request, bool trust_format = true);

/// Adds dv.from_buffer.
void bind_from_buffer(py::module_& module);

/// Adds dv.from_pointer (pointer_import.cpp).
void bind_from_pointer(py::module_& module);

}  // namespace devview::python
