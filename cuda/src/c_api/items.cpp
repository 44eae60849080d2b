// Items of views on any device through the C interface: copied, converted, filled, compared,
// staged.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "devview/c_api/errors.hpp"
#include "devview/c_api/handles.hpp"
#include "devview/compare.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/c_api.h"
#include "devview/cuda/compare.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/staging.hpp"
#include "src/c_api/stream.hpp"

using namespace devview;
using namespace devview::c_api;
using namespace devview::cuda;

namespace {

Order order_of(devview_order order, const char* function) {
    if (order == DEVVIEW_C_ORDER) return Order::C;
    if (order == DEVVIEW_F_ORDER) return Order::F;
    throw Refusal(DEVVIEW_ERROR_ARGUMENT,
                  std::string(function) + ": order: " + std::to_string(order) + ", limit 0 to 1");
}

/// Python objects are counted by Python alone.
const View& items_in(const devview_view* handle, const char* function, const char* name) {
    const View& view = view_in(handle, function, name);
    if (!view.format().has_objects()) return view;
    throw FormatError(std::string(function) + ": " + name + ": Python objects", 0);
}

/// The items where the host can read them now.
View on_host(const View& view) {
    if (view.format().is_packed()) return unpack(view);
    if (!host_accessible(view.device())) return copy_to(view, Device{});
    wait_for_host(*view.allocation());
    return view;
}

bool equal(const View& a, const View& b) {
    if (!same_shape(a.layout(), b.layout())) return false;
    if (a.size() == 0) return true;
    if (!comparable(*a.format().node(), *b.format().node())) return false;
    if (!host_accessible(a.device())) {
        if (const std::optional<bool> found = equal_on_device(a, b)) return *found;
    }
    const View left = on_host(a);
    const View right = on_host(b);
    return equal_host(*left.format().node(), left.layout(), left.data(), *right.format().node(),
                      right.layout(), right.data());
}

using Staged = std::unique_ptr<Staging>;

Handles<Staged>& stagings() {
    static auto* const handles = new Handles<Staged>;
    return *handles;
}

/// @throws ReleasedError  it was finished.
Staging& staging_in(const devview_cuda_staging* handle, const char* function) {
    const Staged& staged = stagings().get(handle, function, "staging");
    if (staged) return *staged;
    throw ReleasedError(std::string(function) + ": the staging was finished");
}

}  // namespace

devview_status devview_cuda_view_copy(const devview_view* destination, const devview_view* source,
                                      devview_stream stream) {
    constexpr const char* kName = "devview_cuda_view_copy";
    return guarded([&] {
        const View& dst = items_in(destination, kName, "destination");
        const View& src = items_in(source, kName, "source");
        copy(dst, src, stream_named(stream, dst, src));
    });
}

devview_status devview_cuda_view_to(const devview_view* source, devview_device device,
                                    devview_order order, devview_stream stream,
                                    devview_view** made) {
    constexpr const char* kName = "devview_cuda_view_to";
    return guarded([&] {
        const View& src = items_in(source, kName, "source");
        const Order wanted = order_of(order, kName);
        give_view(kName, made, [&] {
            const Device to = device_of(device);
            const Device at = to.type == DeviceType::cuda ? to : src.device();
            return copy_to(src, to, wanted, stream_named(stream, at));
        });
    });
}

devview_status devview_cuda_view_convert(const devview_view* destination,
                                         const devview_view* source, devview_casting casting,
                                         devview_stream stream) {
    constexpr const char* kName = "devview_cuda_view_convert";
    return guarded([&] {
        const View& dst = items_in(destination, kName, "destination");
        const View& src = items_in(source, kName, "source");
        convert(dst, src, casting_of(casting, kName), stream_named(stream, dst, src));
    });
}

devview_status devview_cuda_view_fill(const devview_view* destination, const void* item,
                                      devview_stream stream) {
    constexpr const char* kName = "devview_cuda_view_fill";
    return guarded([&] {
        const View& dst = items_in(destination, kName, "destination");
        require(item, kName, "item");
        fill(dst, item, stream_named(stream, dst, dst));
    });
}

devview_status devview_cuda_view_equal(const devview_view* a, const devview_view* b,
                                       int32_t* result) {
    constexpr const char* kName = "devview_cuda_view_equal";
    return guarded([&] {
        const View& left = items_in(a, kName, "a");
        const View& right = items_in(b, kName, "b");
        require(result, kName, "equal");
        *result = equal(left, right) ? 1 : 0;
    });
}

devview_status devview_cuda_staging_new(const devview_view* view, uint8_t writable,
                                        devview_order order, devview_stream stream,
                                        devview_cuda_staging** staging) {
    constexpr const char* kName = "devview_cuda_staging_new";
    return guarded([&] {
        const View& source = items_in(view, kName, "view");
        const Order wanted = order_of(order, kName);
        require(staging, kName, "staging");
        Handles<Staged>::Room room(stagings());
        const Stream named = stream_named(stream, source, source);
        *staging = static_cast<devview_cuda_staging*>(
            room.fill(std::make_unique<Staging>(source, writable != 0, wanted, named)));
    });
}

devview_status devview_cuda_staging_describe(const devview_cuda_staging* staging,
                                             devview_cuda_staging_info* info) {
    constexpr const char* kName = "devview_cuda_staging_describe";
    return guarded([&] {
        const Staging& staged = staging_in(staging, kName);
        require_struct(info, kName, "info");
        const bool ready = staged.ready();
        info->ndim = staged.layout().ndim();
        info->data = staged.data();
        info->nbytes = staged.nbytes();
        info->shape = info->ndim > 0 ? staged.layout().shape() : nullptr;
        info->strides = info->ndim > 0 ? staged.layout().strides() : nullptr;
        info->pinned = staged.pinned() ? 1 : 0;
        info->writable = staged.writable() ? 1 : 0;
        info->ready = ready ? 1 : 0;
    });
}

devview_status devview_cuda_staging_wait(devview_cuda_staging* staging) {
    return guarded([&] { staging_in(staging, "devview_cuda_staging_wait").wait(); });
}

devview_status devview_cuda_staging_finish(devview_cuda_staging* staging) {
    constexpr const char* kName = "devview_cuda_staging_finish";
    return guarded([&] {
        staging_in(staging, kName);
        const Staged last = std::move(stagings().get(staging, kName, "staging"));
        last->finish();
    });
}

devview_status devview_cuda_staging_release(devview_cuda_staging* staging) {
    constexpr const char* kName = "devview_cuda_staging_release";
    return guarded([&] {
        if (staging == nullptr) return;
        if (Staged& staged = stagings().get(staging, kName, "staging")) staged->discard();
        stagings().release(staging, kName, "staging");
    });
}
