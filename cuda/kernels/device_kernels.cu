// Launches the kernels' functors by Thrust's CUDA policy; the only file that nvcc compiles.
#include <exception>
#include <thread>

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system_error.h>

#include "kernels/cast.hpp"
#include "kernels/device_kernels.hpp"
#include "kernels/dispatch.hpp"

namespace devview::cuda::kernels {
namespace {

// 47 kernels: 4 functors with 5 units and 2 indices each for up to 7 axes, 2 with 2 units for more,
// and the cast with 2 indices and for more axes.
// A kernel is 12 KB of machine code (many axes: 130 KB), and most of the compile time.
struct StreamEach {
    cudaStream_t stream;

    template <typename Index, typename Functor>
    void operator()(Index count, const Functor& functor) const {
        thrust::for_each_n(thrust::cuda::par_nosync.on(stream), thrust::counting_iterator<Index>(0),
                           count, functor);
    }
};

template <typename Launch>
cudaError_t status_of(const Launch& launch) noexcept {
    try {
        launch();
        return cudaSuccess;
    } catch (const thrust::system_error& error) {
        return static_cast<cudaError_t>(error.code().value());
    } catch (const std::exception&) {
        return cudaErrorUnknown;
    }
}

/// CUB takes an error that it finds in the thread's last-error slot for its own, and clears it
/// (util_debug.cuh). While the slot is not clean, another thread with its own slot launches.
template <typename Launch>
cudaError_t checked(const Launch& launch) noexcept {
    if (cudaPeekAtLastError() == cudaSuccess) return status_of(launch);
    int device = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status != cudaSuccess) return status;
    const cudaError_t spawned = status_of([&] {
        std::thread([&] {
            status = cudaSetDevice(device);
            if (status == cudaSuccess) status = status_of(launch);
        }).join();
    });
    return spawned == cudaSuccess ? status : spawned;
}

cudaError_t pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                 std::int64_t units, cudaStream_t stream) {
    return checked([&] { run_pack(plan, dst, src, first, units, StreamEach{stream}); });
}

cudaError_t unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                   std::int64_t units, cudaStream_t stream) {
    return checked([&] { run_unpack(plan, dst, src, first, units, StreamEach{stream}); });
}

cudaError_t copy(const CopyPlan& plan, void* dst, const void* src, cudaStream_t stream) {
    return checked([&] { run_copy(plan, dst, src, StreamEach{stream}); });
}

cudaError_t fill(const CopyPlan& plan, void* dst, const FillItem& item, cudaStream_t stream) {
    return checked([&] { run_fill(plan, dst, item, StreamEach{stream}); });
}

cudaError_t cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
                 const NumberType& from, cudaStream_t stream) {
    return checked([&] { run_cast(plan, dst, to, src, from, StreamEach{stream}); });
}

constexpr KernelTable kTable = {pack, unpack, copy, fill, cast};

}  // namespace

const KernelTable& device_kernels() { return kTable; }

}  // namespace devview::cuda::kernels
