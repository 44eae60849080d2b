// Which devices reach each other's memory without help.
#pragma once

#include "devview/allocation.hpp"
#include "devview/cuda/stream.hpp"

namespace devview::cuda {

/// Lets the two devices reach each other's memory where the system can, once for each pair of a
/// process; copies between them then need no staging in the driver. Nothing is ever revoked, since
/// other libraries rely on access, too. `stream` is the one of the work that follows: while it is
/// capturing nothing is asked. Failures are no errors: access is not needed.
void enable_peer_access(int device, int peer, const Stream& stream) noexcept;

/// True if work of `device` may touch the block: its own memory, or a peer's where access is
/// enabled and known to include this block. Of foreign memory nobody knows which pool it came from.
bool reaches(int device, const Allocation& block) noexcept;

}  // namespace devview::cuda
