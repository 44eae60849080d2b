// Which stream work goes to, and how one stream waits for another.
#pragma once

#include <cstdint>

#include "devview/cuda/stream.hpp"

namespace devview::cuda {

/// True if a copy of `stream` names the same queue at any later time and on any thread. Raw handles
/// do not, nor does the per-thread handle, which means another stream on another thread.
bool durable(const Stream& stream) noexcept;

/// The device of a stream; none: device 0.
int device_of(const Stream& stream) noexcept;

/// The handles are equal at this moment. Only for streams that are known to live.
bool same_queue(const Stream& a, const Stream& b) noexcept;

/// order_after(), by the name that is short.
void link(const Stream& from, const Stream& to);

/// The same for a `to` that was asked for its capture already (its id, 0: none).
void link_known(const Stream& from, const Stream& to, std::uint64_t capture);

/// The host waits until nothing of `stream` runs, or its device has failed: for error paths, where
/// memory goes back whose events were not recorded.
void quiesce(const Stream& stream) noexcept;

/// @throws DeviceError  `stream` is of another device than cuda:`device`.
void require_stream_on(const Stream& stream, int device);

/// The stream for work on `device`: `asked`, else the first durable one of the others that belongs
/// to the device, else the legacy stream. @throws DeviceError  `asked` is of another device.
Stream work_stream(int device, const Stream& asked, const Stream& first = {},
                   const Stream& second = {});

}  // namespace devview::cuda
