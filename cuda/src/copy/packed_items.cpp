// Packed items on any device.
#include "src/copy/packed_items.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "devview/copy.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/packed.hpp"
#include "src/copy/copy_checks.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

int bits_of(const View& packed) noexcept { return packed.format().node()->bits; }

/// Bits of the last byte that are the view's; 0: all of them.
int tail_bits(const View& packed) noexcept {
    return static_cast<int>(packed.size() % 8 * bits_of(packed) % 8);
}

View host_bytes(std::int64_t count) {
    auto block = allocate(static_cast<std::size_t>(count), Device{}, {});
    void* const data = block->data();
    return View(std::move(block), data, Format(), Layout::vector(count, 1), false);
}

unsigned char* bytes_at(const View& view) noexcept {
    return static_cast<unsigned char*>(view.data());
}

/// `stream` if it belongs to the device of `view`: these are steps of a movement between two.
Stream stream_on(const Stream& stream, const View& view) {
    return stream && on_device(view) && stream.device() == view.device() ? stream : Stream{};
}

/// One byte of `bytes` on the host; waits for it.
View byte_on_host(const View& bytes, std::int64_t index, const Stream& stream) {
    const View made = host_bytes(1);
    copy(made, bytes.slice(0, index, index + 1), stream_on(stream, bytes));
    return made;
}

}  // namespace

View bytes_of(const View& packed) {
    const std::int64_t count = packed.nbytes();
    return packed.cast(Format(), 1, &count);
}

void copy_packed(const View& dst, const View& src, const Stream& stream) {
    if (!is_packed(dst) || !is_packed(src) || bits_of(dst) != bits_of(src)) {
        throw LayoutError("copy: '" + src.format().str() + "' to '" + dst.format().str() +
                          "': packed items are copied to packed ones of as many bits");
    }
    const View to = bytes_of(dst);
    const View from = bytes_of(src);
    const int tail = tail_bits(dst);
    if (tail == 0) return copy(to, from, stream);
    // Both are read before anything is written: the two sides may overlap.
    const std::int64_t last = to.size() - 1;
    const View merged = byte_on_host(to, last, stream);
    const View wanted = byte_on_host(from, last, stream);
    const unsigned mask = (1u << tail) - 1;
    *bytes_at(merged) =
        static_cast<unsigned char>((*bytes_at(merged) & ~mask) | (*bytes_at(wanted) & mask));
    copy(to.slice(0, 0, last), from.slice(0, 0, last), stream);
    copy(to.slice(0, last, last + 1), merged, stream_on(stream, to));
}

void convert_packed(const View& dst, const View& src, Casting casting, const Stream& stream) {
    const View from = is_packed(src) ? unpack(src, stream_on(stream, src)) : src;
    if (!is_packed(dst)) return convert(dst, from, casting, stream_on(stream, dst));
    const View made = dense_on(Device{}, dst, dst.format().padded(), Order::C, {});
    convert(made, from, casting, stream_on(stream, from));
    wait_for_host(*made.allocation());
    const View packed = dense_on(Device{}, dst, dst.format(), Order::C, {});
    if (packed.nbytes() > 0) bytes_at(packed)[packed.nbytes() - 1] = 0;
    pack_host(packed.data(), 0, made.data(), made.size(), bits_of(packed));
    copy_packed(dst, packed, stream_on(stream, dst));
}

void fill_packed(const View& dst, const void* item, const Stream& stream) {
    constexpr std::int64_t kPeriod = 3;  // bytes: items of 2, 4 and 6 bits all end with its end
    const int bits = bits_of(dst);
    std::array<unsigned char, 8 * kPeriod> items{};
    items.fill(*static_cast<const unsigned char*>(item));
    std::array<unsigned char, kPeriod> pattern{};
    const std::int64_t per_period = 8 * kPeriod / bits;
    pack_host(pattern.data(), 0, items.data(), per_period, bits);
    const std::int64_t periods = dst.size() / per_period;
    if (on_device(dst) && dst.size() % per_period != 0) {
        require_no_capture("fill", work_stream(dst.device().id, stream, dst.stream()),
                           "the last bytes go through the host, which waits");
    }
    const View bytes = bytes_of(dst);
    if (periods > 0) {
        fill(bytes.slice(0, 0, periods * kPeriod).cast(Format("3s")), pattern.data(), stream);
    }
    const std::int64_t rest = dst.size() - periods * per_period;
    if (rest == 0) return;
    const View end = bytes.slice(0, periods * kPeriod, {}).cast(dst.format(), 1, &rest);
    const View packed = dense_on(Device{}, end, end.format(), Order::C, {});
    std::copy_n(pattern.begin(), packed.nbytes(), bytes_at(packed));
    copy_packed(end, packed, stream_on(stream, end));
}

}  // namespace devview::cuda

namespace devview {

using namespace cuda;

View unpack(const View& src, const Stream& stream) {
    if (src.released()) throw ReleasedError("unpack: a released view");
    if (!cuda::is_packed(src)) return copy_to(src, Device{}, Order::C, stream);
    const View bytes = bytes_of(src);
    const bool here = host_accessible(src.device());
    const View host = here ? bytes : copy_to(bytes, Device{}, Order::C, stream);
    wait_for_host(*host.allocation());
    const View made = dense_on(Device{}, src, src.format().padded(), Order::C, {});
    unpack_host(made.data(), host.data(), 0, src.size(), bits_of(src));
    return made;
}

}  // namespace devview
