// What the runtime knows of an address that somebody else has named.
#pragma once

#include "devview/device.hpp"
#include "devview/export.hpp"

namespace devview::cuda {

/// Memory behind an address, by cudaPointerGetAttributes.
struct PointerPlace {
    Device device{};  ///< "cuda:N", "pinned" or "managed"; "cpu": the runtime does not know it
    int id = -1;      ///< the CUDA device that the memory belongs to; -1 for cpu
};

/// @throws DeviceError  no CUDA device, or the look-up fails.
DEVVIEW_CUDA_API PointerPlace place_of(const void* address);

/// The calling thread's current device. @throws DeviceError.
DEVVIEW_CUDA_API int current_device();

}  // namespace devview::cuda
