// Looking up addresses of others.
#include "devview/cuda/pointer.hpp"

#include "devview/cuda/stream.hpp"
#include "src/runtime/check.hpp"

namespace devview::cuda {

PointerPlace place_of(const void* address) {
    require_device(0);
    const cudaPointerAttributes told = pointer_attributes(address);
    switch (told.type) {
        case cudaMemoryTypeHost:
            return {Device{DeviceType::cuda_host, 0}, told.device};
        case cudaMemoryTypeManaged:
            return {Device{DeviceType::cuda_managed, 0}, told.device};
        case cudaMemoryTypeDevice:
            return {Device{DeviceType::cuda, told.device}, told.device};
        default:
            return {};
    }
}

int current_device() {
    require_device(0);
    int id = 0;
    check(runtime().GetDevice(&id), "get device");
    return id;
}

}  // namespace devview::cuda
