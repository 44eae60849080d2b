// Export by __array_interface__: the dictionary, and what of a format a typestr can say.
#include "array_interface_export.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "devview/cuda/memory.hpp"
#include "format_object.hpp"
#include "host_access.hpp"
#include "protocols.hpp"
#include "view_object.hpp"

namespace devview::python {

namespace {

/// The letter of a scalar that a typestr says completely, or 0.
char typestr_letter(const FormatNode& node) noexcept {
    switch (node.kind) {
        case Kind::boolean:
            return 'b';
        case Kind::character:
        case Kind::bytes:
            return 'S';
        case Kind::opaque:
            return 'V';
        case Kind::unicode:
            return node.code == 'w' ? 'U' : '\0';
        case Kind::integer:
            return node.code ? 'i' : '\0';  // without a code: int4
        case Kind::unsigned_integer:
            return node.code ? 'u' : '\0';
        case Kind::floating:
            return node.code ? 'f' : '\0';
        case Kind::complex_floating:
            return node.code ? 'c' : '\0';
        default:
            return '\0';
    }
}

/// "<f4"; empty where a typestr would lose what the items are.
std::string typestr_of(const Format& format) {
    const FormatNode& node = *format.node();
    if (node.kind == Kind::object) return "|O";
    const char letter = typestr_letter(node);
    if (letter == '\0') return {};
    const char* const order = byteorder_name(format);
    const char mark = order == nullptr ? '|' : order[0] == 'l' ? '<' : '>';
    std::array<char, 32> text{};
    const long long count = letter == 'U' ? node.itemsize / 4 : node.itemsize;
    std::snprintf(text.data(), text.size(), "%c%c%lld", mark, letter, count);
    return text.data();
}

[[noreturn]] void refuse(const char* attribute, const std::string& why) {
    throw py::attribute_error(std::string(attribute) + ": " + why);
}

struct Items {
    std::string typestr;
    py::object descr;
};

/// Records, and the small floats as records of their name: T{H:bfloat16:} in the buffer protocol.
Items described_items(const Format& format, const char* attribute) {
    const auto object = py::reinterpret_steal<py::object>(new_format(format));
    try {
        py::object descr = object.attr("to_descr")();
        const char* const order = byteorder_name(format);
        const char mark = order == nullptr ? '|' : order[0] == 'l' ? '<' : '>';
        return {mark + ("V" + std::to_string(format.itemsize())), std::move(descr)};
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_ValueError)) throw;
        refuse(attribute, py::cast<std::string>(py::str(error.value())));
    }
}

Items items_of(const Format& format, const char* attribute) {
    std::string typestr = typestr_of(format);
    if (typestr.empty()) return described_items(format, attribute);
    py::list descr(1);
    descr[0] = py::make_tuple("", typestr);
    return {std::move(typestr), std::move(descr)};
}

/// The axes of the view and, behind them, those of items that are sub-arrays.
struct Axes {
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;
    const FormatNode* element;
};

Axes axes_of(const View& view) {
    Axes axes{{view.shape(), view.shape() + view.ndim()},
              {view.strides(), view.strides() + view.ndim()},
              view.format().node()};
    std::int64_t step = axes.element->itemsize;
    for (; axes.element->kind == Kind::array; axes.element = axes.element->element) {
        for (int i = 0; i < axes.element->ndim; ++i) {
            const std::int64_t extent = axes.element->shape[i];
            step = extent == 0 ? 0 : step / extent;
            axes.shape.push_back(extent);
            axes.strides.push_back(step);
        }
    }
    return axes;
}

py::tuple tuple_of(const std::vector<std::int64_t>& values) {
    py::tuple tuple(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        tuple[i] = py::int_(values[i]);
    return tuple;
}

}  // namespace

py::dict interface_of(const View& view, const void* address, const char* attribute) {
    if (view.suboffsets() != nullptr) refuse(attribute, "the view has suboffsets");
    const Axes axes = axes_of(view);
    if (axes.shape.size() > kMaxNdim) {
        refuse(attribute, std::to_string(axes.shape.size()) +
                              " axes with those of the items, "
                              "limit 64");
    }
    Items items = items_of(Format::of_node(axes.element), attribute);
    py::dict interface;
    interface["shape"] = tuple_of(axes.shape);
    interface["typestr"] = std::move(items.typestr);
    interface["descr"] = std::move(items.descr);
    interface["strides"] =
        view.contiguous(Order::C) ? py::object(py::none()) : tuple_of(axes.strides);
    interface["data"] = py::make_tuple(reinterpret_cast<std::uintptr_t>(address), view.readonly());
    interface["version"] = 3;
    return interface;
}

PyObject* view_array_interface(PyObject* self, void*) {
    return guarded<PyObject*>(nullptr, [&] {
        constexpr const char* kName = "__array_interface__";
        const View view = live_view(self);  // held: a collection may run user code
        if (!host_accessible(view.device())) {
            refuse(kName, "the memory is on " + to_string(view.device()) +
                              ", which the host cannot read; memoryview(v) makes a copy");
        }
        py::dict interface = interface_of(view, view.data(), kName);
        if (!plain_host(view)) {
            const GilRelease release;
            wait_for_host(*view.allocation());
        }
        return interface.release().ptr();
    });
}

}  // namespace devview::python
