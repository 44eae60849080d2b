// One item between its bytes and a Python object, for every format. Host memory only.
#pragma once

#include <vector>

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

/// The Python value of the item at `data` (new reference, any alignment). Records are named tuples,
/// plain ones if no member has a name or there are more than 4096; arrays nested lists, pointers
/// and bits ints.
/// @throws py::error_already_set.
PyObject* unpack_item(const FormatNode& format, const char* data);

/// A new list of `n` items that are `stride` bytes apart.
PyObject* unpack_row(const FormatNode& format, const char* data, std::int64_t stride, Py_ssize_t n);

/// Writes `value` at `data`; nothing is written if it throws. A record takes a sequence with a
/// value for each member, or a mapping with one for each name. User code may run before the bytes
/// change: the caller holds the memory and the format. Errors name the member: TypeError for a
/// wrong type, ValueError for a value out of range.
void pack_item(const FormatNode& format, char* data, PyObject* value);

/// Appends the objects that an item refers to (borrowed).
void collect_objects(const FormatNode& format, const char* data, std::vector<PyObject*>& objects);

}  // namespace devview::python
