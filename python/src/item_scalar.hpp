// Scalars between their bytes and Python objects; item.cpp walks records and arrays.
#pragma once

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

PyObject* unpack_scalar(const FormatNode& format, const char* data);
void pack_scalar(const FormatNode& format, char* data, PyObject* value);

/// IEEE half precision as a double, and back with rounding to even; false on overflow.
double unpack_half(const unsigned char* little_endian) noexcept;
bool pack_half(double value, unsigned char* little_endian) noexcept;

[[noreturn]] void wrong_item_type(const FormatNode& format, PyObject* value);
[[noreturn]] void wrong_item_value(const FormatNode& format, PyObject* value);

}  // namespace devview::python
