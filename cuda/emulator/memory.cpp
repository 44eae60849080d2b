// The life of a block, from the charge to the quarantine.
#include "emulator/memory.hpp"

#include <algorithm>

namespace devview::cuda::emulator {
namespace {

void* pointer_to(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

// Another process is charged for what is imported.
bool imports(const BlockRequest& request) { return request.pool && request.pool->imported; }

// Bytes that the request would add to what the device is charged.
std::size_t growth(const BlockRequest& request) {
    if (request.place != Place::device || imports(request)) return 0;
    if (!request.pool) return request.nbytes;
    const std::size_t idle = request.pool->reserved - request.pool->used;
    return request.nbytes > idle ? request.nbytes - idle : 0;
}

bool has_room(const BlockRequest& request) {
    const DeviceState& device = *machine().device(request.device);
    const std::size_t charged = machine().charged(device);
    return charged <= device.memory && growth(request) <= device.memory - charged;
}

// In the order of effort: as it is, without idle reserves, after the frees that are queued.
bool make_room(Lock& lock, const BlockRequest& request) {
    if (has_room(request)) return true;
    if (machine().options.hasty) return false;
    const DeviceState& device = *machine().device(request.device);
    if (request.nbytes > device.memory) return false;
    const auto trim_all = [&device] {
        for (const auto& pool : device.pools)
            trim_pool(*pool, 0);
    };
    trim_all();
    if (has_room(request)) return true;
    wait_device(lock, request.device);
    trim_all();
    return has_room(request);
}

void charge(const BlockRequest& request) {
    if (!request.pool) {
        if (request.place == Place::device) {
            machine().device(request.device)->plain_bytes += request.nbytes;
        }
        return;
    }
    PoolState& pool = *request.pool;
    pool.used += request.nbytes;
    pool.used_high = std::max(pool.used_high, pool.used);
    if (pool.imported) return;
    pool.reserved = std::max(pool.reserved, pool.used);
    pool.reserved_high = std::max(pool.reserved_high, pool.reserved);
}

std::uintptr_t find_memory(const BlockRequest& request) {
    if (request.place == Place::device) {
        Arena* arena = machine().arena(request.device);
        if (!arena) return 0;
        if (!request.pool || request.pool->file < 0) return arena->allocate(request.nbytes);
        const PoolState& pool = *request.pool;
        return arena->allocate_shared(request.nbytes, pool.file, request.file_offset,
                                      !pool.imported);
    }
    return address_of(machine().host_pages.allocate(request.nbytes, request.ready));
}

// Fresh pages behind all others of the file; those of freed blocks are not used again.
bool extend_file(BlockRequest& request) {
    PoolState& pool = *request.pool;
    request.file_offset = pool.file_bytes;
    const std::size_t end = pool.file_bytes + round_up(request.nbytes, kPage);
    if (!grow_shared_file(pool.file, end)) return false;
    pool.file_bytes = end;
    return true;
}

void release_shared_block(const Block& block) {
    PoolState& pool = *block.pool;
    machine().arena(block.device)->release_shared(block.begin, block.nbytes, !pool.imported);
    if (pool.imported) {
        unmark_import(pool.file, block.file_offset);
    } else if (imported_elsewhere(pool.file, block.file_offset)) {
        // cudaMemPoolImportPointer: to be freed by all importers before the exporter.
        fail_device(*machine().device(block.device), cudaErrorInvalidValue,
                    "the free of memory that another process has imported");
    }
}

void drop_destroyed_pool(const std::shared_ptr<PoolState>& pool) {
    if (!pool->destroyed || pool->used != 0) return;
    auto& pools = machine().device(pool->device)->pools;
    pools.erase(std::remove(pools.begin(), pools.end(), pool), pools.end());
}

}  // namespace

Block* allocate_block(Lock& lock, BlockRequest request) {
    constexpr std::size_t kTooMuch = std::size_t{1} << 46;  // Keeps all sums below from wrapping.
    if (request.nbytes > kTooMuch) return nullptr;
    if (request.pool && request.pool->max_size != 0 &&
        request.nbytes >
            request.pool->max_size - std::min(request.pool->used, request.pool->max_size)) {
        return nullptr;
    }
    if (!make_room(lock, request)) return nullptr;
    const bool shared = request.pool && request.pool->file >= 0;
    if (shared && !imports(request) && !extend_file(request)) return nullptr;
    const std::uintptr_t begin = find_memory(request);
    if (begin == 0) return nullptr;
    charge(request);
    Block block;
    block.begin = begin;
    block.nbytes = request.nbytes;
    block.place = request.place;
    block.device = request.device;
    block.pool = request.pool;
    block.ready = request.ready;
    block.file_offset = request.file_offset;
    if (request.place == Place::device)
        block.to_alias = machine().arena(request.device)->to_alias();
    return &machine().blocks.add(std::move(block));
}

void make_ready(std::uintptr_t begin) {
    Block* block = machine().blocks.find_begin(begin);
    if (!block || block->ready) return;
    if (block->place != Place::device) {
        HostPages::open(pointer_to(begin), block->nbytes);
    }
    block->ready = true;
}

void release_block(std::uintptr_t begin) {
    Machine& self = machine();
    const Block* block = self.blocks.find_begin(begin);
    if (!block) return;
    if (block->pool && block->pool->file >= 0) {
        release_shared_block(*block);
    } else if (block->place == Place::device) {
        self.arena(block->device)->release(begin);
        if (!block->pool) self.device(block->device)->plain_bytes -= block->nbytes;
    } else {
        self.host_pages.release(pointer_to(begin), block->nbytes);
    }
    if (const auto pool = block->pool) {
        pool->used -= block->nbytes;
        drop_destroyed_pool(pool);
    }
    self.blocks.remove(begin);
}

void trim_pool(PoolState& pool, std::size_t keep) {
    if (pool.reserved > keep) pool.reserved = std::max(keep, pool.used);
}

void trim_to_thresholds(DeviceState& device) {
    for (const auto& pool : device.pools) {
        trim_pool(*pool, static_cast<std::size_t>(pool->release_threshold));
    }
}

}  // namespace devview::cuda::emulator
