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

/// A step of a release failed: true if it is worth trying again, else it is reported. A device that
/// has failed for good is told of once; it no longer touches the memory.
bool retries_release(const std::exception& error, int attempt) noexcept;

/// Runs one step of a release. It is tried twice, since nobody can try it later; never throws.
template <class Step>
void release_step(Step&& step) noexcept {
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
