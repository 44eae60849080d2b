// Questions about captures, and the errors that tell of one.
#include "src/stream/capture.hpp"

#include <limits>
#include <string>

#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

/// Of a capture that was invalidated, which has none: it is nobody else's.
constexpr std::uint64_t kNoId = std::numeric_limits<std::uint64_t>::max();

std::uint64_t capture_id(cudaStream_t stream) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    unsigned long long id = 0;
#if CUDART_VERSION >= 13000
    check(runtime().StreamGetCaptureInfo(stream, &status, &id, nullptr, nullptr, nullptr, nullptr),
          "stream capture info");
#else
    check(runtime().StreamGetCaptureInfo(stream, &status, &id, nullptr, nullptr, nullptr),
          "stream capture info");
#endif
    return status == cudaStreamCaptureStatusActive ? id : kNoId;
}

/// The stream's device is current, or the handle is none of the default ones.
CaptureState ask(cudaStream_t stream) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t asked = runtime().StreamIsCapturing(stream, &status);
    if (asked == cudaErrorStreamCaptureImplicit) {
        clear_error(asked);
        return {0, true};
    }
    check(asked, "stream is capturing");
    if (status == cudaStreamCaptureStatusNone) return {};
    return {capture_id(stream), false};
}

std::uint64_t id_of_open(const CaptureState& state) {
    if (state.shut) {
        throw_capture_error(cudaErrorStreamCaptureImplicit, "stream",
                            "the legacy stream waits for a blocking stream that is capturing");
    }
    return state.id;
}

}  // namespace

CaptureState capture_state(const Stream& stream) {
    // The default streams' handles mean those of the current device.
    if (handle_of(stream) != cudaStreamLegacy && handle_of(stream) != cudaStreamPerThread) {
        return ask(handle_of(stream));
    }
    const DeviceGuard guard(device_of(stream));
    return ask(handle_of(stream));
}

bool work_runs(const Stream& stream) noexcept {
    const Releasing releasing;  // what is swallowed here has not been told to anybody
    try {
        return capture_state(stream).runs();
    } catch (const std::exception&) {
        return true;
    }
}

bool legacy_runs(int device) noexcept {
    try {
        return work_runs(legacy_stream(device));
    } catch (const std::exception&) {
        return true;
    }
}

void throw_capture_error(cudaError_t code, const char* function, const char* why) {
    const std::string name = runtime().GetErrorName(code);
    throw DeviceError(std::string(function) + ": " + name + " (" +
                          std::to_string(static_cast<int>(code)) + "): " + why,
                      static_cast<int>(code), name);
}

std::uint64_t capture_of_open(const Stream& stream) { return id_of_open(capture_state(stream)); }

void require_no_capture(const char* function, const Stream& stream, const char* why) {
    const CaptureState state = capture_state(stream);
    if (state.shut) {
        throw_capture_error(cudaErrorStreamCaptureImplicit, function,
                            "the legacy stream waits for a blocking stream that is capturing");
    }
    if (state.id == 0) return;
    const std::string told = std::string("the stream is capturing; ") + why;
    throw_capture_error(cudaErrorStreamCaptureUnsupported, function, told.c_str());
}

void require_open(const Stream& stream) {
    if (handle_of(stream) == cudaStreamLegacy) (void)id_of_open(ask(cudaStreamLegacy));
}

RelaxedCapture::RelaxedCapture() noexcept : exchanged_(false) {
    if (driver_gone()) return;
    const cudaError_t status = runtime().ThreadExchangeStreamCaptureMode(&mode_);
    exchanged_ = status == cudaSuccess;
    clear_error(status);
}

RelaxedCapture::~RelaxedCapture() {
    if (exchanged_ && !driver_gone())
        clear_error(runtime().ThreadExchangeStreamCaptureMode(&mode_));
}

}  // namespace devview::cuda
