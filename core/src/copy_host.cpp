// Copies and fills on host memory: chooses the loops for a plan, and follows suboffsets' pointers.
#include <algorithm>
#include <cstring>

#include "checked.hpp"
#include "copy_rows.hpp"
#include "devview/copy_plan.hpp"
#include "layout_check.hpp"

namespace devview {
namespace {

using rows::Axis;

// How the two innermost axes are walked: in rows along `along`, `other` outside.
enum class Pattern { kRows, kBlocks, kTiles };

struct Walk {
    Pattern pattern;
    Axis along;
    Axis other;
    int ndim;
    Axis outer[kMaxNdim];
};

// The axis along which the source moves least, -1 if it stands still on all of them.
int fastest_source(const Walk& walk) noexcept {
    int fastest = -1;
    for (int k = walk.ndim - 1; k >= 0; --k) {
        const auto step = checked::magnitude(walk.outer[k].src);
        if (step == 0) continue;
        if (fastest < 0 || step < checked::magnitude(walk.outer[fastest].src)) fastest = k;
    }
    return fastest;
}

void choose_pattern(Walk& walk, bool crosswise) noexcept {
    walk.pattern = crosswise ? Pattern::kTiles : Pattern::kRows;
    if (walk.along.extent >= rows::kShort && walk.other.extent >= rows::kShort) return;
    const bool swaps = walk.along.extent < rows::kShort && walk.along.extent < walk.other.extent;
    if (swaps) std::swap(walk.along, walk.other);
    if (swaps || crosswise) walk.pattern = Pattern::kBlocks;
}

// Rows go along the destination's innermost axis; beside it goes the source's, where that differs.
Walk arrange(const CopyPlan& plan) noexcept {
    Walk walk;
    walk.pattern = Pattern::kRows;
    walk.ndim = plan.ndim - 1;
    walk.other = {1, 0, 0};
    for (int k = 0; k < walk.ndim; ++k) {
        walk.outer[k] = {plan.extents[k], plan.dst_strides[k], plan.src_strides[k]};
    }
    const int last = plan.ndim - 1;
    walk.along = {plan.extents[last], plan.dst_strides[last], plan.src_strides[last]};
    if (walk.ndim == 0) return walk;
    const int fastest = fastest_source(walk);
    const bool crosswise = fastest >= 0 && checked::magnitude(walk.outer[fastest].src) <
                                               checked::magnitude(walk.along.src);
    const int beside = crosswise ? fastest : walk.ndim - 1;
    walk.other = walk.outer[beside];
    std::copy(walk.outer + beside + 1, walk.outer + walk.ndim, walk.outer + beside);
    --walk.ndim;
    choose_pattern(walk, crosswise);
    return walk;
}

template <typename Move>
void run_plane(const Move& move, char* dst, const char* src, const Walk& walk) noexcept {
    if (walk.pattern == Pattern::kRows) {
        rows::plane_of_rows(move, dst, src, walk.along, walk.other);
    } else {
        rows::plane_of_blocks(move, dst, src, walk.along, walk.other);
    }
}

template <typename T>
void run_plane(const rows::Exact<T>& move, char* dst, const char* src, const Walk& walk) noexcept {
    if (walk.pattern == Pattern::kTiles) {
        rows::plane_of_tiles<T>(dst, src, walk.along, walk.other);
    } else if (walk.pattern == Pattern::kRows) {
        rows::plane_of_rows(move, dst, src, walk.along, walk.other);
    } else {
        rows::plane_of_blocks(move, dst, src, walk.along, walk.other);
    }
}

template <typename Move>
void run(const Move& move, char* dst, const char* src, const CopyPlan& plan) noexcept {
    const Walk walk = arrange(plan);
    std::int64_t at[kMaxNdim] = {};
    for (;;) {
        run_plane(move, dst, src, walk);
        int k = walk.ndim - 1;
        for (; k >= 0; --k) {
            const Axis& axis = walk.outer[k];
            if (++at[k] < axis.extent) {
                dst += axis.dst;
                src += axis.src;
                break;
            }
            at[k] = 0;
            dst -= axis.dst * (axis.extent - 1);
            src -= axis.src * (axis.extent - 1);
        }
        if (k < 0) return;
    }
}

char* follow(char* at, std::int64_t suboffset) noexcept {
    return suboffset < 0 ? at : rows::load<char*>(at) + suboffset;
}

// One axis of a layout, with no suboffset where the layout has none.
struct Step {
    std::int64_t stride;
    std::int64_t suboffset;
};

Step step_of(const Layout& layout, int axis) noexcept {
    return {layout.strides()[axis], layout.suboffsets() ? layout.suboffsets()[axis] : -1};
}

// Axes up to the last suboffset; behind it every item block has the same plan.
struct Pointers {
    const Layout& dst;
    const Layout& src;
    int ndim;
    CopyPlan plan;
};

void run_pointers(const Pointers& pointers, int axis, char* dst, const char* src) noexcept {
    if (axis == pointers.ndim) return run_host(pointers.plan, dst, src);
    const Step to = step_of(pointers.dst, axis);
    const Step from = step_of(pointers.src, axis);
    for (std::int64_t i = 0; i < pointers.dst.shape()[axis]; ++i) {
        char* source = const_cast<char*>(src) + i * from.stride;
        run_pointers(pointers, axis + 1, follow(dst + i * to.stride, to.suboffset),
                     follow(source, from.suboffset));
    }
}

int axes_with_pointers(const Layout& layout) noexcept {
    int ndim = layout.suboffsets() == nullptr ? 0 : layout.ndim();
    while (ndim > 0 && layout.suboffsets()[ndim - 1] < 0)
        --ndim;
    return ndim;
}

Layout axes_from(const Layout& layout, int axis, std::int64_t itemsize) {
    return Layout::strided(layout.ndim() - axis, layout.shape() + axis, layout.strides() + axis,
                           nullptr, itemsize);
}

}  // namespace

void run_host(const CopyPlan& plan, void* dst, const void* src) noexcept {
    if (plan.count == 0) return;
    char* to = static_cast<char*>(dst) + plan.dst_shift;
    const char* from = static_cast<const char*>(src) + plan.src_shift;
    const std::int64_t unit = plan.unit;
    if (plan.ndim == 0) {
        std::memcpy(to, from, static_cast<std::size_t>(unit));
        return;
    }
    if (unit == 1) return run(rows::Exact<std::uint8_t>{}, to, from, plan);
    if (unit == 2) return run(rows::Exact<std::uint16_t>{}, to, from, plan);
    if (unit == 4) return run(rows::Exact<std::uint32_t>{}, to, from, plan);
    if (unit == 8) return run(rows::Exact<std::uint64_t>{}, to, from, plan);
    if (unit == 16) return run(rows::Exact<rows::Bytes16>{}, to, from, plan);
    if (unit < 4) return run(rows::Pair<std::uint16_t>{unit - 2}, to, from, plan);
    if (unit < 8) return run(rows::Pair<std::uint32_t>{unit - 4}, to, from, plan);
    if (unit < 16) return run(rows::Pair<std::uint64_t>{unit - 8}, to, from, plan);
    if (unit <= 32) return run(rows::Pair<rows::Bytes16>{unit - 16}, to, from, plan);
    run(rows::Any{unit}, to, from, plan);
}

void copy_host(void* dst, const Layout& dst_layout, const void* src, const Layout& src_layout,
               std::int64_t itemsize) {
    const int ndim = std::max(axes_with_pointers(dst_layout), axes_with_pointers(src_layout));
    if (ndim == 0) return run_host(plan_copy(dst_layout, src_layout, itemsize), dst, src);
    detail::check_same_shape("copy", dst_layout, src_layout);
    if (dst_layout.size() == 0 || itemsize == 0) return;
    const Pointers pointers{dst_layout, src_layout, ndim,
                            plan_copy(axes_from(dst_layout, ndim, itemsize),
                                      axes_from(src_layout, ndim, itemsize), itemsize)};
    run_pointers(pointers, 0, static_cast<char*>(dst), static_cast<const char*>(src));
}

void fill_host(void* dst, const Layout& layout, const void* item, std::int64_t itemsize) {
    copy_host(dst, layout, item, Layout().broadcast_to(layout.ndim(), layout.shape(), itemsize),
              itemsize);
}

}  // namespace devview
