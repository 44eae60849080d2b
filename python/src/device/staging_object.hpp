// dv.Staging: a host copy of a view, made by View.stage().
#pragma once

#include "devview/stream.hpp"
#include "python.hpp"

namespace devview::python {

/// Starts a staging of a View object (new reference).
PyObject* new_staging(PyObject* view, bool writable, const Stream& stream);

void bind_staging(py::module_& module);

}  // namespace devview::python
