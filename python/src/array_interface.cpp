// Reading __array_interface__: typestr or descr, shape, strides, data; each key once.
#include "array_interface.hpp"

#include <string>
#include <vector>

#include "arguments.hpp"
#include "devview/error.hpp"
#include "owner.hpp"
#include "protocols.hpp"
#include "typestr.hpp"

namespace devview::python {

namespace {

py::object item(const py::dict& interface, const char* key) {
    PyObject* const value = PyDict_GetItemString(interface.ptr(), key);
    return value ? py::reinterpret_borrow<py::object>(value) : py::none();
}

Format read_items(const py::dict& interface) {
    const py::object typestr = item(interface, "typestr");
    if (!PyUnicode_Check(typestr.ptr())) throw py::type_error("typestr is no string");
    const auto text = typestr.cast<std::string>();
    const py::object descr = item(interface, "descr");
    const Format scalar = format_of_typestr(text);
    if (text[1] != 'V' || !PyList_Check(descr.ptr())) return scalar;
    // NumPy gives every void type the descr [('', '|V4')].
    const auto members = descr.cast<py::list>();
    if (members.size() == 1 && py::object(members[0]).equal(py::make_tuple("", text)))
        return scalar;
    return format_of_descr(members, scalar.itemsize());
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

std::optional<View> import_array_interface(const ImportRequest& request) {
    const auto told = py::reinterpret_steal<py::object>(
        PyObject_GetAttrString(request.object, "__array_interface__"));
    if (!told) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
        PyErr_Clear();
        return std::nullopt;
    }
    if (!PyDict_Check(told.ptr())) throw py::type_error("it is no dict");
    // A plain copy: a subclass could answer differently the second time.
    return read(request.object, py::reinterpret_steal<py::dict>(PyDict_Copy(told.ptr())));
}

}  // namespace devview::python
