// What every file of the module starts from: Python's C API, error translation, the GIL.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <pybind11/pybind11.h>

#include <cxxabi.h>
#include <unistd.h>

#include <utility>

namespace devview::python {

namespace py = pybind11;

/// Sets the Python error that stands for the C++ exception in flight. Call in a catch block.
void set_error_from_exception() noexcept;

/// Runs `body` of a slot or C function; a C++ exception becomes a Python error and `failed`.
template <class T, class F>
T guarded(T failed, F&& body) {
    try {
        return std::forward<F>(body)();
    } catch (abi::__forced_unwind&) {
        throw;  // CPython before 3.14 ends daemon threads this way once the interpreter is gone
    } catch (...) {
        set_error_from_exception();
        return failed;
    }
}

/// An attribute; null, without an error, where there is none. Other errors of the lookup are
/// thrown.
inline py::object attribute_or_null(PyObject* object, PyObject* name) {
    auto value = py::reinterpret_steal<py::object>(PyObject_GetAttr(object, name));
    if (!value) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
        PyErr_Clear();
    }
    return value;
}

inline py::object attribute_or_null(PyObject* object, const char* name) {
    return attribute_or_null(object, py::str(name).ptr());
}

/// False once the interpreter is going away: nothing of Python may be touched then.
inline bool python_alive() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsInitialized() && !Py_IsFinalizing();
#else
    return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

/// Lets the GIL go for a scope. A thread that would want it back after the interpreter has ended is
/// parked for good, as Python 3.14 does: pthread_exit would unwind through C++ frames.
class GilRelease {
public:
    GilRelease() : state_(python_alive() ? PyEval_SaveThread() : nullptr) {}
    ~GilRelease() noexcept(false) {
        if (state_ == nullptr) return;  // the finalising thread itself keeps the GIL
        while (!python_alive())
            pause();
        PyEval_RestoreThread(state_);
    }
    GilRelease(const GilRelease&) = delete;
    GilRelease& operator=(const GilRelease&) = delete;

private:
    PyThreadState* state_;
};

/// Adds dv.Error and the classes below it to the module, and the translation for pybind11.
void bind_errors(py::module_& module);

}  // namespace devview::python
