// Strings of items: bytes objects (c s p x) and str (u w); private to item_*.cpp.
#pragma once

#include "devview/format.hpp"
#include "item/item_path.hpp"
#include "python.hpp"

namespace devview::python {

PyObject* unpack_bytes(const FormatNode& format, const char* data);
PyObject* unpack_unicode(const FormatNode& format, const char* data);

/// bytes or bytearray; 's' and 'p' cut what is too long and fill with zeros, as struct does.
void pack_bytes(const FormatNode& format, char* data, PyObject* value, const ItemPath* path);

/// str; what is shorter is filled with zeros, what is longer refused.
void pack_unicode(const FormatNode& format, char* data, PyObject* value, const ItemPath* path);

}  // namespace devview::python
