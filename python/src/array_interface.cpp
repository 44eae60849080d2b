// Reading __array_interface__: typestr or descr, shape, strides, data; each key once.
#include "array_interface.hpp"

#include <string>
#include <vector>

#include "arguments.hpp"
#include "devview/error.hpp"
#include "owner.hpp"

namespace devview::python {

namespace {

py::object item(const py::dict& interface, const char* key) {
    PyObject* const value = PyDict_GetItemString(interface.ptr(), key);
    return value ? py::reinterpret_borrow<py::object>(value) : py::none();
}

/// "<f8" as a PEP 3118 format. @throws FormatError.
std::string format_of_typestr(const std::string& typestr) {
    const auto bad = [&](std::size_t position) {
        return FormatError("typestr: '" + typestr + "' has no format", position);
    };
    if (typestr.size() < 3) throw bad(typestr.size());
    const char order = typestr[0];
    if (order != '<' && order != '>' && order != '|' && order != '=') throw bad(0);
    std::int64_t size = 0;
    for (std::size_t i = 2; i < typestr.size(); ++i) {
        if (typestr[i] < '0' || typestr[i] > '9' || size > (std::int64_t{1} << 40)) throw bad(i);
        size = size * 10 + (typestr[i] - '0');
    }
    const std::string prefix = order == '|' ? "" : std::string(1, order);
    const auto number = [&](const char* codes, std::initializer_list<std::int64_t> sizes) {
        std::size_t i = 0;
        for (const std::int64_t s : sizes) {
            if (s == size) return prefix + codes[i];
            ++i;
        }
        throw bad(2);
    };
    switch (typestr[1]) {
        case 'b':
            return number("?", {1});
        case 'i':
            return number("bhiq", {1, 2, 4, 8});
        case 'u':
            return number("BHIQ", {1, 2, 4, 8});
        case 'f':
            return number("efdg", {2, 4, 8, 16});
        case 'c': {
            const std::string real = size == 8 ? "f" : size == 16 ? "d" : size == 32 ? "g" : "";
            if (real.empty()) throw bad(2);
            return prefix + "Z" + real;
        }
        case 'S':
            return std::to_string(size) + "s";
        case 'U':
            return prefix + std::to_string(size) + "w";
        case 'V':
            return std::to_string(size) + "x";
        case 'O':
            return "O";
        case 't':
            break;  // bit fields: no array library makes them
        default:
            break;
    }
    throw bad(1);
}

std::string format_of_descr(const py::list& descr, int depth);

std::string format_of_member(const py::handle& member, int depth) {
    const auto parts = py::reinterpret_borrow<py::tuple>(member);
    if (!PyTuple_Check(member.ptr()) || (parts.size() != 2 && parts.size() != 3)) {
        throw FormatError("descr: a member is no tuple of 2 or 3", 0);
    }
    // A name may be (title, name); only the name is part of the format.
    py::object name = parts[0];
    if (PyTuple_Check(name.ptr()) && PyTuple_GET_SIZE(name.ptr()) == 2) {
        name = py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(name.ptr(), 1));
    }
    if (!PyUnicode_Check(name.ptr())) throw FormatError("descr: a name is no string", 0);
    const py::object what = parts[1];
    std::string format;
    if (PyUnicode_Check(what.ptr())) {
        format = format_of_typestr(what.cast<std::string>());
    } else if (PyList_Check(what.ptr())) {
        format = format_of_descr(what.cast<py::list>(), depth + 1);
    } else {
        throw FormatError("descr: a member's type is neither a string nor a list", 0);
    }
    if (parts.size() == 3) {
        std::string shape;
        for (const std::int64_t extent : read_shape(py::object(parts[2]).ptr(), "descr")) {
            shape += (shape.empty() ? "" : ",") + std::to_string(extent);
        }
        format = "(" + shape + ")" + format;
    }
    const auto text = name.cast<std::string>();
    return text.empty() ? format : format + ":" + text + ":";
}

std::string format_of_descr(const py::list& descr, int depth) {
    if (depth > 32) throw FormatError("descr: nested deeper than 32", 0);
    std::string format = "T{^";  // padding is spelled out as members without a name
    for (const py::handle member : descr)
        format += format_of_member(member, depth);
    return format + "}";
}

Format read_items(const py::dict& interface) {
    const py::object typestr = item(interface, "typestr");
    if (!PyUnicode_Check(typestr.ptr())) throw py::type_error("typestr is no string");
    const auto text = typestr.cast<std::string>();
    const py::object descr = item(interface, "descr");
    const Format scalar(format_of_typestr(text));
    if (text[1] != 'V' || !PyList_Check(descr.ptr())) return scalar;
    // NumPy gives every void type the descr [('', '|V4')].
    const auto members = descr.cast<py::list>();
    if (members.size() == 1 && py::object(members[0]).equal(py::make_tuple("", text)))
        return scalar;
    return Format::with_itemsize(format_of_descr(members, 0), scalar.itemsize());
}

View read(PyObject* object, const py::dict& interface) {
    if (item(interface, "version").is_none()) throw py::type_error("version is missing");
    if (!item(interface, "mask").is_none()) throw BufferError("a mask cannot be viewed");
    const Format format = read_items(interface);
    if (format.itemsize() == 0) throw FormatError("typestr: itemsize 0", 0);
    const py::object shape = item(interface, "shape");
    if (!PyTuple_Check(shape.ptr())) throw py::type_error("shape is no tuple");
    const auto extents = read_shape(shape.ptr());
    const py::object strides = item(interface, "strides");
    std::vector<std::int64_t> steps;
    if (!strides.is_none()) {
        steps = read_integers(strides.ptr(), "strides");
        if (steps.size() != extents.size()) throw LayoutError("strides do not match the shape");
    }
    const Layout layout =
        Layout::strided(static_cast<int>(extents.size()), extents.data(),
                        strides.is_none() ? nullptr : steps.data(), nullptr, format.itemsize());
    const py::object data = item(interface, "data");
    if (!PyTuple_Check(data.ptr()) || PyTuple_GET_SIZE(data.ptr()) != 2) {
        throw py::type_error("data is no tuple (address, readonly)");
    }
    const std::uintptr_t address = read_address(PyTuple_GET_ITEM(data.ptr(), 0), "data");
    const int readonly = PyObject_IsTrue(PyTuple_GET_ITEM(data.ptr(), 1));
    if (readonly < 0) throw py::error_already_set();
    const ByteBounds bounds = layout.bounds(format.itemsize());
    if (address == 0 && bounds.high > bounds.low) throw LayoutError("data is a null pointer");
    require_address_range(address, bounds.low, bounds.high, "data");
    char* const base = reinterpret_cast<char*>(address);
    auto allocation =
        adopt_object(base + bounds.low, static_cast<std::size_t>(bounds.high - bounds.low),
                     Device{}, object, nullptr, Stream{});
    return View(std::move(allocation), base, format, layout, readonly == 1);
}

}  // namespace

