// Making, describing and freeing shareable blocks.
#include "src/ipc/shared_block.hpp"

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/ipc.hpp"
#include "src/ipc/server.hpp"
#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/runtime/failed_device.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview {

using namespace cuda;

namespace {

void destroy_pool(cudaMemPool_t pool) noexcept {
    const RelaxedCapture undisturbing;
    release_step([&] { check(runtime().MemPoolDestroy(pool), "pool destroy"); });
}

cudaMemPool_t make_pool(int device) {
    const RelaxedCapture undisturbing;
    int handles = 0;
    check(runtime().DeviceGetAttribute(&handles, cudaDevAttrMemoryPoolSupportedHandleTypes, device),
          "device attribute");
    if (!(handles & cudaMemHandleTypePosixFileDescriptor)) {
        check(cudaErrorNotSupported, "allocate shareable memory: pool handles as file descriptors");
    }
    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;  // not migrating; nothing of the host's
    props.handleTypes = cudaMemHandleTypePosixFileDescriptor;
    props.location.type = cudaMemLocationTypeDevice;
    props.location.id = device;
    cudaMemPool_t pool = nullptr;
    check(runtime().MemPoolCreate(&pool, &props), "pool create");
    return pool;
}

int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    check(runtime().DeviceGetAttribute(&value, which, device), "device attribute");
    return value;
}

}  // namespace

std::shared_ptr<Allocation> allocate_shareable(std::size_t nbytes, Device device,
                                               const Stream& asked) {
    if (device.type != DeviceType::cuda) {
        throw NameError("allocate: " + to_string(device) +
                        ": only memory of cuda devices can be shared between processes");
    }
    if (nbytes == 0) return allocate_device(0, device.id, asked);
    require_device(device.id);
    const Stream stream = work_stream(device.id, asked);
    require_no_capture("allocate", stream, "memory of a graph lives in its replays only");
    const DeviceGuard guard(device.id);
    require_working(device.id);
    const cudaMemPool_t pool = make_pool(device.id);
    try {
        auto shared = std::make_unique<SharedBlock>(device.id, pool);
        Allocation::Block block;
        block.nbytes = nbytes;
        block.device = device;
        block.stream = stream;
        block.origin = Origin::devview;
        block.release = SharedBlock::release;
        block.context = shared.get();
        void* const data = malloc_async(nbytes, stream, pool);
        try {
            shared->set_data(data);
            block.data = data;
            block.uses = make_uses(stream);
            auto allocation = Allocation::adopt(std::move(block));
            (void)shared.release();
            return allocation;
        } catch (...) {
            free_async(data, stream);
            throw;
        }
    } catch (...) {
        destroy_pool(pool);
        throw;
    }
}

bool is_shareable(const Allocation& allocation) noexcept {
    return SharedBlock::of(allocation) != nullptr;
}

namespace cuda {

SharedBlock* SharedBlock::of(const Allocation& allocation) noexcept {
    if (allocation.release_function() != &SharedBlock::release) return nullptr;
    return static_cast<SharedBlock*>(allocation.context());
}

void SharedBlock::release(void* context, Stream stream) noexcept {
    const std::unique_ptr<SharedBlock> block(static_cast<SharedBlock*>(context));
    if (driver_gone()) {
        (void)block->file_.release();  // closed by exit, or after a fork by IpcServer
        return;
    }
    IpcServer::get().forget(block.get());
    free_async(block->data_, stream);
    destroy_pool(block->pool_);  // its memory goes once the free has run
}

void SharedBlock::describe(Description& what) {
    const std::lock_guard lock(mutex_);
    if (!file_) {
        const DeviceGuard guard(device_);
        const RelaxedCapture undisturbing;
        int file = -1;
        check(runtime().MemPoolExportToShareableHandle(&file, pool_,
                                                       cudaMemHandleTypePosixFileDescriptor, 0),
              "export pool");
        Descriptor opened(file);
        check(runtime().MemPoolExportPointer(&exported_, data_), "export pointer");
        id_ = random_id();
        file_ = std::move(opened);
    }
    what.block = id_;
    what.pointer = exported_;
    what.device = device_;
    what.place = pci_place(device_);
}

PciPlace pci_place(int device) {
    return {attribute(cudaDevAttrPciDomainId, device), attribute(cudaDevAttrPciBusId, device),
            attribute(cudaDevAttrPciDeviceId, device)};
}

}  // namespace cuda
}  // namespace devview
