// Records as tuples and arrays as nested lists, down to the scalars.
#include "item.hpp"

#include <cstring>
#include <vector>

#include "devview/error.hpp"
#include "item_scalar.hpp"

namespace devview::python {

namespace {

PyObject* unpack_record(const FormatNode& format, const char* data) {
    py::object tuple = py::reinterpret_steal<py::object>(PyTuple_New(format.field_count));
    if (!tuple) throw py::error_already_set();
    for (std::int32_t i = 0; i < format.field_count; ++i) {
        const FormatField& field = format.fields[i];
        PyTuple_SET_ITEM(tuple.ptr(), i, unpack_item(*field.format, data + field.offset));
    }
    return tuple.release().ptr();
}

PyObject* unpack_axis(const FormatNode& format, int axis, const char*& data) {
    if (axis == format.ndim) {
        PyObject* const item = unpack_item(*format.element, data);
        data += format.element->itemsize;
        return item;
    }
    py::object list =
        py::reinterpret_steal<py::object>(PyList_New(static_cast<Py_ssize_t>(format.shape[axis])));
    if (!list) throw py::error_already_set();
    for (Py_ssize_t i = 0; i < static_cast<Py_ssize_t>(format.shape[axis]); ++i) {
        PyList_SET_ITEM(list.ptr(), i, unpack_axis(format, axis + 1, data));
    }
    return list.release().ptr();
}

/// The members of a sequence of exactly `count`, as a tuple that user code cannot change.
py::object members(const FormatNode& format, PyObject* value, Py_ssize_t count) {
    if (!PySequence_Check(value) || PyUnicode_Check(value)) wrong_item_type(format, value);
    py::object tuple = py::reinterpret_steal<py::object>(PySequence_Tuple(value));
    if (!tuple) throw py::error_already_set();
    if (PyTuple_GET_SIZE(tuple.ptr()) != count) {
        PyErr_Format(PyExc_ValueError, "item: %zd values for the %zd of format '%.200s'",
                     PyTuple_GET_SIZE(tuple.ptr()), count, format.text);
        throw py::error_already_set();
    }
    return tuple;
}

void pack_axis(const FormatNode& format, int axis, char*& data, PyObject* value) {
    if (axis == format.ndim) {
        pack_item(*format.element, data, value);
        data += format.element->itemsize;
        return;
    }
    const auto extent = static_cast<Py_ssize_t>(format.shape[axis]);
    const py::object tuple = members(format, value, extent);
    for (Py_ssize_t i = 0; i < extent; ++i) {
        pack_axis(format, axis + 1, data, PyTuple_GET_ITEM(tuple.ptr(), i));
    }
}

/// Fills a copy of the item first, so that a wrong member leaves the memory as it was.
void pack_composite(const FormatNode& format, char* data, PyObject* value) {
    std::vector<char> bytes(data, data + format.itemsize);
    if (format.kind == Kind::array) {
        char* at = bytes.data();
        pack_axis(format, 0, at, value);
    } else {
        const py::object tuple = members(format, value, format.field_count);
        for (std::int32_t i = 0; i < format.field_count; ++i) {
            const FormatField& field = format.fields[i];
            pack_item(*field.format, bytes.data() + field.offset, PyTuple_GET_ITEM(tuple.ptr(), i));
        }
    }
    std::copy(bytes.begin(), bytes.end(), data);
}

template <class T>
T load(const char* data) noexcept {
    T value;
    std::memcpy(&value, data, sizeof value);
    return value;
}

/// The scalars of most views, without a detour through their description; null for all others (or
/// without memory: the general path then tells).
PyObject* unpack_native(const FormatNode& format, const char* data) {
    if (format.byteorder != ByteOrder::native) return nullptr;
    switch (format.code) {
        case '?':
            return PyBool_FromLong(*data != 0);
        case 'b':
            return PyLong_FromLong(load<signed char>(data));
        case 'B':
            return PyLong_FromLong(load<unsigned char>(data));
        case 'h':
            return PyLong_FromLong(load<short>(data));
        case 'H':
            return PyLong_FromLong(load<unsigned short>(data));
        case 'i':
            return PyLong_FromLong(load<int>(data));
        case 'I':
            return PyLong_FromUnsignedLong(load<unsigned int>(data));
        case 'l':
            return PyLong_FromLong(load<long>(data));
        case 'L':
            return PyLong_FromUnsignedLong(load<unsigned long>(data));
        case 'q':
            return PyLong_FromLongLong(load<long long>(data));
        case 'Q':
            return PyLong_FromUnsignedLongLong(load<unsigned long long>(data));
        case 'f':
            return PyFloat_FromDouble(static_cast<double>(load<float>(data)));
        case 'd':
            return PyFloat_FromDouble(load<double>(data));
        default:
            return nullptr;
    }
}

}  // namespace

PyObject* unpack_item(const FormatNode& format, const char* data) {
    PyObject* item = unpack_native(format, data);
    if (item != nullptr) return item;
    if (format.kind == Kind::record) {
        item = unpack_record(format, data);
    } else if (format.kind == Kind::array) {
        item = unpack_axis(format, 0, data);
    } else {
        item = unpack_scalar(format, data);
    }
    if (item == nullptr) throw py::error_already_set();
    return item;
}

void pack_item(const FormatNode& format, char* data, PyObject* value) {
    if (format.kind == Kind::record || format.kind == Kind::array) {
        pack_composite(format, data, value);
    } else {
        pack_scalar(format, data, value);
    }
}

}  // namespace devview::python
