// The rules of capture: who joins, who is refused, and what invalidates it.
#include "emulator/capture.hpp"

#include <algorithm>
#include <utility>

namespace devview::cuda::emulator {
namespace {

/// All of `more` into `set`, once.
void merge(std::vector<std::size_t>& set, const std::vector<std::size_t>& more) {
    for (const std::size_t node : more) {
        if (std::find(set.begin(), set.end(), node) == set.end()) set.push_back(node);
    }
}

void join(const std::shared_ptr<StreamState>& stream, const std::shared_ptr<Capture>& capture) {
    stream->capture = capture;
    stream->tail.clear();
    capture->joined.push_back(stream);
}

/// Every stream of it runs operations again.
void finish(Capture& capture) {
    for (const auto& stream : capture.joined) {
        if (stream->capture.get() != &capture) continue;
        stream->tail.clear();
        stream->capture.reset();  // the machine's list still holds it
    }
    capture.joined.clear();
    capture.origin.reset();
    auto& all = machine().captures;
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const auto& other) { return other.get() == &capture; }),
              all.end());
}

cudaError_t check_stream(const StreamState& stream) {
    if (stream.capture) {
        return stream.capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    }
    if (!shut_by_capture(stream)) return cudaSuccess;
    for (const auto& other : machine().device(stream.device)->streams) {
        if (other->blocking && other->capture) other->capture->invalid = true;
    }
    return cudaErrorStreamCaptureImplicit;
}

}  // namespace

cudaError_t refuse_unsafe_call() {
    const cudaStreamCaptureMode mine = this_thread().capture_mode;
    if (mine == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    cudaError_t error = cudaSuccess;
    for (const auto& capture : machine().captures) {
        const bool local = capture->thread == std::this_thread::get_id();
        const bool forbids = local ? capture->mode != cudaStreamCaptureModeRelaxed
                                   : capture->mode == cudaStreamCaptureModeGlobal &&
                                         mine == cudaStreamCaptureModeGlobal;
        if (forbids) error = refuse_captured(*capture);
    }
    return error;
}

bool shut_by_capture(const StreamState& stream) {
    if (!stream.legacy) return false;
    const auto& streams = machine().device(stream.device)->streams;
    return std::any_of(streams.begin(), streams.end(),
                       [](const auto& other) { return other->blocking && other->capture; });
}

cudaError_t usable_stream(cudaStream_t handle, std::shared_ptr<StreamState>& stream) {
    stream = find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t failed = machine().device(stream->device)->sticky) return failed;
    return check_stream(*stream);
}

cudaError_t idle_stream(cudaStream_t handle, std::shared_ptr<StreamState>& stream) {
    stream = find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = check_stream(*stream)) return error;
    return stream->capture ? refuse_captured(*stream->capture) : cudaSuccess;
}

cudaError_t refuse_captures_of(int device) {
    cudaError_t error = cudaSuccess;
    for (const auto& stream : machine().device(device)->streams) {
        if (stream->capture) error = refuse_captured(*stream->capture);
    }
    return error;
}

cudaError_t refuse_captured(Capture& capture, cudaError_t error) {
    capture.invalid = true;
    return error;
}

void add_node(StreamState& stream, Operation operation) {
    auto& nodes = stream.capture->graph->nodes;
    nodes.push_back({operation.kind, operation.name, std::move(operation.run), stream.tail});
    stream.tail = {nodes.size() - 1};
}

cudaError_t wait_in_capture(const std::shared_ptr<StreamState>& stream, const Record& record) {
    if (!record.capture) {
        return refuse_captured(*stream->capture, cudaErrorStreamCaptureIsolation);
    }
    Capture& capture = *record.capture;
    if (!capture.origin) {  // ended: its nodes are no part of anything that captures
        if (stream->capture) refuse_captured(*stream->capture);
        return cudaErrorCapturedEvent;
    }
    if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
    if (stream->legacy) return refuse_captured(capture, cudaErrorStreamCaptureImplicit);
    if (!stream->capture) join(stream, record.capture);
    if (stream->capture != record.capture) {
        refuse_captured(*stream->capture);
        return refuse_captured(capture, cudaErrorStreamCaptureMerge);
    }
    merge(stream->tail, record.nodes);
    return cudaSuccess;
}

cudaError_t begin_capture(const std::shared_ptr<StreamState>& stream, cudaStreamCaptureMode mode) {
    if (stream->legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture) return cudaErrorIllegalState;
    auto capture = std::make_shared<Capture>();
    capture->id = ++machine().serial;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->origin = stream;
    capture->graph = std::make_shared<GraphState>();
    join(stream, capture);
    machine().captures.push_back(std::move(capture));
    return cudaSuccess;
}

cudaError_t end_capture(const std::shared_ptr<StreamState>& stream,
                        std::shared_ptr<GraphState>& graph) {
    const auto capture = stream->capture;
    if (!capture) return cudaErrorIllegalState;
    if (capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != std::this_thread::get_id()) {
        return cudaErrorStreamCaptureWrongThread;
    }
    const std::vector<bool> ends_here = ancestors(*capture->graph, stream->tail);
    const bool all = std::find(ends_here.begin(), ends_here.end(), false) == ends_here.end();
    graph = std::move(capture->graph);  // the caller drops it without the lock, if it is not used
    capture->graph = std::make_shared<GraphState>();
    finish(*capture);
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    return all ? cudaSuccess : cudaErrorStreamCaptureUnjoined;
}

std::shared_ptr<GraphState> abandon_capture(const std::shared_ptr<StreamState>& stream) {
    const auto capture = stream->capture;
    if (!capture) return nullptr;
    capture->invalid = true;
    if (capture->origin != stream) return nullptr;
    auto graph = std::exchange(capture->graph, std::make_shared<GraphState>());
    finish(*capture);
    return graph;
}

}  // namespace devview::cuda::emulator
