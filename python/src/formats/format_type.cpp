// The type dv.Format, immutable: construction, attributes, comparison; conversions are Python's.
#include <Python.h>

#include <new>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "devview/error.hpp"
#include "formats/format_capsule.hpp"
#include "formats/format_object.hpp"

namespace devview::python {

PyTypeObject* format_type = nullptr;

namespace {

using Attribute = PyObject* (*)(const Format&);

const char* kind_name(Kind kind) noexcept {
    constexpr const char* kNames[] = {
        "boolean", "integer", "unsigned_integer", "floating", "complex_floating", "character",
        "bytes",   "pascal",  "unicode",          "pointer",  "function",         "object",
        "bits",    "opaque",  "record",           "array"};
    return kNames[static_cast<std::size_t>(kind)];
}

PyObject* text_or_none(const char* text) {
    if (text == nullptr || *text == '\0') Py_RETURN_NONE;
    return PyUnicode_FromString(text);
}

PyObject* shape_tuple(const FormatNode& node) {
    auto tuple = py::reinterpret_steal<py::object>(PyTuple_New(node.ndim));
    if (!tuple) throw py::error_already_set();
    for (Py_ssize_t axis = 0; axis < node.ndim; ++axis) {
        PyObject* const extent = PyLong_FromLongLong(node.shape[axis]);
        if (extent == nullptr) throw py::error_already_set();
        PyTuple_SET_ITEM(tuple.ptr(), axis, extent);
    }
    return tuple.release().ptr();
}

const FormatNode* element_of(const FormatNode* node) noexcept {
    return node->kind == Kind::array ? node->element : node;
}

PyObject* new_part(const FormatNode* node) { return new_format(Format::of_node(node)); }

PyObject* itemsize(const Format& format) { return PyLong_FromLongLong(format.itemsize()); }
PyObject* alignment(const Format& format) { return PyLong_FromLongLong(format.alignment()); }
PyObject* byteorder(const Format& format) { return text_or_none(byteorder_name(format)); }
PyObject* kind(const Format& format) { return PyUnicode_FromString(kind_name(format.kind())); }
PyObject* bits(const Format& format) {
    return PyLong_FromLong(format.kind() == Kind::opaque ? 0 : format.node()->bits);
}
PyObject* name(const Format& format) { return text_or_none(format_name(format).c_str()); }
PyObject* shape(const Format& format) { return shape_tuple(*format.node()); }
PyObject* ndim(const Format& format) { return PyLong_FromLong(format.node()->ndim); }
PyObject* packed(const Format& format) { return PyBool_FromLong(format.is_packed()); }
PyObject* base(const Format& format) { return new_part(element_of(format.node())); }
PyObject* str(const Format& format) {
    const std::string text = format.str();
    return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}
PyObject* code(const Format& format) {
    const char letter[] = {format.code(), '\0'};
    return text_or_none(letter);
}
PyObject* target(const Format& format) {
    const FormatNode* const node = format.node();
    if (node->kind != Kind::pointer || node->element == nullptr) Py_RETURN_NONE;
    return new_part(node->element);
}

py::object field_object(const py::object& type, const FormatField& field) {
    const auto member = py::reinterpret_steal<py::object>(new_part(element_of(field.format)));
    const auto extents = py::reinterpret_steal<py::object>(shape_tuple(*field.format));
    return type(py::str(field.name), py::int_(field.offset), member, extents);
}

PyObject* fields(const Format& format) {
    const FormatNode& node = *format.node();
    auto tuple = py::reinterpret_steal<py::object>(PyTuple_New(node.field_count));
    if (!tuple) throw py::error_already_set();
    if (node.field_count == 0) return tuple.release().ptr();
    const py::object type = py::module_::import("devview._types").attr("Field");
    for (std::int32_t i = 0; i < node.field_count; ++i) {
        PyTuple_SET_ITEM(tuple.ptr(), i, field_object(type, node.fields[i]).release().ptr());
    }
    return tuple.release().ptr();
}

template <Attribute Read>
PyObject* attribute(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr, [&] { return Read(format_of(object)); });
}

PyGetSetDef attributes[] = {
    {"str", attribute<str>, nullptr,
     "The canonical PEP 3118 spelling: the same for all equal formats.", nullptr},
    {"itemsize", attribute<itemsize>, nullptr, "Bytes of one item, padding included.", nullptr},
    {"alignment", attribute<alignment>, nullptr,
     "Alignment [bytes]: a scalar's own; of a record the largest of its members under '@', else 1.",
     nullptr},
    {"byteorder", attribute<byteorder>, nullptr,
     "'little' or 'big' of numbers and characters of several bytes; None where order means\n"
     "nothing: one byte, strings of bytes, addresses, records (ask their members).",
     nullptr},
    {"kind", attribute<kind>, nullptr,
     "What an item stands for: 'boolean', 'integer', 'unsigned_integer', 'floating',\n"
     "'complex_floating', 'character', 'bytes', 'pascal', 'unicode', 'pointer', 'function',\n"
     "'object', 'bits', 'opaque', 'record' or 'array'.",
     nullptr},
    {"bits", attribute<bits>, nullptr,
     "Value bits of a scalar (4 of an int4, n of 'nt'); 0 of strings, opaque bytes, records\n"
     "and arrays.",
     nullptr},
    {"packed", attribute<packed>, nullptr,
     "True of numbers of less than a byte that lie `bits` bits apart; False: each has its bytes.",
     nullptr},
    {"code", attribute<code>, nullptr,
     "The letter of a scalar, 'Z' if complex; None for small floats, int4, records and arrays.",
     nullptr},
    {"name", attribute<name>, nullptr,
     "The name of a number as NumPy and ml_dtypes have it ('float32', 'bfloat16'), else None.",
     nullptr},
    {"fields", attribute<fields>, nullptr,
     "The members of a record in order, (name, offset [bytes], format, shape) each; () for "
     "others.\n"
     "\nA sub-array has a shape and the format of one element; `fmt[name]` is both together.",
     nullptr},
    {"shape", attribute<shape>, nullptr, "Extents of a sub-array; () for others.", nullptr},
    {"ndim", attribute<ndim>, nullptr, "Axes of a sub-array; 0 for others.", nullptr},
    {"base", attribute<base>, nullptr, "The element of a sub-array; any other format itself.",
     nullptr},
    {"target", attribute<target>, nullptr, "What a pointer '&' points to; None for others.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

/// The value of the one keyword, None without it (borrowed).
PyObject* packing_argument(PyObject* kwargs) {
    if (kwargs == nullptr || PyDict_GET_SIZE(kwargs) == 0) return Py_None;
    PyObject* const given = PyDict_GetItemString(kwargs, "packed");
    if (given == nullptr || PyDict_GET_SIZE(kwargs) > 1) {
        throw py::type_error("Format() takes no keyword arguments but 'packed'");
    }
    return given;
}

PyObject* make_format(PyTypeObject*, PyObject* args, PyObject* kwargs) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        PyObject* const way = packing_argument(kwargs);
        if (PyTuple_GET_SIZE(args) != 1) {
            throw py::type_error("Format() takes exactly 1 argument (" +
                                 std::to_string(PyTuple_GET_SIZE(args)) + " given)");
        }
        PyObject* const spec = PyTuple_GET_ITEM(args, 0);
        if (way == Py_None) {
            if (is_format(spec)) return py::reinterpret_borrow<py::object>(spec).release().ptr();
            return new_format(read_format(spec));
        }
        const int wanted = PyObject_IsTrue(way);
        if (wanted < 0) throw py::error_already_set();
        const Format format = read_format(spec);
        return new_format(wanted == 1 ? format.packed() : format.padded());
    });
}

