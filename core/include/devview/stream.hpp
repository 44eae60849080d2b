// A handle on a queue of device work. Core only carries it; cuda/ creates, orders and destroys.
#pragma once

#include <cstdint>
#include <memory>

#include "devview/device.hpp"

namespace devview {

/// A stream of a device, or none (the default: "no preference").
///
/// A *held* stream is destroyed with its last copy. A *raw* handle is somebody else's: it may be
/// destroyed or recycled at any time after the call that named it, so nothing may touch it later.
/// Copying is cheap and thread-safe. CUDA's special handles are 1 (legacy) and 2 (per thread).
class Stream {
public:
    Stream() noexcept = default;

    /// Somebody else's handle on `device`.
    static Stream raw(Device device, void* handle) {
        return Stream(std::make_shared<State>(State{device, handle, nullptr}));
    }

    /// Takes over `handle`; `destroy(handle, device)` runs when the last copy goes, on any thread;
    /// at once if there is no memory for the first.
    static Stream adopt(Device device, void* handle, void (*destroy)(void*, Device) noexcept) {
        return Stream(std::make_shared<State>(State{device, handle, destroy}));
    }

    explicit operator bool() const noexcept { return state_ != nullptr; }
    Device device() const noexcept { return state_ ? state_->device : Device{}; }
    void* handle() const noexcept { return state_ ? state_->handle : nullptr; }
    /// True if a copy of this object keeps the stream alive; the special handles count as held.
    bool held() const noexcept {
        return state_ && (state_->destroy != nullptr ||
                          reinterpret_cast<std::uintptr_t>(state_->handle) <= 2);
    }

    friend bool operator==(const Stream& a, const Stream& b) noexcept {
        return a.state_ == b.state_ ||
               (a.state_ && b.state_ && a.handle() == b.handle() && a.device() == b.device());
    }
    friend bool operator!=(const Stream& a, const Stream& b) noexcept { return !(a == b); }

private:
    struct State {
        Device device;
        void* handle;
        void (*destroy)(void*, Device) noexcept;

        State(Device d, void* h, void (*f)(void*, Device) noexcept)
            : device(d), handle(h), destroy(f) {}
        State(State&& other) noexcept
            : device(other.device), handle(other.handle), destroy(other.destroy) {
            other.destroy = nullptr;
        }
        State& operator=(State&&) = delete;
        ~State() {
            if (destroy) destroy(handle, device);
        }
    };
    explicit Stream(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

    std::shared_ptr<State> state_;
};

}  // namespace devview
