// Recording the uses of a piece of work, also when it broke off half way.
#include "src/stream/work.hpp"

#include "src/runtime/check.hpp"
#include "src/runtime/failed_device.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/postponed.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

Work::Work(const Stream& stream)
    : stream_((run_postponed(), stream)), guard_(device_of_stream(stream)) {
    require_working(device_of(stream));
    require_open(stream);
}

int Work::device_of_stream(const Stream& stream) noexcept { return device_of(stream); }

void Work::uses(Allocation& allocation) {
    StreamUses* const uses = allocation.uses();
    if (!uses || uses == used_[0] || uses == used_[1]) return;
    uses->order(stream_);
    used_[count_++] = uses;
}

void Work::record_or_synchronize(StreamUses& uses) {
    try {
        uses.record(stream_);
    } catch (const std::exception&) {
        synchronize(stream_);  // what is done needs no record
    }
}

void Work::done() {
    while (count_ > 0) {
        record_or_synchronize(*used_[count_ - 1]);
        --count_;
    }
}

Work::~Work() {
    if (count_ > 0) release_step([this] { done(); });
}

}  // namespace devview::cuda
