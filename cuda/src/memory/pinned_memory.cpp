// Pinned blocks as allocations: they come from the cache and go back with their last event.
#include <memory>
#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/memory/host_blocks.hpp"
#include "src/memory/pinned_cache.hpp"
#include "src/runtime/check.hpp"

namespace devview::cuda {

namespace {

constexpr Device kPinned{DeviceType::cuda_host, 0};

void release_pinned(void* context, Stream stream) noexcept {
    const std::unique_ptr<PinnedCache::Block> block(static_cast<PinnedCache::Block*>(context));
    if (stream && !driver_gone()) {
        try {
            block->event = Event::record(stream);
        } catch (const std::exception&) {
            release_step([&] { synchronize(stream); });
        }
    }
    PinnedCache::get().give(std::move(*block));
}

[[noreturn]] void refuse(std::size_t nbytes, cudaError_t refusal) {
    if (refusal != cudaSuccess && refusal != cudaErrorMemoryAllocation)
        check(refusal, "host alloc");
    const PinnedGauge gauge = pinned_gauge();
    std::string text = "allocate: pinned: " + std::to_string(nbytes) + " bytes requested, " +
                       std::to_string(gauge.live_bytes) + " used, limit " +
                       std::to_string(gauge.limit_bytes) + "; " +
                       std::to_string(gauge.cached_bytes) + " cached";
    if (refusal != cudaSuccess) text += "; the system gives no more";
    throw OutOfMemory(text, nbytes, gauge.live_bytes, gauge.limit_bytes);
}

}  // namespace

std::shared_ptr<Allocation> allocate_pinned(std::size_t nbytes) {
    Allocation::Block block;
    block.nbytes = nbytes;
    block.device = kPinned;
    block.origin = Origin::devview;
    if (nbytes == 0) return Allocation::adopt(std::move(block));
    require_device(0);
    block.uses = make_uses(Stream{});
    auto owned = std::make_unique<PinnedCache::Block>();
    cudaError_t refusal = cudaSuccess;
    *owned = PinnedCache::get().take(nbytes, refusal);
    if (!owned->data) refuse(nbytes, refusal);
    block.data = owned->data;
    block.context = owned.get();
    block.release = release_pinned;
    try {
        auto allocation = Allocation::adopt(std::move(block));
        (void)owned.release();
        return allocation;
    } catch (...) {
        PinnedCache::get().give(std::move(*owned));
        throw;
    }
}

}  // namespace devview::cuda
