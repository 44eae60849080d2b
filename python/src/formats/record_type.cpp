// The named tuple types that records are read as, cached by format and by names.
//
// Everything here is guarded by the GIL, bounded, and never destroyed: nothing of Python is touched
// after the interpreter has gone.
#include "formats/record_type.hpp"

#include <cstdint>
#include <utility>

namespace devview::python {

namespace {

constexpr std::size_t kSlots = 256;       // formats whose type is found without a look at names
constexpr std::int32_t kMaxNames = 4096;  // namedtuple takes 50 us for each name
constexpr Py_ssize_t kMaxTypes = 1024;    // sets of names

/// The type of one format; the handle keeps the node from being another format's.
struct Slot {
    Format format;
    PyTypeObject* type = nullptr;  // null: no format yet, or one whose records are plain tuples
    bool known = false;
    bool only_scalars = false;
};

Slot* slots = nullptr;
PyObject* types = nullptr;            // names to type
PyObject* record_function = nullptr;  // _record, as pickles call it

Slot& slot_of(const FormatNode* node) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(node) * 0x9e3779b97f4a7c15U;
    return slots[bits >> 56];
}

py::object steal(PyObject* object) {
    if (object == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

/// obj.__reduce__() of every record: (_record, (names, values)).
PyObject* reduce(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] {
        const py::object names =
            steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(self)), "_fields"));
        const py::object values = steal(PyTuple_GetSlice(self, 0, PyTuple_GET_SIZE(self)));
        return Py_BuildValue("O(OO)", record_function, names.ptr(), values.ptr());
    });
}

PyMethodDef reduce_method = {"__reduce__", reduce, METH_NOARGS,
                             "How pickle and copy make this record again."};

py::object make_type(const py::object& names) {
    const py::object factory = py::module_::import("collections").attr("namedtuple");
    py::object made =
        factory("Record", names, py::arg("rename") = true, py::arg("module") = "devview");
    made.attr("__doc__") = "The members of one item, by position and by name.";
    made.attr("__reduce__") =
        steal(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(made.ptr()), &reduce_method));
    return made;
}

PyObject* known_type(const py::object& names) {
    PyObject* const found = PyDict_GetItemWithError(types, names.ptr());
    if (found == nullptr && PyErr_Occurred()) throw py::error_already_set();
    return found;
}

/// Remembers a type; the oldest one makes room.
void remember(const py::object& names, const py::object& type) {
    if (PyDict_Size(types) >= kMaxTypes) {
        const py::object oldest = py::reinterpret_steal<py::object>(PyObject_GetIter(types));
        const py::object key = steal(PyIter_Next(oldest.ptr()));
        if (PyDict_DelItem(types, key.ptr()) != 0) throw py::error_already_set();
    }
    if (PyDict_SetItem(types, names.ptr(), type.ptr()) != 0) throw py::error_already_set();
}

/// The one type of these names: names that are no identifiers are replaced as namedtuple does it.
py::object type_of_names(const py::object& names) {
    if (PyObject* const found = known_type(names)) {
        return py::reinterpret_borrow<py::object>(found);
    }
    py::object made = make_type(names);
    const py::object fields = made.attr("_fields");
    if (PyObject* const found = known_type(fields)) {
        made = py::reinterpret_borrow<py::object>(found);  // under its replaced names
    } else {
        remember(fields, made);
    }
    if (!fields.equal(names)) remember(names, made);
    return made;
}

bool has_type(const FormatNode& record) noexcept {
    if (record.field_count > kMaxNames) return false;
    for (std::int32_t i = 0; i < record.field_count; ++i) {
        if (*record.fields[i].name != '\0') return true;
    }
    return false;
}

bool has_only_scalars(const FormatNode& record) noexcept {
    for (std::int32_t i = 0; i < record.field_count; ++i) {
        const FormatNode& member = *record.fields[i].format;
        if (member.kind == Kind::object || member.kind == Kind::array) return false;
        if (member.kind == Kind::record && !has_only_scalars(member)) return false;
    }
    return true;
}

py::object names_of(const FormatNode& record) {
    py::object names = steal(PyTuple_New(record.field_count));
    for (std::int32_t i = 0; i < record.field_count; ++i) {
        PyObject* const name = PyUnicode_FromString(record.fields[i].name);
        if (name == nullptr) throw py::error_already_set();
        PyTuple_SET_ITEM(names.ptr(), i, name);
    }
    return names;
}

/// Looks a format up by its names, and puts it into its slot. May run user code (the collector).
void fill_slot(const FormatNode& record) {
    py::object type;
    if (has_type(record)) type = type_of_names(names_of(record));
    Slot made{Format::of_node(&record), reinterpret_cast<PyTypeObject*>(type.release().ptr()), true,
              has_only_scalars(record)};
    std::swap(slot_of(&record), made);
    Py_XDECREF(reinterpret_cast<PyObject*>(made.type));
}

/// An instance without members. Made without tuple.__new__, which would copy a tuple.
PyObject* new_instance(PyTypeObject* type, Py_ssize_t size) {
#if PY_VERSION_HEX >= 0x030E0000
#error "tuples of Python 3.14 cache their hash: see how tuple.__new__ sets it for a subtype"
#endif
    // The collector may run user code that makes another record, and drop the type from its slot.
    const auto held = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(type));
    return type->tp_alloc(type, size);
}

py::object make_record(const py::tuple& names, const py::tuple& values) {
    for (const py::handle name : names) {
        if (!PyUnicode_CheckExact(name.ptr())) throw py::type_error("_record: a name is no str");
    }
    if (names.size() != values.size()) {
        throw py::value_error("_record: " + std::to_string(values.size()) + " values for the " +
                              std::to_string(names.size()) + " names");
    }
    return type_of_names(names).attr("_make")(values);
}

}  // namespace

NewRecord new_record(const FormatNode& record) {
    const Slot& slot = slot_of(&record);
    while (!slot.known || slot.format.node() != &record)
        fill_slot(record);
    const bool only_scalars = slot.only_scalars;
    PyObject* const tuple = slot.type == nullptr ? PyTuple_New(record.field_count)
                                                 : new_instance(slot.type, record.field_count);
    return {steal(tuple), only_scalars};
}

void bind_records(py::module_& module) {
    slots = new Slot[kSlots];
    types = PyDict_New();
    if (types == nullptr) throw py::error_already_set();
    module.def("_record", make_record, py::arg("names"), py::arg("values"),
               "A record of these members: what pickled and copied records are made by.");
    record_function = py::object(module.attr("_record")).release().ptr();
}

}  // namespace devview::python
