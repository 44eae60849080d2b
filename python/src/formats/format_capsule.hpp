// The descriptor of a format for C code that gets it from Python.
#pragma once

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

/// A PyCapsule named "devview_format" (new reference) whose pointer is the devview_format_node of
/// c_api.h. It keeps the descriptor alive; devview_format_of_node() makes a handle that outlives
/// it. Null with a Python error set if memory is exhausted.
PyObject* new_format_capsule(const Format& format) noexcept;

}  // namespace devview::python
