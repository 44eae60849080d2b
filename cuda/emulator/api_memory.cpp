// Calls that allocate, free and look up memory.
#include "emulator/access.hpp"
#include "emulator/api.hpp"
#include "emulator/capture.hpp"
#include "emulator/memory.hpp"

namespace devview::cuda::emulator::api {
namespace {

cudaError_t allocate(void** out, const BlockRequest& request) {
    Lock lock(machine().mutex);
    Block* block = allocate_block(lock, request);
    if (!block) return cudaErrorMemoryAllocation;
    *out = reinterpret_cast<void*>(block->begin);
    return cudaSuccess;
}

cudaError_t allocate_on_stream(Lock& lock, void** out, std::size_t nbytes,
                               const std::shared_ptr<PoolState>& pool,
                               const std::shared_ptr<StreamState>& stream) {
    Block* block = allocate_block(lock, {nbytes, pool->place, pool->device, pool, false});
    if (!block) return cudaErrorMemoryAllocation;
    const std::uintptr_t begin = block->begin;
    if (stream->capture) {
        block->capture = stream->capture->id;
        stream->capture->graph->memory->blocks.push_back(begin);
    }
    Operation operation;
    operation.kind = OperationKind::memory;
    operation.name = "cudaMallocAsync";
    operation.run = [begin] {
        const Lock inner(machine().mutex);
        make_ready(begin);
        return cudaSuccess;
    };
    enqueue(stream, std::move(operation));
    *out = reinterpret_cast<void*>(begin);
    return cudaSuccess;
}

// A block that a free may name: it begins there and is not being freed.
Block* freeable(const void* pointer) {
    Block* block = machine().blocks.find_begin(address_of(pointer));
    return block && !block->free_queued ? block : nullptr;
}

cudaMemoryType memory_type(Place place) {
    switch (place) {
        case Place::pinned:
            return cudaMemoryTypeHost;
        case Place::device:
            return cudaMemoryTypeDevice;
        case Place::managed:
            return cudaMemoryTypeManaged;
        default:
            return cudaMemoryTypeUnregistered;
    }
}

}  // namespace

cudaError_t MemGetInfo(std::size_t* free_bytes, std::size_t* total) {
    if (!free_bytes || !total) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    const DeviceState& device = current_device();
    *total = device.memory;
    *free_bytes = device.memory - machine().charged(device);
    return cudaSuccess;
}

cudaError_t Malloc(void** out, std::size_t nbytes) {
    if (!out) return cudaErrorInvalidValue;
    *out = nullptr;
    if (nbytes == 0) return cudaSuccess;
    return allocate(out, {nbytes, Place::device, this_thread().device, nullptr, true});
}

cudaError_t MallocManaged(void** out, std::size_t nbytes, unsigned flags) {
    if (!out || nbytes == 0 || (flags != cudaMemAttachGlobal && flags != cudaMemAttachHost)) {
        return cudaErrorInvalidValue;
    }
    return allocate(out, {nbytes, Place::managed, this_thread().device, nullptr, true});
}

cudaError_t HostAlloc(void** out, std::size_t nbytes, unsigned flags) {
    if (!out || flags > 7) return cudaErrorInvalidValue;
    *out = nullptr;
    if (nbytes == 0) return cudaSuccess;
    return allocate(out, {nbytes, Place::pinned, this_thread().device, nullptr, true});
}

cudaError_t Free(void* pointer) {
    if (!pointer) return cudaSuccess;
    Lock lock(machine().mutex);
    Block* block = freeable(pointer);
    if (!block || (block->place == Place::pinned && !block->pool)) return cudaErrorInvalidValue;
    block->free_queued = true;
    // cudaFree waits for the device (CUDA C++ Best Practices, "Memory Allocation").
    wait_device(lock, block->device);
    wait_unused(lock, address_of(pointer));
    release_block(address_of(pointer));
    return cudaSuccess;
}

cudaError_t FreeHost(void* pointer) {
    if (!pointer) return cudaSuccess;
    Lock lock(machine().mutex);
    Block* block = freeable(pointer);
    if (!block || block->place != Place::pinned || block->pool) return cudaErrorInvalidValue;
    block->free_queued = true;
    // No wait for queued work: a copy that is still to come must not pass unnoticed.
    wait_unused(lock, address_of(pointer));
    release_block(address_of(pointer));
    return cudaSuccess;
}

cudaError_t MallocAsync(void** out, std::size_t nbytes, cudaStream_t handle) {
    if (!out || nbytes == 0) return cudaErrorInvalidValue;
    Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    const auto& pool = machine().device(stream->device)->default_pool;
    return allocate_on_stream(lock, out, nbytes, pool, stream);
}

cudaError_t MallocFromPoolAsync(void** out, std::size_t nbytes, cudaMemPool_t pool,
                                cudaStream_t handle) {
    if (!out || nbytes == 0) return cudaErrorInvalidValue;
    Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    const auto found = machine().pools.find(reinterpret_cast<std::uintptr_t>(pool));
    if (found == machine().pools.end()) return cudaErrorInvalidValue;
    // Imported pools do not support new allocations (cudaMemPoolImportFromShareableHandle).
    if (found->second->imported) return cudaErrorInvalidValue;
    return allocate_on_stream(lock, out, nbytes, found->second, stream);
}

cudaError_t FreeAsync(void* pointer, cudaStream_t handle) {
    const Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    const cudaError_t refused = usable_stream(handle, stream);
    if (!stream) return refused;
    // A failed device takes blocks back all the same.
    if (refused && refused != machine().device(stream->device)->sticky) return refused;
    Block* block = freeable(pointer);
    if (!block || !block->pool) return cudaErrorInvalidValue;
    // A free node must be of a block of the same graph (cudaFreeAsync).
    if (stream->capture && block->capture != stream->capture->id) {
        return refuse_captured(*stream->capture, cudaErrorInvalidValue);
    }
    if (!block->capture) block->free_queued = true;
    Operation operation;
    operation.kind = OperationKind::memory;
    operation.name = "cudaFreeAsync";
    operation.run = [begin = block->begin] {
        Lock inner(machine().mutex);
        wait_unused(inner, begin);
        Block* freed = machine().blocks.find_begin(begin);
        if (freed && freed->capture) {
            freed->ready = false;  // its graph keeps the address
        } else {
            release_block(begin);
        }
        return cudaSuccess;
    };
    enqueue(stream, std::move(operation));
    return cudaSuccess;
}

cudaError_t PointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
    if (!attributes) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    *attributes = cudaPointerAttributes{};
    const Block* block = machine().blocks.find(address_of(pointer));
    void* at = const_cast<void*>(pointer);
    if (!block || block->free_queued) {
        attributes->type = cudaMemoryTypeUnregistered;
        attributes->device = cudaInvalidDeviceId;
        attributes->hostPointer = at;
        return cudaSuccess;
    }
    attributes->type = memory_type(block->place);
    attributes->device = block->device;
    attributes->devicePointer = at;
    attributes->hostPointer = block->place == Place::device ? nullptr : at;
    return cudaSuccess;
}

}  // namespace devview::cuda::emulator::api
