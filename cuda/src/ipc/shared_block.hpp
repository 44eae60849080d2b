// Blocks that other processes can open: one memory pool each, and what the driver says of them.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "devview/allocation.hpp"
#include "devview/cuda/runtime.hpp"
#include "src/ipc/handle.hpp"

namespace devview::cuda {

/// The context of a shareable allocation. Lives from its making to its release.
class SharedBlock {
public:
    SharedBlock(int device, cudaMemPool_t pool) noexcept : device_(device), pool_(pool) {}

    /// The block behind an allocation, null if it is not shareable.
    static SharedBlock* of(const Allocation& allocation) noexcept;
    static void release(void* context, Stream stream) noexcept;

    int device() const noexcept { return device_; }
    void set_data(void* data) noexcept { data_ = data; }
    /// What an importer needs of the block itself, asked of the driver once.
    /// @throws DeviceError, HandleError.
    void describe(Description& what);
    /// The pool's descriptor, open while the block lives; describe() was called.
    const Descriptor& file() const noexcept { return file_; }
    /// In the child of a fork, which must not keep the pool.
    void close_file() noexcept { file_ = Descriptor{}; }

private:
    int device_;
    cudaMemPool_t pool_;
    void* data_ = nullptr;
    std::mutex mutex_{};
    Descriptor file_{};  ///< guarded until it is open
    Id id_{};
    cudaMemPoolPtrExportData exported_{};
};

/// Where `device` is in this machine.
PciPlace pci_place(int device);

}  // namespace devview::cuda
