// Arrow C device data: sync_event made, waited for and destroyed.
#include "devview/cuda/arrow.hpp"

#include <memory>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview {

using namespace cuda;

namespace {

/// Keeps an event, and the handle that sync_event points to.
struct SyncEvent {
    Event event;
    cudaEvent_t handle;
};

/// The point after all uses of the view's block; nothing if they are done.
std::shared_ptr<void> pending(const View& view) {
    StreamUses* const uses = view.allocation()->uses();
    const bool on_device = view.device().type == DeviceType::cuda;
    if (uses == nullptr || view.size() == 0 || (!on_device && device_count() == 0)) return nullptr;
    const int id = on_device ? view.device().id : device_of(view.stream());
    // A stream that the view is used on anyway: what it waits for here, its next work would.
    const Stream stream = work_stream(id, {}, view.own_stream(), view.allocation()->stream());
    uses->order(stream);
    if (query(stream)) return nullptr;
    Event event = Event::record(stream);
    auto kept = std::make_shared<SyncEvent>(SyncEvent{std::move(event), nullptr});
    kept->handle = kept->event.handle();
    return std::shared_ptr<void>(kept, &kept->handle);
}

void wait_for(void* sync_event, Device device, const Stream& stream) {
    if (sync_event == nullptr) return;
    const auto event = *static_cast<cudaEvent_t*>(sync_event);
    if (device.type != DeviceType::cuda) {
        const RelaxedCapture undisturbing;
        check(runtime().EventSynchronize(event), "event synchronize");
        return;
    }
    const DeviceGuard guard(device.id);
    require_no_capture("arrow", stream, "sync_event was recorded outside of the capture");
    check(runtime().StreamWaitEvent(handle_of(stream), event, cudaEventWaitDefault),
          "stream wait event");
}

}  // namespace

void export_arrow_device(const View& view, ArrowDeviceArray* array) {
    ArrowSchema schema{};
    to_arrow_schema(view, &schema);  // refused before anything is recorded
    schema.release(&schema);
    to_arrow_device(view, array, pending(view));
}

View import_arrow_device(ArrowDescription&& description, Device device, ArrowDeviceArray* array,
                         const Stream& asked, ReleaseArrow release) {
    if (!description.validity.empty() && !host_accessible(device)) {
        throw BufferError("arrow: null_count is not told, and the host cannot read bitmaps on " +
                          to_string(device));
    }
    require_memory_on(
        device, description.data,
        static_cast<std::size_t>(description.layout.nbytes(description.format.itemsize())));
    const Stream stream = device.type == DeviceType::cuda ? work_stream(device.id, asked) : asked;
    wait_for(array->sync_event, device, stream);
    require_no_nulls(description);
    return adopt_arrow(std::move(description), device, &array->array, stream, &adopt_waiting,
                       release);
}

}  // namespace devview
