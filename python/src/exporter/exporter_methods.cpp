// Finding and calling the buffer methods of a Python class, by the rules of CPython's own slots.
#include "exporter/exporter_methods.hpp"

#include "devview/allocation.hpp"
#include "exporter/exporter_native.hpp"

namespace devview::python {

PyTypeObject* exporter_base = nullptr;
MethodNames method_names{};

namespace {

/// True if `type` itself defines `name`; then `definition` says how.
bool defined_here(PyTypeObject* type, PyObject* dict, PyObject* name, Definition& definition) {
    PyObject* const value = PyDict_GetItemWithError(dict, name);
    if (value == nullptr) {
        if (PyErr_Occurred()) throw py::error_already_set();
        return false;
    }
    if (value == Py_None) {
        definition.kind = Definition::Kind::none;
    } else if (Py_IS_TYPE(value, &PyWrapperDescr_Type)) {
        definition.kind = Definition::Kind::native;
        definition.native = type;
    } else {
        definition.kind = Definition::Kind::python;
        definition.method = py::reinterpret_borrow<py::object>(value);
    }
    return true;
}

Definition find(PyTypeObject* type, PyObject* name, PyObject* name_of_2012, bool getter) {
    Definition definition;
    // Held: a metaclass may exchange the MRO under a lookup that runs Python code.
    const auto mro = py::reinterpret_borrow<py::tuple>(type->tp_mro);
    for (const py::handle entry : mro) {
        auto* const base = reinterpret_cast<PyTypeObject*>(entry.ptr());
        if (base == exporter_base || base == &PyBaseObject_Type || !PyType_Check(entry.ptr())) {
            continue;
        }
        const py::object dict = dict_of_type(base);
        if (name != nullptr && defined_here(base, dict.ptr(), name, definition)) return definition;
        if (name_of_2012 != nullptr && defined_here(base, dict.ptr(), name_of_2012, definition)) {
            definition.of_2012 = true;
            return definition;
        }
        if (has_native_slot(base, getter)) {
            definition.kind = Definition::Kind::native;
            definition.native = base;
            return definition;
        }
    }
    return definition;
}

/// Whether a Python function takes something after self. A wrapper of *args takes what the wrapped
/// function takes.
bool function_takes_flags(PyObject* function) {
    static PyObject* const wrapped = PyUnicode_InternFromString("__wrapped__");
    for (int depth = 0; depth < 100; ++depth) {
        const auto* const code = reinterpret_cast<PyCodeObject*>(PyFunction_GET_CODE(function));
        if (code->co_argcount >= 2) return true;
        if ((code->co_flags & CO_VARARGS) == 0) return false;
        PyObject* const dict = reinterpret_cast<PyFunctionObject*>(function)->func_dict;
        PyObject* const inner = dict != nullptr ? PyDict_GetItemWithError(dict, wrapped) : nullptr;
        if (inner == nullptr || !PyFunction_Check(inner)) {
            if (PyErr_Occurred()) throw py::error_already_set();
            return true;
        }
        function = inner;
    }
    return true;
}

/// The same for any other callable, as inspect.signature tells; without one: it takes flags.
bool callable_takes_flags(const py::object& callable) {
    return py::module_::import("devview._exporter").attr("takes_flags")(callable).cast<bool>();
}

py::object checked(PyObject* result) {
    if (result == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(result);
}

/// The method bound to `self` as an attribute lookup on the class would.
py::object bind(PyObject* self, const py::object& method) {
    const descrgetfunc get = Py_TYPE(method.ptr())->tp_descr_get;
    if (get == nullptr) return method;
    return checked(get(method.ptr(), self, reinterpret_cast<PyObject*>(Py_TYPE(self))));
}

}  // namespace

Definition find_getter(PyTypeObject* type) {
    return find(type, method_names.buffer, method_names.getbuffer, true);
}

Definition find_releaser(PyTypeObject* type, bool of_2012) {
    return of_2012 ? find(type, nullptr, method_names.releasebuffer, false)
                   : find(type, method_names.release_buffer, nullptr, false);
}

py::object call_getter(PyObject* self, const Definition& getter, int flags) {
    const py::object number = checked(PyLong_FromLong(flags));
    PyObject* const method = getter.method.ptr();
    // Looked at before the call: a TypeError from inside is the method's own.
    if (PyFunction_Check(method)) {
        PyObject* const arguments[] = {self, number.ptr()};
        const std::size_t count = function_takes_flags(method) ? 2 : 1;
        return checked(PyObject_Vectorcall(method, arguments, count, nullptr));
    }
    const py::object bound = bind(self, getter.method);
    return checked(callable_takes_flags(bound) ? PyObject_CallOneArg(bound.ptr(), number.ptr())
                                               : PyObject_CallNoArgs(bound.ptr()));
}

void call_releaser(PyObject* self, PyObject* obtained, bool of_2012) {
    const bool called = guarded<bool>(false, [&] {
        const Definition releaser = find_releaser(Py_TYPE(self), of_2012);
        if (releaser.kind == Definition::Kind::python) {
            checked(PyObject_CallOneArg(bind(self, releaser.method).ptr(), obtained));
        }
        return true;
    });
    if (called) return;
    count_release_error();
    PyErr_WriteUnraisable(self);
}

}  // namespace devview::python
