// The one place that chooses how items travel between two views.
#pragma once

#include "devview/convert.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview {

/// Copies the items of `src` to `dst`: equal shapes and itemsizes; any devices, any layouts.
///
/// Routes (docs/concepts/routes.md): host to host by core's copy; one memcpy where both sides are
/// dense in the same order; one pitched copy (2D/3D) where they are equally spaced rows; else one
/// kernel within a device, and packed or unpacked by one kernel and one memcpy across the bus;
/// between devices by a peer copy, or one kernel where the devices reach each other; pageable host
/// memory through the pinned cache in chunks, overlapped. Overlapping memory is copied as if
/// through a temporary.
///
/// Work is ordered on `stream`, else on the destination's stream, else on the source's, else on the
/// legacy stream of the device involved; it waits for earlier uses of both blocks by events, and is
/// recorded as a use of both. Returns without waiting where no pageable host memory is involved,
/// nor strided pinned memory that no pitched copy can express; there the copy is complete on
/// return.
/// @throws LayoutError  shapes or itemsizes differ; BufferError  `dst` is read-only; ReleasedError;
/// DeviceError; OutOfMemory. Nothing is leaked, `dst` may hold part of the items.
DEVVIEW_CUDA_API void copy(const View& dst, const View& src, const Stream& stream = {});

namespace cuda {

/// copy() of memory that the host may touch, complete on return. Nothing is checked but overlap:
/// both are live and of one shape and itemsize, not empty, not packed, and `dst` is writable.
/// @throws DeviceError, OutOfMemory.
DEVVIEW_CUDA_API void copy_on_host(const View& dst, const View& src);

}  // namespace cuda

/// Converts the items of `src` to `dst` by value: equal shapes, any devices, any layouts. Equal
/// formats are copied. What is converted, and how: devview/convert.hpp.
///
/// Numbers are converted by one kernel on the device that has the wider items, so that the narrower
/// ones travel; everything else (records, strings, long double), and host to host, by the host,
/// through dense temporaries where the memory is elsewhere. Overlap, streams and completion are as
/// for copy().
/// @throws FormatError  the formats do not convert under `casting`; LayoutError, BufferError,
/// ReleasedError, DeviceError, OutOfMemory as copy().
DEVVIEW_CUDA_API void convert(const View& dst, const View& src, Casting casting,
                              const Stream& stream = {});

/// A new dense view of `format` on the device of `src` with its items converted; padding is zero.
DEVVIEW_CUDA_API View convert_to(const View& src, const Format& format,
                                 Casting casting = Casting::unsafe, Order order = Order::C,
                                 const Stream& stream = {});

/// Writes the item at `item` (itemsize bytes of host memory, read before the return) to every
/// place.
DEVVIEW_CUDA_API void fill(const View& dst, const void* item, const Stream& stream = {});

/// The items of `src` in new host memory, one byte to each where they were packed; complete on
/// return. Packed items (see Format::is_packed) are moved as the bytes that hold them by copy() and
/// fill(), and converted on the host.
DEVVIEW_CUDA_API View unpack(const View& src, const Stream& stream = {});

/// A new dense view on `device` with the items of `src`.
DEVVIEW_CUDA_API View copy_to(const View& src, Device device, Order order = Order::C,
                              const Stream& stream = {});

}  // namespace devview
