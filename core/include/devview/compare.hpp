// Equality of items by value, whatever their formats; host memory, no Python, moves no data.
#pragma once

#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"

namespace devview {

/// True if the shapes agree up to the first extent of 0: without items nothing differs, whatever
/// comes behind (memoryview).
DEVVIEW_CORE_API bool same_shape(const Layout& a, const Layout& b) noexcept;

/// True if the items at `a` and at `b` are equal one by one, as the Python values are that they
/// unpack to.
///
/// - Numbers (?, integers, floats, complex, pointers, bits) compare by their exact values, so that
///   2**53 + 1 differs from the float 2**53. A long double counts as the double that it rounds to,
///   which is what Python has for it. NaN differs from everything, -0.0 equals 0.0.
/// - c, s, p and x are byte strings: of the same length and bytes. u and w are strings of code
///   points; a value that is no character (above 0x10ffff) equals nothing.
/// - Records equal by position whatever their names and padding, arrays by length and elements.
/// - Values of different classes are never equal; nor are Python objects ('O'), which only Python
///   can compare.
/// - Shapes must agree as same_shape() says.
///
/// Suboffsets are followed. @throws std::bad_alloc.
DEVVIEW_CORE_API bool equal_host(const FormatNode& a_format, const Layout& a_layout, const void* a,
                                 const FormatNode& b_format, const Layout& b_layout, const void* b);

/// False if no value of `a` can equal one of `b`, whatever their bytes.
DEVVIEW_CORE_API bool comparable(const FormatNode& a, const FormatNode& b);

/// True if values of `a` and of `b` are equal exactly where all bytes of their items are, which
/// have one size: integers, strings of bytes, and records and arrays of such without padding.
DEVVIEW_CORE_API bool equal_as_bytes(const FormatNode& a, const FormatNode& b);

}  // namespace devview
