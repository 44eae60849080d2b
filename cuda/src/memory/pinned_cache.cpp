// The exact-size cache of pinned memory: reuse, eviction, and the limit on what lives and is
// cached.
#include "src/memory/pinned_cache.hpp"

#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "devview/cuda/stream.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"

namespace devview::cuda {

namespace {

std::size_t physical_memory() {
#if defined(_WIN32)
    MEMORYSTATUSEX status{};
    status.dwLength = sizeof(status);
    return GlobalMemoryStatusEx(&status) ? static_cast<std::size_t>(status.ullTotalPhys) : 0;
#else
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page)
                                 : 0;
#endif
}

std::size_t default_limit() {
    if (const char* text = std::getenv("DEVVIEW_PINNED_LIMIT")) {
        std::size_t limit = 0;
        const char* const end = text + std::strlen(text);
        const auto [last, error] = std::from_chars(text, end, limit);
        if (error == std::errc{} && last == end) return limit;
    }
    return physical_memory() / 4;
}

bool is_done(const Event& event) noexcept {
    try {
        return event.done();
    } catch (const std::exception&) {
        return false;  // a failed query proves nothing; whoever needs the block waits
    }
}

/// The device no longer touches the block, or is beyond doing so.
void settle(const Event& event) noexcept {
    if (!event || driver_gone()) return;
    try {
        event.wait();
    } catch (const std::exception&) {
        release_step([&] {
            const DeviceGuard guard(event.device());
            const RelaxedCapture undisturbing;
            clear_error(runtime().DeviceSynchronize());
        });
    }
}

void free_pinned(PinnedCache::Block& block) noexcept {
    settle(block.event);
    block.event = Event{};
    const RelaxedCapture undisturbing;
    release_step([&] { check(runtime().FreeHost(block.data), "free host"); });
}

}  // namespace

PinnedCache::PinnedCache() {
    gauge_.limit_bytes = default_limit();
    at_restart(restart);
}

/// Leaked on purpose: blocks may come back after static destructors.
PinnedCache& PinnedCache::get() {
    static PinnedCache* const cache = new PinnedCache;
    return *cache;
}

void PinnedCache::restart() {
    PinnedCache& cache = get();
    cache.trim();
    const std::lock_guard lock(cache.mutex_);
    cache.gauge_.peak_bytes = cache.total();
}

PinnedCache::Block PinnedCache::take(std::size_t nbytes, cudaError_t& refusal) {
    refusal = cudaSuccess;
    if (nbytes == 0) return {};
    if (Block block = reuse(nbytes, false); block.data) return block;
    if (reserve(nbytes, false)) {
        if (Block block = allocate(nbytes, refusal); block.data) return block;
    }
    if (Block block = reuse(nbytes, true); block.data) return block;
    if (refusal != cudaSuccess) trim();
    return reserve(nbytes, true) ? allocate(nbytes, refusal) : Block{};
}

/// The oldest idle block of exactly this size that the device is done with.
PinnedCache::Block PinnedCache::reuse(std::size_t nbytes, bool may_wait) {
    std::list<Block> found;
    {
        const std::lock_guard lock(mutex_);
        for (auto block = idle_.begin(); block != idle_.end();) {
            const auto next = std::next(block);
            if (block->nbytes == nbytes) found.splice(found.end(), idle_, block);
            block = next;
        }
        in_transit_ += found.size();
    }
    if (found.empty()) return {};
    const std::size_t looked_at = found.size();
    auto chosen = std::find_if(found.begin(), found.end(),
                               [](const Block& block) { return is_done(block.event); });
    if (chosen == found.end() && may_wait) {
        chosen = found.begin();
        settle(chosen->event);
    }
    Block block;
    const std::lock_guard lock(mutex_);
    in_transit_ -= looked_at;
    if (chosen != found.end()) {
        block = {chosen->data, nbytes, Event{}};
        spare_.splice(spare_.end(), found, chosen);
        gauge_.cached_bytes -= nbytes;
        gauge_.live_bytes += nbytes;
    }
    idle_.splice(idle_.begin(), found);
    settled_.notify_all();
    return block;
}

