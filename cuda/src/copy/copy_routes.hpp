// The routes that copy() chooses from, beside copy_on_host(). All take views of equal shape and
// itemsize, not empty.
#pragma once

#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

/// Both on one device.
void copy_within_device(const View& dst, const View& src, const Stream& stream);

/// On two devices.
void copy_between_devices(const View& dst, const View& src, const Stream& stream);

/// One on a device, the other in host memory, in either direction.
void copy_across(const View& dst, const View& src, const Stream& stream);

}  // namespace devview::cuda
