// The table's real filler: NVIDIA's runtime, linked statically, and the compiled kernels.
#include <cstdio>
#include <type_traits>

#include <cuda_runtime_api.h>

#include "devview/cuda/runtime.hpp"
#include "kernels/device_kernels.hpp"

// Streams 0 of the table are the legacy stream; this macro would rename half of the calls.
#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
#error "devview's calls have legacy default stream semantics"
#endif

namespace devview::cuda {
namespace {

#define DEVVIEW_CUDA_CHECK(name, parameters)                                        \
    static_assert(std::is_same_v<decltype(&cuda##name), cudaError_t(*) parameters>, \
                  "cuda" #name " differs from devview/cuda/runtime.hpp");
DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_CHECK)
#undef DEVVIEW_CUDA_CHECK

cudaError_t device_name(char* name, int size, int device) {
    if (name == nullptr || size < 1) return cudaErrorInvalidValue;
    cudaDeviceProp properties;
    const cudaError_t status = cudaGetDeviceProperties(&properties, device);
    if (status != cudaSuccess) return status;
    std::snprintf(name, static_cast<std::size_t>(size), "%s", properties.name);
    return cudaSuccess;
}

Runtime make_runtime() {
    Runtime runtime{};
#define DEVVIEW_CUDA_FILL(name, parameters) runtime.name = &cuda##name;
    DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_FILL)
#undef DEVVIEW_CUDA_FILL
    runtime.GetErrorName = &cudaGetErrorName;
    runtime.GetErrorString = &cudaGetErrorString;
    runtime.DeviceName = &device_name;
    runtime.kernels = kernels::device_kernels();
    runtime.emulated = false;
    return runtime;
}

}  // namespace

const Runtime& real_runtime() {
    static const Runtime kRuntime = make_runtime();
    return kRuntime;
}

}  // namespace devview::cuda
