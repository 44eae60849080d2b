// Destinations of which parts are copies of one another, as the source stands still on an axis: a
// part is made once, and copied on from the near cache.
#include <cstring>

#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

// Shorter parts are made as fast as copied; longer ones have left the near cache.
constexpr std::int64_t kLeast = 128;
constexpr std::int64_t kMost = 256 << 10;

/// The outermost axis on which the source stands still, -1 if none; `nbytes`: of a place of it,
/// which is dense in the destination.
int find_repeated(const CopyPlan& plan, std::int64_t& nbytes) noexcept {
    nbytes = plan.unit;
    int found = -1;
    std::int64_t dense = plan.unit;
    for (int k = plan.ndim - 1; k >= 0 && plan.dst_strides[k] == dense; --k) {
        const bool repeats = plan.src_strides[k] == 0 && k < plan.ndim - 1;
        if (repeats && dense >= kLeast && dense <= kMost) {
            found = k;
            nbytes = dense;
        }
        dense *= plan.extents[k];
    }
    return found;
}

/// Makes one place of the axis and copies it to the others, wherever the axes around it lead.
class Repeats {
public:
    Repeats(const CopyPlan& plan, int axis, std::int64_t nbytes, const Kernels& kernels,
            bool streams) noexcept
        : plan_(plan), kernels_(kernels), axis_(axis) {
        arrange_task(inner_plan(plan, axis + 1, plan.extents[axis + 1]), kernels, task_);
        copies_.dst_pitch = nbytes;
        copies_.step = 1;
        copies_.extent = nbytes;
        copies_.rows = plan.extents[axis] - 1;
        copies_.streams = streams;
    }

    void each(int axis, char* dst, const char* src) noexcept {
        if (axis < axis_) {
            for (std::int64_t k = 0; k < plan_.extents[axis]; ++k)
                each(axis + 1, dst + k * plan_.dst_strides[axis],
                     src + k * plan_.src_strides[axis]);
            return;
        }
        run_task(task_, kernels_, dst, src, false);
        copies_.src = dst;
        copies_.dst = dst + copies_.extent;
        kernels_.run_rows[0](copies_);
    }

private:
    const CopyPlan& plan_;
    const Kernels& kernels_;
    int axis_;
    Task task_;
    RowPlane copies_{};
};

}  // namespace

bool run_repeats(const CopyPlan& plan, const Kernels& kernels, char* dst, const char* src,
                 bool streams) noexcept {
    std::int64_t nbytes = 0;
    const int axis = find_repeated(plan, nbytes);
    if (axis < 0) return false;
    Repeats(plan, axis, nbytes, kernels, streams).each(0, dst, src);
    return true;
}

}  // namespace devview::copy
