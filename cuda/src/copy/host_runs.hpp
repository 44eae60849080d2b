// Ranges of a strided host view's bytes in C order, to and from dense memory.
#pragma once

#include <cstdint>

#include "devview/copy_plan.hpp"
#include "devview/export.hpp"

namespace devview::cuda {

/// Any range of bytes, inside of items too. `plan` is plan_to_dense() of the strided side.
DEVVIEW_CUDA_API void gather_run(const CopyPlan& plan, void* dense, const void* strided,
                                 std::int64_t offset, std::int64_t nbytes);
DEVVIEW_CUDA_API void scatter_run(const CopyPlan& plan, void* strided, const void* dense,
                                  std::int64_t offset, std::int64_t nbytes);

}  // namespace devview::cuda
