// One piece of work on a stream: it waits for earlier uses of its blocks and becomes one of theirs.
#pragma once

#include <array>

#include "devview/allocation.hpp"
#include "devview/cuda/stream.hpp"

namespace devview::cuda {

/// Makes the stream's device current, and holds on to the blocks of up to two views. Nothing begins
/// on a device that has failed for good.
///
/// done() records the uses. Without it (an exception) the destructor does, so that what was already
/// enqueued is waited for by whoever frees the blocks.
class Work {
public:
    /// @throws DeviceError  the device has failed; the legacy stream is shut by somebody's capture.
    explicit Work(const Stream& stream);
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    /// The stream waits for everything that was done to the block so far.
    void uses(Allocation& allocation);
    void done();
    const Stream& stream() const noexcept { return stream_; }

private:
    static int device_of_stream(const Stream& stream) noexcept;
    void record_or_synchronize(StreamUses& uses);

    Stream stream_;
    DeviceGuard guard_;
    std::array<StreamUses*, 2> used_{};
    std::size_t count_ = 0;
};

}  // namespace devview::cuda
