// Items of less than a byte that lie without gaps: item k begins at bit k * bits, the lowest bit of
// a byte first (DLPack, flag IS_SUBBYTE_TYPE_PADDED unset). Host memory; views are view.hpp's.
//
// Shapes and strides of packed views count items, nbytes bytes. They are C-contiguous and begin on
// a byte; every other layout is a LayoutError. The last byte may belong to another view as well.
#pragma once

#include <cstdint>

#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"

namespace devview {

/// Items first ... first+count-1 of the packed ones at `src`, of `bits` (1 to 7) each, to one byte
/// each with zeros above them.
DEVVIEW_CORE_API void unpack_host(void* dst, const void* src, std::int64_t first,
                                  std::int64_t count, int bits) noexcept;

/// The way back: the lower bits of `count` bytes become items first, first+1 ... at `dst`. What
/// lies beside them in their bytes stays.
DEVVIEW_CORE_API void pack_host(void* dst, std::int64_t first, const void* src, std::int64_t count,
                                int bits) noexcept;

/// @throws LayoutError  packed items in a layout that is not C-contiguous; never for others.
DEVVIEW_CORE_API void require_packable(const char* function, const Format& format,
                                       const Layout& layout);

/// Where the bytes of items of `format` lie; of packed ones from the first to the last byte.
DEVVIEW_CORE_API ByteBounds byte_bounds(const Format& format, const Layout& layout) noexcept;

}  // namespace devview
