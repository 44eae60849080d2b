// Inner loops of host copies: one row, or a plane of two axes, of units of a given size; private.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "src/checked.hpp"

namespace devview::rows {

struct Axis {
    std::int64_t extent;
    std::int64_t dst;  // bytes
    std::int64_t src;  // bytes
};

/// Below this extent an axis is no worthwhile inner loop, nor the side of a tile.
constexpr std::int64_t kShort = 16;
/// Bytes that stay in the first cache while another axis is gone through.
constexpr std::int64_t kBlockBytes = 8192;

typedef std::uint64_t Bytes16 __attribute__((vector_size(16)));

// Any address is legal: loads and stores go through memcpy.
template <typename T>
T load(const char* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

template <typename T>
void store(char* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof(T));
}

/// Moves a unit of sizeof(T) bytes.
template <typename T>
struct Exact {
    static constexpr std::int64_t unit() noexcept { return sizeof(T); }
    void operator()(char* dst, const char* src) const noexcept { store(dst, load<T>(src)); }
};

/// Moves a unit of sizeof(T) + tail bytes, tail <= sizeof(T), by two moves that may overlap.
template <typename T>
struct Pair {
    std::int64_t tail;
    std::int64_t unit() const noexcept { return tail + static_cast<std::int64_t>(sizeof(T)); }
    void operator()(char* dst, const char* src) const noexcept {
        const T head = load<T>(src);
        const T end = load<T>(src + tail);
        store(dst, head);
        store(dst + tail, end);
    }
};

/// Moves a unit of any size.
struct Any {
    std::int64_t bytes;
    std::int64_t unit() const noexcept { return bytes; }
    void operator()(char* dst, const char* src) const noexcept {
        std::memcpy(dst, src, static_cast<std::size_t>(bytes));
    }
};

/// Calls run(move) with what moves units of 1 to 32 bytes.
template <typename Run>
void with_move(std::int64_t unit, const Run& run) noexcept {
    if (unit == 1) return run(Exact<std::uint8_t>{});
    if (unit == 2) return run(Exact<std::uint16_t>{});
    if (unit == 4) return run(Exact<std::uint32_t>{});
    if (unit == 8) return run(Exact<std::uint64_t>{});
    if (unit == 16) return run(Exact<Bytes16>{});
    if (unit < 4) return run(Pair<std::uint16_t>{unit - 2});
    if (unit < 8) return run(Pair<std::uint32_t>{unit - 4});
    if (unit < 16) return run(Pair<std::uint64_t>{unit - 8});
    run(Pair<Bytes16>{unit - 16});
}

template <typename Move>
void row_strided(const Move& move, char* __restrict dst, const char* __restrict src,
                 Axis axis) noexcept {
    for (std::int64_t i = 0; i < axis.extent; ++i)
        move(dst + i * axis.dst, src + i * axis.src);
}

/// Four at a time: their loads wait for each other's lines, not for stores.
inline void row_strided(const Exact<Bytes16>& move, char* __restrict dst,
                        const char* __restrict src, Axis axis) noexcept {
    std::int64_t i = 0;
    for (; i + 4 <= axis.extent; i += 4) {
        Bytes16 items[4];
        for (std::int64_t k = 0; k < 4; ++k)
            items[k] = load<Bytes16>(src + (i + k) * axis.src);
        for (std::int64_t k = 0; k < 4; ++k)
            store(dst + (i + k) * axis.dst, items[k]);
    }
    for (; i < axis.extent; ++i)
        move(dst + i * axis.dst, src + i * axis.src);
}

/// Dense destination; the compiler knows the source's step in units.
template <typename T, int kStep>
void row_dense(char* __restrict dst, const char* __restrict src, std::int64_t extent) noexcept {
    constexpr std::int64_t kUnit = sizeof(T);
    for (std::int64_t i = 0; i < extent; ++i) {
        store(dst + i * kUnit, load<T>(src + i * (kStep * kUnit)));
    }
}

/// A dense run of one unit: what is written is copied on in ever larger pieces.
inline void repeat(char* dst, const char* src, std::int64_t unit, std::int64_t extent) noexcept {
    const std::int64_t bytes = unit * extent;
    const std::int64_t most = (kBlockBytes / unit + 1) * unit;
    std::memcpy(dst, src, static_cast<std::size_t>(unit));
    for (std::int64_t done = unit; done < bytes;) {
        const std::int64_t piece = std::min({done, most, bytes - done});
        std::memcpy(dst + done, dst, static_cast<std::size_t>(piece));
        done += piece;
    }
}

template <typename Move>
void row(const Move& move, char* dst, const char* src, Axis axis) noexcept {
    if (axis.src == 0 && axis.dst == move.unit()) {
        repeat(dst, src, axis.dst, axis.extent);
    } else {
        row_strided(move, dst, src, axis);
    }
}

template <typename T>
void row(const Exact<T>& move, char* dst, const char* src, Axis axis) noexcept {
    constexpr std::int64_t kUnit = sizeof(T);
    if (axis.dst != kUnit) return row_strided(move, dst, src, axis);
    if (axis.src == 0) return row_dense<T, 0>(dst, src, axis.extent);
    if (axis.src == kUnit) {
        std::memcpy(dst, src, static_cast<std::size_t>(axis.extent * kUnit));
        return;
    }
    if (axis.src == 2 * kUnit) return row_dense<T, 2>(dst, src, axis.extent);
    if (axis.src == -kUnit) return row_dense<T, -1>(dst, src, axis.extent);
    row_strided(move, dst, src, Axis{axis.extent, kUnit, axis.src});
}

/// Rows along one axis, one after the other.
template <typename Move>
void plane_of_rows(const Move& move, char* dst, const char* src, Axis along, Axis other) noexcept {
    for (std::int64_t k = 0; k < other.extent; ++k) {
        row(move, dst + k * other.dst, src + k * other.src, along);
    }
}

/// The same in blocks along the rows, so short that the next row finds its lines in the cache.
template <typename Move>
void plane_of_blocks(const Move& move, char* dst, const char* src, Axis along,
                     Axis other) noexcept {
    const auto step = std::max(checked::magnitude(along.src), checked::magnitude(along.dst));
    const auto fitting = static_cast<std::uint64_t>(kBlockBytes) / std::max<std::uint64_t>(step, 1);
    const std::int64_t block = std::max(static_cast<std::int64_t>(fitting), kShort);
    for (std::int64_t at = 0; at < along.extent; at += block) {
        const Axis part{std::min(block, along.extent - at), along.dst, along.src};
        plane_of_rows(move, dst + at * along.dst, src + at * along.src, part, other);
    }
}

/// As many items as fill 16 bytes.
template <typename T>
struct Vector {
    static constexpr std::size_t kSize = 16 / sizeof(T);
    typedef T Type __attribute__((vector_size(16)));

