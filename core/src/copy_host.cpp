// Copies and fills on host memory: a plan in one piece, in pieces that are streamed, or by
// pointers.
#include <algorithm>
#include <cstring>

#include "copy_stream.hpp"
#include "copy_task.hpp"
#include "copy_walk.hpp"
#include "devview/copy_plan.hpp"
#include "layout_check.hpp"

namespace devview {
namespace {

/// From here on what is written drives more out of the caches than it leaves in them for the
/// reader.
constexpr std::int64_t kStreamBytes = 4 << 20;
/// Bytes that are made in the first cache before they are streamed.
constexpr std::int64_t kPiece = 16 << 10;
/// Dense runs that are streamed from where they lie.
constexpr std::int64_t kLongRun = 4 << 10;

/// Axes [first, plan.ndim) of a plan, `extent` places of the first.
CopyPlan inner_plan(const CopyPlan& plan, int first, std::int64_t extent) noexcept {
    CopyPlan part;
    part.ndim = plan.ndim - first;
    part.unit = plan.unit;
    part.dst_shift = part.src_shift = 0;
    std::copy_n(plan.extents + first, part.ndim, part.extents);
    std::copy_n(plan.dst_strides + first, part.ndim, part.dst_strides);
    std::copy_n(plan.src_strides + first, part.ndim, part.src_strides);
    part.extents[0] = extent;
    part.count = 1;
    for (int k = 0; k < part.ndim; ++k)
        part.count *= part.extents[k];
    return part;
}

/// A dense destination made piece by piece in a buffer, in the order of its addresses.
class Pieces {
public:
    Pieces(const CopyPlan& plan, const copy::Kernels& kernels) noexcept
        : plan_(plan), kernels_(kernels) {
        std::int64_t dense = plan.unit;
        cut_ = plan.ndim;
        while (cut_ > 0 && plan.dst_strides[cut_ - 1] == dense && dense < kPiece)
            dense *= plan.extents[--cut_];
        worthwhile_ = cut_ < plan.ndim && dense >= kLongRun;
        if (!worthwhile_) return;
        step_ = dense / plan.extents[cut_];
        extent_ = std::min(plan.extents[cut_], kPiece / step_);
        copy::arrange_task(inner_plan(plan, cut_, extent_), kernels, task_);
        const std::int64_t rest = plan.extents[cut_] % extent_;
        if (rest != 0) copy::arrange_task(inner_plan(plan, cut_, rest), kernels, rest_);
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
            copy::run_task(task_, kernels_, row_.begin(buffer_), src, false);
            row_.push(buffer_, extent_ * step_, kernels_);
            src += extent_ * plan_.src_strides[cut_];
        }
        if (left == 0) return;
        copy::run_task(rest_, kernels_, row_.begin(buffer_), src, false);
        row_.push(buffer_, left * step_, kernels_);
    }

    const CopyPlan& plan_;
    const copy::Kernels& kernels_;
    bool worthwhile_;
    int cut_;
    std::int64_t step_;    // bytes of one place of the axis that is cut
    std::int64_t extent_;  // places in a piece
    copy::Task task_;
    copy::Task rest_;
    copy::LineRow row_;
    alignas(copy::kLine) char buffer_[kPiece + 2 * copy::kLine];
};

void stream_units(const CopyPlan& plan, const copy::Kernels& kernels, int axis, char* dst,
                  const char* src) noexcept {
    if (axis == plan.ndim) return copy::stream_run(dst, src, plan.unit, kernels);
    for (std::int64_t k = 0; k < plan.extents[axis]; ++k) {
        stream_units(plan, kernels, axis + 1, dst + k * plan.dst_strides[axis],
                     src + k * plan.src_strides[axis]);
    }
}

/// Past the caches; false if the destination's runs are too short for that.
bool stream(const CopyPlan& plan, const copy::Kernels& kernels, char* dst,
            const char* src) noexcept {
    if (plan.unit >= kLongRun) {
        stream_units(plan, kernels, 0, dst, src);
    } else {
        Pieces pieces(plan, kernels);
        if (!pieces.worthwhile()) return false;
        pieces.run(dst, src);
    }
    return true;
}

}  // namespace

void run_host(const CopyPlan& plan, void* dst, const void* src, std::int64_t whole) noexcept {
    if (plan.count == 0) return;
    char* const to = static_cast<char*>(dst) + plan.dst_shift;
    const char* const from = static_cast<const char*>(src) + plan.src_shift;
    const bool streams = std::max(whole, plan.count * plan.unit) >= kStreamBytes;
    if (plan.ndim == 0 && !(streams && plan.unit >= kLongRun)) {
        std::memcpy(to, from, static_cast<std::size_t>(plan.unit));
        return;
    }
    const copy::Kernels& kernels = copy::kernels();
    if (plan.ndim == 0) {
        copy::stream_run(to, from, plan.unit, kernels);
        return kernels.fence();
    }
    copy::Task task;
    copy::arrange_task(plan, kernels, task);
    if (task.inner == copy::Inner::walk) return rows::run_walk(plan, to, from);
    if (!streams || copy::has_long_rows(task) || !stream(plan, kernels, to, from)) {
        copy::run_task(task, kernels, to, from, streams);
    }
    if (streams) kernels.fence();
}

void copy_host(void* dst, const Layout& dst_layout, const void* src, const Layout& src_layout,
               std::int64_t itemsize) {
    const int ndim =
        std::max(rows::axes_with_pointers(dst_layout), rows::axes_with_pointers(src_layout));
    if (ndim == 0) return run_host(plan_copy(dst_layout, src_layout, itemsize), dst, src);
    detail::check_same_shape("copy", dst_layout, src_layout);
    if (dst_layout.size() == 0 || itemsize == 0) return;
    // Behind the last pointer every block of items has the same plan.
    const CopyPlan plan = plan_copy(rows::axes_from(dst_layout, ndim, itemsize),
                                    rows::axes_from(src_layout, ndim, itemsize), itemsize);
    rows::each_block(dst_layout, src_layout, 0, ndim, static_cast<char*>(dst),
                     static_cast<const char*>(src),
                     [&](char* to, const char* from) { run_host(plan, to, from); });
}

void fill_host(void* dst, const Layout& layout, const void* item, std::int64_t itemsize) {
    copy_host(dst, layout, item, Layout().broadcast_to(layout.ndim(), layout.shape(), itemsize),
              itemsize);
}

}  // namespace devview