std::uintptr_t read_address(PyObject* value, const char* name) {
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        throw py::type_error(std::string(name) + ": the address is no int");
    }
    const std::size_t address = PyLong_AsSize_t(value);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        throw LayoutError(std::string(name) + ": " + std::string(py::str(py::handle(value))) +
                          " is no address of 64 bits");
    }
    return address;
}

void require_address_range(std::uintptr_t address, std::int64_t low, std::int64_t high,
                           const char* function) {
    std::uintptr_t end = 0;
    const bool wraps_low =
        low < 0 && address < static_cast<std::uintptr_t>(0) - static_cast<std::uintptr_t>(low);
    const bool wraps_high =
        high > 0 && __builtin_add_overflow(address, static_cast<std::uintptr_t>(high), &end);
    if (wraps_low || wraps_high) {
        throw LayoutError(std::string(function) + ": bytes [" + std::to_string(low) + ", " +
                          std::to_string(high) + ") from address " + std::to_string(address) +
                          " leave the address space");
    }
}

std::optional<View> import_array_interface(PyObject* object, std::string& why) {
    try {
        const auto told = py::reinterpret_steal<py::object>(
            PyObject_GetAttrString(object, "__array_interface__"));
        if (!told) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
            PyErr_Clear();
            why = "not offered";
            return std::nullopt;
        }
        if (!PyDict_Check(told.ptr())) throw py::type_error("it is no dict");
        // A plain copy: a subclass could answer differently the second time.
        return read(object, py::reinterpret_steal<py::dict>(PyDict_Copy(told.ptr())));
    } catch (const Error& error) {
        why = error.what();
    } catch (const py::type_error& error) {
        why = error.what();
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_BufferError) && !error.matches(PyExc_ValueError) &&
            !error.matches(PyExc_TypeError)) {
            throw;
        }
        why = py::cast<std::string>(py::str(error.value()));
    }
    return std::nullopt;
}

}  // namespace devview::python
