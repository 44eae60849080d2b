// The kernels on the GPU.
#pragma once

#include <cstdint>

#include "devview/cuda/runtime.hpp"
#include "devview/export.hpp"

namespace devview::cuda::kernels {

/// Launches the functors on the current device, one position a thread at a time, and transposes in
/// tiles. Every entry is asynchronous, allocates nothing and leaves the thread's last-error slot as
/// it was.
const KernelTable& device_kernels();

/// Blocks of a launch at most, so that a test sees threads that stride over little data.
DEVVIEW_CUDA_API void limit_grid(unsigned blocks) noexcept;

// The table's entries, one file of kernels each group.
cudaError_t device_pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                        std::int64_t units, cudaStream_t stream);
cudaError_t device_unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                          std::int64_t units, cudaStream_t stream);
cudaError_t device_copy(const CopyPlan& plan, void* dst, const void* src, cudaStream_t stream);
cudaError_t device_byteswap(const CopyPlan& plan, void* dst, const void* src, unsigned part,
                            cudaStream_t stream);
cudaError_t device_fill(const CopyPlan& plan, void* dst, const FillItem& item, cudaStream_t stream);
cudaError_t device_cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
                        const NumberType& from, cudaStream_t stream);
cudaError_t device_compare(const CopyPlan& plan, const void* a, const NumberType& a_type,
                           const void* b, const NumberType& b_type, std::uint32_t* different,
                           cudaStream_t stream);

}  // namespace devview::cuda::kernels
