// What a count of devices says about addresses.
#pragma once

#include "devview/cuda/runtime.hpp"

namespace devview::cuda {

/// After GetDeviceCount: a process in which CUDA has found no device will have none, see
/// devices_possible().
void note_device_count(cudaError_t status, int count) noexcept;

}  // namespace devview::cuda
