// Managed blocks: from a stream-ordered pool where CUDA has one, else from cudaMallocManaged, freed
// after the host has waited for their uses.
#include <limits>
#include <string>
#include <utility>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/ledger.hpp"
#include "src/memory/host_blocks.hpp"
#include "src/memory/managed_pool.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"

namespace devview::cuda {

namespace {

constexpr Device kManaged{DeviceType::cuda_managed, 0};

/// cudaFree is not ordered with any stream.
void free_managed(void* data, Stream stream) noexcept {
    if (stream) release_step([&] { synchronize(stream); });
    const RelaxedCapture undisturbing;
    release_step([&] { check(runtime().Free(data), "free"); });
}

void free_to_pool(void* data, Stream stream) noexcept { ManagedPool::get().free(data, stream); }

struct Made {
    void* data = nullptr;
    Release release = free_managed;
    cudaError_t status = cudaErrorMemoryAllocation;
};

Made try_malloc(std::size_t nbytes) {
    Made made;
    const RelaxedCapture undisturbing;
    if (ManagedPool::get().malloc(&made.data, nbytes, made.status)) {
        made.release = free_to_pool;
    } else {
        made.status = runtime().MallocManaged(&made.data, nbytes, cudaMemAttachGlobal);
        clear_error(made.status);
    }
    return made;
}

Made malloc_managed(std::size_t nbytes) {
    Made made;
    if (nbytes <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
        made = try_malloc(nbytes);
        if (made.status == cudaErrorMemoryAllocation) {
            ManagedPool::get().trim();
            made = try_malloc(nbytes);
        }
    }
    if (made.status == cudaErrorMemoryAllocation) {
        const std::size_t used = memory_gauge(kManaged).live_bytes;
        throw OutOfMemory("allocate: managed: " + std::to_string(nbytes) + " bytes requested, " +
                              std::to_string(used) + " used",
                          nbytes, used, 0);
    }
    check(made.status, "malloc managed");
    return made;
}

}  // namespace

std::shared_ptr<Allocation> allocate_managed(std::size_t nbytes) {
    Allocation::Block block;
    block.nbytes = nbytes;
    block.device = kManaged;
    block.origin = Origin::devview;
    if (nbytes == 0) return Allocation::adopt(std::move(block));
    require_device(0);
    block.uses = make_uses(Stream{});
    const Made made = malloc_managed(nbytes);
    try {
        // The address may go to anybody, who then touches it. Nothing else is on that stream.
        if (made.release == free_to_pool) synchronize(ManagedPool::get().stream());
        block.data = block.context = made.data;
        block.release = made.release;
        return Allocation::adopt(std::move(block));
    } catch (...) {
        made.release(made.data, Stream{});
        throw;
    }
}

void settle_managed() {
    for (int id = 0; id < device_count(); ++id) {
        int concurrent = 0;
        check(runtime().DeviceGetAttribute(&concurrent, cudaDevAttrConcurrentManagedAccess, id),
              "device attribute");
        if (concurrent) continue;
        const DeviceGuard guard(id);
        const RelaxedCapture undisturbing;
        check(runtime().DeviceSynchronize(), "device synchronize");
    }
}

}  // namespace devview::cuda
