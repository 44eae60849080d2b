// Choosing the stream that others use a view on.
#include "devview/cuda/shared_stream.hpp"

#include "devview/cuda/pointer.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

Stream shared_stream(const View& view) {
    const Stream& made_on = view.allocation()->stream();
    if (view.device().type == DeviceType::cuda) {
        return work_stream(view.device().id, {}, view.own_stream(), made_on);
    }
    // Every device may use the memory: what we hold is good, else the caller's legacy stream.
    for (const Stream* candidate : {&view.own_stream(), &made_on}) {
        if (durable(*candidate)) return *candidate;
    }
    return legacy_stream(current_device());
}

Stream join_shared_stream(const View& view) {
    Stream stream = shared_stream(view);
    if (StreamUses* const uses = view.allocation()->uses()) {
        uses->order(stream);
        uses->record(stream);
    }
    return stream;
}

}  // namespace devview::cuda
