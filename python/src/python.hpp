// What every file of the module starts from: Python's C API, error translation, the GIL.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <pybind11/pybind11.h>

#include <utility>

namespace devview::python {

namespace py = pybind11;

/// Sets the Python error that stands for the C++ exception in flight. Call in a catch block.
void set_error_from_exception() noexcept;

/// Runs `body` of a slot or C function; a C++ exception becomes a Python error and `failed`.
template <class T, class F>
T guarded(T failed, F&& body) noexcept {
    try {
        return std::forward<F>(body)();
    } catch (...) {
        set_error_from_exception();
        return failed;
    }
}

/// False once the interpreter is going away: nothing of Python may be touched then.
inline bool python_alive() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsInitialized() && !Py_IsFinalizing();
#else
    return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

/// Adds dv.Error and the classes below it to the module, and the translation for pybind11.
void bind_errors(py::module_& module);

}  // namespace devview::python
