// Blocks of device memory from the stream-ordered pool of their device.
#pragma once

#include <cstddef>
#include <memory>

#include "devview/allocation.hpp"
#include "devview/cuda/stream.hpp"

namespace devview::cuda {

/// Devices that anything is remembered of: a bit each, where bits do.
constexpr int kMaxDevices = 64;

/// See devview::allocate. `uses`: another book of streams than make_uses() keeps.
std::shared_ptr<Allocation> allocate_device(std::size_t nbytes, int id, const Stream& stream,
                                            std::unique_ptr<StreamUses> uses = {});

/// True for a block of allocate_device(): its pool is the device's default one.
bool from_default_pool(const Allocation& block) noexcept;

/// Memory for the time of one operation on `stream`, in no ledger; freed in that stream's order.
class DeviceTemp {
public:
    DeviceTemp() noexcept = default;
    DeviceTemp(std::size_t nbytes, const Stream& stream);
    DeviceTemp& operator=(DeviceTemp&& other) noexcept;
    ~DeviceTemp();
    void* data() const noexcept { return data_; }
    std::size_t nbytes() const noexcept { return nbytes_; }

private:
    void* data_ = nullptr;
    std::size_t nbytes_ = 0;
    Stream stream_{};
};

/// Memory in the order of `stream`, whose device is current, from its default pool or from `pool`.
/// Where there is none: the device is drained, its pool trimmed, and it is tried once more.
/// @throws OutOfMemory, DeviceError.
void* malloc_async(std::size_t nbytes, const Stream& stream, cudaMemPool_t pool = nullptr);
/// Failures are reported, not thrown.
void free_async(void* data, const Stream& stream) noexcept;

/// Unused memory of the pools that devview allocated from, back to the driver.
void trim_device_pools() noexcept;

}  // namespace devview::cuda
