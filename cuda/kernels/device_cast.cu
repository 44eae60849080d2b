// Launches of the kernels that convert numbers.
#include "kernels/cast.hpp"
#include "kernels/device_kernels.hpp"
#include "kernels/launch.cuh"

namespace devview::cuda::kernels {

cudaError_t device_cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
                        const NumberType& from, cudaStream_t stream) {
    return launch_all(stream,
                      [&](const StreamEach& each) { run_cast(plan, dst, to, src, from, each); });
}

}  // namespace devview::cuda::kernels
