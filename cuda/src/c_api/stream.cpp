// Streams through the C interface: those that its callers own are kept here by their numbers.
#include "src/c_api/stream.hpp"

#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "devview/c_api/errors.hpp"
#include "devview/c_api/handles.hpp"
#include "devview/cuda/c_api.h"
#include "devview/cuda/stream.hpp"

namespace devview::cuda {

namespace {

/// A runtime's handles are unique over all devices. No lock is held while a stream is made or goes.
class OwnedStreams {
public:
    /// Leaked: callers may release after static destructors have run.
    static OwnedStreams& get() {
        static auto* const streams = new OwnedStreams;
        return *streams;
    }
    void add(devview_stream handle, Stream stream) {
        const std::lock_guard lock(mutex_);
        streams_.insert_or_assign(handle, std::move(stream));
    }
    Stream find(devview_stream handle) {
        const std::lock_guard lock(mutex_);
        const auto found = streams_.find(handle);
        return found == streams_.end() ? Stream{} : found->second;
    }
    Stream take(devview_stream handle) {
        const std::lock_guard lock(mutex_);
        const auto found = streams_.find(handle);
        if (found == streams_.end()) return {};
        Stream stream = std::move(found->second);
        streams_.erase(found);
        return stream;
    }

private:
    std::mutex mutex_{};
    std::unordered_map<devview_stream, Stream> streams_{};
};

}  // namespace

Stream stream_named(devview_stream handle, Device device) {
    if (handle == DEVVIEW_NO_STREAM) return {};
    if (Stream owned = OwnedStreams::get().find(handle)) return owned;
    const bool on_device = device.type == DeviceType::cuda;
    return c_api::stream_of(handle, on_device ? device : Device{DeviceType::cuda, 0});
}

Stream stream_named(devview_stream handle, const View& dst, const View& src) {
    return stream_named(handle,
                        dst.device().type == DeviceType::cuda ? dst.device() : src.device());
}

}  // namespace devview::cuda

using namespace devview;
using namespace devview::c_api;
using namespace devview::cuda;

devview_status devview_cuda_stream_new(int32_t device, devview_stream* stream) {
    return guarded([&] {
        require(stream, "devview_cuda_stream_new", "stream");
        require_device(device);
        const Stream made = make_stream(device);
        const devview_stream handle = number_of(made);
        OwnedStreams::get().add(handle, made);
        *stream = handle;
    });
}

devview_status devview_cuda_stream_release(devview_stream stream) {
    return guarded([&] {
        if (OwnedStreams::get().take(stream)) return;
        throw Refusal(DEVVIEW_ERROR_ARGUMENT,
                      "devview_cuda_stream_release: stream: " + std::to_string(stream) +
                          ", not of devview_cuda_stream_new, or released");
    });
}

devview_status devview_cuda_stream_synchronize(int32_t device, devview_stream stream) {
    return guarded([&] {
        require_device(device);
        const Stream named = stream_named(stream, {DeviceType::cuda, device});
        synchronize(named ? named : legacy_stream(device));
    });
}
