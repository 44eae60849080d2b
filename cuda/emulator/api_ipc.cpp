// Calls that share a memory pool with other processes.
//
// A pool's descriptor is that of a file which both processes map. Export data names the file, so
// that a pointer of one pool is not imported from another.
#include <cstring>

#include "emulator/api.hpp"
#include "emulator/memory.hpp"

namespace devview::cuda::emulator::api {
namespace {

struct ExportData {
    std::uint64_t file_id;
    std::uint64_t offset;
    std::uint64_t nbytes;
    std::uint64_t ready;
    std::uint64_t sum;  ///< of the above, against bytes that came from elsewhere
};
static_assert(sizeof(ExportData) <= sizeof(cudaMemPoolPtrExportData));

std::uint64_t sum_of(const ExportData& data) {
    return 0x64762d6970630000u + data.file_id * 3 + data.offset * 5 + data.nbytes * 7 + data.ready;
}

std::shared_ptr<PoolState> find_pool(cudaMemPool_t handle) {
    const auto found = machine().pools.find(reinterpret_cast<std::uintptr_t>(handle));
    return found == machine().pools.end() ? nullptr : found->second;
}

bool is_ours(std::uint64_t file_id) {
    for (const auto& [handle, pool] : machine().pools) {
        if (pool->file_id == file_id && !pool->imported) return true;
    }
    return false;
}

}  // namespace

cudaError_t MemPoolExportToShareableHandle(void* out, cudaMemPool_t handle,
                                           cudaMemAllocationHandleType type, unsigned flags) {
    if (!out || flags != 0 || type != cudaMemHandleTypePosixFileDescriptor) {
        return cudaErrorInvalidValue;
    }
    const Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    if (!pool || pool->file < 0 || pool->imported) return cudaErrorInvalidValue;
    const int file = duplicate_file(pool->file);
    if (file < 0) return cudaErrorOperatingSystem;
    std::memcpy(out, &file, sizeof file);
    return cudaSuccess;
}

cudaError_t MemPoolImportFromShareableHandle(cudaMemPool_t* out, void* handle,
                                             cudaMemAllocationHandleType type, unsigned flags) {
    if (!out || flags != 0 || type != cudaMemHandleTypePosixFileDescriptor) {
        return cudaErrorInvalidValue;
    }
    const int file = static_cast<int>(reinterpret_cast<std::intptr_t>(handle));
    const std::uint64_t id = shared_file_id(file);
    const Lock lock(machine().mutex);
    // A process' own pool is refused: what CUDA does with one is not documented.
    if (id == 0 || is_ours(id)) return cudaErrorInvalidValue;
    auto pool = std::make_shared<PoolState>();
    pool->file = reopen_shared_file(file);
    if (pool->file < 0) return cudaErrorOperatingSystem;
    pool->file_id = id;
    pool->imported = true;
    pool->device = this_thread().device;
    pool->handle = machine().new_handle(kPoolHandle);
    machine().device(pool->device)->pools.push_back(pool);
    machine().pools.emplace(pool->handle, pool);
    *out = reinterpret_cast<cudaMemPool_t>(pool->handle);
    return cudaSuccess;
}

cudaError_t MemPoolExportPointer(cudaMemPoolPtrExportData* out, void* pointer) {
    if (!out) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    const Block* block = machine().blocks.find_begin(address_of(pointer));
    if (!block || block->free_queued || !block->pool || block->pool->file < 0 ||
        block->pool->imported) {
        return cudaErrorInvalidValue;
    }
    ExportData data{block->pool->file_id, block->file_offset, block->nbytes, block->ready, 0};
    data.sum = sum_of(data);
    *out = cudaMemPoolPtrExportData{};
    std::memcpy(out, &data, sizeof data);
    return cudaSuccess;
}

cudaError_t MemPoolImportPointer(void** out, cudaMemPool_t handle, cudaMemPoolPtrExportData* from) {
    if (!out || !from) return cudaErrorInvalidValue;
    Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    ExportData data;
    std::memcpy(&data, from, sizeof data);
    if (!pool || !pool->imported || data.sum != sum_of(data) || data.file_id != pool->file_id ||
        data.nbytes == 0 || data.offset % kPage != 0) {
        return cudaErrorInvalidValue;
    }
    const std::size_t size = shared_file_size(pool->file);
    if (data.offset > size || data.nbytes > size - data.offset) return cudaErrorInvalidValue;
    // Memory that was not allocated yet at the export is never seen to be ready here.
    const Block* block = allocate_block(
        lock, {data.nbytes, Place::device, pool->device, pool, data.ready != 0, data.offset});
    if (!block) return cudaErrorMemoryAllocation;
    mark_import(pool->file, data.offset);
    *out = reinterpret_cast<void*>(block->begin);
    return cudaSuccess;
}

}  // namespace devview::cuda::emulator::api
