// Conversions between views on any devices: where the numbers are converted, and what travels.
#include "devview/convert.hpp"

#include <memory>
#include <string>
#include <utility>

#include "devview/copy.hpp"
#include "devview/copy_plan.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/number.hpp"
#include "src/copy/copy_checks.hpp"
#include "src/copy/packed_items.hpp"
#include "src/copy/packing.hpp"
#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"

namespace devview {

using namespace cuda;

namespace {

NumberType type_of(const View& view) noexcept { return number_type(*view.format().node()); }

void convert_on_host(const View& dst, const View& src) {
    wait_for_host(*src.allocation());
    if (dst.allocation() != src.allocation()) wait_for_host(*dst.allocation());
    if (!may_overlap(dst, src)) {
        return convert_host(dst.data(), dst.layout(), dst.format(), src.data(), src.layout(),
                            src.format());
    }
    // Padding stays as it is, so the temporary begins as a copy.
    const View temp = dense_on(Device{}, dst, dst.format(), Order::C, {});
    copy_host(temp.data(), temp.layout(), dst.data(), dst.layout(), dst.itemsize());
    convert_host(temp.data(), temp.layout(), temp.format(), src.data(), src.layout(), src.format());
    copy_host(dst.data(), dst.layout(), temp.data(), temp.layout(), dst.itemsize());
}

/// The numbers are the same, in the other byte order.
bool differ_in_order(const NumberType& a, const NumberType& b) noexcept {
    return a.number == b.number && a.float_kind == b.float_kind && a.is_complex == b.is_complex &&
           a.swapped != b.swapped && a.part_size > 1;
}

/// Into `to`, which is laid out as `layout` and does not overlap the source.
void cast_on_device(void* to, const Layout& layout, const View& dst, const View& src,
                    const Stream& stream) {
    const NumberType to_type = type_of(dst);
    const NumberType from_type = type_of(src);
    if (differ_in_order(to_type, from_type)) {
        const CopyPlan plan = plan_copy(layout, src.layout(), src.itemsize());
        check(
            runtime().kernels.byteswap(plan, to, src.data(), to_type.part_size, handle_of(stream)),
            "byteswap kernel");
    } else {
        const CopyPlan plan = plan_items(layout, src.layout());
        check(runtime().kernels.cast(plan, to, to_type, src.data(), from_type, handle_of(stream)),
              "cast kernel");
    }
}

/// Both on one device, in numbers that the kernel knows.
void convert_within_device(const View& dst, const View& src, const Stream& asked) {
    Work work(work_stream(dst.device().id, asked, dst.stream(), src.stream()));
    work.uses(*src.allocation());
    work.uses(*dst.allocation());
    const Stream& stream = work.stream();
    if (may_overlap(dst, src)) {
        const Layout dense = Layout::contiguous(dst.ndim(), dst.shape(), dst.itemsize());
        const DeviceTemp temp(static_cast<std::size_t>(dst.nbytes()), stream);
        cast_on_device(temp.data(), dense, dst, src, stream);
        copy_on_device(plan_copy(dst.layout(), dense, dst.itemsize()), dst.data(), temp.data(),
                       stream);
    } else {
        cast_on_device(dst.data(), dst.layout(), dst, src, stream);
    }
    work.done();
}

/// Where to convert: on the device that has the wider items, so that the narrower ones travel; on
/// the host what the kernel does not know.
Device choose_place(const View& dst, const View& src) noexcept {
    if (!kernel_knows(type_of(dst)) || !kernel_knows(type_of(src))) return Device{};
    const View& wider = src.itemsize() <= dst.itemsize() ? dst : src;
    return on_device(wider) ? wider.device() : Device{};
}

bool is_at(const Device& place, const View& view) noexcept {
    return place.type == DeviceType::cuda ? view.device() == place : !on_device(view);
}

/// The stream if it belongs to the device of one of these, else none.
Stream stream_for(const Stream& stream, const View& dst, const View& src) {
    const auto belongs = [&](const View& view) {
        return on_device(view) && stream.device() == view.device();
    };
    return stream && (belongs(dst) || belongs(src)) ? stream : Stream{};
}

void convert_at(const Device& place, const View& dst, const View& src, const Stream& stream) {
    if (place.type != DeviceType::cuda) return convert_on_host(dst, src);
    convert_within_device(dst, src, stream_for(stream, dst, src));
}

/// A dense view for the time of one conversion. On the device of the caller's stream, everything
/// that is done to it is done on that stream: no book is kept, so that a capture may take it.
View temp_on(const Device& place, const View& like, const Stream& stream) {
    const bool ordered = stream && place.type == DeviceType::cuda && stream.device() == place;
    if (!ordered) return dense_on(place, like, like.format(), Order::C, stream);
    Layout layout = Layout::contiguous(like.ndim(), like.shape(), like.itemsize());
    auto temp = std::make_shared<DeviceTemp>(static_cast<std::size_t>(like.nbytes()), stream);
    void* const data = temp->data();
    auto block =
        Allocation::adopt(data, temp->nbytes(), place, [temp](Stream) mutable { temp.reset(); });
    return view_of(data, like.format(), std::move(layout), place, std::move(block));
}

/// The way through pageable memory is found out at its end only: refused before anything is done.
void require_capturable(const View& dst, const View& src, const Stream& stream) {
    if (on_device(dst) == on_device(src)) return;
    const View& device = on_device(dst) ? dst : src;
    const View& host = on_device(dst) ? src : dst;
    if (host.device().type != DeviceType::cpu) return;
    const Stream asked = stream && stream.device() == device.device() ? stream : Stream{};
    require_no_capture("convert",
                       work_stream(device.device().id, asked, dst.stream(), src.stream()),
                       "the host waits for this copy of its memory");
}

View moved_to(const Device& place, const View& view, const Stream& stream) {
    if (is_at(place, view)) return view;
    const View moved = temp_on(place, view, stream);
    copy(moved, view, stream_for(stream, moved, view));
    return moved;
}

bool has_padding(const FormatNode& format) noexcept {
    return format.kind == Kind::record ||
           (format.kind == Kind::array && has_padding(*format.element));
}

void clear(const View& view, const Stream& stream) {
    const std::string zeros(static_cast<std::size_t>(view.itemsize()), '\0');
    fill(view, zeros.data(), stream);
}

}  // namespace

void convert(const View& dst, const View& src, Casting casting, const Stream& stream) {
    check_sides("convert", dst, src);
    require_convertible("convert", src.format(), dst.format(), casting);
    if (dst.format() == src.format()) return copy(dst, src, stream);
    check_stream(dst, src, stream);
    if (dst.size() == 0) return;
    if (is_packed(dst) || is_packed(src)) return convert_packed(dst, src, casting, stream);
    const int axis = repeated_axis(dst);
    if (axis >= 0) {
        const std::int64_t last = dst.shape()[axis] - 1;
        return convert(dst.index(axis, last), src.index(axis, last), casting, stream);
    }
    require_capturable(dst, src, stream);
    const Device place = choose_place(dst, src);
    const View from = moved_to(place, src, stream);
    if (is_at(place, dst)) return convert_at(place, dst, from, stream);
    // The padding of records stays what it is.
    const bool padded = has_padding(*dst.format().node());
    const View made = padded ? moved_to(place, dst, stream) : temp_on(place, dst, stream);
    convert_at(place, made, from, stream);
    copy(dst, made, stream_for(stream, dst, made));
}

View convert_to(const View& src, const Format& format, Casting casting, Order order,
                const Stream& stream) {
    if (src.released()) throw ReleasedError("convert: a released view");
    require_convertible("convert", src.format(), format, casting);
    const View dst = dense_on(src.device(), src, format, order, stream);
    if (has_padding(*format.node())) clear(dst, stream);
    convert(dst, src, casting, stream);
    return dst;
}

}  // namespace devview
