// What user code called from a release needs around it.
#pragma once

#include "python.hpp"

namespace devview::python {

/// True where this thread has the GIL and the interpreter is not going away. PyGILState_Check says
/// yes to everybody once there was a subinterpreter.
inline bool holds_gil() noexcept {
    if (!python_alive()) return false;
#if PY_VERSION_HEX >= 0x030D0000
    const PyThreadState* const current = PyThreadState_GetUnchecked();
#else
    const PyThreadState* const current = _PyThreadState_UncheckedGet();
#endif
    return current != nullptr && current == PyGILState_GetThisThreadState();
}

/// While it lives, the first release that asks gets to know that its thread has the GIL: a view's
/// object says so when it drops the view, which saves a third of what giving a tensor back costs.
/// Only for releases that ask before they run anything of anybody's, see take().
class KnownGil {
public:
    explicit KnownGil(bool known) noexcept { known_ = known; }
    ~KnownGil() { known_ = false; }
    KnownGil(const KnownGil&) = delete;
    KnownGil& operator=(const KnownGil&) = delete;

    static bool take() noexcept { return known_ && !(known_ = false); }

private:
#if defined(__GLIBC__)
    // A byte of static TLS instead of a call for each access.
    [[gnu::tls_model("initial-exec")]]
#endif
    static inline thread_local bool known_ = false;
};

/// Holds the GIL and the pending exception aside while user code runs in a release.
class CallbackScope {
public:
    CallbackScope() : held_(PyGILState_Check() == 1) {
        if (!held_) gil_ = PyGILState_Ensure();
        pending_ = PyErr_Occurred() != nullptr;
        if (pending_) PyErr_Fetch(&type_, &value_, &traceback_);
    }
    ~CallbackScope() {
        if (pending_) PyErr_Restore(type_, value_, traceback_);
        if (!held_) PyGILState_Release(gil_);
    }
    CallbackScope(const CallbackScope&) = delete;
    CallbackScope& operator=(const CallbackScope&) = delete;

private:
    bool held_;  // the usual case, and cheaper than asking for it again
    PyGILState_STATE gil_{};
    bool pending_;
    PyObject* type_ = nullptr;
    PyObject* value_ = nullptr;
    PyObject* traceback_ = nullptr;
};

}  // namespace devview::python
