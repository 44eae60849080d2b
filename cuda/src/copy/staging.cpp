// Staging: the snapshot of a device view in host memory, and its way back.
#include "devview/staging.hpp"

#include <array>
#include <numeric>
#include <utility>

#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "src/copy/chunked_copy.hpp"
#include "src/copy/packing.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"
#include "src/stream/write_claims.hpp"

namespace devview {

using namespace cuda;

namespace {

/// The order of axes in which the copy runs through its memory.
Layout turned(const Layout& layout, Order order) {
    if (order == Order::C) return layout;
    std::array<int, kMaxNdim> axes{};
    std::iota(axes.rbegin() + (kMaxNdim - layout.ndim()), axes.rend(), 0);
    return layout.transpose(axes.data());
}

/// Counts as an export of the block, and not as one of its views.
class Held {
public:
    explicit Held(std::shared_ptr<Allocation> block) : block_(std::move(block)) {
        block_->add_export();
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { block_->drop_export(); }
    Allocation& block() const noexcept { return *block_; }

private:
    std::shared_ptr<Allocation> block_;
};

// An empty copy has an address all the same: consumers of buffers expect one.
alignas(kHostAlignment) unsigned char nowhere[kHostAlignment];

}  // namespace

struct Staging::State {
    std::unique_ptr<Held> held{};
    WriteClaim claim{};
    std::int64_t itemsize = 0;
    std::int64_t nbytes = 0;
    bool writable = false;
    bool copied = false;     ///< false: the view's own memory
    void* source = nullptr;  ///< where a copy came from and goes back to
    Layout source_turned{};  ///< with its axes in the copy's order
    Layout copy_turned{};    ///< C-contiguous
    Layout layout{};         ///< of the view's shape
    Stream stream{};         ///< of the snapshot
    Stream back_stream{};    ///< of the write-back: one that outlives this call
    PinnedBlock pinned{};
    std::shared_ptr<Allocation> pageable{};
    void* data = nullptr;
    Event event{};  ///< the snapshot is complete; empty: it is

    void borrow(const View& view);
    void plan_copy_of(const View& view, Order order, const Stream& asked);
    void take_snapshot();
    void write_back();
    void enqueue_back();
};

void Staging::State::borrow(const View& view) {
    wait_for_host(held->block());
    layout = view.layout();
    data = view.data();
}

void Staging::State::plan_copy_of(const View& view, Order order, const Stream& asked) {
    const int id = view.device().id;
    if (view.device().type != DeviceType::cuda) {
        throw NameError("stage: " + to_string(view.device()) +
                        ": not a device that devview stages");
    }
    if (view.suboffsets()) throw LayoutError("stage: suboffsets on " + to_string(view.device()));
    copied = true;
    source = view.data();
    source_turned = turned(view.layout(), order);
    copy_turned = Layout::contiguous(view.ndim(), source_turned.shape(), itemsize);
    layout = Layout::contiguous(view.ndim(), view.shape(), itemsize, order);
    stream = work_stream(id, asked, view.stream());
    back_stream = durable(stream) ? stream : work_stream(id, {}, view.stream());
    data = nowhere;
}

void Staging::State::take_snapshot() {
    if (nbytes == 0) return;
    const DeviceGuard guard(device_of(stream));
    pinned = PinnedBlock::take(static_cast<std::size_t>(nbytes));
    if (!pinned) pageable = allocate_host(static_cast<std::size_t>(nbytes));
    data = pinned ? pinned.data() : pageable->data();
    Work work(stream);
    work.uses(held->block());
    if (!pinned) {
        chunked_to_host({data, copy_turned}, {source, source_turned}, itemsize, stream);
        return work.done();
    }
    try {
        Packing(source, source_turned, itemsize, nbytes, stream).to_host(data, 0, nbytes);
        event = Event::record(stream);
        pinned.busy_until(event);
        work.done();
    } catch (...) {
        quiesce(stream);
        throw;
    }
}

void Staging::State::write_back() {
    if (!copied || !writable || nbytes == 0) return;
    require_no_capture("stage", back_stream, "the way back is a copy from memory that is given up");
    const DeviceGuard guard(device_of(back_stream));
    try {
        enqueue_back();
    } catch (...) {
        quiesce(back_stream);
        throw;
    }
}

void Staging::State::enqueue_back() {
    Work work(back_stream);
    work.uses(held->block());  // the snapshot is one, if it was taken on another stream
    if (pageable) {
        chunked_to_device({source, source_turned}, {data, copy_turned}, itemsize, back_stream);
        return work.done();
    }
    Packing(source, source_turned, itemsize, nbytes, back_stream).from_host(data, 0, nbytes);
    pinned.busy_until(Event::record(back_stream));
    work.done();
}

Staging::Staging(const View& source, bool writable, Order order, const Stream& stream)
    : state_(std::make_unique<State>()) {
    if (source.released()) throw ReleasedError("stage: a released view");
    if (writable && source.readonly()) {
        throw BufferError("stage: writable staging of a read-only view");
    }
    if (source.format().is_packed()) {
        throw BufferError("stage: packed items of less than a byte; cast('B') has their bytes");
    }
    State& state = *state_;
    state.itemsize = source.itemsize();
    state.nbytes = source.nbytes();
    state.writable = writable;
    state.held = std::make_unique<Held>(source.allocation());
    if (host_accessible(source.device())) {
        state.borrow(source);
        return;
    }
    state.plan_copy_of(source, order, stream);
    if (state.nbytes > 0) {
        require_no_capture("stage", state.stream, "a snapshot for the host would not be taken");
    }
    if (writable) state.claim = WriteClaim(source);
    state.take_snapshot();
}

Staging::~Staging() {
    try {
        finish();
    } catch (const std::exception& error) {
        if (!driver_gone()) report_release_error(error.what());
    }
}

void Staging::finish() {
    const std::unique_ptr<State> last = std::move(state_);
    if (last) last->write_back();
}

void Staging::discard() noexcept { state_.reset(); }

void* Staging::data() const noexcept { return state_ ? state_->data : nullptr; }

const Layout& Staging::layout() const noexcept {
    static const Layout none;
    return state_ ? state_->layout : none;
}

std::size_t Staging::nbytes() const noexcept {
    return state_ ? static_cast<std::size_t>(state_->nbytes) : 0;
}

bool Staging::pinned() const noexcept { return state_ && !state_->pageable; }

bool Staging::writable() const noexcept { return state_ && state_->writable; }

bool Staging::ready() const { return !state_ || state_->event.done(); }

void Staging::wait() {
    if (!state_ || !state_->event) return;
    state_->event.wait();
    state_->event = Event{};
    state_->pinned.busy_until(Event{});
}

}  // namespace devview
