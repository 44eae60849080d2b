// Dense runs of what no cache holds, past the caches: some that follow each other in the source by
// some that follow each other in the destination, so that both sides are walked in long pieces.
#include <algorithm>

#include "src/checked.hpp"
#include "src/copy/copy_stream.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kLeastRun = 320;
constexpr std::int64_t kLeastApart = 1024;  // whose first and last lines are not whole
constexpr std::int64_t kPiece = 4 << 10;    // of either side

class Runs {
public:
    Runs(const CopyPlan& plan, const Kernels& kernels) noexcept
        : plan_(plan), kernels_(kernels), many_(std::max<std::int64_t>(kPiece / plan.unit, 1)) {
        along_ = axis(plan.ndim - 1);
        int fastest = plan.ndim - 2;
        for (int k = fastest - 1; k >= 0; --k) {
            if (checked::magnitude(plan.src_strides[k]) <
                checked::magnitude(plan.src_strides[fastest]))
                fastest = k;
        }
        across_ = axis(fastest);
        for (int k = plan.ndim - 2; k >= 0; --k) {
            if (k != fastest) outer_.push_outside(axis(k));
        }
    }

    void run(char* dst, const char* src) noexcept {
        each_place(outer_, dst, src, [&](char* to, const char* from) { plane(to, from); });
    }

private:
    Axis axis(int k) const noexcept {
        return {plan_.extents[k], plan_.dst_strides[k], plan_.src_strides[k]};
    }

    void plane(char* dst, const char* src) noexcept {
        for (std::int64_t j = 0; j < along_.extent; j += many_) {
            const std::int64_t count = std::min(many_, along_.extent - j);
            for (std::int64_t i = 0; i < across_.extent; ++i) {
                row(dst + j * along_.dst + i * across_.dst, src + j * along_.src + i * across_.src,
                    count);
            }
        }
    }

    void row(char* dst, const char* src, std::int64_t count) noexcept {
        RunRow row;
        row.start(dst);
        for (std::int64_t k = 0; k < count; ++k) {
            char* const to = dst + k * along_.dst;
            if (row.position() != to) {
                row.finish();
                row.start(to);
            }
            row.push(src + k * along_.src, plan_.unit, kernels_);
        }
        row.finish();
    }

    const CopyPlan& plan_;
    const Kernels& kernels_;
    const std::int64_t many_;  // runs that are written one after another
    Axis along_;
    Axis across_;
    AxisRun outer_;
};

/// True if another axis than the last brings the source's next run nearer.
bool has_nearer_axis(const CopyPlan& plan) noexcept {
    const int last = plan.ndim - 1;
    for (int k = 0; k < last; ++k) {
        if (checked::magnitude(plan.src_strides[k]) < checked::magnitude(plan.src_strides[last]))
            return true;
    }
    return false;
}

}  // namespace

bool stream_runs(const CopyPlan& plan, const Kernels& kernels, char* dst,
                 const char* src) noexcept {
    const int last = plan.ndim - 1;
    if (last < 1) return false;
    const bool adjoin = plan.dst_strides[last] == plan.unit;
    if (plan.unit < (adjoin ? kLeastRun : kLeastApart)) return false;
    if (!has_nearer_axis(plan)) return false;  // one after another does as well
    Runs(plan, kernels).run(dst, src);
    return true;
}

}  // namespace devview::copy
