// Calls on streams and events.
#include "emulator/api.hpp"
#include "emulator/capture.hpp"
#include "emulator/memory.hpp"

namespace devview::cuda::emulator::api {
namespace {

std::shared_ptr<EventState> find_event(cudaEvent_t handle) {
    const auto found = machine().events.find(reinterpret_cast<std::uintptr_t>(handle));
    return found == machine().events.end() ? nullptr : found->second;
}

// All that a synchronisation with `stream` waits for: the legacy stream stands for every blocking
// one.
std::vector<Dependency> unfinished(const std::shared_ptr<StreamState>& stream) {
    std::vector<Dependency> result;
    if (!finished(*stream, stream->last)) result.push_back({stream, stream->last});
    if (!stream->legacy) return result;
    for (const auto& other : machine().device(stream->device)->streams) {
        if (other->blocking && other != stream && !finished(*other, other->last)) {
            result.push_back({other, other->last});
        }
    }
    return result;
}

/// What was recorded in a capture stands for nothing that runs, in any mode.
cudaError_t refuse_captured_event(const std::shared_ptr<Record>& record) {
    if (!record || !record->capture) return cudaSuccess;
    return refuse_captured(*record->capture, cudaErrorCapturedEvent);
}

cudaError_t settle(DeviceState& device) {
    trim_to_thresholds(device);
    return device.sticky;
}

}  // namespace

cudaError_t StreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
    if (!out || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    Machine& self = machine();
    const Lock lock(self.mutex);
    auto stream = make_stream(this_thread().device, flags != cudaStreamNonBlocking);
    if (self.options.recycle_streams && !self.freed_streams.empty()) {
        stream->handle = self.freed_streams.back();
        self.freed_streams.pop_back();
    } else {
        stream->handle = self.new_handle(kStreamHandle);
    }
    self.streams.emplace(stream->handle, stream);
    *out = reinterpret_cast<cudaStream_t>(stream->handle);
    return cudaSuccess;
}

cudaError_t StreamDestroy(cudaStream_t handle) {
    Machine& self = machine();
    std::shared_ptr<GraphState> dropped;  // before the lock: its memory needs it
    const Lock lock(self.mutex);
    const auto found = self.streams.find(reinterpret_cast<std::uintptr_t>(handle));
    if (found == self.streams.end()) return cudaErrorInvalidResourceHandle;
    dropped = abandon_capture(found->second);
    close_stream(found->second);
    self.freed_streams.push_back(found->first);
    self.streams.erase(found);
    return cudaSuccess;
}

cudaError_t StreamSynchronize(cudaStream_t handle) {
    Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = idle_stream(handle, stream)) return error;
    for (const auto& [other, ticket] : unfinished(stream))
        wait_finished(lock, other, ticket);
    return settle(*machine().device(stream->device));
}

cudaError_t StreamQuery(cudaStream_t handle) {
    const Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = idle_stream(handle, stream)) return error;
    const DeviceState& device = *machine().device(stream->device);
    if (device.sticky != cudaSuccess) return device.sticky;
    return unfinished(stream).empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t StreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned flags) {
    if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    const auto event = find_event(event_handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    if (stream->capture && !event->record) {
        return refuse_captured(*stream->capture, cudaErrorStreamCaptureIsolation);
    }
    if (stream->capture || (event->record && event->record->capture)) {
        return wait_in_capture(stream, *event->record);
    }
    // The wait is for the record of this moment; a later one changes nothing (cudaStreamWaitEvent).
    const auto record = event->record;
    if (!record || record->done || record->at.stream == stream) return cudaSuccess;
    Operation operation;
    operation.name = "cudaStreamWaitEvent";
    operation.waits.push_back(record->at);
    enqueue(stream, std::move(operation));
    return cudaSuccess;
}

cudaError_t LaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* context) {
    if (!function) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    Operation operation;
    operation.kind = OperationKind::host;
    operation.name = "cudaLaunchHostFunc";
    operation.run = [function, context] {
        function(context);
        return cudaSuccess;
    };
    enqueue(stream, std::move(operation));
    return cudaSuccess;
}

cudaError_t EventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
    constexpr unsigned known =
        cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (!out || (flags & ~known) != 0) return cudaErrorInvalidValue;
    if ((flags & cudaEventInterprocess) != 0) {
        return (flags & cudaEventDisableTiming) ? cudaErrorNotSupported : cudaErrorInvalidValue;
    }
    Machine& self = machine();
    const Lock lock(self.mutex);
    auto event = std::make_shared<EventState>();
    event->device = this_thread().device;
    event->flags = flags;
    const std::uintptr_t handle = self.new_handle(kEventHandle);
    self.events.emplace(handle, std::move(event));
    *out = reinterpret_cast<cudaEvent_t>(handle);
    return cudaSuccess;
}

cudaError_t EventDestroy(cudaEvent_t handle) {
    const Lock lock(machine().mutex);
    const bool known = machine().events.erase(reinterpret_cast<std::uintptr_t>(handle)) != 0;
    return known ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t EventRecord(cudaEvent_t event_handle, cudaStream_t handle) {
    const Lock lock(machine().mutex);
    const auto event = find_event(event_handle);
    std::shared_ptr<StreamState> stream = find_stream(handle);
    if (!stream || !event || event->device != stream->device) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    auto record = std::make_shared<Record>();
    if (stream->capture) {
        record->capture = stream->capture;
        record->nodes = stream->tail;
        event->record = std::move(record);
        return cudaSuccess;
    }
    Operation operation;
    operation.name = "cudaEventRecord";
    operation.run = [record] {
        const Lock inner(machine().mutex);
        record->done = true;
        record->time = std::chrono::steady_clock::now();
        return cudaSuccess;
    };
    record->at = {stream, enqueue(stream, std::move(operation))};
    event->record = std::move(record);
    return cudaSuccess;
}

cudaError_t EventQuery(cudaEvent_t handle) {
    const Lock lock(machine().mutex);
    const auto event = find_event(handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    const DeviceState& device = *machine().device(event->device);
    if (device.sticky != cudaSuccess) return device.sticky;
    const auto& record = event->record;
    if (const cudaError_t error = refuse_captured_event(record)) return error;
    if (!record || finished(*record->at.stream, record->at.ticket)) return cudaSuccess;
    return cudaErrorNotReady;
}

cudaError_t EventSynchronize(cudaEvent_t handle) {
    Lock lock(machine().mutex);
    const auto event = find_event(handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = refuse_captured_event(event->record)) return error;
    if (const auto record = event->record) {
        wait_finished(lock, record->at.stream, record->at.ticket);
    }
    return settle(*machine().device(event->device));
}

cudaError_t EventElapsedTime(float* milliseconds, cudaEvent_t start_handle,
                             cudaEvent_t end_handle) {
    if (!milliseconds) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    const auto start = find_event(start_handle);
    const auto end = find_event(end_handle);
    if (!start || !end || !start->record || !end->record || start->device != end->device ||
        ((start->flags | end->flags) & cudaEventDisableTiming) != 0) {
        return cudaErrorInvalidResourceHandle;
    }
    for (const auto& record : {start->record, end->record}) {
        if (const cudaError_t error = refuse_captured_event(record)) return error;
        if (!finished(*record->at.stream, record->at.ticket)) return cudaErrorNotReady;
    }
    *milliseconds =
        std::chrono::duration<float, std::milli>(end->record->time - start->record->time).count();
    return cudaSuccess;
}

}  // namespace devview::cuda::emulator::api
