// Arrow C device data with CUDA's events: what is pending goes out with an array, and is waited for
// when one comes in.
#pragma once

#include "devview/arrow.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview {

/// to_arrow_device() with the event that the consumer must wait for: recorded after every use of
/// the memory so far, owned by the array until its release, and null if nothing is pending. Host
/// memory (cpu) has none. Does not synchronise the host.
/// @throws BufferError, DeviceError.
DEVVIEW_CUDA_API void export_arrow_device(const View& view, ArrowDeviceArray* array);

/// adopt_arrow() for memory of `device`, read by read_arrow_device(). `stream` (none: the legacy
/// stream) waits for the array's sync_event; for pinned and managed memory, which the host reads
/// in place, the host waits. Then bitmaps are read, where there are any. Arrow's release has no
/// stream: before it, the host waits for what devview did with device memory, if it did anything.
/// If this throws, `*array` is untouched. @throws BufferError  nulls (device memory: nulls that are
/// not counted), an address that is not memory of `device`; DeviceError.
DEVVIEW_CUDA_API View import_arrow_device(ArrowDescription&& description, Device device,
                                          ArrowDeviceArray* array, const Stream& stream = {},
                                          ReleaseArrow release = &release_arrow);

}  // namespace devview
