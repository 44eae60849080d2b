// The emulator's implementation of every call of the table; logging and errors are done around it.
#pragma once

#include "devview/cuda/runtime.hpp"

namespace devview::cuda::emulator {

namespace api {
#define DEVVIEW_CUDA_DECLARE(name, parameters) cudaError_t name parameters;
DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_DECLARE)
#undef DEVVIEW_CUDA_DECLARE
}  // namespace api

/// The kernels, logged as cudaLaunchKernel.
KernelTable kernel_table();
/// CUDA's names and texts; unknown codes are "unrecognized error code".
const char* error_name(cudaError_t error);
const char* error_string(cudaError_t error);
cudaError_t device_name(char* name, int size, int device);

/// The emulator's table; the machine must have been started.
const Runtime& emulated_runtime();

}  // namespace devview::cuda::emulator
