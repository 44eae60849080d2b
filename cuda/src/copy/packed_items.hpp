// Moving packed items: as the bytes that hold them, or unpacked on the host. Called by the routers.
#pragma once

#include "devview/convert.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

inline bool is_packed(const View& view) noexcept { return view.format().is_packed(); }

/// The bytes that hold a packed view's items, one axis of 'B'. The last one may hold others', too.
View bytes_of(const View& packed);

/// copy() where a side is packed. What shares the last byte stays: that byte goes through the host,
/// and the call waits for it. @throws LayoutError  not both are, or their bits differ.
void copy_packed(const View& dst, const View& src, const Stream& stream);

/// convert() between different formats of which at least one is packed: on the host.
void convert_packed(const View& dst, const View& src, Casting casting, const Stream& stream);

/// fill() of packed places: `item` is one byte, unpacked.
void fill_packed(const View& dst, const void* item, const Stream& stream);

}  // namespace devview::cuda
