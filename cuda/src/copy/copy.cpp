// The choice of a copy's route.
#include "devview/copy.hpp"

#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "src/copy/copy_checks.hpp"
#include "src/copy/copy_routes.hpp"
#include "src/copy/packed_items.hpp"
#include "src/stream/stream.hpp"

namespace devview {

using namespace cuda;

namespace {

void route(const View& dst, const View& src, const Stream& stream) {
    if (!on_device(dst) && !on_device(src)) return copy_on_host(dst, src);
    if (on_device(dst) != on_device(src)) return copy_across(dst, src, stream);
    if (dst.device() == src.device()) return copy_within_device(dst, src, stream);
    return copy_between_devices(dst, src, stream);
}

}  // namespace

void copy(const View& dst, const View& src, const Stream& stream) {
    check_sides("copy", dst, src);
    if (dst.itemsize() != src.itemsize()) {
        throw LayoutError("copy: itemsize " + std::to_string(src.itemsize()) +
                          ", the destination's " + std::to_string(dst.itemsize()));
    }
    check_stream(dst, src, stream);
    if (dst.nbytes() == 0) return;
    if (is_packed(dst) || is_packed(src)) return copy_packed(dst, src, stream);
    const int axis = repeated_axis(dst);
    if (axis >= 0) {
        const std::int64_t last = dst.shape()[axis] - 1;
        return copy(dst.index(axis, last), src.index(axis, last), stream);
    }
    route(dst, src, stream);
}

View copy_to(const View& src, Device device, Order order, const Stream& stream) {
    if (src.released()) throw ReleasedError("copy: a released view");
    View dst = dense_on(device, src, src.format(), order, stream);
    if (is_packed(src)) {
        copy(bytes_of(dst), bytes_of(src), stream);  // nobody else has a part of the last byte
    } else {
        copy(dst, src, stream);
    }
    return dst;
}

}  // namespace devview
