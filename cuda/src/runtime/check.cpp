// Turning the status of a runtime call into a DeviceError, and keeping the last-error slot clean.
#include "src/runtime/check.hpp"

#include <pthread.h>

#include <atomic>
#include <string>
#include <utility>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/advice.hpp"
#include "src/runtime/failed_device.hpp"

namespace devview::cuda {

namespace {

std::atomic<bool> unloading{false};
std::atomic<bool> forked{false};

/// CUDA does not survive a fork: what the child lets go of belongs to its parent's process. A
/// parent that had not used CUDA yet leaves the child free to.
const int watches_forks = pthread_atfork(nullptr, nullptr, [] {
    if (runtime_chosen()) forked.store(true, std::memory_order_relaxed);
});

}  // namespace

thread_local int Releasing::depth_ = 0;

bool driver_gone() noexcept {
    return unloading.load(std::memory_order_relaxed) || in_forked_child();
}

bool in_forked_child() noexcept { return forked.load(std::memory_order_relaxed); }

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
    const auto* const failure = dynamic_cast<const DeviceError*>(&error);
    const bool sticky = failure && failure->sticky();
    if (attempt == 0 && !sticky) return true;
    if (!sticky || tells_of_failure()) report_release_error(error.what());
    return false;
}

void check(cudaError_t status, const char* call) {
    if (status == cudaSuccess) return;
    clear_error(status);
    const std::string name = runtime().GetErrorName(status);
    std::string text = std::string(call) + ": " + name + " (" +
                       std::to_string(static_cast<int>(status)) +
                       "): " + runtime().GetErrorString(status);
    if (const std::string help = advice(status); !help.empty()) text += "; " + help;
    std::string seen = first_seen(status, call);
    if (!seen.empty()) {
        text += "; the device has failed for good, its error was first seen at: " + seen;
    }
    throw DeviceError(text, static_cast<int>(status), name, std::move(seen));
}

bool check_ready(cudaError_t status, const char* call) {
    if (status == cudaErrorNotReady) {
        clear_error(status);
        return false;
    }
    check(status, call);
    return true;
}

cudaPointerAttributes pointer_attributes(const void* address) {
    cudaPointerAttributes told{};
    const cudaError_t status = runtime().PointerGetAttributes(&told, address);
    if (status == cudaErrorInvalidValue) {  // CUDA before 11, for memory it does not know
        clear_error(status);
        return {};
    }
    check(status, "pointer attributes");
    return told;
}

}  // namespace devview::cuda
