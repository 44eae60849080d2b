// Reading what the two array interfaces share: typestr or descr, shape, strides, data.
#include "arrays/array_description.hpp"

#include <vector>

#include "arguments.hpp"
#include "arrays/typestr.hpp"
#include "devview/error.hpp"

namespace devview::python {

namespace {

constexpr std::int64_t kNewestVersion = 3;

int read_version(const py::dict& interface) {
    const py::object version = entry(interface, "version");
    if (version.is_none()) throw py::type_error("version is missing");
    const std::int64_t number = read_plain_integer(version, "version");
    if (number < 0 || number > kNewestVersion) {
        throw BufferError("version " + std::to_string(number) + ", known are 0 to 3");
    }
    return static_cast<int>(number);
}

Format read_items(const py::dict& interface) {
    const py::object typestr = entry(interface, "typestr");
    if (!PyUnicode_Check(typestr.ptr())) throw py::type_error("typestr is no string");
    const std::string text = read_text(typestr.ptr(), "typestr");
    const py::object descr = entry(interface, "descr");
    const Format scalar = format_of_typestr(text);
    if (text[1] != 'V' || !PyList_Check(descr.ptr())) return scalar;
    // NumPy gives every void type the descr [('', '|V4')].
    const auto members = descr.cast<py::list>();
    if (members.size() == 1 && py::object(members[0]).equal(py::make_tuple("", text)))
        return scalar;
    return format_of_descr(members, scalar.itemsize());
}

/// Python's or NumPy's, whose older versions give an index with a warning.
bool is_bool(PyObject* value) noexcept {
    const char* const type = Py_TYPE(value)->tp_name;
    return PyBool_Check(value) || std::strcmp(type, "numpy.bool") == 0 ||
           std::strcmp(type, "numpy.bool_") == 0;
}

/// A tuple of ints without bools, which are a mistake there.
std::vector<std::int64_t> read_tuple(const py::object& tuple, const char* name, bool extents) {
    if (!PyTuple_Check(tuple.ptr())) throw py::type_error(std::string(name) + " is no tuple");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple.ptr()); ++i) {
        if (is_bool(PyTuple_GET_ITEM(tuple.ptr(), i))) {
            throw py::type_error(std::string(name) + ": axis " + std::to_string(i) + " is a bool");
        }
    }
    return extents ? read_shape(tuple.ptr(), name) : read_integers(tuple.ptr(), name);
}

Layout read_layout(const py::dict& interface, std::int64_t itemsize) {
    const auto extents = read_tuple(entry(interface, "shape"), "shape", true);
    const py::object strides = entry(interface, "strides");
    std::vector<std::int64_t> steps;
    if (!strides.is_none()) {
        steps = read_tuple(strides, "strides", false);
        if (steps.size() != extents.size()) {
            throw LayoutError("strides: " + std::to_string(steps.size()) + " of them, shape has " +
                              std::to_string(extents.size()) + " axes");
        }
    }
    return Layout::strided(static_cast<int>(extents.size()), extents.data(),
                           strides.is_none() ? nullptr : steps.data(), nullptr, itemsize);
}

}  // namespace

py::dict interface_dict(PyObject* told) {
    if (!PyDict_Check(told)) throw py::type_error("it is no dict");
    PyObject* const copy = PyDict_Copy(told);
    if (copy == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::dict>(copy);
}

py::object entry(const py::dict& interface, const char* key) {
    const py::str name(key);
    PyObject* const value = PyDict_GetItemWithError(interface.ptr(), name.ptr());
    if (value == nullptr && PyErr_Occurred()) throw py::error_already_set();
    return value ? py::reinterpret_borrow<py::object>(value) : py::none();
}

std::int64_t read_plain_integer(const py::object& value, const char* name) {
    if (is_bool(value.ptr())) throw py::type_error(std::string(name) + " is a bool");
    return read_integer(value.ptr(), name);
}

ArrayDescription read_description(const py::dict& interface) {
    ArrayDescription told{read_version(interface), {}, {}, {}};
    if (!entry(interface, "mask").is_none()) throw BufferError("a mask cannot be viewed");
    told.format = read_items(interface);
    const std::int64_t itemsize = told.format.itemsize();
    if (itemsize == 0) throw FormatError("typestr: itemsize 0", 0);
    if (told.format.has_objects()) {
        throw FormatError("typestr: Python objects behind an address, which nobody counts", 0);
    }
    told.layout = read_layout(interface, itemsize);
    told.bounds = told.layout.bounds(itemsize);
    return told;
}

DataPointer read_pointer(const py::object& data, const ByteBounds& bounds) {
    if (!PyTuple_Check(data.ptr()) || PyTuple_GET_SIZE(data.ptr()) != 2) {
        throw py::type_error("data is no tuple (address, readonly)");
    }
    const std::uintptr_t address = read_address(PyTuple_GET_ITEM(data.ptr(), 0), "data");
    const int readonly = PyObject_IsTrue(PyTuple_GET_ITEM(data.ptr(), 1));
    if (readonly < 0) throw py::error_already_set();
    if (address == 0 && bounds.high > bounds.low) throw LayoutError("data is a null pointer");
    require_address_range(address, bounds.low, bounds.high, "data");
    return {address, readonly == 1};
}

std::uintptr_t read_address(PyObject* value, const char* name) {
    if (!PyIndex_Check(value) || is_bool(value)) {
        throw py::type_error(std::string(name) + ": the address is no int");
    }
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value));
    if (!index) throw py::error_already_set();
    const std::size_t address = PyLong_AsSize_t(index.ptr());
    if (PyErr_Occurred()) {
        PyErr_Clear();
        throw LayoutError(std::string(name) + ": " + std::string(py::str(index)) +
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

}  // namespace devview::python
