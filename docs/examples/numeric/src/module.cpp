// The Python module: what a function takes stands in the types of its arguments.
#include <pybind11/pybind11.h>

#include <devview/pybind11.hpp>
#include <devview/view_of.hpp>

#include "kernels.hpp"

namespace py = pybind11;

namespace {

using Vector = devview::ViewOf<const float, 1, devview::on_any, devview::any_order>;
using MutableVector = devview::ViewOf<float, 1, devview::on_any, devview::any_order>;

}  // namespace

PYBIND11_MODULE(_numeric, m) {
    using Unlocked = py::call_guard<py::gil_scoped_release>;
    m.def(
        "saxpy", [](float a, const Vector& x, const MutableVector& y) { numeric::saxpy(a, x, y); },
        py::arg("a"), py::arg("x"), py::arg("y"), Unlocked(),
        "y += a * x in place. On a device: enqueued on the views' stream.");
    m.def(
        "reduce", [](const Vector& x) { return numeric::reduce(x); }, py::arg("x"), Unlocked(),
        "The sum of x, as a view of one double on its device.");
    m.def(
        "stencil", [](const Vector& x) { return numeric::stencil(x); }, py::arg("x"), Unlocked(),
        "The mean of every item and its two neighbours, in new memory on x's device.");
    m.def("compiled_for_gpu", &numeric::compiled_for_gpu, "True if a CUDA compiler was there.");
}
