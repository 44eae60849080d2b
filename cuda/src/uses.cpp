// The uses of one block: which streams worked on it, and how others wait for them.
#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "devview/cuda/shared_stream.hpp"
#include "devview/cuda/stream.hpp"
#include "src/check.hpp"
#include "src/stream.hpp"

namespace devview::cuda {

namespace {

/// Host waits instead, where recording or waiting for an event failed; reports if that fails too.
void order_or_synchronize(const Stream& from, const Stream& to) noexcept {
    try {
        link(from, to);
    } catch (const std::exception&) {
        release_step([&] { synchronize(from); });
    }
}

void order_or_wait(const Event& event, const Stream& to) noexcept {
    try {
        event.order(to);
    } catch (const std::exception&) {
        release_step([&] { event.wait(); });
    }
}

/// A stream that outlives its use; the count tells whether it was used again since a look at it.
struct HeldUse {
    Stream stream;
    std::uint64_t count;
};

/// A handle that means nothing after the call that named it: only its event may be touched.
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

private:
    /// The legacy stream of home's device for none.
    Stream named(const Stream& stream) const { return stream ? stream : legacy_stream(device_); }
    bool is_home(const Stream& stream) const noexcept { return home_ && same_queue(home_, stream); }
    Snapshot snapshot();
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
                                   [](const HeldUse& use) { return !query(use.stream); }),
                    done.held.end());
    forget(done);
}

void BlockUses::record_raw(const Stream& stream) {
    std::vector<Event> before;
    {
        const std::lock_guard lock(mutex_);
        raw_.reserve(raw_.size() + 1);
        for (const RawUse& use : raw_) {
            if (use.names(stream)) before.push_back(use.last);
        }
    }
    // The handle may be recycled: the new event stands for the old one only if its stream waits.
    for (const Event& event : before)
        event.order(stream);
    Event last = Event::record(stream);
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

void BlockUses::order(const Stream& asked) {
    const Stream stream = named(asked);
    const Snapshot uses = snapshot();
    if (home_) link(home_, stream);
    for (const HeldUse& use : uses.held)
        link(use.stream, stream);
    for (const RawUse& use : uses.raw)
        use.last.order(stream);
}

void BlockUses::wait() {
    const Snapshot uses = snapshot();
    if (home_) Event::record(home_).wait();
    for (const HeldUse& use : uses.held)
        Event::record(use.stream).wait();
    for (const RawUse& use : uses.raw)
        use.last.wait();
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

// A stream that is capturing will be told apart here: its free is queued until the capture ends.
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
    for (const RawUse& use : raw_)
        order_or_wait(use.last, at);
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
