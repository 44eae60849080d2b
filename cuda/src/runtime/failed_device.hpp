// Devices that have failed for good: what is remembered of the first failure, and who is told.
//
// After some errors ("this leaves the process in an inconsistent state", driver_types.h) every
// later call of that device returns the same code, wherever it was caused. What helps then is the
// call at which it was first seen.
#pragma once

#include <string>

#include "devview/cuda/runtime.hpp"

namespace devview::cuda {

/// After `call` on the current device returned `status`, and the last-error slot was cleared: where
/// the device's failure was first seen ("memcpy on cuda:1"), or empty if the device still works.
std::string first_seen(cudaError_t status, const char* call);

/// Calls nothing unless the device has failed before: then it is asked whether it still does.
/// @throws DeviceError  with the first failure's code, sticky.
void require_working(int device);

/// True for the first caller after a device has failed, unless an exception has told of it.
bool tells_of_failure() noexcept;

}  // namespace devview::cuda
