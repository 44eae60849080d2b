// The axes of a plan, dealt out to those of a task; private to the core.
#pragma once

#include <algorithm>

#include "src/checked.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {

/// A plan's axes while they are dealt out.
class Deal {
public:
    Deal(const CopyPlan& plan, Task& task) noexcept : count_(plan.ndim), task_(&task) {
        for (int k = 0; k < count_; ++k)
            axes_[k] = {plan.extents[k], plan.dst_strides[k], plan.src_strides[k]};
    }
    /// Deals to another task.
    void deal_to(Task& task) noexcept { task_ = &task; }
    int last() const noexcept { return count_ - 1; }
    const Axis& operator[](int axis) const noexcept { return axes_[axis]; }

    /// The axis with the shortest step of the source, -1 if all others are as long as the last's.
    int fastest_source() const noexcept {
        int fastest = -1;
        auto shortest = checked::magnitude(axes_[last()].src);
        for (int k = last() - 1; k >= 0; --k) {
            const auto step = checked::magnitude(axes_[k].src);
            if (step == 0 || (step >= shortest && shortest != 0)) continue;
            fastest = k;
            shortest = step;
        }
        return fastest;
    }

    Axis take(int axis) noexcept {
        const Axis taken = axes_[axis];
        std::copy(axes_ + axis + 1, axes_ + count_, axes_ + axis);
        --count_;
        return taken;
    }

    /// The inner `part` places of an axis; the last of them overlap those before where the extent
    /// is no multiple.
    Axis split(int axis, std::int64_t part) noexcept {
        const Axis inner{part, axes_[axis].dst, axes_[axis].src};
        const std::int64_t last = axes_[axis].extent - part;
        if (last % part != 0) {
            task_->last_dst = last * inner.dst;
            task_->last_src = last * inner.src;
        }
        axes_[axis] = {axes_[axis].extent / part, inner.dst * part, inner.src * part};
        return inner;
    }

    /// As take(), in the direction in which the source goes forward.
    Axis take_forward(int axis) noexcept {
        Axis taken = take(axis);
        if (taken.src < 0) {
            task_->dst_shift += taken.dst * (taken.extent - 1);
            task_->src_shift += taken.src * (taken.extent - 1);
            taken.dst = -taken.dst;
            taken.src = -taken.src;
        }
        return taken;
    }

    /// The next axis along which the destination goes on densely after `nbytes`, -1 if none.
    int next_along(std::int64_t nbytes) const noexcept {
        for (int k = last(); k >= 0; --k) {
            if (axes_[k].dst == nbytes) return k;
        }
        return -1;
    }
    int next_across(std::int64_t nbytes) const noexcept {
        for (int k = last(); k >= 0; --k) {
            if (axes_[k].src == nbytes || axes_[k].src == -nbytes) return k;
        }
        return -1;
    }

    /// Longer runs: first until both fill a line, then as far as they go; the source's first, whose
    /// rows are read along, where the destination's are long.
    void extend_runs(std::int64_t unit, bool dense_across) noexcept {
        extend_along_to(kLine);
        if (dense_across) extend_across_to(kLine);
        const bool source_first = dense_across && task_->along.extent * unit >= kLongRow;
        if (source_first) extend_across_to(kEndless);
        extend_along_to(kEndless);
        if (dense_across) extend_across_to(kEndless);
    }

    void extend_along_to(std::int64_t nbytes) noexcept {
        while (task_->along.extent * task_->unit < nbytes) {
            const int axis = next_along(task_->along.extent * task_->unit);
            if (axis < 0) return;
            task_->along.push_outside(take(axis));
        }
    }
    void extend_across_to(std::int64_t nbytes) noexcept {
        while (task_->across.extent * task_->unit < nbytes) {
            const int axis = next_across(task_->across.extent * task_->unit);
            if (axis < 0) return;
            task_->across.push_outside(take_forward(axis));
        }
    }

    /// A longer run of the destination, of `most` places at most: their offsets are found once.
    void extend_along(std::int64_t most) noexcept {
        for (;;) {
            const int axis = next_along(task_->along.extent * task_->unit);
            if (axis < 0) return;
            // Short runs are worth finding offsets again and again.
            const bool fits = axes_[axis].extent <= most / task_->along.extent;
            if (!fits && task_->along.extent >= kFew) return;
            task_->along.push_outside(take(axis));
        }
    }

    /// The axes left, those with short steps on either side innermost: their lines are still there.
    void keep_outer() noexcept {
        const auto reach = [](const Axis& axis) {
            return std::min(checked::magnitude(axis.dst), checked::magnitude(axis.src));
        };
        for (int k = 0; k < count_; ++k) {
            int at = task_->outer.ndim++;
            for (; at > 0 && reach(task_->outer.axes[at - 1]) < reach(axes_[k]); --at)
                task_->outer.axes[at] = task_->outer.axes[at - 1];
            task_->outer.axes[at] = axes_[k];
            task_->outer.extent *= axes_[k].extent;
        }
    }

private:
    static constexpr std::int64_t kFew = 64;
    static constexpr std::int64_t kEndless = checked::kMax;
    int count_;
    Axis axes_[kMaxNdim];
    Task* task_;
};

}  // namespace devview::copy
