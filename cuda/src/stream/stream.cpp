// Streams: making and destroying our own, and the handles that the runtime gets.
#include "src/stream/stream.hpp"

#include <string>
#include <utility>

#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/runtime/failed_device.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/postponed.hpp"

namespace devview::cuda {

namespace {

void destroy_stream(void* handle, Device device) noexcept {
    release_step([&] {
        const DeviceGuard guard(device.id);
        check(runtime().StreamDestroy(static_cast<cudaStream_t>(handle)), "stream destroy");
    });
}

}  // namespace

Stream make_stream(int device) {
    require_device(device);
    const DeviceGuard guard(device);
    require_working(device);
    const Device on{DeviceType::cuda, device};
    cudaStream_t handle = nullptr;
    check(runtime().StreamCreateWithFlags(&handle, cudaStreamNonBlocking), "stream create");
    return Stream::adopt(on, handle, destroy_stream);
}

Stream legacy_stream(int device) {
    return Stream::raw(Device{DeviceType::cuda, device}, cudaStreamLegacy);
}

cudaStream_t handle_of(const Stream& stream) noexcept {
    return stream.handle() ? static_cast<cudaStream_t>(stream.handle()) : cudaStreamLegacy;
}

bool durable(const Stream& stream) noexcept {
    return stream.held() && handle_of(stream) != cudaStreamPerThread;
}

int device_of(const Stream& stream) noexcept { return stream ? stream.device().id : 0; }

bool same_queue(const Stream& a, const Stream& b) noexcept {
    return handle_of(a) == handle_of(b) && device_of(a) == device_of(b);
}

void link(const Stream& from, const Stream& to) {
    if (!same_queue(from, to)) link_known(from, to, capture_of_open(to));
}

void link_known(const Stream& from, const Stream& to, std::uint64_t capture) {
    if (same_queue(from, to)) return;
    const CaptureState source = capture_state(from);
    // Its earlier work comes before a replay on a blocking stream by CUDA's own rule.
    if (source.shut && capture != 0) return;
    if (source.shut) (void)capture_of_open(from);  // throws
    if (source.id == capture) return Event::record_known(from, capture).order_known(to);
    if (source.id == 0) return Event::record_known(from, 0).wait();
    throw_capture_error(
        capture != 0 ? cudaErrorStreamCaptureMerge : cudaErrorStreamCaptureIsolation, "stream",
        capture != 0
            ? "the memory is in use by another capture than the stream is in"
            : "the memory is in use on a stream that is capturing, whose work does not run");
}

void order_after(const Stream& from, const Stream& to) { link(from, to); }

void quiesce(const Stream& stream) noexcept {
    for (int attempt = 0; attempt < 2 && !driver_gone(); ++attempt) {
        try {
            return synchronize(stream);
        } catch (const std::exception&) {
            continue;  // a second failure is the device's, which then no longer works on anything
        }
    }
}

Stream work_stream(int device, const Stream& asked, const Stream& first, const Stream& second) {
    if (asked) {
        require_stream_on(asked, device);
        return asked;
    }
    for (const Stream* candidate : {&first, &second}) {
        if (durable(*candidate) && candidate->device().type == DeviceType::cuda &&
            candidate->device().id == device) {
            return *candidate;
        }
    }
    return legacy_stream(device);
}

void require_stream_on(const Stream& stream, int device) {
    const Device on{DeviceType::cuda, device};
    if (stream.device() == on) return;
    throw DeviceError(
        "stream: of " + to_string(stream.device()) + ", the memory is on " + to_string(on),
        static_cast<int>(cudaErrorInvalidResourceHandle),
        runtime().GetErrorName(cudaErrorInvalidResourceHandle));
}

void synchronize(const Stream& stream) {
    require_no_capture("synchronize", stream, "its work does not run");
    {
        const DeviceGuard guard(device_of(stream));
        const RelaxedCapture undisturbing;
        check(runtime().StreamSynchronize(handle_of(stream)), "stream synchronize");
    }
    run_postponed();
}

bool query(const Stream& stream) {
    require_no_capture("query", stream, "its work does not run");
    const RelaxedCapture undisturbing;
    const DeviceGuard guard(device_of(stream));
    return check_ready(runtime().StreamQuery(handle_of(stream)), "stream query");
}

}  // namespace devview::cuda
