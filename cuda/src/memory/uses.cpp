// The uses of one block: which streams worked on it, and how others wait for them.
#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "devview/cuda/shared_stream.hpp"
#include "devview/cuda/stream.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/postponed.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

/// Host waits instead, where recording or waiting for an event failed; reports if that fails too.
/// Neither stream is capturing.
void order_or_synchronize(const Stream& from, const Stream& to) noexcept {
    try {
        if (!same_queue(from, to)) Event::record_known(from, 0).order_known(to);
    } catch (const std::exception&) {
        release_step([&] { synchronize(from); });
    }
}

void order_or_wait(const Event& event, const Stream& to) noexcept {
    try {
        event.order_known(to);
    } catch (const std::exception&) {
        release_step([&] { event.wait(); });
    }
}

/// A stream that outlives its use; the count tells whether it was used again since a look at it.
struct HeldUse {
    Stream stream;
    std::uint64_t count;
};

/// A handle that means nothing after the call that named it: only its event may be touched. An
/// event of a capture orders within that capture alone; it stands for nothing that runs.
struct RawUse {
    Device device;
    void* handle;
    Event last;

    bool names(const Stream& stream) const noexcept {
        return handle == stream.handle() && device == stream.device();
    }
};

/// Moves the items that match to `to`, which has room for them.
template <class Item, class Match>
void move_if(std::vector<Item>& from, std::vector<Item>& to, Match match) {
    const auto kept = std::stable_partition(from.begin(), from.end(),
                                            [&](const Item& item) { return !match(item); });
    to.insert(to.end(), std::make_move_iterator(kept), std::make_move_iterator(from.end()));
    from.erase(kept, from.end());
}

struct Snapshot {
    std::vector<HeldUse> held;
    std::vector<RawUse> raw;
};

class BlockUses final : public StreamUses {
public:
    BlockUses(const Stream& home, bool lasts);
    void record(const Stream& stream) override;
    void order(const Stream& stream) override;
    void wait() override;
    Stream join() noexcept override;
    bool postpone(std::unique_ptr<StreamUses>& self, Release release,
                  void* context) noexcept override;

private:
    /// The legacy stream of home's device for none.
    Stream named(const Stream& stream) const { return stream ? stream : legacy_stream(device_); }
    bool is_home(const Stream& stream) const noexcept { return home_ && same_queue(home_, stream); }
    Snapshot snapshot();
    bool used_elsewhere(const Snapshot& uses, const Stream& stream) const noexcept;
    bool can_release() const noexcept;
    void record_held(const Stream& stream);
    void record_raw(const Stream& stream);
    void forget(const Snapshot& done);
    /// A block may be used on any number of streams in its life: the idle ones are let go.
    void forget_done();

    static constexpr std::size_t kMany = 8;

    int device_;
    Stream home_{};     ///< lasts, or none: host memory, or a raw home, whose work is in raw_
    Stream release_{};  ///< where the block is given back
    std::mutex mutex_{};
    std::vector<HeldUse> held_{};
    std::vector<RawUse> raw_{};
};

BlockUses::BlockUses(const Stream& home, bool lasts) : device_(device_of(home)) {
    if (!home) return;
    if (lasts) {
        home_ = release_ = home;
    } else {
        release_ = legacy_stream(device_);
        record_raw(home);
    }
}

void BlockUses::record(const Stream& asked) {
    const Stream stream = named(asked);
    if (is_home(stream)) return;
    if (durable(stream)) {
        record_held(stream);
    } else {
        record_raw(stream);
    }
}

void BlockUses::record_held(const Stream& stream) {
    {
        const std::lock_guard lock(mutex_);
        for (HeldUse& use : held_) {
            if (!same_queue(use.stream, stream)) continue;
            ++use.count;
            return;
        }
        held_.push_back({stream, 1});
        if (held_.size() % kMany != 0) return;
    }
    forget_done();
}

void BlockUses::forget_done() {
    Snapshot done = snapshot();
    done.raw.clear();
    done.held.erase(std::remove_if(done.held.begin(), done.held.end(),
                                   [](const HeldUse& use) {
                                       return !work_runs(use.stream) || !query(use.stream);
                                   }),
                    done.held.end());
    forget(done);
}

void BlockUses::record_raw(const Stream& stream) {
    const std::uint64_t capture = capture_of_open(stream);
    std::vector<Event> before;
    {
        const std::lock_guard lock(mutex_);
        raw_.reserve(raw_.size() + 1);
        for (const RawUse& use : raw_) {
            if (use.names(stream) && use.last.capture() == capture) before.push_back(use.last);
        }
    }
    // The handle may be recycled: the new event stands for the old one only if its stream waits.
    for (const Event& event : before)
        event.order_known(stream);
    Event last = Event::record_known(stream, capture);
    const std::lock_guard lock(mutex_);
    const auto replaced = [&](const RawUse& use) {
        return use.names(stream) &&
               std::any_of(before.begin(), before.end(),
                           [&](const Event& event) { return event.handle() == use.last.handle(); });
    };
    raw_.erase(std::remove_if(raw_.begin(), raw_.end(), replaced), raw_.end());
    raw_.push_back({stream.device(), stream.handle(), std::move(last)});
}

