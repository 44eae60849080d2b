// One item between its bytes and a Python object, for every format. Host memory only.
#pragma once

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

/// The Python value of the item at `data` (new reference, any alignment). Records are tuples,
/// arrays nested lists, pointers ints. @throws py::error_already_set, FormatError.
PyObject* unpack_item(const FormatNode& format, const char* data);

/// Writes `value` at `data`; nothing is written if it throws. Errors as memoryview: TypeError for a
/// wrong type, ValueError for a value out of range.
void pack_item(const FormatNode& format, char* data, PyObject* value);

}  // namespace devview::python
