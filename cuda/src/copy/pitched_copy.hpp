// Copies of equally spaced rows by the copy engine: one 2D or 3D memcpy.
#pragma once

#include "devview/copy_plan.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/export.hpp"

namespace devview::cuda {

/// True if one pitched copy does the plan, with rows long enough to be worth it: the copy engine
/// handles every row by itself, so that short ones are a kernel's work.
DEVVIEW_CUDA_API bool copies_pitched(const CopyPlan& plan) noexcept;

/// The pitched copy of a plan for which copies_pitched(), with data pointers as the views' are.
void copy_pitched(const CopyPlan& plan, void* dst, const void* src, cudaMemcpyKind kind,
                  const Stream& stream);

}  // namespace devview::cuda
