// Streams and events of our own, the device guard, and turning a status into a DeviceError.
//
// Captures (cudaStreamBeginCapture). Copies, fills and conversions on a capturing stream become
// part of its graph; what is not possible there raises DeviceError
// (cudaErrorStreamCaptureUnsupported) before anything is enqueued, and the capture stays valid.
// Uses from before the capture are waited for by the host, so that they are done before any replay;
// uses within it are ordered by edges of the graph. Replays are not seen: whoever launches a graph
// keeps the views alive that it works on, and orders it with other work on them, as with every
// library. While a blocking stream of a device captures, its legacy stream cannot be used:
// DeviceError (cudaErrorStreamCaptureImplicit); what was enqueued there before is done before a
// replay on a blocking stream, and waited for by nobody else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devview/allocation.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/device.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"

namespace devview::cuda {

/// Throws DeviceError ("memcpy: cudaErrorInvalidValue (1): invalid argument") unless `status` is
/// success; the runtime's last-error slot is left clean.
DEVVIEW_CUDA_API void check(cudaError_t status, const char* call);

/// Number of usable CUDA devices; 0 without a driver. Never throws.
DEVVIEW_CUDA_API int device_count() noexcept;

/// The runtime of this process as it tells of itself; versions as CUDA's (13000 is 13.0, 0 none).
struct RuntimeInfo {
    bool emulated = false;
    int driver_version = 0;
    int runtime_version = 0;
    std::vector<std::string> devices{};  ///< names
};
DEVVIEW_CUDA_API RuntimeInfo runtime_info();

/// @throws DeviceError  no such device (cudaErrorInvalidDevice), or none may be used: there is no
/// driver, it is too old, the process was forked or is exiting. Its message says what to do.
DEVVIEW_CUDA_API void require_device(int id);

/// Makes `id` the thread's current device and restores the caller's, also when something throws.
/// Calls nothing if it is current already (but the query).
class DEVVIEW_CUDA_API DeviceGuard {
public:
    explicit DeviceGuard(int id);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

private:
    int previous_;
};

/// A new non-blocking stream, destroyed with its last copy.
DEVVIEW_CUDA_API Stream make_stream(int device);

/// The legacy default stream of a device (handle 1, cudaStreamLegacy).
DEVVIEW_CUDA_API Stream legacy_stream(int device);

/// The handle to give to the runtime: none means legacy; 0 means legacy as well.
DEVVIEW_CUDA_API cudaStream_t handle_of(const Stream& stream) noexcept;

/// The host waits, or asks whether it would have to. @throws DeviceError  the stream is capturing.
DEVVIEW_CUDA_API void synchronize(const Stream& stream);
DEVVIEW_CUDA_API bool query(const Stream& stream);

/// Later work on `to` comes after the work on `from` so far, where one of them may be capturing: if
/// `to` is, the host waits for `from`, unless both are in one capture. Neither joins a capture by
/// this. @throws DeviceError  `from` alone is capturing, or they are in two captures.
DEVVIEW_CUDA_API void order_after(const Stream& from, const Stream& to);

/// A point in a stream. Taken from a pool of events, given back with the last copy.
class DEVVIEW_CUDA_API Event {
public:
    Event() noexcept = default;
    /// Records on `stream` now. `timing` events can be asked for elapsed().
    static Event record(const Stream& stream, bool timing = false);
    explicit operator bool() const noexcept { return state_ != nullptr; }
    /// True once everything before it is done; an empty event is done. @throws DeviceError, also
    /// for an event of a capture (cudaErrorCapturedEvent), before which nothing runs.
    bool done() const;
    /// The host waits. @throws DeviceError  as done().
    void wait() const;
    /// `stream` waits, the host does not. An event of a capture makes `stream` join that capture.
    /// @throws DeviceError  `stream` is capturing, and the event is not of the same capture.
    void order(const Stream& stream) const;
    /// Milliseconds from this event to `later`; both timing events. @throws DeviceError.
    float elapsed(const Event& later) const;
    int device() const noexcept;
    cudaEvent_t handle() const noexcept;

    /// For callers that have asked the stream already: record() and order() without the question.
    /// `capture`: the id of the stream's capture, 0 for none.
    static Event record_known(const Stream& stream, std::uint64_t capture, bool timing = false);
    void order_known(const Stream& stream) const;
    /// The capture that it was recorded in; 0: none.
    std::uint64_t capture() const noexcept;

private:
    struct State;
    explicit Event(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

/// The uses of one block: see Allocation's rule 4. `home` is the stream it was made on.
DEVVIEW_CUDA_API std::unique_ptr<StreamUses> make_uses(const Stream& home);

}  // namespace devview::cuda
