// Arrow C data and C device data both ways: a View becomes an array, an array becomes a View.
//
// Arrow arrays have one axis and no strides: a C-contiguous view of more axes is a fixed-size list
// of fixed-size lists. Types are mapped only where nothing is lost: integers, half, float and
// double, fixed-size bytes (w:N and "Ns"), and '?' as the canonical extension type arrow.bool8.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devview/allocation.hpp"
#include "devview/arrow_abi.hpp"
#include "devview/device.hpp"
#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview {

/// Fills `schema` with the type of `view`; its release may be called from any thread, once.
/// @throws BufferError  no axis, strides that are not C-contiguous, a format that Arrow cannot say
/// (records, complex, bfloat16, foreign byte order, objects), an extent of a list beyond int32.
DEVVIEW_CORE_API void to_arrow_schema(const View& view, ArrowSchema* schema);

/// Fills `array` with the memory of a host-accessible view. It holds the view's allocation, which
/// counts it as one export, until it is released: from any thread, and each part on its own where
/// children were moved out. Arrow data is immutable by convention only: later writes through views
/// of the memory are seen. Does not wait for work on the memory.
/// @throws BufferError  as to_arrow_schema(), and device memory.
DEVVIEW_CORE_API void to_arrow(const View& view, ArrowArray* array);

/// The same for memory of any device. `sync_event` points to the device's event type (a
/// cudaEvent_t), is kept until the array is released, and is null if the memory is ready;
/// export_arrow_device() of cuda/ makes one.
DEVVIEW_CORE_API void to_arrow_device(const View& view, ArrowDeviceArray* array,
                                      std::shared_ptr<void> sync_event = {});

/// A validity bitmap whose nulls nobody has counted.
struct ArrowValidity {
    const std::uint8_t* bitmap;
    std::int64_t first;  ///< bit of the first item
    std::int64_t count;
};

/// What a schema and an array say, checked and copied: both may go afterwards. Owns nothing. No
/// buffer was read.
struct ArrowDescription {
    const void* data;  ///< of the first item: offsets are added
    Format format;
    Layout layout;
    std::vector<ArrowValidity> validity;  ///< to be counted by require_no_nulls()
};

/// @throws FormatError, LayoutError, BufferError  naming the member, its value and the limit: a
/// type that is not mapped, nulls, dictionaries, lengths, offsets and counts that contradict each
/// other or int64, missing buffers and children, structs that were released.
DEVVIEW_CORE_API ArrowDescription read_arrow(const ArrowSchema& schema, const ArrowArray& array);

/// The device of an array. @throws BufferError  a type that DLPack does not know, an id that the
/// type cannot have, or a sync_event on a device without one that devview can wait for.
DEVVIEW_CORE_API Device read_arrow_device(const ArrowDeviceArray& array);

/// Reads the bitmaps, which the host can. @throws BufferError  there are nulls.
DEVVIEW_CORE_API void require_no_nulls(const ArrowDescription& description);

/// Makes an allocation of a block; cuda/'s adopt_waiting where the memory may be a device's.
using Adopt = std::shared_ptr<Allocation> (*)(Allocation::Block&& block);

/// Calls an array's release function, once, when nothing uses the array any more.
using ReleaseArrow = void (*)(ArrowArray* array) noexcept;
DEVVIEW_CORE_API void release_arrow(ArrowArray* array) noexcept;

/// A read-only view of what `description` says, which moves `*array` out: it is marked released,
/// and `release` runs once when the last view goes. If this throws, `*array` is untouched.
/// `stream`: the one the memory is ready on.
DEVVIEW_CORE_API View adopt_arrow(ArrowDescription&& description, Device device, ArrowArray* array,
                                  Stream stream = {}, Adopt adopt = &Allocation::adopt,
                                  ReleaseArrow release = &release_arrow);

/// All of it for host memory: read, checked and moved out of `*array`. The schema stays the
/// caller's. @throws  as read_arrow() and require_no_nulls(); then `*array` is untouched.
DEVVIEW_CORE_API View from_arrow(const ArrowSchema& schema, ArrowArray* array);

}  // namespace devview
