// Places of protocols that are being written; each goes when its file comes.
#include "protocols.hpp"

namespace devview::python {

namespace {

PyObject* absent(const char* name) {
    PyErr_SetString(PyExc_AttributeError, name);
    return nullptr;
}

}  // namespace

std::optional<View> import_exchange(const ImportRequest&) { return std::nullopt; }
std::optional<View> import_dlpack(const ImportRequest&) { return std::nullopt; }
std::optional<View> import_arrow(const ImportRequest&) { return std::nullopt; }
PyObject* view_dlpack(PyObject*, PyObject* const*, Py_ssize_t, PyObject*) {
    return absent("__dlpack__");
}
PyObject* view_dlpack_device(PyObject*, PyObject*) { return absent("__dlpack_device__"); }
PyObject* view_arrow_array(PyObject*, PyObject* const*, Py_ssize_t, PyObject*) {
    return absent("__arrow_c_array__");
}
PyObject* view_arrow_device_array(PyObject*, PyObject* const*, Py_ssize_t, PyObject*) {
    return absent("__arrow_c_device_array__");
}
void bind_dlpack(py::module_&) {}
void bind_exchange(py::module_&) {}
void bind_arrow(py::module_&) {}

}  // namespace devview::python
