// A plan cut into parts that threads run side by side; private to the core.
#pragma once

#include <cstdint>

#include "devview/copy_plan.hpp"
#include "src/copy/copy_rows.hpp"
#include "src/machine/workers.hpp"

namespace devview {

/// How a plan is cut: along one axis, or through its unit.
struct PlanCut {
    static constexpr int kUnit = -1;

    int parts = 1;
    int axis = kUnit;
    std::int64_t grain = 1;  ///< of the axis, items or bytes that stay together

    CopyPlan part(const CopyPlan& plan, int index) const noexcept;
};

/// What a cut has to leave whole.
enum class Cutting {
    items,  ///< the unit is an item, or stands for one
    bytes   ///< the unit may be cut, too
};

/// The cut of a plan that reads and writes `nbytes`, into at most `most` parts; one part where it
/// is not worth threads.
/// @throws LayoutError  as workers::parts_for().
PlanCut cut_plan(const CopyPlan& plan, std::int64_t nbytes, Cutting cutting, std::int64_t most);

/// As above, of a plan that writes dst items of `written` bytes: one part, too, where they overlap,
/// which threads must not write at once.
PlanCut cut_writes(const CopyPlan& plan, std::int64_t nbytes, std::int64_t written,
                   Cutting cutting);

/// The plan of a plane of units: two axes, in the order given.
CopyPlan plane_plan(std::int64_t unit, const rows::Axis& outer, const rows::Axis& inner) noexcept;

/// run_host(), on threads where the plan is large and its destination does not overlap itself.
/// @throws LayoutError  as workers::parts_for(); nothing is written then.
void copy_in_parts(const CopyPlan& plan, void* dst, const void* src);

}  // namespace devview
