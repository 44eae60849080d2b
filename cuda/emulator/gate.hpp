// What happens before and after every call: log, faults, failed devices, the last error.
#pragma once

#include <exception>

#include "emulator/calls.hpp"

namespace devview::cuda::emulator {

/// Success: the call may be carried out.
cudaError_t enter(Call call);
/// Keeps the last error; releases of a failed device's objects are done, but return its error.
cudaError_t leave(Call call, cudaError_t status);

/// A call of the table that a function carries out; no exception passes.
template <class Function>
cudaError_t gated(Call call, const Function& function) noexcept {
    try {
        if (const cudaError_t refused = enter(call)) return leave(call, refused);
        return leave(call, function());
    } catch (const std::exception&) {
        return cudaErrorMemoryAllocation;  // Host memory or threads are exhausted.
    }
}

}  // namespace devview::cuda::emulator
