// Grid-stride launches of functors and tiles; included by the files that nvcc compiles.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>

#include <cuda_runtime_api.h>

#include "kernels/functors.hpp"
#include "kernels/transpose.hpp"

namespace devview::cuda::kernels {

constexpr unsigned kThreads = 256;
/// Positions of a thread in one round: their loads overlap.
constexpr unsigned kPerThread = 4;

/// More blocks than any GPU runs at a time; they stride over the rest. Tests make it small.
inline std::atomic<unsigned> largest_grid{1u << 16};

/// Whether a functor does its work in two steps, load and store.
template <typename Functor, typename = void>
struct LoadsFirst : std::false_type {};
template <typename Functor>
struct LoadsFirst<Functor, std::void_t<decltype(&Functor::load)>> : std::true_type {};

template <typename Functor>
constexpr unsigned positions_per_thread() {
    return LoadsFirst<Functor>::value ? kPerThread : 1;
}

/// Position plus stride stays below 2^32: count < 2^31, and a grid's stride is at most 2^26.
template <typename Functor>
__global__ void __launch_bounds__(kThreads) each_position(Index count, const Functor functor) {
    constexpr unsigned per_thread = positions_per_thread<Functor>();
    const Index stride = gridDim.x * (kThreads * per_thread);
    for (Index start = blockIdx.x * (kThreads * per_thread); start < count; start += stride) {
        const Index position = start + threadIdx.x;
        if constexpr (per_thread > 1) {
            if (count - start >= kThreads * per_thread) {
                Move<typename Functor::Unit> moves[per_thread];
                DEVVIEW_UNROLL
                for (unsigned k = 0; k < per_thread; ++k)
                    moves[k] = functor.load(position + k * kThreads);
                DEVVIEW_UNROLL
                for (unsigned k = 0; k < per_thread; ++k)
                    moves[k].store();
            } else {
                DEVVIEW_ROLLED
                for (Index at = position; at < count; at += kThreads)
                    functor(at);
            }
        } else {
            if (position < count) functor(position);
        }
    }
}

/// Runs launch() so that the thread's last-error slot is as it was, whatever launch() meets there
/// and returns. An error of somebody else that a failure would replace stays where it is: then
/// another thread, with a slot of its own, launches.
template <typename Launch>
cudaError_t with_clean_slot(const Launch& launch) noexcept {
    const auto cleaned = [&] {
        const cudaError_t status = launch();
        if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
        return status;
    };
    if (cudaPeekAtLastError() == cudaSuccess) return cleaned();
    int device = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status != cudaSuccess) return status;
    try {
        std::thread([&] {
            status = cudaSetDevice(device);
            if (status == cudaSuccess) status = cleaned();
        }).join();
    } catch (const std::exception&) {
        return cudaErrorUnknown;
    }
    return status;
}

/// Launches on a stream, for run_pack() and its like; keeps the first error.
class StreamEach {
public:
    explicit StreamEach(cudaStream_t stream, cudaError_t& status)
        : stream_(stream), status_(status) {}

    template <typename Functor>
    void operator()(Index count, const Functor& functor) const {
        constexpr Index per_block = kThreads * positions_per_thread<Functor>();
        const Index blocks = (count - 1) / per_block + 1;
        void* arguments[] = {&count, const_cast<Functor*>(&functor)};
        launch(reinterpret_cast<const void*>(&each_position<Functor>), blocks, dim3(kThreads),
               arguments);
    }

    /// Defined where the kernels of tiles are (transpose.cuh).
    bool transpose(const Transpose& tiles) const;

protected:
    void launch(const void* kernel, Index blocks, dim3 threads, void** arguments) const {
        if (status_ != cudaSuccess) return;
        const unsigned grid = std::min<unsigned>(blocks, largest_grid.load());
        status_ = cudaLaunchKernel(kernel, dim3(grid), threads, arguments, 0, stream_);
    }

private:
    cudaStream_t stream_;
    cudaError_t& status_;
};

/// The status of run(each): of its first launch that fails.
template <typename Run>
cudaError_t launch_all(cudaStream_t stream, const Run& run) noexcept {
    return with_clean_slot([&] {
        cudaError_t status = cudaSuccess;
        run(StreamEach(stream, status));
        return status;
    });
}

}  // namespace devview::cuda::kernels
