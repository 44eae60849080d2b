// Records as named tuples and arrays as nested lists, down to the scalars.
#include "item/item.hpp"

#include <algorithm>
#include <cstring>

#include "formats/record_type.hpp"
#include "item/item_numbers.hpp"
#include "item/item_scalar.hpp"

namespace devview::python {

namespace {

// --- Reading ---

PyObject* unpack_part(const FormatNode& format, const char* data, std::int32_t bit_offset);

PyObject* unpack_record(const FormatNode& format, const char* data) {
    NewRecord record = new_record(format);
    PyObject* const tuple = record.tuple.ptr();
    for (std::int32_t i = 0; i < format.field_count; ++i) {
        const FormatField& field = format.fields[i];
        PyTuple_SET_ITEM(tuple, i,
                         unpack_part(*field.format, data + field.offset, field.bit_offset));
    }
    // It cannot be part of a cycle: the collector need not look at it, as at plain tuples later.
    if (record.only_scalars && PyObject_GC_IsTracked(tuple)) PyObject_GC_UnTrack(tuple);
    return record.tuple.release().ptr();
}

py::object new_list(std::int64_t size) {
    PyObject* const list = PyList_New(static_cast<Py_ssize_t>(size));
    if (list == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(list);
}

PyObject* unpack_axis(const FormatNode& format, int axis, const char*& data) {
    const std::int64_t extent = format.shape[axis];
    if (axis == format.ndim - 1) {
        PyObject* const row = unpack_row(*format.element, data, format.element->itemsize,
                                         static_cast<Py_ssize_t>(extent));
        data += extent * format.element->itemsize;
        return row;
    }
    py::object list = new_list(extent);
    for (std::int64_t i = 0; i < extent; ++i) {
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i),
                        unpack_axis(format, axis + 1, data));
    }
    return list.release().ptr();
}

PyObject* unpack_part(const FormatNode& format, const char* data, std::int32_t bit_offset) {
    if (format.kind == Kind::record) return unpack_record(format, data);
    if (format.kind == Kind::array) return unpack_axis(format, 0, data);
    PyObject* const item = unpack_scalar(format, data, bit_offset);
    if (item == nullptr) throw py::error_already_set();
    return item;
}

/// The scalars of most views, without a detour through their description; null for all others, or
/// with an error set.
PyObject* unpack_native(const FormatNode& format, const char* data) {
    if (format.byteorder != ByteOrder::native) return nullptr;
    switch (format.code) {
        case 'b':
            return ReadInteger<std::int8_t, false>::read(format, data);
        case 'B':
            return ReadInteger<std::uint8_t, false>::read(format, data);
        case 'i':
            return ReadInteger<int, false>::read(format, data);
        case 'I':
            return ReadInteger<unsigned, false>::read(format, data);
        case 'l':
        case 'q':
            return ReadInteger<std::int64_t, false>::read(format, data);
        case 'f':
            return ReadFloat<float, false>::read(format, data);
        case 'd':
            return ReadFloat<double, false>::read(format, data);
        default:
            return nullptr;
    }
}

// --- Writing ---

[[noreturn]] void wrong_value(const FormatNode& format, const ItemPath* path,
                              const std::string& what) {
    PyErr_Format(PyExc_ValueError, "%s%s of format '%.200s'", tell(path).c_str(), what.c_str(),
                 format.text);
    throw py::error_already_set();
}

/// The members of a sequence of exactly `count`, as a tuple that user code cannot change.
py::object members(const FormatNode& format, PyObject* value, Py_ssize_t count,
                   const ItemPath* path) {
    if (!PySequence_Check(value) || PyUnicode_Check(value)) wrong_item_type(format, value, path);
    py::object tuple = py::reinterpret_steal<py::object>(PySequence_Tuple(value));
    if (!tuple) throw py::error_already_set();
    if (PyTuple_GET_SIZE(tuple.ptr()) != count) {
        wrong_value(format, path,
                    std::to_string(PyTuple_GET_SIZE(tuple.ptr())) + " values for the " +
                        std::to_string(count));
    }
    return tuple;
}

bool has_member(const FormatNode& format, PyObject* name) {
    for (std::int32_t i = 0; PyUnicode_Check(name) && i < format.field_count; ++i) {
        const auto known =
            py::reinterpret_steal<py::object>(PyUnicode_FromString(format.fields[i].name));
        if (!known) throw py::error_already_set();
        if (*format.fields[i].name != '\0' && PyUnicode_Compare(known.ptr(), name) == 0) {
            return true;
        }
    }
    return false;
}

/// A mapping has a key too many: names it.
[[noreturn]] void wrong_keys(const FormatNode& format, const py::object& value,
                             const ItemPath* path) {
    for (const py::handle key : value) {
        if (has_member(format, key.ptr())) continue;
        wrong_value(format, path, "no member " + std::string(py::repr(key)) + " in a record");
    }
    wrong_value(format, path,
                std::to_string(py::len(value)) + " keys for the " +
                    std::to_string(format.field_count) + " members");
}

/// The members of a record from a mapping with a value for each name, as a tuple.
py::object named_members(const FormatNode& format, PyObject* value, const ItemPath* path) {
    py::object tuple = py::reinterpret_steal<py::object>(PyTuple_New(format.field_count));
    if (!tuple) throw py::error_already_set();
    for (std::int32_t i = 0; i < format.field_count; ++i) {
        const char* const name = format.fields[i].name;
        if (*name == '\0') {
            wrong_value(format, path,
                        "a mapping cannot give member " + std::to_string(i) + ", without a name,");
        }
        PyObject* const member = PyMapping_GetItemString(value, name);
        if (member == nullptr) {
            if (!PyErr_ExceptionMatches(PyExc_KeyError)) throw py::error_already_set();
            PyErr_Clear();
            wrong_value(format, path, std::string("no value for member '") + name + "'");
        }
        PyTuple_SET_ITEM(tuple.ptr(), i, member);
    }
    const Py_ssize_t size = PyMapping_Size(value);
    if (size < 0) throw py::error_already_set();
    if (size != format.field_count) {
        wrong_keys(format, py::reinterpret_borrow<py::object>(value), path);
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

/// Packs the parts of one item into a scratch copy.
class Packer {
public:
    void pack(const FormatNode& format, char* data, PyObject* value, const ItemPath* path,
              std::int32_t bit_offset = 0) {
        if (format.kind == Kind::object) {
            references_.store(data, value);
        } else if (format.kind == Kind::array) {
            pack_axis(format, 0, data, value, path);
        } else if (format.kind == Kind::record) {
            pack_record(format, data, value, path);
        } else {
            pack_scalar(format, data, value, path, bit_offset);
        }
    }
    void keep() noexcept { references_.keep(); }

private:
    void pack_record(const FormatNode& format, char* data, PyObject* value, const ItemPath* path) {
        const bool mapping = PyType_HasFeature(Py_TYPE(value), Py_TPFLAGS_MAPPING);
        const py::object tuple = mapping ? named_members(format, value, path)
                                         : members(format, value, format.field_count, path);
        for (std::int32_t i = 0; i < format.field_count; ++i) {
            const FormatField& field = format.fields[i];
            const ItemPath step{path, field.name, i};
            pack(*field.format, data + field.offset, PyTuple_GET_ITEM(tuple.ptr(), i), &step,
                 field.bit_offset);
        }
    }
    void pack_axis(const FormatNode& format, int axis, char*& data, PyObject* value,
                   const ItemPath* path) {
        if (axis == format.ndim) {
            pack(*format.element, data, value, path);
            data += format.element->itemsize;
            return;
        }
        const py::object tuple =
            members(format, value, static_cast<Py_ssize_t>(format.shape[axis]), path);
        for (std::int64_t i = 0; i < format.shape[axis]; ++i) {
            const ItemPath step{path, nullptr, i};
            pack_axis(format, axis + 1, data,
                      PyTuple_GET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i)), &step);
        }
    }

    NewReferences references_;
};

/// Fills a copy of the item first, so that a wrong member leaves the memory as it was.
void pack_composite(const FormatNode& format, char* data, PyObject* value) {
    std::vector<char> bytes(data, data + format.itemsize);
    Packer packer;
    packer.pack(format, bytes.data(), value, nullptr);
    std::vector<PyObject*> old;
    collect_objects(format, data, old);
    std::copy(bytes.begin(), bytes.end(), data);
    packer.keep();
    for (PyObject* const object : old)
        Py_DECREF(object);
}

}  // namespace

PyObject* unpack_item(const FormatNode& format, const char* data) {
    PyObject* const item = unpack_native(format, data);
    if (item != nullptr) return item;
    if (PyErr_Occurred()) throw py::error_already_set();
    return unpack_part(format, data, 0);
}

PyObject* unpack_row(const FormatNode& format, const char* data, std::int64_t stride,
                     Py_ssize_t n) {
    py::object list = new_list(n);
    if (const ReadRow read = number_row(format)) {
        read(format, data, stride, n, list.ptr());
    } else {
        for (Py_ssize_t i = 0; i < n; ++i) {
            PyList_SET_ITEM(list.ptr(), i, unpack_part(format, data + i * stride, 0));
        }
    }
    return list.release().ptr();
}

void pack_item(const FormatNode& format, char* data, PyObject* value) {
    if (format.kind == Kind::record || format.kind == Kind::array) {
        pack_composite(format, data, value);
    } else {
        pack_scalar(format, data, value, nullptr);
    }
}

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

}  // namespace devview::python
