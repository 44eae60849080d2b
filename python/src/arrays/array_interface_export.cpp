// Export by __array_interface__: the dictionary, and what of a format a typestr can say.
#include "arrays/array_interface_export.hpp"

#include <array>
#include <cstdio>
#include <string>

#include "buffer/host_access.hpp"
#include "devview/cuda/memory.hpp"
#include "formats/format_object.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

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

char order_mark(const Format& format) noexcept {
    const char* const order = byteorder_name(format);
    return order == nullptr ? '|' : order[0] == 'l' ? '<' : '>';
}

/// "<f4"; empty where a typestr would lose what the items are.
std::string typestr_of(const Format& format) {
    const FormatNode& node = *format.node();
    if (node.kind == Kind::object) return "|O";
    const char letter = typestr_letter(node);
    if (letter == '\0') return {};
    std::array<char, 32> text{};
    const long long count = letter == 'U' ? node.itemsize / 4 : node.itemsize;
    std::snprintf(text.data(), text.size(), "%c%c%lld", order_mark(format), letter, count);
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
        return {order_mark(format) + ("V" + std::to_string(format.itemsize())), std::move(descr)};
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

/// Keys of the dict, made once: the interpreter keeps them.
struct Keys {
    PyObject* shape = PyUnicode_InternFromString("shape");
    PyObject* typestr = PyUnicode_InternFromString("typestr");
    PyObject* descr = PyUnicode_InternFromString("descr");
    PyObject* strides = PyUnicode_InternFromString("strides");
    PyObject* data = PyUnicode_InternFromString("data");
    PyObject* version = PyUnicode_InternFromString("version");
};

const Keys& keys() {
    static const Keys made;
    return made;
}

void put(const py::dict& interface, PyObject* key, const py::object& value) {
    if (PyDict_SetItem(interface.ptr(), key, value.ptr()) != 0) throw py::error_already_set();
}

/// One axis after the other, those of the view and, behind them, those of items that are
/// sub-arrays.
class Axes {
public:
    explicit Axes(const View& view) : view_(view) {
        for (element_ = view.format().node(); element_->kind == Kind::array;
             element_ = element_->element) {
            more_ += element_->ndim;
        }
    }
    int count() const noexcept { return view_.ndim() + more_; }
    const FormatNode* element() const noexcept { return element_; }
    py::tuple shape() const { return tuple(view_.shape(), false); }
    py::tuple strides() const { return tuple(view_.strides(), true); }

private:
    py::tuple tuple(const std::int64_t* own, bool steps) const {
        py::tuple made(static_cast<std::size_t>(count()));
        Py_ssize_t at = 0;
        const auto add = [&](std::int64_t value) {
            PyObject* const number = PyLong_FromLongLong(value);
            if (number == nullptr) throw py::error_already_set();
            PyTuple_SET_ITEM(made.ptr(), at++, number);
        };
        for (int axis = 0; axis < view_.ndim(); ++axis)
            add(own[axis]);
        const FormatNode* node = view_.format().node();
        std::int64_t step = node->itemsize;
        for (; node->kind == Kind::array; node = node->element) {
            for (int axis = 0; axis < node->ndim; ++axis) {
                const std::int64_t extent = node->shape[axis];
                step /= extent;  // not 0: a view's items have bytes
                add(steps ? step : extent);
            }
        }
        return made;
    }

    const View& view_;
    const FormatNode* element_;
    int more_ = 0;
};

}  // namespace

py::dict interface_of(const View& view, const void* address, const char* attribute) {
    if (view.suboffsets() != nullptr) refuse(attribute, "the view has suboffsets");
    const Axes axes(view);
    if (axes.count() > kMaxNdim) {
        refuse(attribute, std::to_string(axes.count()) + " axes with those of the items, limit 64");
    }
    Items items = items_of(Format::of_node(axes.element()), attribute);
    py::dict interface;
    const Keys& key = keys();
    put(interface, key.shape, axes.shape());
    put(interface, key.typestr, py::str(items.typestr));
    put(interface, key.descr, items.descr);
    put(interface, key.strides,
        view.contiguous(Order::C) ? py::object(py::none()) : py::object(axes.strides()));
    put(interface, key.data,
        py::make_tuple(reinterpret_cast<std::uintptr_t>(address), view.readonly()));
    put(interface, key.version, py::int_(3));
    return interface;
}

PyObject* absent_interface(const char* attribute, const View& view, const char* why) {
    // No C++ exception: libraries ask every object that they are given whether it has this.
    PyErr_Format(PyExc_AttributeError, "%s: the memory is on %s%s", attribute,
                 to_string(view.device()).c_str(), why);
    return nullptr;
}

PyObject* view_array_interface(PyObject* self, void*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        constexpr const char* kName = "__array_interface__";
        const View view = live_view(self);  // held: a collection may run user code
        if (!host_accessible(view.device())) {
            return absent_interface(kName, view,
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
