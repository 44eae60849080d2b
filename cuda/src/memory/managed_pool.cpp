// Opening, using and closing the managed pool.
#include "src/memory/managed_pool.hpp"

#include <utility>
#include <vector>

#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

// Numbers, since CUDA 12's headers lack the names (its drivers refuse them).
constexpr auto kManagedType = static_cast<cudaMemAllocationType>(2);
constexpr auto kNoLocation = static_cast<cudaMemLocationType>(0);

/// The host may touch the memory at any time, as with stream order it will.
bool all_concurrent(int count) {
    for (int id = 0; id < count; ++id) {
        int value = 0;
        check(runtime().DeviceGetAttribute(&value, cudaDevAttrConcurrentManagedAccess, id),
              "device attribute");
        if (!value) return false;
    }
    return true;
}

void destroy(cudaMemPool_t pool) noexcept {
    const RelaxedCapture undisturbing;
    release_step([&] { check(runtime().MemPoolDestroy(pool), "pool destroy"); });
}

}  // namespace

ManagedPool& ManagedPool::get() {
    static ManagedPool* const pool = new ManagedPool;
    return *pool;
}

ManagedPool::ManagedPool() {
    at_restart([] { get().restart(); });
}

/// By default only the device of a pool reaches its memory.
bool ManagedPool::let_all_in(cudaMemPool_t pool) const {
    std::vector<cudaMemAccessDesc> all(static_cast<std::size_t>(device_count()));
    for (std::size_t id = 0; id < all.size(); ++id) {
        all[id].location.type = cudaMemLocationTypeDevice;
        all[id].location.id = static_cast<int>(id);
        all[id].flags = cudaMemAccessFlagsProtReadWrite;
    }
    if (all.size() < 2) return true;
    const cudaError_t status = runtime().MemPoolSetAccess(pool, all.data(), all.size());
    clear_error(status);
    return status == cudaSuccess;
}

/// Under the lock. False: not here, now or later.
bool ManagedPool::open() {
    if (pool_) return true;
    if (missing_) return false;
    missing_ = !make_pool();
    return pool_ != nullptr;
}

/// Under the lock. False if CUDA has no such pool; what fails otherwise may succeed another time.
bool ManagedPool::make_pool() {
    if (!all_concurrent(device_count())) return false;
    cudaMemPoolProps props{};
    props.allocType = kManagedType;
    props.location.type = kNoLocation;
    cudaMemPool_t pool = nullptr;
    const DeviceGuard guard(0);
    const cudaError_t status = runtime().MemPoolCreate(&pool, &props);
    clear_error(status);
    if (status != cudaSuccess) return false;
    try {
        if (let_all_in(pool)) {
            Stream allocations = make_stream(0), frees = make_stream(0);
            stream_ = std::move(allocations);
            frees_ = std::move(frees);
            pool_ = pool;
            return true;
        }
    } catch (...) {
        destroy(pool);
        throw;
    }
    destroy(pool);
    return false;
}

bool ManagedPool::malloc(void** data, std::size_t nbytes, cudaError_t& status) {
    const std::lock_guard lock(mutex_);
    if (!open()) return false;
    const DeviceGuard guard(0);
    status = runtime().MallocFromPoolAsync(data, nbytes, pool_, handle_of(stream_));
    clear_error(status);
    if (status == cudaSuccess) {
        ++live_;
    } else if (status == cudaErrorNotSupported || status == cudaErrorInvalidValue) {
        missing_ = true;  // a driver that makes such pools, but takes nothing from them
        if (live_ == 0) close();
        return false;
    }
    return true;
}

void ManagedPool::free(void* data, const Stream& asked) noexcept {
    const Stream at = asked ? asked : stream();
    Stream on = frees();
    try {
        link(at, on);
    } catch (const std::exception&) {
        on = at;
    }
    release_step([&] {
        const DeviceGuard guard(device_of(on));
        check(runtime().FreeAsync(data, handle_of(on)), "free async");
    });
    const std::lock_guard lock(mutex_);
    --live_;
}

Stream ManagedPool::frees() {
    const std::lock_guard lock(mutex_);
    return frees_;
}

Stream ManagedPool::stream() {
    const std::lock_guard lock(mutex_);
    return stream_;
}

void ManagedPool::close() noexcept {
    if (!pool_) return;
    destroy(std::exchange(pool_, nullptr));
    stream_ = frees_ = Stream{};
}

/// Queued frees give nothing to trim. The devices are not synchronised: somebody may capture there.
void ManagedPool::trim() noexcept {
    const RelaxedCapture undisturbing;
    const Stream queued = frees();
    if (queued) release_step([&] { synchronize(queued); });
    const std::lock_guard lock(mutex_);
    if (!pool_) return;
    if (live_ == 0) return close();
    release_step([&] { check(runtime().MemPoolTrimTo(pool_, 0), "pool trim"); });
}

void ManagedPool::restart() noexcept {
    const std::lock_guard lock(mutex_);
    if (live_ == 0) close();
    missing_ = false;
}

}  // namespace devview::cuda
