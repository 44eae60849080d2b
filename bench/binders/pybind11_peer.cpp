// The peer of devview_caster.cpp: plain pybind11, which knows buffers of the host alone.
#include <pybind11/pybind11.h>

namespace py = pybind11;

PYBIND11_MODULE(pybind11_peer, module) {
    module.def("empty", [](py::handle) {});
    module.def("any", [](const py::buffer& argument) { argument.request(); });
}
