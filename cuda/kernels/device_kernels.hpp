// The strided kernels on the GPU.
#pragma once

#include "devview/cuda/runtime.hpp"

namespace devview::cuda::kernels {

/// Launches the functors on the current device by Thrust's CUDA policy. Every entry is
/// asynchronous, allocates nothing and leaves the thread's last-error slot as it was.
const KernelTable& device_kernels();

}  // namespace devview::cuda::kernels
