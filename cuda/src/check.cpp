// Turning the status of a runtime call into a DeviceError, and keeping the last-error slot clean.
#include "src/check.hpp"

#include <pthread.h>

#include <atomic>
#include <string>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"

namespace devview::cuda {

namespace {

std::atomic<bool> unloading{false};
std::atomic<bool> failed_device_told{false};

/// CUDA does not survive a fork: what the child lets go of belongs to its parent's process. A
/// parent that had not used CUDA yet leaves the child free to.
const int watches_forks = pthread_atfork(nullptr, nullptr, [] {
    if (runtime_chosen()) unloading.store(true, std::memory_order_relaxed);
});

/// Errors of a failed device come back from every call and cannot be cleared.
bool is_sticky(const std::exception& error) noexcept {
    const auto* const failure = dynamic_cast<const DeviceError*>(&error);
    return failure && static_cast<int>(runtime().PeekAtLastError()) == failure->code();
}

}  // namespace

bool driver_gone() noexcept { return unloading.load(std::memory_order_relaxed); }

void clear_error(cudaError_t status) noexcept {
    if (status == cudaSuccess || driver_gone()) return;
    if (status == cudaErrorCudartUnloading) {
        unloading.store(true, std::memory_order_relaxed);
        return;
    }
    // Some calls report without filling the slot: then what lies there is somebody else's.
    if (runtime().PeekAtLastError() == status) (void)runtime().GetLastError();
}

bool retries_release(const std::exception& error, int attempt) noexcept {
    if (driver_gone()) return false;
    const bool sticky = is_sticky(error);
    if (attempt == 0 && !sticky) return true;
    if (!sticky || !failed_device_told.exchange(true)) report_release_error(error.what());
    return false;
}

void check(cudaError_t status, const char* call) {
    if (status == cudaSuccess) return;
    clear_error(status);
    const std::string name = runtime().GetErrorName(status);
    throw DeviceError(std::string(call) + ": " + name + " (" +
                          std::to_string(static_cast<int>(status)) +
                          "): " + runtime().GetErrorString(status),
                      static_cast<int>(status), name);
}

bool check_ready(cudaError_t status, const char* call) {
    if (status == cudaErrorNotReady) {
        clear_error(status);
        return false;
    }
    check(status, call);
    return true;
}

}  // namespace devview::cuda
