// How a plan is walked on the host: which axes make the inner loops, and the pointers of
// suboffsets; private to the core.
#pragma once

#include <algorithm>

#include "devview/copy_plan.hpp"
#include "src/copy/copy_rows.hpp"

namespace devview::rows {

/// How the two innermost axes are walked: in rows along `along`, `other` outside.
enum class Pattern { kRows, kBlocks, kTiles };

struct Walk {
    Pattern pattern;
    Axis along;
    Axis other;
    int ndim;
    Axis outer[kMaxNdim];
};

/// Rows go along the destination's innermost axis; beside it goes the source's, where that differs.
Walk arrange(const CopyPlan& plan) noexcept;

/// Runs a plan of one axis at least, of units of 1 to 32 bytes, from where its shifts lead.
void run_walk(const CopyPlan& plan, char* dst, const char* src) noexcept;

/// Calls plane(dst, src) for every plane of the walk's two innermost axes.
template <typename Plane>
void each_plane(const Walk& walk, char* dst, const char* src, const Plane& plane) noexcept {
    std::int64_t at[kMaxNdim] = {};
    for (;;) {
        plane(dst, src);
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

/// Axes up to the last one with a suboffset, 0 if there is none.
int axes_with_pointers(const Layout& layout) noexcept;

/// The layout of the axes from `axis` on, which have no suboffsets.
Layout axes_from(const Layout& layout, int axis, std::int64_t itemsize);

inline char* follow(char* at, const Layout& layout, int axis) noexcept {
    const std::int64_t suboffset = layout.suboffsets() ? layout.suboffsets()[axis] : -1;
    return suboffset < 0 ? at : load<char*>(at) + suboffset;
}

/// Calls block(dst, src) for every index of the axes from `axis` to `ndim`, pointers followed.
template <typename Block>
void each_block(const Layout& dst_layout, const Layout& src_layout, int axis, int ndim, char* dst,
                const char* src, const Block& block) {
    if (axis == ndim) return block(dst, src);
    char* const from = const_cast<char*>(src);
    for (std::int64_t i = 0; i < dst_layout.shape()[axis]; ++i) {
        each_block(dst_layout, src_layout, axis + 1, ndim,
                   follow(dst + i * dst_layout.strides()[axis], dst_layout, axis),
                   follow(from + i * src_layout.strides()[axis], src_layout, axis), block);
    }
}

}  // namespace devview::rows
