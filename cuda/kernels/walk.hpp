// A plan in units that a thread moves, and its pieces that 32-bit positions can count.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "devview/copy_plan.hpp"
#include "kernels/axes.hpp"
#include "kernels/functors.hpp"

namespace devview::cuda::kernels {

/// Divider is exact below half of its range.
constexpr std::int64_t kMostPositions = INT32_MAX;

/// Units of `width` bytes, outermost axis first; the chunks of a plan's unit are the last axis
/// where it has several, so that long units are shared among threads. A dense side has no strides.
struct Walk {
    int ndim = 0;
    std::int64_t width = 1;
    std::int64_t extents[kAllAxes];
    std::int64_t strides[2][kAllAxes];
    unsigned char* dst = nullptr;
    const unsigned char* src = nullptr;
};

/// `width` divides the plan's unit.
inline Walk make_walk(const CopyPlan& plan, std::int64_t width, void* dst, const void* src) {
    Walk walk;
    walk.width = width;
    walk.dst = static_cast<unsigned char*>(dst);
    walk.src = static_cast<const unsigned char*>(src);
    const auto add = [&](std::int64_t extent, std::int64_t dst_stride, std::int64_t src_stride) {
        walk.extents[walk.ndim] = extent;
        walk.strides[0][walk.ndim] = dst_stride;
        walk.strides[1][walk.ndim++] = src_stride;
    };
    for (int axis = 0; axis < plan.ndim; ++axis)
        add(plan.extents[axis], plan.dst_strides[axis], plan.src_strides[axis]);
    if (plan.unit != width) add(plan.unit / width, width, width);
    return walk;
}

/// The axes innermost first; of one side (0: dst, 1: src) or of both (sides == 2, side 0).
template <std::size_t max_axes, std::size_t sides>
Axes<Index, max_axes, sides> make_axes(const Walk& walk, std::size_t side = 0) {
    Axes<Index, max_axes, sides> axes{};
    axes.ndim = walk.ndim;
    for (int axis = 0; axis < walk.ndim; ++axis) {
        const auto at = static_cast<std::size_t>(walk.ndim - 1 - axis);
        axes.extents[at] = Divider<Index>::of(static_cast<Index>(walk.extents[axis]));
        for (std::size_t s = 0; s < sides; ++s)
            axes.strides[at][s] = walk.strides[side + s][axis];
    }
    return axes;
}

namespace detail {

/// `walk` less its first `axes` axes, at position `outer` of those, and `rows` of the next.
inline Walk inner_walk(const Walk& walk, int axes, std::int64_t outer, std::int64_t row,
                       std::int64_t rows) {
    Walk inner = walk;
    inner.ndim = walk.ndim - axes;
    std::copy_n(walk.extents + axes, inner.ndim, inner.extents);
    for (int side = 0; side < 2; ++side)
        std::copy_n(walk.strides[side] + axes, inner.ndim, inner.strides[side]);
    inner.extents[0] = rows;
    std::int64_t shift[2] = {row * walk.strides[0][axes], row * walk.strides[1][axes]};
    for (int axis = axes - 1; axis >= 0; --axis) {
        const std::int64_t index = outer % walk.extents[axis];
        outer /= walk.extents[axis];
        for (int side = 0; side < 2; ++side)
            shift[side] += index * walk.strides[side][axis];
    }
    inner.dst += shift[0];
    inner.src = inner.src ? inner.src + shift[1] : nullptr;
    return inner;
}

}  // namespace detail

/// Calls body(piece, first, count, done) for the positions `first` to `first + count - 1` of a
/// walk, in pieces of at most `most` positions; `done` of them came before. Positions of a piece
/// are counted from its own begin. Each piece is a box: one axis cut, those outside of it fixed.
template <typename Body>
void in_pieces(const Walk& walk, std::int64_t first, std::int64_t count, std::int64_t most,
               const Body& body) {
    std::int64_t inner = 1;
    int axis = walk.ndim;
    while (axis > 0 && walk.extents[axis - 1] <= most / inner)
        inner *= walk.extents[--axis];
    if (axis == 0) return body(walk, static_cast<Index>(first), static_cast<Index>(count), 0);
    const int cut = axis - 1;
    std::int64_t done = 0;
    while (done < count) {
        const std::int64_t line = (first + done) / inner;
        const std::int64_t row = line % walk.extents[cut];
        const std::int64_t rows = std::min(walk.extents[cut] - row, most / inner);
        const std::int64_t start = first + done - line * inner;
        const std::int64_t part = std::min(count - done, rows * inner - start);
        body(detail::inner_walk(walk, cut, line / walk.extents[cut], row, rows),
             static_cast<Index>(start), static_cast<Index>(part), done);
        done += part;
    }
}

}  // namespace devview::cuda::kernels
