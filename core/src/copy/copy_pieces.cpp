// Dense destinations that no cache holds: made piece by piece in the first cache, in the order of
// their addresses, from where they leave in whole lines.
#include <algorithm>

#include "src/copy/copy_stream.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

/// Bytes that are made in the first cache before they are streamed.
constexpr std::int64_t kPiece = 16 << 10;
/// The shortest of a destination's dense runs that are.
constexpr std::int64_t kLeast = 1024;

/// A dense destination made piece by piece in a buffer, in the order of its addresses.
class Pieces {
public:
    Pieces(const CopyPlan& plan, const Kernels& kernels) noexcept : plan_(plan), kernels_(kernels) {
        std::int64_t dense = plan.unit;
        cut_ = plan.ndim;
        while (cut_ > 0 && plan.dst_strides[cut_ - 1] == dense && dense < kPiece)
            dense *= plan.extents[--cut_];
        worthwhile_ = cut_ < plan.ndim && dense >= kLeast;
        if (!worthwhile_) return;
        step_ = dense / plan.extents[cut_];
        extent_ = std::min(plan.extents[cut_], kPiece / step_);
        arrange_task(inner_plan(plan, cut_, extent_), kernels, task_);
        const std::int64_t rest = plan.extents[cut_] % extent_;
        if (rest != 0) arrange_task(inner_plan(plan, cut_, rest), kernels, rest_);
        task_.ahead = rest_.ahead = kAhead;
    }
    bool worthwhile() const noexcept { return worthwhile_; }

    void run(char* dst, const char* src) noexcept {
        row_.start(dst);
        each(0, dst, src);
        row_.finish();
    }

private:
    void each(int axis, char* dst, const char* src) noexcept {
        if (axis == cut_) return pieces(dst, src);
        for (std::int64_t k = 0; k < plan_.extents[axis]; ++k)
            each(axis + 1, dst + k * plan_.dst_strides[axis], src + k * plan_.src_strides[axis]);
    }

    void pieces(char* dst, const char* src) noexcept {
        if (row_.position() != dst) {
            row_.finish();
            row_.start(dst);
        }
        std::int64_t left = plan_.extents[cut_];
        for (; left >= extent_; left -= extent_) {
            run_task(task_, kernels_, row_.begin(buffer_), src, false);
            row_.push(buffer_, extent_ * step_, kernels_);
            src += extent_ * plan_.src_strides[cut_];
        }
        if (left == 0) return;
        run_task(rest_, kernels_, row_.begin(buffer_), src, false);
        row_.push(buffer_, left * step_, kernels_);
    }

    const CopyPlan& plan_;
    const Kernels& kernels_;
    bool worthwhile_;
    int cut_;
    std::int64_t step_;    // bytes of one place of the axis that is cut
    std::int64_t extent_;  // places in a piece
    Task task_;
    Task rest_;
    LineRow row_;
    alignas(kLine) char buffer_[kPiece + 2 * kLine];
};

}  // namespace

Route stream_pieces(const CopyPlan& plan, const Kernels& kernels, char* dst,
                    const char* src) noexcept {
    if (plan.ndim == 0) return Route::none;
    Pieces pieces(plan, kernels);
    if (!pieces.worthwhile()) return Route::none;
    pieces.run(dst, src);
    return Route::pieces;
}

}  // namespace devview::copy
