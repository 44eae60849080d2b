// The log of calls and the faults that are armed; has a lock of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "devview/cuda/runtime.hpp"

namespace devview::cuda::emulator {

/// Every call of the table, kernel launches, and the operations that can be made to fail.
enum class Call : std::uint8_t {
#define DEVVIEW_CUDA_ENUMERATOR(name, parameters) name,
    DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_ENUMERATOR)
#undef DEVVIEW_CUDA_ENUMERATOR
        LaunchKernel,
    kernel_operation,
    copy_operation,
    memset_operation,
    count,
};

/// "cudaMalloc", ..., "cudaLaunchKernel", "kernel", "copy", "memset".
const char* call_name(Call call) noexcept;

class CallLog {
public:
    /// Logs a call (operations are not logged). @return the error of a fault that is due, or
    /// success.
    cudaError_t note(Call call);

    std::vector<std::string> names() const;
    std::size_t count(const std::string& name) const;
    void clear();
    /// @throws NameError  no such call; LayoutError  nth < 1 or error is 0.
    void fail(const std::string& name, int nth, int error);
    void clear_faults();

private:
    struct Fault {
        int left;
        cudaError_t error;
    };
    static constexpr std::size_t kKept = std::size_t{1} << 24;
    static constexpr std::size_t kCalls = static_cast<std::size_t>(Call::count);

    mutable std::mutex mutex_{};
    std::vector<Call> log_{};  ///< the latest, at most kKept
    std::size_t counts_[kCalls] = {};
    std::multimap<Call, Fault> faults_{};
};

}  // namespace devview::cuda::emulator
