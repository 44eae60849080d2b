// Calls on memory pools.
#include <cstring>

#include "emulator/api.hpp"
#include "emulator/memory.hpp"

namespace devview::cuda::emulator::api {
namespace {

std::shared_ptr<PoolState> find_pool(cudaMemPool_t handle) {
    const auto found = machine().pools.find(reinterpret_cast<std::uintptr_t>(handle));
    return found == machine().pools.end() ? nullptr : found->second;
}

// Numbers, since CUDA 12's headers lack some of the names.
constexpr int kManaged = 2;
constexpr int kNoLocation = 0;

cudaError_t place_of_pool(const cudaMemPoolProps& props, Place& place, int& device) {
    const int type = static_cast<int>(props.allocType);
    const int location = static_cast<int>(props.location.type);
    device = this_thread().device;
    if (location == cudaMemLocationTypeDevice) {
        device = props.location.id;
        if (!machine().device(device)) return cudaErrorInvalidValue;
    }
    if (type == kManaged && (location == cudaMemLocationTypeDevice || location == kNoLocation)) {
        place = Place::managed;
    } else if (type == cudaMemAllocationTypePinned && location == cudaMemLocationTypeDevice) {
        place = Place::device;
    } else if (type == cudaMemAllocationTypePinned && location == cudaMemLocationTypeHost) {
        place = Place::pinned;
    } else {
        return cudaErrorInvalidValue;
    }
    if (props.handleTypes == cudaMemHandleTypeNone) return cudaSuccess;
    // Pools of host memory cannot be shared (cudaMemPoolCreate).
    if (place == Place::pinned) return cudaErrorInvalidValue;
    return props.handleTypes == cudaMemHandleTypePosixFileDescriptor && place == Place::device
               ? cudaSuccess
               : cudaErrorNotSupported;
}

template <class T>
void store(void* out, T value) {
    std::memcpy(out, &value, sizeof value);
}

cudaError_t reset_high(std::size_t& high, std::size_t current, const void* value) {
    std::uint64_t wanted = 0;
    std::memcpy(&wanted, value, sizeof wanted);
    if (wanted != 0) return cudaErrorInvalidValue;
    high = current;
    return cudaSuccess;
}

}  // namespace

cudaError_t DeviceGetDefaultMemPool(cudaMemPool_t* out, int device) {
    if (!out) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    const DeviceState* state = machine().device(device);
    if (!state) return cudaErrorInvalidDevice;
    *out = reinterpret_cast<cudaMemPool_t>(state->default_pool->handle);
    return cudaSuccess;
}

cudaError_t MemPoolCreate(cudaMemPool_t* out, const cudaMemPoolProps* props) {
    if (!out || !props) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    auto pool = std::make_shared<PoolState>();
    if (const cudaError_t error = place_of_pool(*props, pool->place, pool->device)) return error;
    pool->max_size = props->maxSize;
    if (props->handleTypes != cudaMemHandleTypeNone) {
        pool->file_id = random_number();
        pool->file = make_shared_file(pool->file_id);
        if (pool->file < 0) return cudaErrorOperatingSystem;
    }
    pool->handle = machine().new_handle(kPoolHandle);
    if (pool->place == Place::device) machine().device(pool->device)->pools.push_back(pool);
    machine().pools.emplace(pool->handle, pool);
    *out = reinterpret_cast<cudaMemPool_t>(pool->handle);
    return cudaSuccess;
}

cudaError_t MemPoolDestroy(cudaMemPool_t handle) {
    const Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    if (!pool || pool->is_default) return cudaErrorInvalidValue;
    pool->destroyed = true;
    trim_pool(*pool, 0);
    pool->release_threshold = 0;
    if (pool->used == 0) {
        auto& pools = machine().device(pool->device)->pools;
        for (auto at = pools.begin(); at != pools.end(); ++at) {
            if (*at == pool) {
                pools.erase(at);
                break;
            }
        }
    }
    machine().pools.erase(pool->handle);
    return cudaSuccess;
}

cudaError_t MemPoolTrimTo(cudaMemPool_t handle, std::size_t keep) {
    const Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    if (!pool) return cudaErrorInvalidValue;
    trim_pool(*pool, keep);
    return cudaSuccess;
}

cudaError_t MemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
    const Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    if (!pool || !value) return cudaErrorInvalidValue;
    switch (attribute) {
        case cudaMemPoolReuseFollowEventDependencies:
        case cudaMemPoolReuseAllowOpportunistic:
        case cudaMemPoolReuseAllowInternalDependencies:
            std::memcpy(&pool->reuse[attribute - 1], value, sizeof(int));
            return cudaSuccess;
        case cudaMemPoolAttrReleaseThreshold:
            std::memcpy(&pool->release_threshold, value, sizeof pool->release_threshold);
            return cudaSuccess;
        case cudaMemPoolAttrReservedMemHigh:
            return reset_high(pool->reserved_high, pool->reserved, value);
        case cudaMemPoolAttrUsedMemHigh:
            return reset_high(pool->used_high, pool->used, value);
        default:
            return cudaErrorInvalidValue;
    }
}

cudaError_t MemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
    const Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    if (!pool || !value) return cudaErrorInvalidValue;
    switch (attribute) {
        case cudaMemPoolReuseFollowEventDependencies:
        case cudaMemPoolReuseAllowOpportunistic:
        case cudaMemPoolReuseAllowInternalDependencies:
            store(value, pool->reuse[attribute - 1]);
            return cudaSuccess;
        case cudaMemPoolAttrReleaseThreshold:
            store(value, pool->release_threshold);
            break;
        case cudaMemPoolAttrReservedMemCurrent:
            store<std::uint64_t>(value, pool->reserved);
            break;
        case cudaMemPoolAttrReservedMemHigh:
            store<std::uint64_t>(value, pool->reserved_high);
            break;
        case cudaMemPoolAttrUsedMemCurrent:
            store<std::uint64_t>(value, pool->used);
            break;
        case cudaMemPoolAttrUsedMemHigh:
            store<std::uint64_t>(value, pool->used_high);
            break;
        default:
            return cudaErrorInvalidValue;
    }
    return cudaSuccess;
}

cudaError_t MemPoolSetAccess(cudaMemPool_t handle, const cudaMemAccessDesc* list,
                             std::size_t count) {
    const Lock lock(machine().mutex);
    const auto pool = find_pool(handle);
    if (!pool || (!list && count != 0)) return cudaErrorInvalidValue;
    for (std::size_t i = 0; i < count; ++i) {
        const auto& [location, flags] = list[i];
        if (location.type != cudaMemLocationTypeDevice) return cudaErrorInvalidValue;
        if (!machine().device(location.id)) return cudaErrorInvalidDevice;
        // A device's own access cannot be taken away (cudaMemPoolSetAccess).
        if (location.id == pool->device && flags != cudaMemAccessFlagsProtReadWrite) {
            return cudaErrorInvalidDevice;
        }
        if (location.id != pool->device && !machine().options.peer_access) {
            return cudaErrorInvalidDevice;
        }
    }
    for (std::size_t i = 0; i < count; ++i)
        pool->access[list[i].location.id] = list[i].flags;
    return cudaSuccess;
}

}  // namespace devview::cuda::emulator::api
