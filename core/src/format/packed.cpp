// Packing and unpacking, and which layouts packed items may have.
#include "devview/packed.hpp"

#include <string>

#include "devview/error.hpp"

namespace devview {
namespace {

/// Where item `index` begins. Not index * bits: that may wrap.
struct Place {
    std::int64_t byte;
    int bit;
};

Place place_of(std::int64_t index, int bits) noexcept {
    const auto rest = static_cast<int>(index % 8) * bits;
    return {index / 8 * bits + rest / 8, rest % 8};
}

Place after(Place place, int bits) noexcept {
    const int bit = place.bit + bits;
    return {place.byte + bit / 8, bit % 8};
}

// Two items of four bits at a time, from the start of a byte on: what most callers have.

std::int64_t unpack_halves(unsigned char* dst, const unsigned char* src,
                           std::int64_t count) noexcept {
    for (std::int64_t i = 0; i < count / 2; ++i) {
        dst[2 * i] = src[i] & 0xf;
        dst[2 * i + 1] = static_cast<unsigned char>(src[i] >> 4);
    }
    return count / 2 * 2;
}

std::int64_t pack_halves(unsigned char* dst, const unsigned char* src,
                         std::int64_t count) noexcept {
    for (std::int64_t i = 0; i < count / 2; ++i) {
        dst[i] = static_cast<unsigned char>((src[2 * i] & 0xf) | (src[2 * i + 1] << 4));
    }
    return count / 2 * 2;
}

}  // namespace

void unpack_host(void* dst, const void* src, std::int64_t first, std::int64_t count,
                 int bits) noexcept {
    auto* const to = static_cast<unsigned char*>(dst);
    const auto* const from = static_cast<const unsigned char*>(src);
    const unsigned mask = (1u << bits) - 1;
    Place place = place_of(first, bits);
    std::int64_t done = 0;
    if (bits == 4 && place.bit == 0) {
        done = unpack_halves(to, from + place.byte, count);
        place.byte += done / 2;
    }
    for (; done < count; ++done) {
        unsigned value = static_cast<unsigned>(from[place.byte]) >> place.bit;
        if (place.bit + bits > 8) {
            value |= static_cast<unsigned>(from[place.byte + 1]) << (8 - place.bit);
        }
        to[done] = static_cast<unsigned char>(value & mask);
        place = after(place, bits);
    }
}

void pack_host(void* dst, std::int64_t first, const void* src, std::int64_t count,
               int bits) noexcept {
    auto* const to = static_cast<unsigned char*>(dst);
    const auto* const from = static_cast<const unsigned char*>(src);
    const unsigned mask = (1u << bits) - 1;
    Place place = place_of(first, bits);
    std::int64_t done = 0;
    if (bits == 4 && place.bit == 0) {
        done = pack_halves(to + place.byte, from, count);
        place.byte += done / 2;
    }
    const auto put = [&](std::int64_t byte, unsigned kept, unsigned value) {
        to[byte] = static_cast<unsigned char>((to[byte] & kept) | value);
    };
    for (; done < count; ++done) {
        const unsigned value = (from[done] & mask) << place.bit;
        const unsigned kept = ~(mask << place.bit);
        put(place.byte, kept & 0xff, value & 0xff);
        if (place.bit + bits > 8) put(place.byte + 1, kept >> 8 & 0xff, value >> 8);
        place = after(place, bits);
    }
}

void require_packable(const char* function, const Format& format, const Layout& layout) {
    if (!format.is_packed() || layout.contiguous(1, Order::C)) return;
    throw LayoutError(std::string(function) + ": packed items of " +
                      std::to_string(format.node()->bits) +
                      " bits lie in C order without gaps; shape " +
                      Layout::to_string(layout.ndim(), layout.shape()) + ", strides " +
                      Layout::to_string(layout.ndim(), layout.strides()) + " [items]");
}

ByteBounds byte_bounds(const Format& format, const Layout& layout) noexcept {
    if (!format.is_packed()) return layout.bounds(format.itemsize());
    return {0, format.nbytes(layout.size())};
}

}  // namespace devview
