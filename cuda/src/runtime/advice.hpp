// What a user can do about an error of the runtime that is no fault of the call.
#pragma once

#include <string>

#include "devview/cuda/runtime.hpp"

namespace devview::cuda {

/// A sentence without its full stop, or empty where CUDA's own text says enough.
std::string advice(cudaError_t status);

}  // namespace devview::cuda
