// Managed blocks: cudaMallocManaged, freed after the host has waited for their uses.
#include <limits>
#include <string>
#include <utility>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/ledger.hpp"
#include "src/capture.hpp"
#include "src/check.hpp"
#include "src/host_blocks.hpp"

namespace devview::cuda {

namespace {

constexpr Device kManaged{DeviceType::cuda_managed, 0};

/// cudaFree is not ordered with any stream.
void free_managed(void* data, Stream stream) noexcept {
    if (stream) release_step([&] { synchronize(stream); });
    const RelaxedCapture undisturbing;
    release_step([&] { check(runtime().Free(data), "free"); });
}

void* malloc_managed(std::size_t nbytes) {
    void* data = nullptr;
    cudaError_t status = cudaErrorMemoryAllocation;
    if (nbytes <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
        const RelaxedCapture undisturbing;
        status = runtime().MallocManaged(&data, nbytes, cudaMemAttachGlobal);
    }
    if (status == cudaErrorMemoryAllocation) {
        clear_error(status);
        const std::size_t used = memory_gauge(kManaged).live_bytes;
        throw OutOfMemory("allocate: managed: " + std::to_string(nbytes) + " bytes requested, " +
                              std::to_string(used) + " used",
                          nbytes, used, 0);
    }
    check(status, "malloc managed");
    return data;
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
    void* const data = malloc_managed(nbytes);
    block.data = block.context = data;
    block.release = free_managed;
    try {
        return Allocation::adopt(std::move(block));
    } catch (...) {
        free_managed(data, Stream{});
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