void dealloc(PyObject* object) {
    PyTypeObject* const type = Py_TYPE(object);
    reinterpret_cast<FormatObject*>(object)->format.~Format();
    type->tp_free(object);
    Py_DECREF(type);
}

PyObject* repr(PyObject* object) {
    return guarded<PyObject*>(nullptr, [&] {
        const auto text = py::reinterpret_steal<py::object>(str(format_of(object)));
        if (!text) throw py::error_already_set();
        return PyUnicode_FromFormat("dv.Format(%R)", text.ptr());
    });
}

PyObject* to_str(PyObject* object) { return attribute<str>(object, nullptr); }

Py_hash_t hash(PyObject* object) {
    const auto value = static_cast<Py_hash_t>(format_of(object).hash());
    return value == -1 ? -2 : value;
}

PyObject* richcompare(PyObject* self, PyObject* other, int operation) {
    if (!is_format(other) || (operation != Py_EQ && operation != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong((format_of(self) == format_of(other)) == (operation == Py_EQ));
}

/// The member of a name, or of an index counted from either end.
const FormatNode* find_field(const FormatNode& node, PyObject* key) {
    if (!PyUnicode_Check(key)) {
        const Py_ssize_t given = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (given == -1 && PyErr_Occurred()) throw py::error_already_set();
        const Py_ssize_t index = given < 0 ? given + node.field_count : given;
        if (index < 0 || index >= node.field_count) {
            throw py::index_error("Format: field " + std::to_string(given) + " of " +
                                  std::to_string(node.field_count));
        }
        return node.fields[index].format;
    }
    for (std::int32_t i = 0; i < node.field_count; ++i) {
        if (node.fields[i].name[0] != '\0' &&
            PyUnicode_Compare(key, py::str(node.fields[i].name).ptr()) == 0) {
            return node.fields[i].format;
        }
    }
    PyErr_SetObject(PyExc_KeyError, key);
    throw py::error_already_set();
}

PyObject* subscript(PyObject* self, PyObject* key) {
    return guarded<PyObject*>(nullptr,
                              [&] { return new_part(find_field(*format_of(self).node(), key)); });
}

PyObject* reduce(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] {
        const auto text = py::reinterpret_steal<py::object>(str(format_of(self)));
        return py::make_tuple(py::handle(reinterpret_cast<PyObject*>(format_type)),
                              py::make_tuple(text))
            .release()
            .ptr();
    });
}

