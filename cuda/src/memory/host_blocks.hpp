// Blocks that the host and devices share: pinned memory from the cache, and managed memory.
#pragma once

#include <cstddef>
#include <memory>

#include "devview/allocation.hpp"

namespace devview::cuda {

/// See devview::allocate. @throws OutOfMemory  naming the pinned limit.
std::shared_ptr<Allocation> allocate_pinned(std::size_t nbytes);
std::shared_ptr<Allocation> allocate_managed(std::size_t nbytes);

/// The host may touch managed memory: devices without concurrent access are synchronised.
void settle_managed();

}  // namespace devview::cuda
