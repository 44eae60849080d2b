// Equality of two views on one device without moving them to the host.
#pragma once

#include <optional>

#include "devview/export.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

/// equal_host() of two live views of one shape, by a kernel where both are on one device and it
/// knows their formats: numbers up to 64 bits, and what is equal where its bytes are (see
/// equal_as_bytes()). Otherwise nothing, and nothing was done.
///
/// One kernel on the stream of one of the views, after all earlier uses of both; four bytes come
/// back. Waits for that stream. @throws DeviceError, OutOfMemory.
DEVVIEW_CUDA_API std::optional<bool> equal_on_device(const View& a, const View& b);

}  // namespace devview::cuda