Snapshot BlockUses::snapshot() {
    const std::lock_guard lock(mutex_);
    return {held_, raw_};
}

bool BlockUses::used_elsewhere(const Snapshot& uses, const Stream& stream) const noexcept {
    return (home_ && !same_queue(home_, stream)) || !uses.raw.empty() ||
           std::any_of(uses.held.begin(), uses.held.end(),
                       [&](const HeldUse& use) { return !same_queue(use.stream, stream); });
}

void BlockUses::order(const Stream& asked) {
    const Stream stream = named(asked);
    const Snapshot uses = snapshot();
    if (!used_elsewhere(uses, stream)) return;
    const std::uint64_t capture = capture_of_open(stream);
    if (home_) link_known(home_, stream, capture);
    for (const HeldUse& use : uses.held)
        link_known(use.stream, stream, capture);
    for (const RawUse& use : uses.raw) {
        if (use.last.capture() == capture) {
            use.last.order_known(stream);
        } else if (use.last.capture() == 0) {
            use.last.wait();
        }
    }
}

void BlockUses::wait() {
    const Snapshot uses = snapshot();
    const auto wait_for = [](const Stream& stream) {
        require_no_capture("wait", stream,
                           "the memory is in use there, and that work does not run");
        Event::record_known(stream, 0).wait();
    };
    if (home_) wait_for(home_);
    for (const HeldUse& use : uses.held)
        wait_for(use.stream);
    for (const RawUse& use : uses.raw) {
        if (use.last.capture() == 0) use.last.wait();
    }
    forget(uses);
}

/// What is done needs no second wait, and its streams need not be kept alive.
void BlockUses::forget(const Snapshot& done) {
    Snapshot gone;  // destroyed after the unlock: a stream's last copy calls the driver
    gone.held.reserve(done.held.size());
    gone.raw.reserve(done.raw.size());
    const std::lock_guard lock(mutex_);
    const auto is_held_done = [&](const HeldUse& use) {
        return std::any_of(done.held.begin(), done.held.end(), [&](const HeldUse& seen) {
            return same_queue(seen.stream, use.stream) && seen.count == use.count;
        });
    };
    const auto is_raw_done = [&](const RawUse& use) {
        return std::any_of(done.raw.begin(), done.raw.end(), [&](const RawUse& seen) {
            return seen.last.handle() == use.last.handle();
        });
    };
    move_if(held_, gone.held, is_held_done);
    move_if(raw_, gone.raw, is_raw_done);
}

/// The free and the events before it are enqueued to streams that run what they get. Raw handles
/// are not asked, since they may be gone: their events are enough.
bool BlockUses::can_release() const noexcept {
    // join() takes the legacy stream for memory of the host that was used on raw handles alone.
    if (!release_ && held_.empty() && !raw_.empty()) {
        return legacy_runs(raw_.front().device.id);
    }
    return (!release_ || work_runs(release_)) &&
           std::all_of(held_.begin(), held_.end(),
                       [](const HeldUse& use) { return work_runs(use.stream); });
}

bool BlockUses::postpone(std::unique_ptr<StreamUses>& self, Release release,
                         void* context) noexcept {
    if (driver_gone()) return false;
    run_postponed();
    if (can_release()) return false;
    return cuda::postpone(self, release, context);
}

Stream BlockUses::join() noexcept {
    const Releasing releasing;
    if (driver_gone()) return release_;
    Stream at = release_;
    if (!at && !held_.empty()) at = held_.front().stream;
    if (!at && !raw_.empty()) {
        release_step([&] { at = legacy_stream(raw_.front().device.id); });
    }
    for (const HeldUse& use : held_) {
        if (!same_queue(use.stream, at)) order_or_synchronize(use.stream, at);
    }
    for (const RawUse& use : raw_) {
        if (use.last.capture() == 0) order_or_wait(use.last, at);
    }
    return at;
}

}  // namespace

std::unique_ptr<StreamUses> make_uses(const Stream& home) {
    return std::make_unique<BlockUses>(home, durable(home));
}

std::unique_ptr<StreamUses> make_uses_on_theirs(const Stream& home) {
    return std::make_unique<BlockUses>(home, handle_of(home) != cudaStreamPerThread);
}

}  // namespace devview::cuda
