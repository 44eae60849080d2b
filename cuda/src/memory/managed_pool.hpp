// The pool of managed memory, where CUDA has one (13.0): stream-ordered, without a preferred
// device.
#pragma once

#include <cstddef>
#include <mutex>

#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"

namespace devview::cuda {

/// One pool for the process, with two streams of ours: nothing else is put on the one of the
/// allocations, so that they wait for nobody's work; that of the frees is what waits for all of
/// them, when memory is short. All devices reach the memory, or there is no pool.
class ManagedPool {
public:
    /// Leaked on purpose: blocks may go after static destructors.
    static ManagedPool& get();

    /// Memory that is ready once stream() has come to it. False: there is no such pool here, use
    /// cudaMallocManaged. `status` is the allocation's. @throws DeviceError.
    bool malloc(void** data, std::size_t nbytes, cudaError_t& status);
    /// The memory goes back once `asked` (none: stream()) has come there.
    void free(void* data, const Stream& asked) noexcept;
    Stream stream();
    /// Idle memory back to the system; without a living block the pool goes as well.
    void trim() noexcept;

private:
    ManagedPool();
    bool open();
    bool make_pool();
    bool let_all_in(cudaMemPool_t pool) const;
    void close() noexcept;
    void restart() noexcept;
    Stream frees();

    std::mutex mutex_{};
    bool missing_ = false;  ///< tried in vain
    cudaMemPool_t pool_ = nullptr;
    Stream stream_{};
    Stream frees_{};
    std::size_t live_ = 0;
};

}  // namespace devview::cuda
