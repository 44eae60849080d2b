// Launches of the kernels that compare items.
#include "kernels/compare.hpp"
#include "kernels/device_kernels.hpp"
#include "kernels/launch.cuh"

namespace devview::cuda::kernels {
namespace {

/// Threads stop where somebody has found a difference.
template <typename Functor>
__global__ void __launch_bounds__(kThreads)
    until_different(Index count, const Functor functor, volatile std::uint32_t* different) {
    const Index stride = gridDim.x * kThreads;
    for (Index at = blockIdx.x * kThreads + threadIdx.x; at < count; at += stride) {
        functor(at);
        if (*different) return;
    }
}

class CompareEach : public StreamEach {
public:
    using StreamEach::StreamEach;

    template <typename Functor>
    void operator()(Index count, const Functor& functor) const {
        std::uint32_t* different = functor.different;
        void* arguments[] = {&count, const_cast<Functor*>(&functor), &different};
        launch(reinterpret_cast<const void*>(&until_different<Functor>), (count - 1) / kThreads + 1,
               dim3(kThreads), arguments);
    }
};

}  // namespace

cudaError_t device_compare(const CopyPlan& plan, const void* a, const NumberType& a_type,
                           const void* b, const NumberType& b_type, std::uint32_t* different,
                           cudaStream_t stream) {
    return with_clean_slot([&] {
        cudaError_t status = cudaSuccess;
        run_compare(plan, a, a_type, b, b_type, different, CompareEach(stream, status));
        return status;
    });
}

}  // namespace devview::cuda::kernels
