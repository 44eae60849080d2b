// Allocating and freeing blocks: charges, pools and quarantine. Ordering on streams is not here.
#pragma once

#include <cstddef>
#include <memory>

#include "emulator/machine.hpp"

namespace devview::cuda::emulator {

struct BlockRequest {
    std::size_t nbytes;
    Place place;
    int device;
    std::shared_ptr<PoolState> pool;  ///< null: plain
    bool ready;                       ///< false: usable once make_ready was called
    std::size_t file_offset = 0;      ///< of an import
};

/// Null if there is no room; then waits for queued frees of the device before it gives up.
Block* allocate_block(Lock& lock, BlockRequest request);
void make_ready(std::uintptr_t begin);
/// Gives the block's bytes back to its pool or device, and poisons them.
void release_block(std::uintptr_t begin);

/// Reserved bytes of a pool beyond `keep` that nobody uses go back to the device.
void trim_pool(PoolState& pool, std::size_t keep);
/// What every synchronisation of a device does: pools trim down to their thresholds.
void trim_to_thresholds(DeviceState& device);

}  // namespace devview::cuda::emulator
