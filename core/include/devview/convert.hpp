// Items from one format to another by value, on the host; formats that convert, and those that do
// not.
#pragma once

#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"

namespace devview {

/// Which conversions are wanted, in NumPy's terms: within a kind or to a wider kind (bool,
/// unsigned, signed, float, complex), or between any numbers.
enum class Casting { same_kind, unsafe };

/// True if items of `from` can be written as items of `to`.
///
/// Numbers to numbers, but complex to real never (to bool, unsafe, it does); byte strings and
/// unicode to other lengths, cut or padded with NULs; UCS-2 to UCS-4, back only unsafe (U+FFFD for
/// what does not fit). Records member by member in order, arrays of one shape element by element.
/// Everything else only to an equal format.
DEVVIEW_CORE_API bool convertible(const Format& from, const Format& to, Casting casting) noexcept;

/// @throws FormatError  unless convertible(); the message names both formats and begins with
/// `function`.
DEVVIEW_CORE_API void require_convertible(const char* function, const Format& from,
                                          const Format& to, Casting casting);

/// Converts items between host layouts of equal shape; suboffsets are followed. The formats are
/// convertible (unsafe). No overlap between the two sides.
///
/// Every number is rounded once, to nearest even. Integers wrap modulo 2^n; floats that an integer
/// cannot hold saturate, NaN becomes 0; anything but zero is true. The padding of a record
/// that is converted is not written.
/// @throws LayoutError  the shapes differ, or the bytes exceed int64; FormatError  not convertible.
DEVVIEW_CORE_API void convert_host(void* dst, const Layout& dst_layout, const Format& dst_format,
                                   const void* src, const Layout& src_layout,
                                   const Format& src_format);

}  // namespace devview
