// The way between two devices that a driver without peer copies leaves: through pinned memory.
#pragma once

#include <cstdint>

#include "devview/cuda/stream.hpp"

namespace devview::cuda {

struct PeerSide {
    void* data;
    int device;
};

/// Dense bytes, ordered on `home`, a stream of either device. Does not wait: two chunks are used in
/// turn, and only events order them. @throws OutOfMemory  no pinned memory for a chunk;
/// DeviceError.
void staged_peer_copy(PeerSide dst, PeerSide src, std::int64_t nbytes, const Stream& home);

}  // namespace devview::cuda
