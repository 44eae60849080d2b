// Reading the status of runtime calls where check() does not fit: slots, retries, releases.
#pragma once

#include <exception>

#include "devview/allocation.hpp"
#include "devview/cuda/runtime.hpp"

namespace devview::cuda {

/// After a call of ours failed with `status`: takes that error out of the last-error slot, and
/// leaves another's there. Remembers that the driver is gone if the status says so.
void clear_error(cudaError_t status) noexcept;

/// True once a call returned cudaErrorCudartUnloading, and in the child of a fork after the runtime
/// was used: releases then abandon what they hold.
bool driver_gone() noexcept;
/// The second of the two.
bool in_forked_child() noexcept;

/// cudaErrorNotReady is an answer, not a failure. True: done; throws DeviceError for real failures.
bool check_ready(cudaError_t status, const char* call);

/// What the runtime knows of an address: of type cudaMemoryTypeUnregistered where it knows nothing,
/// which is an error before CUDA 11. @throws DeviceError.
cudaPointerAttributes pointer_attributes(const void* address);

/// The thread gives something back: nobody catches what it throws meanwhile.
class Releasing {
public:
    Releasing() noexcept { ++depth_; }
    ~Releasing() { --depth_; }
    Releasing(const Releasing&) = delete;
    Releasing& operator=(const Releasing&) = delete;
    static bool now() noexcept { return depth_ > 0; }

private:
    static thread_local int depth_;
};

/// A step of a release failed: true if it is worth trying again, else it is reported. That a device
/// has failed for good is told once, by an exception or by a report; it no longer touches memory.
bool retries_release(const std::exception& error, int attempt) noexcept;

/// Runs one step of a release. It is tried twice, since nobody can try it later; never throws.
template <class Step>
void release_step(Step&& step) noexcept {
    const Releasing releasing;
    for (int attempt = 0; !driver_gone(); ++attempt) {
        try {
            step();
            return;
        } catch (const std::exception& error) {
            if (!retries_release(error, attempt)) return;
        }
    }
}

}  // namespace devview::cuda
