// dv.Exporter: Python classes that export buffers, on every Python (PEP 688, cpython#58006).
//
// An instance has no state here. Its class's slots call the Python methods; each buffer handed out
// remembers the object that the method returned for it (exporter_exports.hpp). Exporter and its
// metaclass are Python (devview/_exporter.py); they put the slots in with install_slots().
#pragma once

#include <optional>
#include <string>

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

// The slots, exporter_buffer.cpp.
int exporter_getbuffer(PyObject* self, Py_buffer* buffer, int flags);
void exporter_releasebuffer(PyObject* self, Py_buffer* buffer);

/// Ends the export behind `buffer`; false if it is none of ours (a C base filled it).
bool release_export(PyObject* self, Py_buffer* buffer);
int exporter_traverse(PyObject* self, visitproc visit, void* arg);
void exporter_finalize(PyObject* self);

/// True if the class's own Python method answers buffer requests.
inline bool is_exporter(PyObject* object) noexcept {
    const PyBufferProcs* const procs = Py_TYPE(object)->tp_as_buffer;
    return procs != nullptr && procs->bf_getbuffer == exporter_getbuffer;
}

/// What an exporter's method returned, before a buffer was made of it.
struct Obtained {
    py::object object{};
    bool of_2012 = false;
    bool delegate = false;  ///< owner="delegate": the buffer shall be the object's own
};

/// Asks the method of an is_exporter(). @throws py::error_already_set  what it raised.
Obtained ask_exporter(PyObject* self, int flags);

/// A buffer of what was obtained, in the name of `self`. @throws py::error_already_set; then the
/// obtained object was released again.
void hand_out(PyObject* self, Obtained obtained, Py_buffer* buffer, int flags);

/// The view of an obtained View that is not plain host memory: the same memory on the same device,
/// no copy; `self` owns it. Empty for everything else.
std::optional<View> view_of_obtained(PyObject* self, const Obtained& obtained);

/// An int in the range of C's, for a request. @throws py::error_already_set
int read_flags(PyObject* flags, const char* function);

/// The memoryview that a getbuffer function's answer to `flags` makes (null: PyObject_GetBuffer).
PyObject* memoryview_of_request(PyObject* object, int flags, getbufferproc get);

/// Adds the private parts that devview/_exporter.py puts together, and get_buffer.
void bind_exporter(py::module_& module);
void bind_get_buffer(py::module_& module);

}  // namespace devview::python
