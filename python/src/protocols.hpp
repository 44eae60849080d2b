// The protocols that dv.view knows: each is a function here and a file (or two) of its own.
#pragma once

#include <optional>

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// What an importer is asked for. `stream` is the caller's argument as it came (null: none).
struct ImportRequest {
    PyObject* object;
    PyObject* stream = nullptr;
};

/// A view; nothing where the object does not offer the protocol. What it throws of devview's
/// errors, py::type_error and Python's BufferError, ValueError and TypeError is a refusal, and the
/// next protocol is asked; any other exception of the producer ends the import. Nothing is
/// remembered about foreign types.
using Importer = std::optional<View>(const ImportRequest& request);

Importer import_exchange;         // exchange_import.cpp
Importer import_buffer;           // buffer_import.cpp
Importer import_dlpack;           // dlpack_import.cpp
Importer import_cuda_array;       // cuda_array_import.cpp
Importer import_array_interface;  // array_interface.cpp
Importer import_arrow;            // arrow_import.cpp

/// type.__dlpack_c_exchange_api__; null where there is none, or None stands for "not offered".
py::object exchange_offer(PyTypeObject* type);

// What dv.view does at once, without options, with an object that offers a table (`offer`), or
// `__dlpack__` and nothing that comes before it: a View object (new reference), or a View, made
// where the caller wants it. Null or a released view, without an error, for an object that has to
// be asked otherwise; they throw as an importer.
PyObject* new_exchange_view(PyObject* object, const py::object& offer);
View exchange_view(PyObject* object, const py::object& offer);
PyObject* new_dlpack_view(PyObject* object);
View dlpack_view(PyObject* object);

/// One protocol alone, for dv.from_dlpack and its like. @throws ImportRefused as dv.view does.
View import_by(const char* protocol, Importer* importer, const ImportRequest& request);

// Exporters: methods and attributes of View, each set in the file of its protocol.
PyObject* view_dlpack(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names);
PyObject* view_dlpack_device(PyObject* self, PyObject* unused);
PyObject* view_arrow_array(PyObject* self, PyObject* const* args, Py_ssize_t count,
                           PyObject* names);
PyObject* view_arrow_device_array(PyObject* self, PyObject* const* args, Py_ssize_t count,
                                  PyObject* names);
PyObject* view_array_interface(PyObject* self, void* unused);
PyObject* view_cuda_array_interface(PyObject* self, void* unused);
PyObject* view_cuda_stream(PyObject* self, void* unused);

// Functions of the module, and attributes of the View type that are no methods.
void bind_dlpack(py::module_& module);      // from_dlpack
void bind_exchange(py::module_& module);    // View.__dlpack_c_exchange_api__
void bind_cuda_array(py::module_& module);  // from_cuda_array
void bind_arrow(py::module_& module);       // from_arrow

}  // namespace devview::python
