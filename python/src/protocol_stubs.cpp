// Places of protocols that are being written; each goes when its file comes.
#include "protocols.hpp"

namespace devview::python {

namespace {

PyObject* absent(const char* name) {
    PyErr_SetString(PyExc_AttributeError, name);
    return nullptr;
}

}  // namespace

std::optional<View> import_cuda_array(const ImportRequest&) { return std::nullopt; }
PyObject* view_array_interface(PyObject*, void*) { return absent("__array_interface__"); }
PyObject* view_cuda_array_interface(PyObject*, void*) { return absent("__cuda_array_interface__"); }
PyObject* view_cuda_stream(PyObject*, void*) { return absent("__cuda_stream__"); }
void bind_cuda_array(py::module_&) {}

}  // namespace devview::python
