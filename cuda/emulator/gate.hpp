// What happens before and after every call: log, faults, failed devices, the last error.
#pragma once

#include <exception>

#include "emulator/calls.hpp"

namespace devview::cuda::emulator {

/// Success: the call may be carried out.
cudaError_t enter(Call call);
/// Keeps the last error; releases of a failed device's objects are done, but return its error.
cudaError_t leave(Call call, cudaError_t status);

/// This thread is inside a call of the table: what it does there is the runtime's, not ours.
class DEVVIEW_CUDA_API Inside {
public:
    Inside() noexcept { ++depth_; }
    ~Inside() { --depth_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    static bool here() noexcept { return depth_ != 0; }

private:
    static thread_local int depth_;
};

/// A call of the table that a function carries out; no exception passes.
template <class Function>
cudaError_t gated(Call call, const Function& function) noexcept {
    const Inside inside;
    try {
        if (const cudaError_t refused = enter(call)) return leave(call, refused);
        return leave(call, function());
    } catch (const std::exception&) {
        return cudaErrorMemoryAllocation;  // Host memory or threads are exhausted.
    }
}

}  // namespace devview::cuda::emulator
