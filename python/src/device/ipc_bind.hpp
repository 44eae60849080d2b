// Handles of device memory for other processes.
#pragma once

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// export_handle() as a bytes object (new reference); the GIL is released meanwhile.
PyObject* exported_bytes(const View& view);

}  // namespace devview::python
