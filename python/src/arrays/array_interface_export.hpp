// The entries that __array_interface__ and __cuda_array_interface__ have in common.
#pragma once

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// {shape, typestr, descr, strides, data, version: 3}, data at `address`. Sub-array items become
/// axes. `attribute` is named in errors. The dict owns nothing of the memory.
/// @throws py::attribute_error  what has no typestr and no descr; suboffsets; more than 64 axes.
py::dict interface_of(const View& view, const void* address, const char* attribute);

/// Null, with the AttributeError of a view whose device does not have `attribute`.
PyObject* absent_interface(const char* attribute, const View& view, const char* why = "");

}  // namespace devview::python
