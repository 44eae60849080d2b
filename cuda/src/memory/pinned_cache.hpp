// The cache behind PinnedBlock: every pinned byte of the process passes through it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/runtime.hpp"

namespace devview::cuda {

/// Blocks of exact size; those not in use wait for the next taker of that size, oldest first.
///
/// live + cached never exceeds the limit but where the limit was lowered below what lives. A block
/// that is being looked at or freed counts until it is gone. No lock is held during a driver call.
class PinnedCache {
public:
    struct Block {
        void* data = nullptr;
        std::size_t nbytes = 0;
        Event event{};  ///< the device works on the block until then
    };

    static PinnedCache& get();

    /// Empty if it does not fit (then `refusal` is cudaSuccess) or the driver refuses.
    Block take(std::size_t nbytes, cudaError_t& refusal);
    void give(Block block) noexcept;
    PinnedGauge gauge();
    void set_limit(std::size_t nbytes);
    /// Frees what is cached; returns the bytes.
    std::size_t trim() noexcept;

private:
    using Lock = std::unique_lock<std::mutex>;

    PinnedCache();
    static void restart();

    Block reuse(std::size_t nbytes, bool may_wait);
    bool reserve(std::size_t nbytes, bool may_wait);
    std::size_t evict(Lock& lock, std::size_t wanted, bool may_wait) noexcept;
    void shrink(Lock& lock) noexcept;
    Block allocate(std::size_t nbytes, cudaError_t& refusal);
    std::size_t total() const noexcept { return gauge_.live_bytes + gauge_.cached_bytes; }

    std::mutex mutex_{};
    std::condition_variable settled_{};  ///< a block came back from being looked at or freed
    std::list<Block> idle_{};            ///< least recently used first
    std::list<Block> spare_{};           ///< a node for each live block: coming back cannot fail
    PinnedGauge gauge_{};
    std::size_t in_transit_ = 0;  ///< looked at or being freed: counted as cached
};

}  // namespace devview::cuda
