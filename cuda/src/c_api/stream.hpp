// Streams of the C interface, where a stream is a number.
#pragma once

#include "devview/c_api/memory.h"
#include "devview/device.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

/// The stream of devview_cuda_stream_new() with that handle, which is then held; else a raw handle
/// of `device`, or of cuda:0 if that is no device's; none for DEVVIEW_NO_STREAM.
Stream stream_named(devview_stream handle, Device device);

/// The same for work between two views: of the destination's device, else of the source's.
Stream stream_named(devview_stream handle, const View& dst, const View& src);

}  // namespace devview::cuda
