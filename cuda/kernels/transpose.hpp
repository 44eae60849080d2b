// Which plans go through shared memory in tiles, and how; the kernel is in transpose.cuh.
//
// Where one side's neighbours are far apart on the other, a thread per unit would use a few bytes
// of every sector that it reads or writes. A tile is read along the source's axis and written along
// the destination's.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>

#include "kernels/walk.hpp"

namespace devview::cuda::kernels {

/// Words on either side of a tile. A warp moves a row of them.
constexpr int kTileWords = 32;
/// Bytes that the memory moves at least (CUDA C++ Best Practices Guide, "Coalesced Access").
constexpr std::int64_t kSector = 32;
/// A tile with shorter sides has too many idle threads.
constexpr std::int64_t kShortestSide = 8;

/// Tiles in the order of `along`: the destination's fastest axis first, then the source's, then all
/// others. In the arrays of two, index 0 is the destination's fastest axis.
struct Transpose {
    Divider<Index> along[2];
    Axes<Index, kFewAxes, 3> rest;  ///< offsets of the destination, the source, and the position
    unsigned char* dst;
    const unsigned char* src;
    std::int64_t extents[2];
    std::int64_t dst_strides[2];
    std::int64_t src_strides[2];
    std::int64_t position_strides[2];
    std::int64_t low;  ///< positions in the plan's order that are moved: low <= position < high
    std::int64_t high;
    Index tiles;
    int width;     ///< bytes of a unit
    int per_word;  ///< units in a word of 4 bytes that move as one, or 1
};

namespace detail {

/// The axis of the smallest stride that is not zero, -1 if there is none.
inline int fastest_axis(const Walk& walk, int side) {
    int fastest = -1;
    for (int axis = 0; axis < walk.ndim; ++axis) {
        const std::int64_t stride = std::llabs(walk.strides[side][axis]);
        const bool faster = fastest < 0 || stride <= std::llabs(walk.strides[side][fastest]);
        if (stride != 0 && faster) fastest = axis;
    }
    return fastest;
}

/// Both sides lose by one thread a unit: each has neighbours that are far apart on the other.
inline bool crosses(const Walk& walk, int d, int s) {
    if (d < 0 || s < 0 || d == s) return false;
    const auto near = [&](int side, int axis) {
        return std::llabs(walk.strides[side][axis]) < kSector;
    };
    return near(0, d) && near(1, s) && !near(1, d) && !near(0, s) &&
           walk.extents[d] >= kShortestSide && walk.extents[s] >= kShortestSide;
}

/// Drops what lies outside of [first, first + units) on the outermost axis; returns `first` in what
/// is left.
inline std::int64_t clip_rows(Walk& walk, std::int64_t first, std::int64_t units) {
    std::int64_t inner = 1;
    for (int axis = 1; axis < walk.ndim; ++axis)
        inner *= walk.extents[axis];
    const std::int64_t row = first / inner;
    walk.extents[0] = (first + units - 1) / inner + 1 - row;
    walk.dst += row * walk.strides[0][0];
    walk.src += row * walk.strides[1][0];
    return first - row * inner;
}

/// Units of 1 or 2 bytes move as words of 4 where whole words lie in a row on both sides.
inline bool moves_words(const Walk& walk, int d, int s, std::int64_t per_word) {
    if (walk.width >= 4 || walk.strides[0][d] != walk.width || walk.strides[1][s] != walk.width) {
        return false;
    }
    const std::int64_t side = kTileWords / 2 * per_word;
    if (walk.extents[d] % per_word || walk.extents[s] % per_word) return false;
    if (walk.extents[d] < side || walk.extents[s] < side) return false;
    auto bits =
        reinterpret_cast<std::uintptr_t>(walk.dst) | reinterpret_cast<std::uintptr_t>(walk.src);
    for (int axis = 0; axis < walk.ndim; ++axis) {
        if (axis != d) bits |= static_cast<std::uintptr_t>(walk.strides[0][axis]);
        if (axis != s) bits |= static_cast<std::uintptr_t>(walk.strides[1][axis]);
    }
    return bits % 4 == 0;
}

/// Tiles on each axis and what surrounds them; false if they are too many to count.
inline bool lay_tiles(Transpose& tiles, const Walk& walk, int d, int s) {
    std::int64_t position_strides[kAllAxes];
    std::int64_t count = 1;
    for (int axis = walk.ndim - 1; axis >= 0; --axis) {
        position_strides[axis] = count;
        count *= walk.extents[axis];
    }
    const std::int64_t side = std::int64_t{kTileWords} * tiles.per_word;
    std::int64_t number = 1;
    const auto add = [&](std::int64_t extent) {
        if (number > kMostPositions / extent) return false;
        number *= extent;
        return true;
    };
    const int axes[2] = {d, s};
    for (int k = 0; k < 2; ++k) {
        const int axis = axes[k];
        const std::int64_t along = (walk.extents[axis] - 1) / side + 1;
        if (!add(along)) return false;
        tiles.along[k] = Divider<Index>::of(static_cast<Index>(along));
        tiles.extents[k] = walk.extents[axis];
        tiles.dst_strides[k] = walk.strides[0][axis];
        tiles.src_strides[k] = walk.strides[1][axis];
        tiles.position_strides[k] = position_strides[axis];
    }
    for (int axis = walk.ndim - 1; axis >= 0; --axis) {
        if (axis == d || axis == s) continue;
        if (!add(walk.extents[axis])) return false;
        const auto at = static_cast<std::size_t>(tiles.rest.ndim++);
        tiles.rest.extents[at] = Divider<Index>::of(static_cast<Index>(walk.extents[axis]));
        tiles.rest.strides[at][0] = walk.strides[0][axis];
        tiles.rest.strides[at][1] = walk.strides[1][axis];
        tiles.rest.strides[at][2] = position_strides[axis];
    }
    tiles.tiles = static_cast<Index>(number);
    return true;
}

}  // namespace detail

/// The tiles of positions `first` to `first + units - 1` of a walk with strides on both sides; none
/// where a thread per unit does as well, or where a unit is several of its width.
inline std::optional<Transpose> make_transpose(Walk walk, std::int64_t first, std::int64_t units) {
    if (walk.ndim < 2 || walk.ndim > static_cast<int>(kFewAxes)) return std::nullopt;
    const std::int64_t low = detail::clip_rows(walk, first, units);
    const int d = detail::fastest_axis(walk, 0);
    const int s = detail::fastest_axis(walk, 1);
    if (!detail::crosses(walk, d, s)) return std::nullopt;
    std::int64_t count = 1;
    for (int axis = 0; axis < walk.ndim; ++axis)
        count *= walk.extents[axis];
    Transpose tiles{};
    const std::int64_t per_word = 4 / walk.width;
    const bool whole = low == 0 && units == count;
    const bool words = whole && detail::moves_words(walk, d, s, per_word);
    tiles.width = static_cast<int>(walk.width);
    tiles.per_word = words ? static_cast<int>(per_word) : 1;
    tiles.dst = walk.dst;
    tiles.src = walk.src;
    tiles.low = low;
    tiles.high = low + units;
    if (!detail::lay_tiles(tiles, walk, d, s)) return std::nullopt;
    return tiles;
}

}  // namespace devview::cuda::kernels
