// An extension module that shares views with others: built twice, under the names MODULE, by two
// compilers where there are two.
#include <cstdint>
#include <devview/cuda/memory.hpp>
#include <devview/error.hpp>
#include <devview/format_of.hpp>
#include <devview/pybind11.hpp>
#include <devview/view.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace {

using devview::View;

int releases = 0;
std::optional<View> kept;

// Memory of this module: its release is counted here and nowhere else.
View make(std::int64_t count) {
    const auto values = std::make_shared<std::vector<double>>(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values->size(); ++i)
        (*values)[i] = static_cast<double>(i);
    auto block = devview::Allocation::adopt(values->data(), values->size() * sizeof(double),
                                            devview::Device{},
                                            [values](const devview::Stream&) { ++releases; });
    return devview::view_of(values->data(), devview::format_of<double>(),
                            devview::Layout::contiguous(1, &count, sizeof(double)),
                            devview::Device{}, std::move(block));
}

View allocate(std::int64_t count, const std::string& name) {
    const auto device = devview::parse_device(name);
    auto block = devview::allocate(static_cast<std::size_t>(count) * sizeof(double), device);
    void* const data = block->data();
    return devview::view_of(data, devview::format_of<double>(),
                            devview::Layout::contiguous(1, &count, sizeof(double)), device,
                            std::move(block));
}

double sum(const View& view) {
    double total = 0;
    const auto* item = static_cast<const char*>(view.data());
    for (std::int64_t i = 0; i < view.size(); ++i, item += view.strides()[0])
        total += *reinterpret_cast<const double*>(item);
    return total;
}

}  // namespace

PYBIND11_MODULE(MODULE, m) {
    m.def("make", &make);
    m.def("allocate", &allocate);
    m.def("releases", [] { return releases; });
    m.def("keep", [](const View& view) { kept = view; });
    m.def("kept", [] { return kept.value(); });
    m.def("drop", [] { kept.reset(); });
    m.def("sum", &sum);
    m.def("every_other",
          [](const View& view) { return view.slice(0, std::nullopt, std::nullopt, 2); });
    m.def("allocation", [](const View& view) {
        return reinterpret_cast<std::uintptr_t>(view.allocation().get());
    });
    m.def("views", [](const View& view) { return view.allocation()->views(); });
    m.def("refuse", [](const View& view) { return view.slice(7, 0, 1); });
    // What another module's function throws comes through Python, and is caught as devview's.
    m.def("catches", [](const View& view) {
        try {
            (void)view.slice(7, 0, 1);
        } catch (const devview::LayoutError&) {
            return true;
        }
        return false;
    });
    m.attr("compiler") = __VERSION__;
}
