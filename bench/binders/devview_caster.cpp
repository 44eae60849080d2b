// Functions that do nothing with an array argument, through devview/pybind11.hpp.
#include "devview/pybind11.hpp"

namespace py = pybind11;
using namespace devview;

PYBIND11_MODULE(devview_caster, module) {
    module.def("empty", [](py::handle) {});
    module.def("any", [](const View&) {});
    module.def("readonly", [](const ViewOf<const void, any_rank, on_any>&) {});
    module.def("typed", [](const ViewOf<const float, 2, on_cpu>&) {});
}
