// Cuts plans: along the outermost axis that is long enough, so that parts write apart.
#include "src/copy/plan_parts.hpp"

#include <algorithm>

#include "src/checked.hpp"

namespace devview {
namespace {

// Tiles and lines stay whole: items along an axis, bytes of a unit.
constexpr std::int64_t kAxisGrain = 64;
constexpr std::int64_t kUnitGrain = 4096;
constexpr std::int64_t kMostParts = 1 << 16;

std::int64_t grains(std::int64_t extent, std::int64_t grain) noexcept {
    return (extent + grain - 1) / grain;
}

/// True if no two units of the destination share a byte: each axis steps over all those within it.
bool writes_apart(const CopyPlan& plan, std::int64_t written) noexcept {
    auto reach = static_cast<std::uint64_t>(written);
    for (int axis = plan.ndim - 1; axis >= 0; --axis) {
        const auto step = checked::magnitude(plan.dst_strides[axis]);
        if (step < reach) return false;
        reach += step * static_cast<std::uint64_t>(plan.extents[axis] - 1);
    }
    return true;
}

void drop_axis(CopyPlan& plan, int axis) noexcept {
    for (int k = axis + 1; k < plan.ndim; ++k) {
        plan.extents[k - 1] = plan.extents[k];
        plan.dst_strides[k - 1] = plan.dst_strides[k];
        plan.src_strides[k - 1] = plan.src_strides[k];
    }
    --plan.ndim;
}

/// The axis to cut for so many parts: the outermost that has them, else the longest.
int axis_for(const CopyPlan& plan, std::int64_t parts) noexcept {
    int longest = PlanCut::kUnit;
    for (int axis = 0; axis < plan.ndim; ++axis) {
        if (plan.extents[axis] >= parts) return axis;
        if (longest < 0 || plan.extents[axis] > plan.extents[longest]) longest = axis;
    }
    return longest;
}

}  // namespace

CopyPlan PlanCut::part(const CopyPlan& plan, int index) const noexcept {
    CopyPlan made = plan;
    const std::int64_t extent = axis == kUnit ? plan.unit : plan.extents[axis];
    const workers::Span whole = workers::span_of(grains(extent, grain), parts, index);
    const std::int64_t first = whole.first * grain;
    const std::int64_t count = std::min(whole.count * grain, extent - first);
    if (axis == kUnit) {
        made.unit = count;
        made.dst_shift += first;
        made.src_shift += first;
        return made;
    }
    made.extents[axis] = count;
    made.count = plan.count / extent * count;
    made.dst_shift += first * plan.dst_strides[axis];
    made.src_shift += first * plan.src_strides[axis];
    if (count == 1) drop_axis(made, axis);
    return made;
}

PlanCut cut_plan(const CopyPlan& plan, std::int64_t nbytes, Cutting cutting, std::int64_t most) {
    PlanCut cut;
    const std::int64_t wanted = workers::parts_for(nbytes, most);
    if (wanted == 1 || plan.count == 0) return cut;
    cut.axis = axis_for(plan, wanted);
    std::int64_t extent = cut.axis == PlanCut::kUnit ? 1 : plan.extents[cut.axis];
    if (extent < wanted && cutting == Cutting::bytes && plan.unit / kUnitGrain > extent) {
        cut.axis = PlanCut::kUnit;
        cut.grain = kUnitGrain;
        extent = plan.unit;
    } else if (extent / kAxisGrain >= wanted) {
        cut.grain = kAxisGrain;
    }
    cut.parts = static_cast<int>(std::min(wanted, grains(extent, cut.grain)));
    return cut;
}

PlanCut cut_writes(const CopyPlan& plan, std::int64_t nbytes, std::int64_t written,
                   Cutting cutting) {
    const PlanCut cut = cut_plan(plan, nbytes, cutting, kMostParts);
    return cut.parts == 1 || writes_apart(plan, written) ? cut : PlanCut{};
}

CopyPlan plane_plan(std::int64_t unit, const rows::Axis& outer, const rows::Axis& inner) noexcept {
    CopyPlan plan;
    plan.ndim = 0;
    plan.unit = unit;
    plan.count = outer.extent * inner.extent;
    plan.dst_shift = 0;
    plan.src_shift = 0;
    for (const rows::Axis& axis : {outer, inner}) {
        if (axis.extent == 1) continue;
        plan.extents[plan.ndim] = axis.extent;
        plan.dst_strides[plan.ndim] = axis.dst;
        plan.src_strides[plan.ndim++] = axis.src;
    }
    const int last = plan.ndim - 1;
    if (last >= 0 && plan.dst_strides[last] == unit && plan.src_strides[last] == unit) {
        plan.unit *= plan.extents[last];
        plan.count /= plan.extents[last];
        plan.ndim = last;
    }
    return plan;
}

void copy_in_parts(const CopyPlan& plan, void* dst, const void* src) {
    std::int64_t nbytes = 0;
    if (!checked::mul(plan.count, plan.unit, nbytes) || !checked::mul(nbytes, 2, nbytes) ||
        nbytes < workers::kLargeBytes) {
        return run_host(plan, dst, src);
    }
    const PlanCut cut = cut_writes(plan, nbytes, plan.unit, Cutting::bytes);
    if (cut.parts == 1) return run_host(plan, dst, src);
    const std::int64_t whole = nbytes / 2;
    auto work = [&](int index) noexcept { run_host(cut.part(plan, index), dst, src, whole); };
    workers::run(cut.parts, work);
}

}  // namespace devview
