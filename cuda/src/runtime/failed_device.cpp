// The memory of failed devices, by device.
#include "src/runtime/failed_device.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/check.hpp"

namespace devview::cuda {

namespace {

/// Codes after which CUDA's documentation gives the process up.
constexpr cudaError_t kGivenUp[] = {
    cudaErrorECCUncorrectable,    cudaErrorNvlinkUncorrectable, cudaErrorContained,
    cudaErrorIllegalAddress,      cudaErrorLaunchTimeout,       cudaErrorAssert,
    cudaErrorHardwareStackError,  cudaErrorIllegalInstruction,  cudaErrorMisalignedAddress,
    cudaErrorInvalidAddressSpace, cudaErrorInvalidPc,           cudaErrorLaunchFailure,
    cudaErrorTensorMemoryLeak,    cudaErrorMpsClientTerminated, cudaErrorExternalDevice,
};

/// Codes that come back from every call as well, but say that there is no device to fail.
constexpr cudaError_t kNoDevice[] = {
    cudaErrorInitializationError, cudaErrorCudartUnloading,
    cudaErrorInsufficientDriver,  cudaErrorNoDevice,
    cudaErrorStubLibrary,         cudaErrorNotSupported,
};

template <std::size_t n>
bool contains(const cudaError_t (&list)[n], cudaError_t status) noexcept {
    return std::find(list, list + n, status) != list + n;
}

/// Asks the current device something that changes nothing.
cudaError_t ask_device() noexcept {
    std::size_t available = 0, total = 0;
    const cudaError_t status = runtime().MemGetInfo(&available, &total);
    clear_error(status);
    return status;
}

bool has_failed(cudaError_t status) noexcept {
    if (contains(kNoDevice, status)) return false;
    if (!contains(kGivenUp, status) && runtime().PeekAtLastError() != status) return false;
    return ask_device() == status;
}

class Failures {
public:
    /// Where the device's failure was first seen: here, unless it is known already.
    std::string remember(int device, cudaError_t status, const char* call) {
        const std::lock_guard lock(mutex_);
        Failure& failure = failures_[device];
        if (failure.status != status) {
            failure = {status, std::string(call) + " on cuda:" + std::to_string(device)};
        }
        any_.store(true);
        if (!Releasing::now()) told_.store(true);  // by what check() throws
        return failure.seen;
    }
    void forget(int device) {
        const std::lock_guard lock(mutex_);
        failures_.erase(device);
        any_.store(!failures_.empty());
        if (failures_.empty()) told_.store(false);
    }
    void forget_all() {
        const std::lock_guard lock(mutex_);
        failures_.clear();
        any_.store(false);
        told_.store(false);
    }
    bool knows(int device) {
        if (!any_.load(std::memory_order_relaxed)) return false;
        const std::lock_guard lock(mutex_);
        return failures_.count(device) != 0;
    }
    bool tells() noexcept { return !told_.exchange(true); }

private:
    struct Failure {
        cudaError_t status = cudaSuccess;
        std::string seen{};
    };
    std::mutex mutex_{};
    std::map<int, Failure> failures_{};
    std::atomic<bool> any_{false};
    std::atomic<bool> told_{false};
};

/// Leaked on purpose: releases after static destructors look here.
Failures& failures() {
    static Failures* const all = [] {
        auto* const made = new Failures;
        at_restart([] { failures().forget_all(); });
        return made;
    }();
    return *all;
}

}  // namespace

std::string first_seen(cudaError_t status, const char* call) {
    if (driver_gone() || !has_failed(status)) return {};
    int device = 0;
    clear_error(runtime().GetDevice(&device));
    return failures().remember(device, status, call);
}

void require_working(int device) {
    if (!failures().knows(device)) return;
    const DeviceGuard guard(device);
    const cudaError_t status = ask_device();
    if (status == cudaSuccess) {
        failures().forget(device);  // somebody has reset it
    } else {
        check(status, "device");
    }
}

bool tells_of_failure() noexcept { return failures().tells(); }

}  // namespace devview::cuda
