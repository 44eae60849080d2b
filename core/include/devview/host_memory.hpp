// Host memory of our own: aligned to 256 bytes, the alignment that DLPack asks for.
#pragma once

#include <cstddef>
#include <memory>

#include "devview/allocation.hpp"
#include "devview/export.hpp"

namespace devview {

constexpr std::size_t kHostAlignment = 256;

/// A new block of host memory, not initialised. Zero bytes are legal and have a unique address.
/// @throws OutOfMemory.
DEVVIEW_CORE_API std::shared_ptr<Allocation> allocate_host(std::size_t nbytes);

/// The same, filled with zeros (cheap for large blocks: fresh pages).
DEVVIEW_CORE_API std::shared_ptr<Allocation> allocate_host_zeroed(std::size_t nbytes);

}  // namespace devview
