// Stream capture: operations of capturing streams become nodes of a graph, and what would break the
// capture is refused as CUDA does (Programming Guide, "Creating a Graph Using Stream Capture").
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "emulator/graph.hpp"
#include "emulator/machine.hpp"

namespace devview::cuda::emulator {

/// From cudaStreamBeginCapture to cudaStreamEndCapture. Guarded by the machine's mutex.
struct Capture {
    std::uint64_t id = 0;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    std::thread::id thread{};               ///< that began it
    std::shared_ptr<StreamState> origin{};  ///< null: ended
    bool invalid = false;                   ///< can only be ended
    std::shared_ptr<GraphState> graph{};
    std::vector<std::shared_ptr<StreamState>> joined{};  ///< the streams in it, origin first
};

/// A "potentially unsafe" call (cudaThreadExchangeStreamCaptureMode): success, or the error if this
/// thread's mode forbids it; the captures that forbid it are then invalid.
cudaError_t refuse_unsafe_call();

/// The stream of a handle, if something may be enqueued to it: its device has not failed, its
/// capture is not invalid, and it is not the legacy stream while a blocking one captures, which
/// invalidates that one's capture.
cudaError_t usable_stream(cudaStream_t handle, std::shared_ptr<StreamState>& stream);

/// A stream may be asked or waited for: as above, and it does not capture.
cudaError_t idle_stream(cudaStream_t handle, std::shared_ptr<StreamState>& stream);

/// Success if no stream of a device captures; else their captures are invalid.
cudaError_t refuse_captures_of(int device);

/// True while a blocking stream of the legacy stream's device captures.
bool shut_by_capture(const StreamState& stream);

/// The error of an operation that a capturing stream does not take: its capture is invalid.
cudaError_t refuse_captured(Capture& capture,
                            cudaError_t error = cudaErrorStreamCaptureUnsupported);

/// The next operation of a capturing stream.
void add_node(StreamState& stream, Operation operation);

/// `stream` comes after a point of a capture, which it joins if it captures nothing yet.
cudaError_t wait_in_capture(const std::shared_ptr<StreamState>& stream, const Record& record);

cudaError_t begin_capture(const std::shared_ptr<StreamState>& stream, cudaStreamCaptureMode mode);

/// Ends the capture that began on `stream`: a graph, or none and the error.
cudaError_t end_capture(const std::shared_ptr<StreamState>& stream,
                        std::shared_ptr<GraphState>& graph);

/// A stream goes away in the middle of a capture. @return what is to be dropped without the lock.
std::shared_ptr<GraphState> abandon_capture(const std::shared_ptr<StreamState>& stream);

}  // namespace devview::cuda::emulator
