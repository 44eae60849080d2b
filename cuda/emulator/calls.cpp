// Counting calls and injected faults.
#include "emulator/calls.hpp"

#include <algorithm>

#include "devview/error.hpp"

namespace devview::cuda::emulator {
namespace {

constexpr const char* kNames[] = {
#define DEVVIEW_CUDA_NAME(name, parameters) "cuda" #name,
    DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_NAME)
#undef DEVVIEW_CUDA_NAME
        "cudaLaunchKernel",
    "kernel",
    "copy",
    "memset",
};

Call find_call(const char* function, const std::string& name) {
    const auto found = std::find(std::begin(kNames), std::end(kNames), name);
    if (found == std::end(kNames)) {
        throw NameError(std::string(function) + ": no such call: \"" + name + "\"");
    }
    return static_cast<Call>(found - std::begin(kNames));
}

}  // namespace

const char* call_name(Call call) noexcept { return kNames[static_cast<std::size_t>(call)]; }

cudaError_t CallLog::note(Call call) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++counts_[static_cast<std::size_t>(call)];
    if (call <= Call::LaunchKernel) {
        if (log_.size() == kKept) log_.erase(log_.begin(), log_.begin() + kKept / 2);
        log_.push_back(call);
    }
    cudaError_t due = cudaSuccess;
    const auto [first, last] = faults_.equal_range(call);
    for (auto fault = first; fault != last;) {
        if (--fault->second.left > 0) {
            ++fault;
            continue;
        }
        due = fault->second.error;
        fault = faults_.erase(fault);
    }
    return due;
}

std::vector<std::string> CallLog::names() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::string> result;
    result.reserve(log_.size());
    for (const Call call : log_)
        result.emplace_back(call_name(call));
    return result;
}

std::size_t CallLog::count(const std::string& name) const {
    const Call call = find_call("count", name);
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_[static_cast<std::size_t>(call)];
}

void CallLog::clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    log_.clear();
    std::fill(std::begin(counts_), std::end(counts_), std::size_t{0});
}

void CallLog::fail(const std::string& name, int nth, int error) {
    const Call call = find_call("fail", name);
    if (nth < 1) throw LayoutError("fail: nth: " + std::to_string(nth) + ", at least 1");
    if (error == 0) throw LayoutError("fail: error: 0, which is success");
    const std::lock_guard<std::mutex> lock(mutex_);
    faults_.emplace(call, Fault{nth, static_cast<cudaError_t>(error)});
}

void CallLog::clear_faults() {
    const std::lock_guard<std::mutex> lock(mutex_);
    faults_.clear();
}

}  // namespace devview::cuda::emulator
