// Functions that do nothing with an array argument, through devview/pybind11.hpp.
#include "devview/pybind11.hpp"

namespace py = pybind11;
using namespace devview;

namespace {

/// The producer's part of passing a DLPack object, and pybind11's: the capsule is thrown away.
void ask(py::handle object) {
    static PyObject* const name = PyUnicode_InternFromString("__dlpack__");
    // Interned: producers look for their keywords by identity first.
    static PyObject* const keys = PyTuple_Pack(1, PyUnicode_InternFromString("max_version"));
    static PyObject* const newest = py::make_tuple(1, 3).release().ptr();
    PyObject* const arguments[] = {object.ptr(), newest};
    PyObject* const capsule = PyObject_VectorcallMethod(name, arguments, 1, keys);
    if (capsule == nullptr) throw py::error_already_set();
    Py_DECREF(capsule);
}

}  // namespace

PYBIND11_MODULE(devview_caster, module) {
    module.def("ask", ask);
    module.def("empty", [](py::handle) {});
    module.def("any", [](const View&) {});
    module.def("readonly", [](const ViewOf<const void, any_rank, on_any>&) {});
    module.def("typed", [](const ViewOf<const float, 2, on_cpu>&) {});
}