/// DLPack's code and bits of a number in native byte order; lanes are a sub-array of one axis.
PyObject* to_dlpack(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const Format& format = format_of(self);
        const auto refuse = [&](const char* why) {
            return FormatError("to_dlpack: format '" + format.str() + "': " + why, 0);
        };
        const FormatNode& node = *element_of(format.node());
        if (node.byteorder != ByteOrder::native) throw refuse("DLPack has native byte order only");
        int type = 0;
        switch (node.kind) {
            case Kind::boolean:
                type = 6;
                break;
            case Kind::integer:
                break;
            case Kind::unsigned_integer:
                type = 1;
                break;
            case Kind::floating:
                type = static_cast<int>(node.float_kind);
                break;
            case Kind::complex_floating:
                type = 5;
                break;
            default:
                throw refuse("DLPack has numbers only");
        }
        std::int64_t lanes = 1;
        if (format.kind() == Kind::array) {
            if (format.node()->ndim != 1) throw refuse("lanes have one axis");
            lanes = format.node()->shape[0];
            if (lanes < 1 || lanes > 0xffff) throw refuse("lanes must be 1 to 65535");
            if (node.bits % 8 != 0) throw refuse("lanes of less than a byte are packed");
        }
        if (node.bits > 0xff ||
            (node.float_kind == FloatKind::ieee && (node.code == 'g' || node.bits > 128))) {
            throw refuse("DLPack has no long double");
        }
        return Py_BuildValue("(iiL)", type, static_cast<int>(node.bits),
                             static_cast<long long>(lanes));
    });
}

/// A conversion that `module` of devview.formats makes; `function` is the method's own name.
PyObject* convert(PyObject* self, const char* module, const char* function) {
    return guarded<PyObject*>(nullptr, [&] {
        const std::string path = std::string("devview.formats.") + module;
        const auto made = py::module_::import(path.c_str()).attr(function)(py::handle(self));
        return py::object(made).release().ptr();
    });
}

PyObject* to_numpy(PyObject* self, PyObject*) { return convert(self, "numpy_dtype", "to_numpy"); }
PyObject* to_ctypes(PyObject* self, PyObject*) { return convert(self, "ctypes_type", "to_ctypes"); }
PyObject* to_typestr(PyObject* self, PyObject*) { return convert(self, "typestr", "to_typestr"); }
PyObject* to_descr(PyObject* self, PyObject*) { return convert(self, "typestr", "to_descr"); }
PyObject* to_struct(PyObject* self, PyObject*) {
    return convert(self, "struct_string", "to_struct");
}

