// Checks of device accesses: may this operation touch these bytes now, and where are they really?
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/machine.hpp"

namespace devview::cuda::emulator {

/// Who touches memory: a peer copy needs no access right, a kernel may not touch pageable memory.
enum class Actor { copy, peer_copy, kernel };

struct Access {
    const char* name;  ///< the call that enqueued it
    int device;        ///< that runs it
    Actor actor;
    bool writes;
};

/// What an address is, alive or not.
Place place_of(std::uintptr_t address);

/// Memory in use by a running operation; pinned pages are not unmapped meanwhile.
struct Target {
    void* at = nullptr;      ///< null: refused
    std::uintptr_t key = 0;  ///< the block to let go, 0: none
};

/// The host address of `base`, if every byte of [base + low, base + high) may be touched now; else
/// null, and the device's failure tells why. To be called under the lock, when the operation runs.
Target resolve(const Access& access, const void* base, std::int64_t low, std::int64_t high);
/// Ends what resolve began, under the lock.
void let_go(const Target& target);
/// Waits until no running operation touches the block.
void wait_unused(Lock& lock, std::uintptr_t begin);

/// Device memory is invisible to ThreadSanitizer, as a GPU's is: a missing wait shows as wrong
/// data.
class DeviceWork {
public:
    DeviceWork();
    ~DeviceWork();
    DeviceWork(const DeviceWork&) = delete;
    DeviceWork& operator=(const DeviceWork&) = delete;
};

}  // namespace devview::cuda::emulator
