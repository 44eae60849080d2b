// Releases that wait for a capture to end: a free cannot be enqueued to a stream that captures, and
// the earlier work of such a stream cannot be waited for.
#pragma once

#include <memory>

#include "devview/allocation.hpp"

namespace devview::cuda {

/// Keeps a release until run_postponed() finds that it can be made. False: not kept, for want of
/// memory.
bool postpone(std::unique_ptr<StreamUses>& uses, Release release, void* context) noexcept;

/// Makes the kept releases whose captures have ended, in this thread, without a lock. Called before
/// memory is made, given back or worked on, by trim() and synchronize(), and when the emulator is
/// started anew; never once the driver is gone. Costs a look at a counter where nothing is kept.
void run_postponed() noexcept;

}  // namespace devview::cuda
