// Streams that capture: asking for it, refusing what cannot be captured before anything is
// enqueued, and calls that must not disturb somebody's capture.
//
// CUDA invalidates a capture at the first call that it forbids, so none is ever tried.
#pragma once

#include <cstdint>

#include "devview/cuda/runtime.hpp"
#include "devview/stream.hpp"

namespace devview::cuda {

/// What happens to work that is enqueued to a stream now.
struct CaptureState {
    std::uint64_t id = 0;  ///< of the capture that takes it; 0: it runs
    bool shut = false;     ///< the legacy stream, while a blocking stream of its device captures
    bool runs() const noexcept { return id == 0 && !shut; }
};

/// One call (cudaStreamIsCapturing) for a stream that does not capture. @throws DeviceError.
CaptureState capture_state(const Stream& stream);

/// The same for releases: a stream that cannot be asked counts as one whose work runs.
bool work_runs(const Stream& stream) noexcept;
bool legacy_runs(int device) noexcept;

/// @throws DeviceError  cudaErrorStreamCaptureUnsupported, or cudaErrorStreamCaptureImplicit for a
/// legacy stream that is shut. `function` begins the message, `why` ends it.
void require_no_capture(const char* function, const Stream& stream, const char* why);

/// The id of the capture. @throws DeviceError  the legacy stream is shut.
std::uint64_t capture_of_open(const Stream& stream);

/// @throws DeviceError  the legacy stream is shut; other streams are not asked. Its device is
/// current.
void require_open(const Stream& stream);

/// A DeviceError with CUDA's code and name, in one manner.
[[noreturn]] void throw_capture_error(cudaError_t code, const char* function, const char* why);

/// For calls that act at once and that nobody's graph needs (pinned memory, pools, questions about
/// events that no capture recorded): for its life, they disturb no capture, of any thread.
class RelaxedCapture {
public:
    RelaxedCapture() noexcept;
    ~RelaxedCapture();
    RelaxedCapture(const RelaxedCapture&) = delete;
    RelaxedCapture& operator=(const RelaxedCapture&) = delete;

private:
    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
    bool exchanged_;
};

}  // namespace devview::cuda
