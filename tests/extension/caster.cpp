// An extension module as its users write them: what tests/python/test_caster*.py call.
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "devview/error.hpp"
#include "devview/pybind11.hpp"

namespace py = pybind11;
using namespace devview;

struct Particle {
    float mass;
    std::int32_t charge;
};
DEVVIEW_RECORD(Particle, mass, charge);

namespace {

struct missing {
    static constexpr bool kHostOnly = false;
    static constexpr const char* kModule = "no_such_package";
    static constexpr const char* kFunction = "from_dlpack";
    static constexpr auto kName = py::detail::const_name("no_such_package.Array");
};

View kept;

/// What the deleters below were called with.
std::vector<std::pair<bool, std::uintptr_t>> freed;

struct StreamDeleter {
    void operator()(float* items, const Stream& stream) const {
        freed.emplace_back(static_cast<bool>(stream),
                           reinterpret_cast<std::uintptr_t>(stream.handle()));
        delete[] items;
    }
    void operator()(float* items) const { delete[] items; }
};

/// Memory of the test's: nothing is deleted.
struct Borrowed {
    void operator()(float* items, const Stream& stream) const {
        freed.emplace_back(static_cast<bool>(stream), reinterpret_cast<std::uintptr_t>(items));
    }
    void operator()(float*) const {}
};

class Sum {
public:
    double add(const ViewOf<const double, 1>& x, const ViewOf<const double, 1>& y) {
        double total = 0;
        for (std::int64_t i = 0; i < x.shape(0); ++i)
            total += x(i) + y(i);
        return total;
    }
};

struct Holder {
    explicit Holder(const ViewOf<const float, 1>& x) : view(x) {}
    View view;
};

void bind_arguments(py::module_& m) {
    py::class_<Holder>(m, "Holder")
        .def(py::init<const ViewOf<const float, 1>&>())
        .def_readwrite("view", &Holder::view);
    m.def(
        "same", [](View x) { return x; }, py::arg("x"));
    m.def("device", [](const View& x) { return to_string(x.device()); });
    m.def(
        "total",
        [](const ViewOf<const float, 2>& x) {
            float total = 0;
            for (std::int64_t i = 0; i < x.shape(0); ++i) {
                for (std::int64_t j = 0; j < x.shape(1); ++j)
                    total += x(i, j);
            }
            return total;
        },
        py::arg("x"));
    m.def(
        "scale",
        [](ViewOf<double, 1> x, double factor) {
            for (std::int64_t i = 0; i < x.shape(0); ++i)
                x(i) *= factor;
        },
        py::arg("x"), py::arg("factor"));
    m.def(
        "three_by_any",
        [](ViewOf<const std::int32_t, extents<3, any>, on_cpu> x) { return x.shape(1); },
        py::arg("x"));
    m.def(
        "address",
        [](const ViewOf<const float, 2, devview::on_cuda, devview::any_order>& x) {
            return reinterpret_cast<std::uintptr_t>(x.data());
        },
        py::arg("x"));
    m.def(
        "on_cpu", [](const ViewOf<const void, any_rank, on_cpu>&) {}, py::arg("x"));
    m.def(
        "on_device", [](const ViewOf<const void, any_rank, devview::on_device>&) {}, py::arg("x"));
    m.def(
        "unlocked",
        [](const ViewOf<const float, 1>& x) {
            std::this_thread::yield();
            float total = 0;
            for (std::int64_t i = 0; i < x.shape(0); ++i)
                total += x(i);
            return total;
        },
        py::arg("x"), py::call_guard<py::gil_scoped_release>());
    m.def(
        "converted_to_device",
        [](const Converted<ViewOf<const float, 1, devview::on_device>>& x) { return x.view(); },
        py::arg("x"));
    m.def(
        "in_c", [](const ViewOf<const float, 2, on_any, c_order>&) {}, py::arg("x"));
    m.def(
        "in_f", [](const ViewOf<const float, 2, on_any, f_order>&) {}, py::arg("x"));
    m.def(
        "mass", [](const ViewOf<const Particle, 1>& x) { return x(0).mass; }, py::arg("x"));
    m.def("unnamed", [](int, const ViewOf<const float, 1>&) {});
    m.def(
        "two",
        [](ViewOf<const float, 1> x, int n, ViewOf<const float, 1> y) {
            return x.size() + n + y.size();
        },
        py::arg("x"), py::kw_only(), py::arg("n"), py::arg("y"));
    m.def(
        "rest",
        [](const py::args& args, const ViewOf<const float, 1>& x) {
            return static_cast<std::int64_t>(args.size()) + x.size();
        },
        py::kw_only(), py::arg("x"));
    m.def(
        "maybe", [](const std::optional<ViewOf<const float, 1>>& x) { return x ? x->size() : -1; },
        py::arg("x") = py::none());
    m.def(
        "many", [](const std::vector<View>& all) { return all.size(); }, py::arg("all"));
    m.def(
        "many_rows", [](const std::vector<ViewOf<const float, 1>>& all) { return all.size(); },
        py::arg("all"));
    m.def(
        "view_or_number",
        [](const std::variant<ViewOf<const float, 1>, int>& x) { return x.index(); }, py::arg("x"));
    py::class_<Sum>(m, "Sum").def(py::init<>()).def("add", &Sum::add, py::arg("x"), py::arg("y"));
    m.def(
        "converted",
        [](const Converted<ViewOf<const float, 1, on_host, c_order>>& x) { return x.view(); },
        py::arg("x"));
    m.def(
        "unconverted",
        [](const Converted<ViewOf<const float, 1, on_host, c_order>>& x) { return x.view(); },
        py::arg("x").noconvert());
    m.def(
        "converted_f",
        [](const Converted<ViewOf<const void, 2, on_host, f_order>>& x) { return x.view(); },
        py::arg("x"));
}

void bind_overloads(py::module_& m) {
    m.def(
        "pick", [](const ViewOf<float, 1>&) { return "float32 writable"; }, py::arg("x"));
    m.def(
        "pick", [](const ViewOf<const float, 1>&) { return "float32"; }, py::arg("x"));
    m.def(
        "pick", [](const ViewOf<const double, 2>&) { return "float64"; }, py::arg("x"));
    m.def(
        "pick", [](const ViewOf<const float, 1, on_cuda>&) { return "cuda"; }, py::arg("x"));
    m.def(
        "pick", [](const ViewOf<const std::uint8_t, 1>&) { return "bytes"; }, py::arg("x"));
    // The last one takes no view, and an exact match comes before a copy.
    m.def("prefer", [](const Converted<ViewOf<const float, 1>>&) { return "float32"; });
    m.def("prefer", [](const ViewOf<const double, 1>&) { return "float64"; });
    m.def("prefer", [](double) { return "number"; });
    // The last one refuses its view before a copy is tried for the first.
    m.def("either", [](const Converted<ViewOf<const float, 1>>&) { return "copied"; });
    m.def("either", [](const ViewOf<const double, 1>&) { return "float64"; });
    // Of these the last one takes no view: nobody of ours is asked at the end.
    m.def("view_or_text", [](const ViewOf<const float, 1>&) { return "float32"; });
    m.def("view_or_text", [](const ViewOf<const double, 1>&) { return "float64"; });
    m.def("view_or_text", [](const std::string&) { return "text"; });
    m.def(
        "once", [](const ViewOf<const float, 1>&) { return "float32"; }, py::arg("x").noconvert());
    m.def(
        "once", [](const ViewOf<const double, 1>&) { return "float64"; }, py::arg("x").noconvert());
    m.def("refused", [] { return python::detail::refused_overloads().size(); });
    // Which overload fits is decided by a conversion of an argument before the view.
    m.def("late", [](int, const ViewOf<const float, 1>&) { return "int"; });
    m.def("late", [](double, const ViewOf<const double, 1>&) { return "float"; });
}

void bind_results(py::module_& m) {
    m.def("vector", [] { return own(std::vector<double>{1, 2, 3, 4}); });
    m.def("matrix", [] { return own(std::vector<double>{1, 2, 3, 4}, {2, 2}); });
    m.def("too_big", [] { return own(std::vector<double>{1, 2, 3, 4}, {5}); });
    m.def("unique", [] {
        return own(std::unique_ptr<float[], StreamDeleter>(new float[2]{1, 2}), {2});
    });
    m.def("on_stream", [](std::uintptr_t data, std::int64_t size, std::uintptr_t stream) {
        std::unique_ptr<float[], Borrowed> items(reinterpret_cast<float*>(data));
        const Device device{DeviceType::cuda, 0};
        return own(std::move(items), {size}, device,
                   Stream::raw(device, reinterpret_cast<void*>(stream)));
    });
    m.def("shared", [](std::int64_t size) {
        static const auto items = std::make_shared<std::vector<float>>(8);
        View view = own(std::shared_ptr<const float>(items, items->data()), {size});
        return std::make_pair(std::move(view), items.use_count());
    });
    m.def("capsule", [] {
        auto* const items = new float[3]{7, 8, 9};
        py::capsule owner(items, [](void* memory) {
            freed.emplace_back(false, 1);
            delete[] static_cast<float*>(memory);
        });
        return own(std::move(owner), items, {3});
    });
    m.def("freed", [] { return std::exchange(freed, {}); });
    m.def("numpy", [](View x) { return return_as<devview::numpy>(std::move(x)); });
    m.def("jax", [](View x) { return return_as<devview::jax>(std::move(x)); });
    m.def("cupy", [](View x) { return return_as<devview::cupy>(std::move(x)); });
    m.def("torch", [](View x) { return return_as<devview::torch>(std::move(x)); });
    m.def("missing", [](View x) { return return_as<missing>(std::move(x)); });
    m.def("typed", [](ViewOf<const float, 1> x) { return x; });
    m.def("nothing", [] { return View(); });
    m.def("keep", [](View x) { kept = std::move(x); });
    m.def(
        "kept", []() -> const View& { return kept; }, py::return_value_policy::copy);
    m.def("drop", [] { kept.release(); });
    m.def("slice", [](const View& x) { return x.slice(0, 1, std::nullopt); });
    m.def("bad_axis", [](const View& x) { return x.slice(9, 0, 1); });
}

}  // namespace

PYBIND11_MODULE(caster, m) {
    python::require_devview();
    bind_arguments(m);
    bind_overloads(m);
    bind_results(m);
}
