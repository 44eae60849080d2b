// Making blocks: device, pinned, managed and host memory behind one function, and resizing them.
#pragma once

#include <cstddef>
#include <memory>

#include "devview/allocation.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/device.hpp"
#include "devview/export.hpp"

namespace devview {

/// A new block on any device of ours (cpu, cuda, pinned, managed), not initialised.
///
/// Device memory comes from CUDA's stream-ordered pool of that device, ordered on `stream` (none:
/// the legacy stream) and given back there. Pinned memory comes from an exact-size cache; managed
/// memory from cudaMallocManaged or a managed pool. The host does not wait for device memory.
/// Zero bytes are legal: no call is made and data() is null (host: a unique address).
/// @throws OutOfMemory  after one trim and retry; DeviceError  no such device; NameError  a device
/// type that devview cannot allocate on.
DEVVIEW_CUDA_API std::shared_ptr<Allocation> allocate(std::size_t nbytes, Device device,
                                                      const Stream& stream = {});

/// The same, zeroed (device memory: by a memset on the stream).
DEVVIEW_CUDA_API std::shared_ptr<Allocation> allocate_zeroed(std::size_t nbytes, Device device,
                                                             const Stream& stream = {});

/// Gives `allocation` a block of `nbytes`, with the content kept as far as it fits. The data
/// pointer may change. @throws BufferError  while anything views it, or memory that is not ours;
/// OutOfMemory (nothing has changed then).
DEVVIEW_CUDA_API void resize(const std::shared_ptr<Allocation>& allocation, std::size_t nbytes);

/// resize() in its steps, for callers with a lock of their own around data() and its like: all work
/// is done on construction, commit() exchanges the blocks, destruction gives one of them back.
class DEVVIEW_CUDA_API Resize {
public:
    Resize(std::shared_ptr<Allocation> allocation, std::size_t nbytes);
    void commit() noexcept;

private:
    std::shared_ptr<Allocation> allocation_;
    std::shared_ptr<Allocation> other_{};
    Allocation::Exclusive exclusive_;
};

/// A block of somebody else's device memory gets its stream bookkeeping here: `release(context,
/// stream)` runs once, after every recorded use.
DEVVIEW_CUDA_API std::shared_ptr<Allocation> adopt_device(Allocation::Block&& block);

/// The same for an owner that takes memory back without a stream, as DLPack's deleter does: the
/// host waits first for what devview did with the block, if it did anything. Other memory than
/// CUDA's is adopted as it is.
DEVVIEW_CUDA_API std::shared_ptr<Allocation> adopt_waiting(Allocation::Block&& block);

/// Somebody else's word about memory, checked with the driver where one is in use or has to be. Of
/// host memory only this is asked, that it is no device's.
/// @throws DeviceError  no such device; BufferError  the first or the last byte is host memory, of
/// another device, or of another kind than `device` says (managed memory is device memory, too).
DEVVIEW_CUDA_API void require_memory_on(Device device, const void* data, std::size_t nbytes);

/// The host waits until every recorded use of a view's block is done (pinned and managed memory
/// before the host touches it). Managed memory without concurrent access: the device is
/// synchronised.
DEVVIEW_CUDA_API void wait_for_host(const Allocation& allocation);

namespace cuda {

/// Pinned memory of this process [bytes].
struct PinnedGauge {
    std::size_t live_bytes = 0;    ///< handed out
    std::size_t cached_bytes = 0;  ///< kept for reuse
    std::size_t peak_bytes = 0;    ///< most of live + cached at once
    std::size_t limit_bytes = 0;
};
DEVVIEW_CUDA_API PinnedGauge pinned_gauge();

/// Bounds live + cached; the default is DEVVIEW_PINNED_LIMIT, else a quarter of the physical
/// memory. Cached blocks above a new limit are freed at once; live ones stay.
DEVVIEW_CUDA_API void set_pinned_limit(std::size_t nbytes);
DEVVIEW_CUDA_API std::size_t pinned_limit();

/// Cached pinned memory back to the system, unused pool memory back to the driver; returns the
/// pinned bytes that were freed.
DEVVIEW_CUDA_API std::size_t trim();

/// A pinned block for a copy, or none if it does not fit under the limit (cached blocks of other
/// sizes are freed to make room first). Not zeroed. Exact sizes, reused by exact size; a block
/// whose last event is still running is waited for only if there is no other way.
class DEVVIEW_CUDA_API PinnedBlock {
public:
    PinnedBlock() noexcept = default;
    static PinnedBlock take(std::size_t nbytes);
    PinnedBlock(PinnedBlock&& other) noexcept;
    PinnedBlock& operator=(PinnedBlock&& other) noexcept;
    ~PinnedBlock();
    explicit operator bool() const noexcept { return data_ != nullptr; }
    void* data() const noexcept { return data_; }
    std::size_t nbytes() const noexcept { return nbytes_; }
    /// The device still works on the block until `event`: it travels with the block to the cache.
    void busy_until(Event event) noexcept { event_ = std::move(event); }

private:
    void* data_ = nullptr;
    std::size_t nbytes_ = 0;
    Event event_{};
};

/// Free and total bytes of a device as the driver tells.
struct DeviceMemory {
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
};
DEVVIEW_CUDA_API DeviceMemory device_memory(int id);

}  // namespace cuda
}  // namespace devview
