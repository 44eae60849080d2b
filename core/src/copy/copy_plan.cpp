// Reduces a strided copy to few axes: drops, flips, sorts and merges them; moves no data.
#include "devview/copy_plan.hpp"

#include <algorithm>

#include "src/checked.hpp"
#include "src/layout/layout_check.hpp"
#include "src/machine/cpu_features.hpp"

namespace devview {
namespace {

void check_layouts(const Layout& dst, const Layout& src, std::int64_t itemsize) {
    detail::check_same_shape("copy", dst, src);
    if (dst.suboffsets() != nullptr) detail::fail("copy", "destination has suboffsets");
    if (src.suboffsets() != nullptr) detail::fail("copy", "source has suboffsets");
    detail::check_shape("copy", dst.ndim(), dst.shape(), itemsize);
}

// Axes that move a pointer; to `reorder` them, the destination goes forwards along each. Where it
// stands still, the last item stays; `pairs`: all of them count. No axes, and no units, where an
// extent is zero.
void take_axes(CopyPlan& plan, const Layout& dst, const Layout& src, bool reorder,
               bool pairs) noexcept {
    const int ndim = dst.ndim();
    const std::int64_t* const shape = dst.shape();
    const std::int64_t* const dst_strides = dst.strides();
    const std::int64_t* const src_strides = src.strides();
    int axes = 0;
    std::int64_t count = 1;
    std::int64_t dst_shift = 0;
    std::int64_t src_shift = 0;
    for (int k = 0; k < ndim; ++k) {
        const std::int64_t extent = shape[k];
        std::int64_t dst_step = dst_strides[k];
        std::int64_t src_step = src_strides[k];
        if (extent == 0) return;
        if (extent == 1) continue;
        if (dst_step == 0) {
            if (!pairs) src_shift += src_step * (extent - 1);
            if (!pairs || src_step == 0) continue;
        }
        if (reorder && dst_step < 0) {
            dst_shift += dst_step * (extent - 1);
            src_shift += src_step * (extent - 1);
            dst_step = -dst_step;
            src_step = -src_step;
        }
        plan.extents[axes] = extent;
        plan.dst_strides[axes] = dst_step;
        plan.src_strides[axes++] = src_step;
        count *= extent;
    }
    plan.ndim = axes;
    plan.count = count;
    plan.dst_shift = dst_shift;
    plan.src_shift = src_shift;
}

// Axis `a` goes outside of axis `b`: longer steps of the destination, then of the source. `pairs`:
// of either, as one side may stand still.
bool goes_outside(const CopyPlan& plan, int a, int b, bool pairs) noexcept {
    const auto dst_a = static_cast<std::uint64_t>(plan.dst_strides[a]);  // go forwards
    const auto dst_b = static_cast<std::uint64_t>(plan.dst_strides[b]);
    if (!pairs && dst_a != dst_b) return dst_a > dst_b;
    const auto src_a = checked::magnitude(plan.src_strides[a]);
    const auto src_b = checked::magnitude(plan.src_strides[b]);
    return pairs ? std::max(dst_a, src_a) > std::max(dst_b, src_b) : src_a > src_b;
}

// By insertion: few axes, mostly in order already, and ties keep theirs.
void sort_axes(CopyPlan& plan, bool pairs) noexcept {
    for (int k = 1; k < plan.ndim; ++k) {
        for (int at = k; at > 0 && goes_outside(plan, at, at - 1, pairs); --at) {
            std::swap(plan.extents[at], plan.extents[at - 1]);
            std::swap(plan.dst_strides[at], plan.dst_strides[at - 1]);
            std::swap(plan.src_strides[at], plan.src_strides[at - 1]);
        }
    }
}

bool spans(std::int64_t outer, std::int64_t inner, std::int64_t extent) noexcept {
    std::int64_t whole = 0;
    return checked::mul(inner, extent, whole) && whole == outer;
}

void merge_axes(CopyPlan& plan) noexcept {
    int kept = 0;
    for (int k = 1; k < plan.ndim; ++k) {
        const std::int64_t extent = plan.extents[k];
        if (spans(plan.dst_strides[kept], plan.dst_strides[k], extent) &&
            spans(plan.src_strides[kept], plan.src_strides[k], extent)) {
            plan.extents[kept] *= extent;
        } else {
            plan.extents[++kept] = extent;
        }
        plan.dst_strides[kept] = plan.dst_strides[k];
        plan.src_strides[kept] = plan.src_strides[k];
    }
    plan.ndim = std::min(plan.ndim, kept + 1);
}

void fold_unit(CopyPlan& plan) noexcept {
    const int last = plan.ndim - 1;
    if (last < 0 || plan.dst_strides[last] != plan.unit || plan.src_strides[last] != plan.unit) {
        return;
    }
    plan.unit *= plan.extents[last];
    plan.count /= plan.extents[last];
    plan.ndim = last;
}

CopyPlan plan_axes(const Layout& dst, const Layout& src, std::int64_t unit, bool reorder,
                   bool pairs = false) {
    CopyPlan plan;
    plan.ndim = 0;
    plan.unit = unit;
    plan.count = 0;
    plan.dst_shift = 0;
    plan.src_shift = 0;
    if (unit != 0) take_axes(plan, dst, src, reorder, pairs);
    if (plan.count == 0) return plan;
    check_cpu_kind();
    if (reorder) sort_axes(plan, pairs);
    merge_axes(plan);
    return plan;
}

}  // namespace

CopyPlan plan_copy(const Layout& dst, const Layout& src, std::int64_t itemsize, bool reorder) {
    check_layouts(dst, src, itemsize);
    CopyPlan plan = plan_axes(dst, src, itemsize, reorder);
    fold_unit(plan);
    return plan;
}

CopyPlan plan_pairs(const Layout& a, const Layout& b, std::int64_t itemsize) {
    const std::int64_t unit = itemsize == 0 ? 1 : itemsize;
    check_layouts(a, b, unit);
    CopyPlan plan = plan_axes(a, b, unit, true, true);
    if (itemsize != 0) fold_unit(plan);
    return plan;
}

CopyPlan plan_items(const Layout& dst, const Layout& src) {
    check_layouts(dst, src, 1);
    return plan_axes(dst, src, 1, true);
}

}  // namespace devview
