// Device memory: cudaMallocAsync with one trim and retry, and the free in stream order.
#include "src/memory/device_memory.hpp"

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/shared_stream.hpp"
#include "devview/error.hpp"
#include "devview/ledger.hpp"
#include "src/runtime/check.hpp"
#include "src/runtime/failed_device.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

/// Bit k: the pool of device k keeps freed memory.
std::atomic<std::uint64_t> caching_pools{0};

/// The default pool is shared with every library of the process. It gives memory back at each
/// synchronisation unless told otherwise; a threshold that somebody has set is left alone.
void keep_freed_memory(int id) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (id % kMaxDevices);
    if (caching_pools.fetch_or(bit) & bit) return;
    static const bool registered = (at_restart([] { caching_pools.store(0); }), true);
    (void)registered;
    const RelaxedCapture undisturbing;
    cudaMemPool_t pool = nullptr;
    std::uint64_t threshold = 0;
    cudaError_t status = runtime().DeviceGetDefaultMemPool(&pool, id);
    if (status == cudaSuccess) {
        status = runtime().MemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold);
    }
    if (status == cudaSuccess && threshold == 0) {
        threshold = std::numeric_limits<std::uint64_t>::max();
        status = runtime().MemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold);
    }
    clear_error(status);  // slower, not wrong
}

void trim_pool(int id) noexcept {
    const RelaxedCapture undisturbing;
    cudaMemPool_t pool = nullptr;
    cudaError_t status = runtime().DeviceGetDefaultMemPool(&pool, id);
    if (status == cudaSuccess) status = runtime().MemPoolTrimTo(pool, 0);
    clear_error(status);
}

/// What others hold shows here: the pool serves every library of the process, the device every
/// process.
std::string others_share(int id, std::size_t available) {
    const RelaxedCapture undisturbing;
    cudaMemPool_t pool = nullptr;
    std::uint64_t reserved = 0, in_use = 0;
    cudaError_t status = runtime().DeviceGetDefaultMemPool(&pool, id);
    if (status == cudaSuccess) {
        status = runtime().MemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
    }
    if (status == cudaSuccess) {
        status = runtime().MemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &in_use);
    }
    clear_error(status);
    return "; the device has " + std::to_string(available) + " free, its pool " +
           std::to_string(in_use) + " in use of " + std::to_string(reserved) + " reserved";
}

[[noreturn]] void out_of_memory(std::size_t nbytes, int id) {
    const Device device{DeviceType::cuda, id};
    const std::size_t used = memory_gauge(device).live_bytes;
    std::size_t available = 0, limit = 0;
    clear_error(runtime().MemGetInfo(&available, &limit));
    throw OutOfMemory("allocate: " + to_string(device) + ": " + std::to_string(nbytes) +
                          " bytes requested, " + std::to_string(used) + " used, limit " +
                          std::to_string(limit) + others_share(id, available),
                      nbytes, used, limit);
}

/// Frees that are queued give nothing to trim. The device cannot be synchronised while anything on
/// it captures, whoever does (Programming Guide, "Prohibited and Unhandled Operations"): only
/// streams that are known not to.
void finish_frees(const Stream& stream) noexcept {
    const RelaxedCapture undisturbing;
    if (work_runs(stream)) clear_error(runtime().StreamSynchronize(handle_of(stream)));
    if (handle_of(stream) != cudaStreamLegacy && legacy_runs(device_of(stream))) {
        clear_error(runtime().StreamSynchronize(cudaStreamLegacy));
    }
}

cudaError_t try_malloc(void** data, std::size_t nbytes, const Stream& stream, cudaMemPool_t pool) {
    if (pool) return runtime().MallocFromPoolAsync(data, nbytes, pool, handle_of(stream));
    return runtime().MallocAsync(data, nbytes, handle_of(stream));
}

void free_block(void* context, Stream stream) noexcept { free_async(context, stream); }

}  // namespace

void* malloc_async(std::size_t nbytes, const Stream& stream, cudaMemPool_t pool) {
    const int id = device_of(stream);
    if (nbytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
        out_of_memory(nbytes, id);
    }
    keep_freed_memory(id);
    void* data = nullptr;
    cudaError_t status = try_malloc(&data, nbytes, stream, pool);
    if (status == cudaErrorMemoryAllocation) {
        clear_error(status);
        finish_frees(stream);
        trim_pool(id);
        status = try_malloc(&data, nbytes, stream, pool);
    }
    if (status == cudaErrorMemoryAllocation) {
        clear_error(status);
        out_of_memory(nbytes, id);
    }
    check(status, "malloc async");
    return data;
}

void free_async(void* data, const Stream& stream) noexcept {
    bool ordered = true;
    release_step([&] {
        const DeviceGuard guard(device_of(stream));
        if (std::exchange(ordered, false)) {
            check(runtime().FreeAsync(data, handle_of(stream)), "free async");
            return;
        }
        // The second try: the stream may be what is wrong.
        const RelaxedCapture undisturbing;
        clear_error(runtime().DeviceSynchronize());
        check(runtime().Free(data), "free");
    });
}

bool from_default_pool(const Allocation& block) noexcept {
    return block.release_function() == free_block;
}

std::shared_ptr<Allocation> allocate_device(std::size_t nbytes, int id, const Stream& asked,
                                            std::unique_ptr<StreamUses> uses) {
    require_device(id);
    const Stream stream = work_stream(id, asked);
    Allocation::Block block;
    block.nbytes = nbytes;
    block.device = Device{DeviceType::cuda, id};
    block.stream = stream;
    block.origin = Origin::devview;
    if (nbytes == 0) return Allocation::adopt(std::move(block));
    require_no_capture("allocate", stream, "memory of a graph lives in its replays only");
    const DeviceGuard guard(id);
    require_working(id);
    void* const data = malloc_async(nbytes, stream);
    try {
        block.data = block.context = data;
        block.release = free_block;
        // After the call: the event of a raw handle covers it.
        block.uses = uses ? std::move(uses) : make_uses(stream);
        return Allocation::adopt(std::move(block));
    } catch (...) {
        free_async(data, stream);
        throw;
    }
}

DeviceTemp::DeviceTemp(std::size_t nbytes, const Stream& stream) : stream_(stream) {
    const DeviceGuard guard(device_of(stream));
    require_working(device_of(stream));
    data_ = malloc_async(nbytes, stream);
    nbytes_ = nbytes;
}

DeviceTemp& DeviceTemp::operator=(DeviceTemp&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(nbytes_, other.nbytes_);
    std::swap(stream_, other.stream_);
    return *this;
}

DeviceTemp::~DeviceTemp() {
    if (data_) free_async(data_, stream_);
}

void trim_device_pools() noexcept {
    const std::uint64_t pools = caching_pools.load();
    for (int id = 0; id < kMaxDevices; ++id) {
        if (!(pools >> id & 1)) continue;
        release_step([&] {
            const DeviceGuard guard(id);
            trim_pool(id);
        });
    }
}

std::shared_ptr<Allocation> allocate_on_theirs(std::size_t nbytes, const Stream& home) {
    // The per-thread stream is another one on another thread: only an event stands for it.
    const bool named = handle_of(home) != cudaStreamPerThread;
    return allocate_device(nbytes, device_of(home), home,
                           named ? make_uses_on_theirs(home) : nullptr);
}

}  // namespace devview::cuda
