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

/// Objects that a scratch copy of an item refers to anew; dropped unless they are kept.
class NewReferences {
public:
    ~NewReferences() {
        for (PyObject* const object : objects_)
            Py_DECREF(object);
    }
    void store(char* data, PyObject* value) {
        objects_.push_back(value);
        Py_INCREF(value);
        std::memcpy(data, &value, sizeof value);
    }
    void keep() noexcept { objects_.clear(); }

private:
    std::vector<PyObject*> objects_;
};

void pack_member(const FormatNode& format, char* data, PyObject* value, NewReferences& references);

void pack_axis(const FormatNode& format, int axis, char*& data, PyObject* value,
               NewReferences& references) {
    if (axis == format.ndim) {
        pack_member(*format.element, data, value, references);
        data += format.element->itemsize;
        return;
    }
    const auto extent = static_cast<Py_ssize_t>(format.shape[axis]);
    const py::object tuple = members(format, value, extent);
    for (Py_ssize_t i = 0; i < extent; ++i) {
        pack_axis(format, axis + 1, data, PyTuple_GET_ITEM(tuple.ptr(), i), references);
    }
}

void pack_member(const FormatNode& format, char* data, PyObject* value, NewReferences& references) {
    if (format.kind == Kind::object) {
        references.store(data, value);
    } else if (format.kind == Kind::array) {
        pack_axis(format, 0, data, value, references);
    } else if (format.kind == Kind::record) {
        const py::object tuple = members(format, value, format.field_count);
        for (std::int32_t i = 0; i < format.field_count; ++i) {
            const FormatField& field = format.fields[i];
            pack_member(*field.format, data + field.offset, PyTuple_GET_ITEM(tuple.ptr(), i),
                        references);
        }
    } else {
        pack_scalar(format, data, value);
    }
}

/// The objects that an item refers to.
void collect_objects(const FormatNode& format, const char* data, std::vector<PyObject*>& objects) {
    if (format.kind == Kind::object) {
        PyObject* object = nullptr;
        std::memcpy(&object, data, sizeof object);
        if (object != nullptr) objects.push_back(object);
    } else if (format.kind == Kind::array && format.element->itemsize > 0) {
        for (std::int64_t at = 0; at < format.itemsize; at += format.element->itemsize) {
            collect_objects(*format.element, data + at, objects);
        }
    } else if (format.kind == Kind::record) {
        for (std::int32_t i = 0; i < format.field_count; ++i) {
            collect_objects(*format.fields[i].format, data + format.fields[i].offset, objects);
        }
    }
}

/// Fills a copy of the item first, so that a wrong member leaves the memory as it was.
void pack_composite(const FormatNode& format, char* data, PyObject* value) {
    std::vector<char> bytes(data, data + format.itemsize);
    NewReferences references;
    char* at = bytes.data();
    pack_member(format, at, value, references);
    std::vector<PyObject*> old;
    collect_objects(format, data, old);
    std::copy(bytes.begin(), bytes.end(), data);
    references.keep();
    for (PyObject* const object : old)
        Py_DECREF(object);
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
