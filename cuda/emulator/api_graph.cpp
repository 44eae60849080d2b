// Calls on stream capture and on graphs.
#include <utility>

#include "emulator/api.hpp"
#include "emulator/capture.hpp"

namespace devview::cuda::emulator::api {
namespace {

/// Neither call disturbs the capture that it asks about (cudaStreamIsCapturing).
cudaError_t find_capture(cudaStream_t handle, std::shared_ptr<Capture>& capture,
                         cudaStreamCaptureStatus& status) {
    const auto stream = find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (shut_by_capture(*stream)) return cudaErrorStreamCaptureImplicit;
    capture = stream->capture;
    status = !capture           ? cudaStreamCaptureStatusNone
             : capture->invalid ? cudaStreamCaptureStatusInvalidated
                                : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t capture_info(cudaStream_t handle, cudaStreamCaptureStatus* status,
                         unsigned long long* id) {
    if (!status) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    std::shared_ptr<Capture> capture;
    const cudaError_t error = find_capture(handle, capture, *status);
    if (error == cudaSuccess && capture && id) *id = capture->id;
    return error;
}

template <class State>
std::shared_ptr<State> take(std::map<std::uintptr_t, std::shared_ptr<State>>& all,
                            const void* handle) {
    const auto found = all.find(address_of(handle));
    if (found == all.end()) return nullptr;
    auto state = std::move(found->second);
    all.erase(found);
    return state;
}

}  // namespace

cudaError_t StreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
    return capture_info(handle, status, nullptr);
}

#if CUDART_VERSION >= 13000
cudaError_t StreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                 unsigned long long* id, cudaGraph_t* graph,
                                 const cudaGraphNode_t** nodes, const cudaGraphEdgeData** edges,
                                 std::size_t* count) {
    if (graph || nodes || edges || count) return cudaErrorNotSupported;
    return capture_info(handle, status, id);
}
#else
cudaError_t StreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                 unsigned long long* id, cudaGraph_t* graph,
                                 const cudaGraphNode_t** nodes, std::size_t* count) {
    if (graph || nodes || count) return cudaErrorNotSupported;
    return capture_info(handle, status, id);
}
#endif

cudaError_t StreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    const int number = static_cast<int>(mode);
    if (number < cudaStreamCaptureModeGlobal || number > cudaStreamCaptureModeRelaxed) {
        return cudaErrorInvalidValue;
    }
    const Lock lock(machine().mutex);
    const auto stream = find_stream(handle);
    return stream ? begin_capture(stream, mode) : cudaErrorInvalidResourceHandle;
}

cudaError_t StreamEndCapture(cudaStream_t handle, cudaGraph_t* out) {
    if (!out) return cudaErrorInvalidValue;
    std::shared_ptr<GraphState> graph;  // before the lock: its memory needs it
    const Lock lock(machine().mutex);
    *out = nullptr;
    const auto stream = find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = end_capture(stream, graph)) return error;
    const std::uintptr_t number = machine().new_handle(kGraphHandle);
    machine().graphs.emplace(number, std::move(graph));
    *out = reinterpret_cast<cudaGraph_t>(number);
    return cudaSuccess;
}

cudaError_t ThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    if (!mode) return cudaErrorInvalidValue;
    const int number = static_cast<int>(*mode);
    if (number < cudaStreamCaptureModeGlobal || number > cudaStreamCaptureModeRelaxed) {
        return cudaErrorInvalidValue;
    }
    std::swap(*mode, this_thread().capture_mode);
    return cudaSuccess;
}

cudaError_t GraphInstantiate(cudaGraphExec_t* out, cudaGraph_t handle, unsigned long long flags) {
    if (!out || flags != 0) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    const auto found = machine().graphs.find(address_of(handle));
    if (found == machine().graphs.end()) return cudaErrorInvalidValue;
    auto exec = std::make_shared<GraphExec>();
    exec->graph = *found->second;
    const std::uintptr_t number = machine().new_handle(kGraphHandle);
    machine().graph_execs.emplace(number, std::move(exec));
    *out = reinterpret_cast<cudaGraphExec_t>(number);
    return cudaSuccess;
}

cudaError_t GraphLaunch(cudaGraphExec_t handle, cudaStream_t on) {
    const Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(on, stream)) return error;
    const auto found = machine().graph_execs.find(address_of(handle));
    if (found == machine().graph_execs.end()) return cudaErrorInvalidValue;
    // CUDA makes it a child graph; nobody here needs one.
    if (stream->capture) return refuse_captured(*stream->capture, cudaErrorNotSupported);
    launch(found->second, stream);
    return cudaSuccess;
}

cudaError_t GraphExecDestroy(cudaGraphExec_t handle) {
    std::shared_ptr<GraphExec> exec;
    const Lock lock(machine().mutex);
    exec = take(machine().graph_execs, handle);
    return exec ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t GraphDestroy(cudaGraph_t handle) {
    std::shared_ptr<GraphState> graph;
    const Lock lock(machine().mutex);
    graph = take(machine().graphs, handle);
    return graph ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace devview::cuda::emulator::api
