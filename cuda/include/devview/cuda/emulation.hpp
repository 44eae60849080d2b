// Looking into the emulated device, for tests of any code that uses devview.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "devview/cuda/runtime.hpp"
#include "devview/export.hpp"

namespace devview::cuda::emulation {

/// What is alive in the emulator, of all devices together.
struct Objects {
    std::size_t device_blocks = 0, device_bytes = 0;  ///< freed ones leave when the free is run
    std::size_t pinned_blocks = 0, pinned_bytes = 0;
    std::size_t managed_blocks = 0, managed_bytes = 0;
    std::size_t streams = 0, events = 0, pools = 0;
    std::size_t graphs = 0;  ///< and executable ones; they own what was allocated in them
    std::size_t queued = 0;  ///< operations not yet run
};

/// Names of all calls so far, in order ("cudaMemcpyAsync"; every kernel is "cudaLaunchKernel").
DEVVIEW_CUDA_API std::vector<std::string> calls();
DEVVIEW_CUDA_API std::size_t count(const std::string& name);
DEVVIEW_CUDA_API void clear_calls();

/// The nth next call of `name` (1: the very next) returns `error` and does nothing else. With the
/// names "kernel", "copy", "memset", the nth executed operation fails asynchronously, sticky.
/// @throws NameError  no such call.
DEVVIEW_CUDA_API void fail(const std::string& name, int nth, int error);
DEVVIEW_CUDA_API void clear_faults();

DEVVIEW_CUDA_API Objects objects();
DEVVIEW_CUDA_API void set_delay(std::int64_t microseconds);
/// Ends the sticky error of every device, which no GPU can.
DEVVIEW_CUDA_API void clear_sticky();

/// What the first failed operation of `device` was and why; empty if none failed.
DEVVIEW_CUDA_API std::string failure(int device);

/// Where the host may look at device memory; null if `device_pointer` is in no live block.
DEVVIEW_CUDA_API void* peek(const void* device_pointer);

/// Something is alive or queued.
DEVVIEW_CUDA_API bool busy();

}  // namespace devview::cuda::emulation
