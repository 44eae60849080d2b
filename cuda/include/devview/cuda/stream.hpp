// Streams and events of our own, the device guard, and turning a status into a DeviceError.
#pragma once

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

DEVVIEW_CUDA_API void synchronize(const Stream& stream);
DEVVIEW_CUDA_API bool query(const Stream& stream);

/// A point in a stream. Taken from a pool of events, given back with the last copy.
class DEVVIEW_CUDA_API Event {
public:
    Event() noexcept = default;
    /// Records on `stream` now. `timing` events can be asked for elapsed().
    static Event record(const Stream& stream, bool timing = false);
    explicit operator bool() const noexcept { return state_ != nullptr; }
    /// True once everything before it is done; an empty event is done. @throws DeviceError.
    bool done() const;
    /// The host waits.
    void wait() const;
    /// `stream` waits, the host does not.
    void order(const Stream& stream) const;
    /// Milliseconds from this event to `later`; both timing events. @throws DeviceError.
    float elapsed(const Event& later) const;
    int device() const noexcept;
    cudaEvent_t handle() const noexcept;

private:
    struct State;
    explicit Event(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

/// The uses of one block: see Allocation's rule 4. `home` is the stream it was made on.
DEVVIEW_CUDA_API std::unique_ptr<StreamUses> make_uses(const Stream& home);

}  // namespace devview::cuda
