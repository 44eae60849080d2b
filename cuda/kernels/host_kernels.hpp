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

}  // namespace devview::cuda::kernels
