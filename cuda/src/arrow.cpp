// Arrow C device data: sync_event made, waited for and destroyed.
#include "devview/cuda/arrow.hpp"

#include <memory>
#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/check.hpp"
#include "src/stream.hpp"

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
    Event event = Event::record(stream);
    if (event.done()) return nullptr;
    auto kept = std::make_shared<SyncEvent>(SyncEvent{std::move(event), nullptr});
    kept->handle = kept->event.handle();
    return std::shared_ptr<void>(kept, &kept->handle);
}

const char* name_of(cudaMemoryType type) noexcept {
    switch (type) {
        case cudaMemoryTypeHost:
            return "pinned host memory";
        case cudaMemoryTypeDevice:
            return "device memory";
        case cudaMemoryTypeManaged:
            return "managed memory";
        default:
            return "memory that CUDA does not know";
    }
}

cudaMemoryType type_of(Device device) noexcept {
    switch (device.type) {
        case DeviceType::cuda_host:
            return cudaMemoryTypeHost;
        case DeviceType::cuda_managed:
            return cudaMemoryTypeManaged;
        default:
            return cudaMemoryTypeDevice;
    }
}

/// The tag is the producer's word; the driver knows better.
void require_memory_of(Device device, const void* data) {
    cudaPointerAttributes attributes{};
    check(runtime().PointerGetAttributes(&attributes, data), "pointer attributes");
    const bool elsewhere = device.type == DeviceType::cuda && attributes.device != device.id;
    if (attributes.type == type_of(device) && !elsewhere) return;
    throw BufferError("arrow: buffers[1]: address " +
                      std::to_string(reinterpret_cast<std::uintptr_t>(data)) + " is " +
                      name_of(attributes.type) +
                      (elsewhere ? " of device " + std::to_string(attributes.device) : "") +
                      ", device_type and device_id say " + to_string(device));
}

void wait_for(void* sync_event, Device device, const Stream& stream) {
    if (sync_event == nullptr) return;
    const auto event = *static_cast<cudaEvent_t*>(sync_event);
    if (device.type != DeviceType::cuda) {
        check(runtime().EventSynchronize(event), "event synchronize");
        return;
    }
    const DeviceGuard guard(device.id);
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
    if (!is_cuda(device)) {
        if (!description.validity.empty() && !host_accessible(device)) {
            throw BufferError(
                "arrow: null_count is not told, and the host cannot read bitmaps on " +
                to_string(device));
        }
        require_no_nulls(description);
        return adopt_arrow(std::move(description), device, &array->array, {}, &Allocation::adopt,
                           release);
    }
    const bool on_device = device.type == DeviceType::cuda;
    if (on_device && !description.validity.empty()) {
        throw BufferError("arrow: null_count is not told, and the host cannot read bitmaps on " +
                          to_string(device));
    }
    if (on_device) require_device(device.id);
    if (description.layout.size() > 0 && (on_device || device_count() > 0)) {
        require_memory_of(device, description.data);
    }
    const Stream stream = on_device ? work_stream(device.id, asked) : asked;
    wait_for(array->sync_event, device, stream);
    require_no_nulls(description);
    return adopt_arrow(std::move(description), device, &array->array, stream, &adopt_device,
                       release);
}

void wait_before_release(const Stream& stream) noexcept {
    if (stream) quiesce(stream);
}

void release_arrow_device(ArrowArray* array, Stream stream) noexcept {
    wait_before_release(stream);
    array->release(array);
}

}  // namespace devview
