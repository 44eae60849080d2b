// Scalars between their bytes and Python objects; item.cpp walks records and arrays.
#pragma once

#include "devview/format.hpp"
#include "item/item_path.hpp"
#include "python.hpp"

namespace devview::python {

/// The Python value of one scalar (new reference, null with an error set). `bit_offset`: of bits.
PyObject* unpack_scalar(const FormatNode& format, const char* data, std::int32_t bit_offset = 0);

/// Writes one scalar; user code runs before the first byte is written.
void pack_scalar(const FormatNode& format, char* data, PyObject* value, const ItemPath* path,
                 std::int32_t bit_offset = 0);

/// Fills the first `n` places of a new list with items that are `stride` bytes apart.
using ReadRow = void (*)(const FormatNode& format, const char* data, std::int64_t stride,
                         Py_ssize_t n, PyObject* list);

/// A loop for one kind of number in one byte order; null for all other formats.
ReadRow number_row(const FormatNode& format) noexcept;

[[noreturn]] void wrong_item_type(const FormatNode& format, PyObject* value, const ItemPath* path);
[[noreturn]] void wrong_item_value(const FormatNode& format, PyObject* value, const ItemPath* path);

}  // namespace devview::python