PyObject* capsule(PyObject* self, PyObject*) noexcept {
    return new_format_capsule(format_of(self));
}

PyMethodDef methods[] = {
    {"__devview_format__", capsule, METH_NOARGS,
     "__devview_format__($self, /)\n--\n\n"
     "A PyCapsule named \"devview_format\" with the descriptor as a C structure\n"
     "(devview_format_node of devview/c_api.h), which it keeps alive."},
    {"to_numpy", to_numpy, METH_NOARGS,
     "to_numpy($self, /)\n--\n\nThe numpy.dtype of the same items; small floats are ml_dtypes'.\n\n"
     "FormatError where NumPy has none: pointers, bits, 'p', UCS-2. Imports NumPy."},
    {"to_ctypes", to_ctypes, METH_NOARGS,
     "to_ctypes($self, /)\n--\n\nA ctypes type of the same bytes, records as new Structures.\n\n"
     "FormatError where ctypes has none: half and complex floats, bits, strings of UCS-2."},
    {"to_dlpack", to_dlpack, METH_NOARGS,
     "to_dlpack($self, /)\n--\n\nDLPack's (code, bits, lanes).\n\n"
     "FormatError for all but numbers in native byte order, and 1-d sub-arrays of them."},
    {"to_typestr", to_typestr, METH_NOARGS,
     "to_typestr($self, /)\n--\n\nThe array interface's typestr of a scalar, '<f4'.\n\n"
     "FormatError where it has none; records have `to_descr()`."},
    {"to_descr", to_descr, METH_NOARGS,
     "to_descr($self, /)\n--\n\nThe array interface's descr: a list of (name, type[, shape]).\n\n"
     "Padding is there as ``('', '|Vn')``. FormatError where a member has no typestr."},
    {"to_struct", to_struct, METH_NOARGS,
     "to_struct($self, /)\n--\n\nA format for the struct module: the same bytes, names left "
     "out.\n\n"
     "FormatError where struct would give other items: records in records, sub-arrays in records,\n"
     "complex numbers, small floats, 'g u w O t & X', two byte orders at once."},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

constexpr const char* kDoc = R"(Format(spec, /, *, packed=None)
--

What one item is: an immutable descriptor, equal to all others of the same meaning.

``spec`` is a PEP 3118 or struct string, an array typecode, a typestr (``"<f4"``), the name of a
scalar (``"bfloat16"``), a descr (list), a DLPack triple (tuple), ``bool int float complex object``,
a ctypes type, a NumPy dtype or scalar type (ml_dtypes' too), a ``struct.Struct``, a View (the format
of its items) or a Format. Raises FormatError with a position, TypeError for other objects.

``packed=True``: the same numbers of 4 or 6 bits without gaps, ``"T{4t:int4:}"``; False: with a byte
to each. None: as spec says.)";

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(kDoc)},
    {Py_tp_new, reinterpret_cast<void*>(make_format)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_str, reinterpret_cast<void*>(to_str)},
    {Py_tp_hash, reinterpret_cast<void*>(hash)},
    {Py_tp_richcompare, reinterpret_cast<void*>(richcompare)},
    {Py_tp_getset, attributes},
    {Py_tp_methods, methods},
    {Py_mp_subscript, reinterpret_cast<void*>(subscript)},
    {0, nullptr},
};

PyType_Spec spec = {
    "devview.Format", sizeof(FormatObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots,
};

}  // namespace

PyObject* new_format(Format format) {
    PyObject* const object = format_type->tp_alloc(format_type, 0);
    if (object == nullptr) throw py::error_already_set();
    new (&reinterpret_cast<FormatObject*>(object)->format) Format(std::move(format));
    return object;
}

void make_format_type(py::module_& module) {
    format_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (format_type == nullptr) throw py::error_already_set();
    module.add_object("Format",
                      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(format_type)));
    module.def(
        "calcsize", [](const py::object& spec) { return read_format(spec.ptr()).itemsize(); },
        py::arg("spec"), py::pos_only(),
        R"(Bytes of one item of a format, as ``struct.calcsize``; ``spec`` is whatever Format takes.)");
}

}  // namespace devview::python
