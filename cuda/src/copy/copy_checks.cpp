// Checks before a movement, and dense views to move to.
#include "src/copy/copy_checks.hpp"

#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/packed.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

void check_device(const char* function, const View& view) {
    if (!host_accessible(view.device()) && !on_device(view)) {
        throw NameError(std::string(function) + ": " + to_string(view.device()) +
                        ": not a device that devview copies");
    }
    if (on_device(view) && view.suboffsets()) {
        throw LayoutError(std::string(function) + ": suboffsets on " + to_string(view.device()));
    }
}

}  // namespace

void check_sides(const char* function, const View& dst, const View& src) {
    const auto where = [&] { return std::string(function) + ": "; };  // made for an error alone
    if (dst.released() || src.released()) throw ReleasedError(where() + "a released view");
    if (dst.readonly()) throw BufferError(where() + "the destination is read-only");
    if (!dst.layout().same_shape(src.layout())) {
        throw LayoutError(where() + "shape " + Layout::to_string(src.ndim(), src.shape()) +
                          ", the destination's " + Layout::to_string(dst.ndim(), dst.shape()));
    }
    check_device(function, dst);
    check_device(function, src);
}

void check_stream(const View& dst, const View& src, const Stream& stream) {
    if (!stream) return;
    if (on_device(src) && stream.device() == src.device()) return;
    if (on_device(dst)) return require_stream_on(stream, dst.device().id);
    if (on_device(src)) require_stream_on(stream, src.device().id);
}

int repeated_axis(const View& dst) noexcept {
    for (int axis = 0; axis < dst.ndim() && !dst.suboffsets(); ++axis) {
        if (dst.strides()[axis] == 0 && dst.shape()[axis] > 1) return axis;
    }
    return -1;
}

bool may_overlap(const View& a, const View& b) noexcept {
    if (a.suboffsets() || b.suboffsets()) return true;
    const ByteBounds bounds_a = a.layout().bounds(a.itemsize());
    const ByteBounds bounds_b = b.layout().bounds(b.itemsize());
    const auto low_a = reinterpret_cast<std::intptr_t>(a.data());
    const auto low_b = reinterpret_cast<std::intptr_t>(b.data());
    return low_a + bounds_a.low < low_b + bounds_b.high &&
           low_b + bounds_b.low < low_a + bounds_a.high;
}

View dense_on(Device device, const View& like, const Format& format, Order order,
              const Stream& stream) {
    Layout layout = Layout::contiguous(like.ndim(), like.shape(), format.itemsize(), order);
    require_packable("copy", format, layout);
    const auto nbytes = static_cast<std::size_t>(format.nbytes(layout.size()));
    Stream home;
    if (device.type == DeviceType::cuda) {
        const bool own = stream && stream.device() == device;
        home = work_stream(device.id, own ? stream : Stream{}, like.stream());
    }
    auto block = allocate(nbytes, device, home);
    void* const data = block->data();
    return view_of(data, format, std::move(layout), device, std::move(block));
}

}  // namespace devview::cuda
