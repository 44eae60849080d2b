// The strided kernels on host memory, for the emulator; the functors are the GPU's.
#pragma once

#include <cstdint>

#include "devview/copy_plan.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/export.hpp"

namespace devview::cuda::kernels {

/// As KernelTable's entries, run to the end by the calling thread. Exported for tests only.
DEVVIEW_CUDA_API void host_pack(const CopyPlan& plan, void* dst, const void* src,
                                std::int64_t first, std::int64_t units);
DEVVIEW_CUDA_API void host_unpack(const CopyPlan& plan, void* dst, const void* src,
                                  std::int64_t first, std::int64_t units);
DEVVIEW_CUDA_API void host_copy(const CopyPlan& plan, void* dst, const void* src);
DEVVIEW_CUDA_API void host_fill(const CopyPlan& plan, void* dst, const FillItem& item);
DEVVIEW_CUDA_API void host_cast(const CopyPlan& plan, void* dst, const NumberType& to,
                                const void* src, const NumberType& from);
DEVVIEW_CUDA_API void host_byteswap(const CopyPlan& plan, void* dst, const void* src,
                                    unsigned part);
DEVVIEW_CUDA_API void host_compare(const CopyPlan& plan, const void* a, const NumberType& a_type,
                                   const void* b, const NumberType& b_type,
                                   std::uint32_t* different);

}  // namespace devview::cuda::kernels
