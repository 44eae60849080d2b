// The peer of devview_caster.cpp: the same functions through nanobind.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nb = nanobind;

NB_MODULE(nanobind_peer, module) {
    module.def("empty", [](nb::handle) {});
    module.def("any", [](const nb::ndarray<>&) {});
    module.def("readonly", [](const nb::ndarray<nb::ro>&) {});
    module.def("typed", [](const nb::ndarray<const float, nb::ndim<2>, nb::device::cpu>&) {});
}
