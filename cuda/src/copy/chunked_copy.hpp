// Transfers between a device and pageable host memory, through pinned chunks.
#pragma once

#include <cstdint>

#include "devview/cuda/stream.hpp"
#include "devview/layout.hpp"

namespace devview::cuda {

/// One side of a transfer: both have the same shape, and no suboffsets.
struct TransferSide {
    void* data;
    const Layout& layout;
};

/// Moves all items; complete on return. While the host works on one chunk, the device works on the
/// other. Chunks come from the pinned cache, pageable ones where that has no room.
void chunked_to_host(TransferSide host, TransferSide device, std::int64_t itemsize,
                     const Stream& stream);
void chunked_to_device(TransferSide device, TransferSide host, std::int64_t itemsize,
                       const Stream& stream);

}  // namespace devview::cuda