    /// a[k0], b[k0], a[k0 + 1], b[k0 + 1], ...
    template <std::size_t kFirst, std::size_t... kItem>
    static Type interleave(Type a, Type b, std::index_sequence<kItem...>) noexcept {
        return __builtin_shufflevector(a, b, (kFirst + kItem / 2 + kItem % 2 * kSize)...);
    }
};

/// Transposes a square of kSize x kSize items: each round interleaves its two halves.
template <typename T>
void square(char* dst, std::int64_t dst_pitch, const char* src, std::int64_t src_pitch) noexcept {
    using V = Vector<T>;
    constexpr std::size_t kSize = V::kSize;
    typename V::Type from[kSize];
    typename V::Type to[kSize];
    for (std::size_t k = 0; k < kSize; ++k) {
        std::memcpy(&from[k], src + static_cast<std::int64_t>(k) * src_pitch, sizeof(from[k]));
    }
    for (std::size_t round = kSize; round > 1; round /= 2) {
        for (std::size_t k = 0; k < kSize / 2; ++k) {
            constexpr auto kItems = std::make_index_sequence<kSize>();
            to[2 * k] = V::template interleave<0>(from[k], from[k + kSize / 2], kItems);
            to[2 * k + 1] = V::template interleave<kSize / 2>(from[k], from[k + kSize / 2], kItems);
        }
        std::copy_n(to, kSize, from);
    }
    for (std::size_t k = 0; k < kSize; ++k) {
        std::memcpy(dst + static_cast<std::int64_t>(k) * dst_pitch, &from[k], sizeof(from[k]));
    }
}

/// A tile of rows in the first cache: the source's lines are read once, however far apart.
template <typename T>
struct Tile {
    static constexpr std::int64_t kSide = sizeof(T) <= 4 ? 64 : sizeof(T) == 8 ? 32 : 16;
    static constexpr std::int64_t kPitch = kSide * static_cast<std::int64_t>(sizeof(T));
    char bytes[static_cast<std::size_t>(kSide * kPitch)];
};

/// Writes columns of the tile to rows of the destination; dst strides from `dst_axis`, `src_axis`.
template <typename T>
void write_columns(const Tile<T>& tile, char* dst, Axis dst_axis, Axis src_axis) noexcept {
    constexpr std::int64_t kUnit = sizeof(T);
    std::int64_t squares_i = 0;
    std::int64_t squares_j = 0;
    if constexpr (sizeof(T) < 16) {
        constexpr auto kSize = static_cast<std::int64_t>(Vector<T>::kSize);
        if (dst_axis.dst == kUnit) {
            squares_i = src_axis.extent / kSize * kSize;
            squares_j = dst_axis.extent / kSize * kSize;
        }
        for (std::int64_t i = 0; i < squares_i; i += kSize) {
            for (std::int64_t j = 0; j < squares_j; j += kSize) {
                square<T>(dst + i * src_axis.dst + j * kUnit, src_axis.dst,
                          tile.bytes + j * Tile<T>::kPitch + i * kUnit, Tile<T>::kPitch);
            }
        }
    }
    for (std::int64_t i = 0; i < src_axis.extent; ++i) {
        const std::int64_t done = i < squares_i ? squares_j : 0;
        row_strided(Exact<T>{}, dst + i * src_axis.dst + done * dst_axis.dst,
                    tile.bytes + done * Tile<T>::kPitch + i * kUnit,
                    Axis{dst_axis.extent - done, dst_axis.dst, Tile<T>::kPitch});
    }
}

/// Writes the destination along `dst_axis` and reads the source along `src_axis`, tile by tile.
template <typename T>
void plane_of_tiles(char* dst, const char* src, Axis dst_axis, Axis src_axis) noexcept {
    constexpr std::int64_t kSide = Tile<T>::kSide;
    Tile<T> tile;
    for (std::int64_t j0 = 0; j0 < dst_axis.extent; j0 += kSide) {
        const std::int64_t height = std::min(kSide, dst_axis.extent - j0);
        for (std::int64_t i0 = 0; i0 < src_axis.extent; i0 += kSide) {
            const std::int64_t width = std::min(kSide, src_axis.extent - i0);
            const char* from = src + j0 * dst_axis.src + i0 * src_axis.src;
            for (std::int64_t j = 0; j < height; ++j) {
                row(Exact<T>{}, tile.bytes + j * Tile<T>::kPitch, from + j * dst_axis.src,
                    Axis{width, sizeof(T), src_axis.src});
            }
            write_columns(tile, dst + j0 * dst_axis.dst + i0 * src_axis.dst,
                          Axis{height, dst_axis.dst, 0}, Axis{width, src_axis.dst, 0});
        }
    }
}

}  // namespace devview::rows
