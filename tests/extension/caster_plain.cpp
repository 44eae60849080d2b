// As C++17: the same casters, and pybind11's own words where an argument does not fit.
#include <cstdint>

#include "devview/pybind11.hpp"

namespace py = pybind11;
using namespace devview;

PYBIND11_MODULE(caster_plain, m) {
    m.def(
        "total",
        [](const ViewOf<const float, 1>& x) {
            float total = 0;
            for (std::int64_t i = 0; i < x.size(); ++i)
                total += x(i);
            return total;
        },
        py::arg("x"));
    m.def(
        "pick", [](const ViewOf<const float, 1>&) { return "float32"; }, py::arg("x"));
    m.def(
        "pick", [](const ViewOf<const double, 1>&) { return "float64"; }, py::arg("x"));
    m.def("vector", [] { return return_as<numpy>(own(std::vector<double>{1, 2})); });
}
