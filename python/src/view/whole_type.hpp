// pybind11 types whose objects come whole or not at all.
//
// pybind11 makes an object in __new__ and its value in __init__. T.__new__(T), a subclass that
// forgets
// __init__ and pickle's reconstructors stop after the first step, and a use of such an object reads
// a value that is not there. These types make both in __new__, are final, and refuse to be pickled.
#pragma once

#include <string>

#include "python.hpp"

namespace devview::python {

/// For py::class_: `T(...)` is `make(args, kwargs)`, which returns the object.
template <py::object (*make)(PyObject* args, PyObject* kwargs)>
py::custom_type_setup made_by() {
    return py::custom_type_setup([](PyHeapTypeObject* heap) {
        heap->ht_type.tp_new = [](PyTypeObject*, PyObject* args, PyObject* kwargs) {
            return guarded<PyObject*>(nullptr, [&] { return make(args, kwargs).release().ptr(); });
        };
        heap->ht_type.tp_init = [](PyObject*, PyObject*, PyObject*) { return 0; };
    });
}

/// tp_new of a type that only native code makes objects of.
inline PyObject* refuse_new(PyTypeObject* type, PyObject*, PyObject*) {
    PyErr_Format(PyExc_TypeError, "cannot create '%.100s' instances", type->tp_name);
    return nullptr;
}

inline py::custom_type_setup made_elsewhere() {
    return py::custom_type_setup([](PyHeapTypeObject* heap) { heap->ht_type.tp_new = refuse_new; });
}

/// __reduce__ of a handle on something of this process.
inline py::object refuse_pickle(const py::object& self) {
    throw py::type_error("cannot pickle '" +
                         py::type::of(self).attr("__name__").cast<std::string>() +
                         "' object: it belongs to this process");
}

}  // namespace devview::python
