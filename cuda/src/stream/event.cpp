// Events, and the pool that they come from and go back to.
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/event_pool.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

void destroy_event(cudaEvent_t handle, int device) noexcept {
    release_step([&] {
        const DeviceGuard guard(device);
        check(runtime().EventDestroy(handle), "event destroy");
    });
}

/// Idle events by device and kind. Re-recording one does not disturb those who wait on its past.
class EventPool {
public:
    cudaEvent_t take(int device, bool timing) {
        {
            const std::lock_guard lock(mutex_);
            for (auto idle = idle_.rbegin(); idle != idle_.rend(); ++idle) {
                if (idle->device != device || idle->timing != timing) continue;
                const cudaEvent_t handle = idle->handle;
                idle_.erase(std::next(idle).base());
                return handle;
            }
        }
        cudaEvent_t handle = nullptr;
        check(runtime().EventCreateWithFlags(
                  &handle, timing ? cudaEventDefault : unsigned{cudaEventDisableTiming}),
              "event create");
        return handle;
    }

    void give(cudaEvent_t handle, int device, bool timing) noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (idle_.size() < kMaxIdle) {
                idle_.push_back({handle, device, timing});  // room is reserved: cannot throw
                return;
            }
        }
        destroy_event(handle, device);
    }

    void drop() noexcept {
        while (true) {
            Idle last{};
            {
                const std::lock_guard lock(mutex_);
                if (idle_.empty()) return;
                last = idle_.back();
                idle_.pop_back();
            }
            destroy_event(last.handle, last.device);
        }
    }

    EventPool() { idle_.reserve(kMaxIdle); }

private:
    struct Idle {
        cudaEvent_t handle;
        int device;
        bool timing;
    };
    static constexpr std::size_t kMaxIdle = 256;

    std::mutex mutex_;
    std::vector<Idle> idle_;
};

/// Leaked on purpose: events may go after static destructors, and no driver call may.
EventPool& event_pool() {
    static EventPool* const pool = [] {
        auto* made = new EventPool;
        at_restart(drop_idle_events);
        return made;
    }();
    return *pool;
}

}  // namespace

void drop_idle_events() { event_pool().drop(); }

struct Event::State {
    cudaEvent_t handle = nullptr;
    int device = 0;
    bool timing = false;
    std::uint64_t capture = 0;

    /// Asking for it would invalidate the capture.
    void require_run(const char* function) const {
        if (capture == 0) return;
        throw_capture_error(cudaErrorCapturedEvent, function,
                            "the event was recorded on a stream that was capturing");
    }

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        if (handle) event_pool().give(handle, device, timing);
    }
};

Event Event::record(const Stream& stream, bool timing) {
    return record_known(stream, capture_of_open(stream), timing);
}

Event Event::record_known(const Stream& stream, std::uint64_t capture, bool timing) {
    const DeviceGuard guard(device_of(stream));
    auto state = std::make_shared<State>();
    state->device = device_of(stream);
    state->timing = timing;
    state->capture = capture;
    state->handle = event_pool().take(state->device, timing);
    check(runtime().EventRecord(state->handle, handle_of(stream)), "event record");
    return Event(std::move(state));
}

bool Event::done() const {
    if (!state_) return true;
    state_->require_run("event query");
    const DeviceGuard guard(state_->device);
    const RelaxedCapture undisturbing;
    return check_ready(runtime().EventQuery(state_->handle), "event query");
}

void Event::wait() const {
    if (!state_) return;
    state_->require_run("event synchronize");
    const DeviceGuard guard(state_->device);
    const RelaxedCapture undisturbing;
    check(runtime().EventSynchronize(state_->handle), "event synchronize");
}

void Event::order(const Stream& stream) const {
    if (!state_) return;
    const std::uint64_t capture = capture_of_open(stream);
    if (capture != 0 && state_->capture != capture) {
        const bool other = state_->capture != 0;
        throw_capture_error(
            other ? cudaErrorStreamCaptureMerge : cudaErrorStreamCaptureIsolation,
            "stream wait event",
            other ? "the stream is in another capture than the event was recorded in"
                  : "the stream is capturing, and the event was recorded outside of the capture");
    }
    order_known(stream);
}

void Event::order_known(const Stream& stream) const {
    if (!state_) return;
    const DeviceGuard guard(device_of(stream));
    check(runtime().StreamWaitEvent(handle_of(stream), state_->handle, cudaEventWaitDefault),
          "stream wait event");
}

float Event::elapsed(const Event& later) const {
    if (!state_ || !later.state_ || !state_->timing || !later.state_->timing) {
        throw DeviceError("elapsed: both events must be recorded with timing",
                          static_cast<int>(cudaErrorInvalidResourceHandle),
                          runtime().GetErrorName(cudaErrorInvalidResourceHandle));
    }
    state_->require_run("elapsed");
    later.state_->require_run("elapsed");
    const DeviceGuard guard(state_->device);
    const RelaxedCapture undisturbing;
    float milliseconds = 0;
    const cudaError_t status =
        runtime().EventElapsedTime(&milliseconds, state_->handle, later.state_->handle);
    check(status, "event elapsed time");
    return milliseconds;
}

int Event::device() const noexcept { return state_ ? state_->device : -1; }

std::uint64_t Event::capture() const noexcept { return state_ ? state_->capture : 0; }

cudaEvent_t Event::handle() const noexcept { return state_ ? state_->handle : nullptr; }

}  // namespace devview::cuda
