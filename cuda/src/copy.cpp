// Checks of a copy, and the choice of its route.
#include "devview/copy.hpp"

#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "src/copy_routes.hpp"
#include "src/stream.hpp"

namespace devview {

using namespace cuda;

namespace {

bool on_device(const View& view) noexcept { return view.device().type == DeviceType::cuda; }

void check_device_side(const View& view) {
    if (!host_accessible(view.device()) && !on_device(view)) {
        throw NameError("copy: " + to_string(view.device()) + ": not a device that devview copies");
    }
    if (on_device(view) && view.suboffsets()) {
        throw LayoutError("copy: suboffsets on " + to_string(view.device()));
    }
}

void check_copy(const View& dst, const View& src) {
    if (dst.released() || src.released()) throw ReleasedError("copy: a released view");
    if (dst.readonly()) throw BufferError("copy: the destination is read-only");
    if (dst.itemsize() != src.itemsize()) {
        throw LayoutError("copy: itemsize " + std::to_string(src.itemsize()) +
                          ", the destination's " + std::to_string(dst.itemsize()));
    }
    bool same = dst.ndim() == src.ndim();
    for (int axis = 0; same && axis < dst.ndim(); ++axis) {
        same = dst.shape()[axis] == src.shape()[axis];
    }
    if (!same) {
        throw LayoutError("copy: shape " + Layout::to_string(src.ndim(), src.shape()) +
                          ", the destination's " + Layout::to_string(dst.ndim(), dst.shape()));
    }
    check_device_side(dst);
    check_device_side(src);
}

/// A stream of neither device would order nothing.
void check_stream(const View& dst, const View& src, const Stream& stream) {
    if (!stream) return;
    if (on_device(src) && stream.device() == src.device()) return;
    if (on_device(dst)) return require_stream_on(stream, dst.device().id);
    if (on_device(src)) require_stream_on(stream, src.device().id);
}

void route(const View& dst, const View& src, const Stream& stream) {
    if (!on_device(dst) && !on_device(src)) return copy_on_host(dst, src);
    if (on_device(dst) != on_device(src)) return copy_across(dst, src, stream);
    if (dst.device() == src.device()) return copy_within_device(dst, src, stream);
    return copy_between_devices(dst, src, stream);
}

/// An axis on which the destination stands still keeps its last item; on a device all of them would
/// be written at once. Returns the first such axis, -1 if there is none.
int repeated_axis(const View& dst) noexcept {
    for (int axis = 0; axis < dst.ndim(); ++axis) {
        if (dst.strides()[axis] == 0 && dst.shape()[axis] > 1) return axis;
    }
    return -1;
}

}  // namespace

void copy(const View& dst, const View& src, const Stream& stream) {
    check_copy(dst, src);
    check_stream(dst, src, stream);
    if (dst.nbytes() == 0) return;
    const int axis = dst.suboffsets() ? -1 : repeated_axis(dst);
    if (axis >= 0) {
        const std::int64_t last = dst.shape()[axis] - 1;
        return copy(dst.index(axis, last), src.index(axis, last), stream);
    }
    route(dst, src, stream);
}

View copy_to(const View& src, Device device, Order order, const Stream& stream) {
    if (src.released()) throw ReleasedError("copy: a released view");
    Layout layout = Layout::contiguous(src.ndim(), src.shape(), src.itemsize(), order);
    const auto nbytes = static_cast<std::size_t>(src.nbytes());
    Stream home;
    if (device.type == DeviceType::cuda) {
        const bool own = stream && stream.device() == device;
        home = work_stream(device.id, own ? stream : Stream{}, src.stream());
    }
    auto block = allocate(nbytes, device, home);
    void* const data = block->data();
    View dst = view_of(data, src.format(), std::move(layout), device, std::move(block));
    copy(dst, src, stream);
    return dst;
}

}  // namespace devview