/// Counts `nbytes` as live if they fit, after cached blocks made room.
bool PinnedCache::reserve(std::size_t nbytes, bool may_wait) {
    Lock lock(mutex_);
    while (true) {
        const std::size_t limit = gauge_.limit_bytes;
        if (gauge_.live_bytes >= limit || nbytes > limit - gauge_.live_bytes) return false;
        if (total() <= limit && nbytes <= limit - total()) break;
        if (evict(lock, total() - (limit - nbytes), may_wait) > 0) continue;
        if (in_transit_ == 0) return false;
        settled_.wait(lock);
    }
    spare_.emplace_back();
    gauge_.live_bytes += nbytes;
    return true;
}

/// Frees cached blocks, oldest first, until `wanted` bytes are gone; returns the bytes.
std::size_t PinnedCache::evict(Lock& lock, std::size_t wanted, bool may_wait) noexcept {
    std::list<Block> taken, freed;
    taken.splice(taken.end(), idle_);
    if (taken.empty()) return 0;
    const std::size_t looked_at = taken.size();
    in_transit_ += looked_at;
    lock.unlock();
    std::size_t bytes = 0;
    for (auto block = taken.begin(); block != taken.end() && bytes < wanted;) {
        const auto next = std::next(block);
        if (may_wait || is_done(block->event)) {
            bytes += block->nbytes;
            free_pinned(*block);
            freed.splice(freed.end(), taken, block);
        }
        block = next;
    }
    lock.lock();
    in_transit_ -= looked_at;
    gauge_.cached_bytes -= bytes;
    idle_.splice(idle_.begin(), taken);
    settled_.notify_all();
    return bytes;
}

PinnedCache::Block PinnedCache::allocate(std::size_t nbytes, cudaError_t& refusal) {
    void* data = nullptr;
    {
        const RelaxedCapture undisturbing;
        refusal = runtime().HostAlloc(&data, nbytes, cudaHostAllocPortable);
    }
    clear_error(refusal);
    const std::lock_guard lock(mutex_);
    if (refusal == cudaSuccess) {
        gauge_.peak_bytes = std::max(gauge_.peak_bytes, total());
        return {data, nbytes, Event{}};
    }
    gauge_.live_bytes -= nbytes;
    spare_.pop_back();
    settled_.notify_all();
    return {};
}

void PinnedCache::give(Block block) noexcept {
    Lock lock(mutex_);
    spare_.back() = std::move(block);
    gauge_.live_bytes -= spare_.back().nbytes;
    gauge_.cached_bytes += spare_.back().nbytes;
    idle_.splice(idle_.end(), spare_, std::prev(spare_.end()));
    settled_.notify_all();
    shrink(lock);
}

/// After the limit was lowered: frees what is cached above it.
void PinnedCache::shrink(Lock& lock) noexcept {
    while (total() > gauge_.limit_bytes) {
        if (evict(lock, total() - gauge_.limit_bytes, true) == 0) return;
    }
}

void PinnedCache::set_limit(std::size_t nbytes) {
    Lock lock(mutex_);
    gauge_.limit_bytes = nbytes;
    shrink(lock);
}

std::size_t PinnedCache::trim() noexcept {
    Lock lock(mutex_);
    return evict(lock, std::numeric_limits<std::size_t>::max(), true);
}

PinnedGauge PinnedCache::gauge() {
    const std::lock_guard lock(mutex_);
    return gauge_;
}

PinnedBlock PinnedBlock::take(std::size_t nbytes) {
    cudaError_t refusal = cudaSuccess;
    PinnedCache::Block taken = PinnedCache::get().take(nbytes, refusal);
    PinnedBlock block;
    block.data_ = taken.data;
    block.nbytes_ = taken.nbytes;
    return block;
}

PinnedBlock::PinnedBlock(PinnedBlock&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      nbytes_(std::exchange(other.nbytes_, 0)),
      event_(std::move(other.event_)) {}

PinnedBlock& PinnedBlock::operator=(PinnedBlock&& other) noexcept {
    PinnedBlock old(std::move(*this));
    data_ = std::exchange(other.data_, nullptr);
    nbytes_ = std::exchange(other.nbytes_, 0);
    event_ = std::move(other.event_);
    return *this;
}

PinnedBlock::~PinnedBlock() {
    if (data_) PinnedCache::get().give({data_, nbytes_, std::move(event_)});
}

PinnedGauge pinned_gauge() { return PinnedCache::get().gauge(); }

void set_pinned_limit(std::size_t nbytes) { PinnedCache::get().set_limit(nbytes); }

std::size_t pinned_limit() { return pinned_gauge().limit_bytes; }

}  // namespace devview::cuda
