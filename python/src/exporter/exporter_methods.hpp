// The buffer methods of a Python class: which one serves, whether it takes flags, calling it.
#pragma once

#include "python.hpp"

namespace devview::python {

/// The base of dv.Exporter: a C type without state of its own, so that it mixes with any layout.
extern PyTypeObject* exporter_base;

/// Interned names of the methods.
struct MethodNames {
    PyObject* buffer;          // __buffer__            PEP 688
    PyObject* release_buffer;  // __release_buffer__
    PyObject* getbuffer;       // __getbuffer__         the proposal of 2012
    PyObject* releasebuffer;   // __releasebuffer__
};
extern MethodNames method_names;

/// Where the classes of an MRO define a buffer method first.
struct Definition {
    enum class Kind { none, python, native };
    Kind kind = Kind::none;
    py::object method{};             ///< python: as the class's dict has it
    PyTypeObject* native = nullptr;  ///< native: the C type whose slot serves
    bool of_2012 = false;            ///< __getbuffer__; its release is __releasebuffer__
};

/// `__buffer__` or `__getbuffer__`, whichever a class nearer to `type` defines; in one class the
/// first wins. None as a value means: no buffer (PEP 688).
Definition find_getter(PyTypeObject* type);

/// The release method that belongs to a getter.
Definition find_releaser(PyTypeObject* type, bool of_2012);

/// Calls a Python getter, with the flags unless it takes no argument but self.
/// @throws py::error_already_set  what the method raised.
py::object call_getter(PyObject* self, const Definition& getter, int flags);

/// Calls the release method of `self`, if a Python one serves, with what its getter returned. What
/// it raises goes to sys.unraisablehook and is counted. No error may be pending.
void call_releaser(PyObject* self, PyObject* obtained, bool of_2012);

}  // namespace devview::python
