// Copies and fills on host memory: a plan in one piece, in pieces that are streamed, or by
// pointers.
#include <algorithm>
#include <cstring>

#include "devview/copy_plan.hpp"
#include "src/checked.hpp"
#include "src/copy/copy_moves.hpp"
#include "src/copy/copy_task.hpp"
#include "src/copy/copy_walk.hpp"
#include "src/copy/plan_parts.hpp"
#include "src/layout/layout_check.hpp"

namespace devview {

namespace copy {

namespace {

/// From here on what is written drives more out of the caches than it leaves in them for the
/// reader.
constexpr std::int64_t kStreamBytes = 8 << 20;

/// True if a copy of `nbytes` goes past the caches: rows count what is read, too, and half of both;
/// lines of a transpose come from so many places that they drive each other out sooner.
bool is_streamed(const Task& task, std::int64_t nbytes) noexcept {
    if (task.inner == Inner::transpose) return nbytes >= kStreamBytes / 2;
    if (nbytes >= kStreamBytes || task.inner != Inner::rows) return nbytes >= kStreamBytes;
    const auto read = static_cast<std::int64_t>(checked::magnitude(task.along.axes[0].src));
    return nbytes / task.unit * (task.unit + read) >= 2 * kStreamBytes;
}

/// One block of few units, which is done before others have chosen how.
bool run_small(const CopyPlan& plan, char* dst, const char* src, const Kernels& kernels) noexcept {
    constexpr std::int64_t kMost = 32;
    const std::int64_t unit = plan.unit;
    if (plan.ndim != 2 || plan.dst_strides[1] != unit || unit > 16) return false;
    const std::int64_t columns = plan.extents[0];
    const std::int64_t rows = plan.extents[1];
    if (rows > kMost || columns > kMost) return false;
    const bool squares = plan.src_strides[0] == unit && (unit & (unit - 1)) == 0 &&
                         std::min(rows, columns) * unit >= 16;
    if (!squares && plan.count > 128) return false;
    std::int64_t dst_at[kMost];
    std::int64_t src_at[kMost];
    for (std::int64_t k = 0; k < std::max(rows, columns); ++k) {
        dst_at[k] = k * plan.dst_strides[0];
        src_at[k] = k * plan.src_strides[1];
    }
    if (squares) {
        const int size = __builtin_ctzll(static_cast<unsigned long long>(unit));
        kernels.transpose[size](dst, dst_at, src, src_at, rows, columns);
    } else {
        move_units({dst, dst_at, src, src_at, rows, columns, nullptr}, unit, plan.src_strides[0]);
    }
    return true;
}

/// A copy past the caches; Route::none where it has to walk.
Route stream_plan(const CopyPlan& plan, const Task& task, const Kernels& kernels, char* dst,
                  const char* src) noexcept {
    const bool walks = task.inner == Inner::walk;
    if (!walks && stream_lines(task, kernels, dst, src)) return Route::lines;
    if (!walks && stream_shifted(task, kernels, dst, src)) return Route::shifted;
    if (!walks && stream_picks(task, kernels, dst, src)) return Route::picks;
    if (stream_runs(plan, kernels, dst, src)) return Route::runs;
    if (walks) return Route::none;
    if (!has_long_rows(task, dst)) {
        const Route route = stream_pieces(plan, kernels, dst, src);
        if (route != Route::none) return route;
    }
    return run_task(task, kernels, dst, src, true);
}

}  // namespace

Route run_plan(const CopyPlan& plan, char* dst, const char* src, std::int64_t whole,
               const Kernels& kernels) noexcept {
    if (plan.count == 0) return Route::none;
    dst += plan.dst_shift;
    src += plan.src_shift;
    const std::int64_t nbytes = std::max(whole, plan.count * plan.unit);
    if (run_small(plan, dst, src, kernels)) return Route::blocks;
    if (plan.ndim == 0 && nbytes < kStreamBytes) {
        std::memcpy(dst, src, static_cast<std::size_t>(plan.unit));
        return Route::dense;
    }
    if (run_repeats(plan, kernels, dst, src, nbytes >= kStreamBytes)) {
        if (nbytes >= kStreamBytes) kernels.fence();
        return Route::repeats;
    }
    Task task;
    arrange_task(plan, kernels, task);
    const bool streams = is_streamed(task, nbytes);
    const Route route = streams ? stream_plan(plan, task, kernels, dst, src) : Route::none;
    if (route != Route::none) {
        kernels.fence();
        return route;
    }
    if (task.inner == Inner::walk) {
        rows::run_walk(plan, dst, src);
        return Route::walk;
    }
    return run_task(task, kernels, dst, src, false);
}

}  // namespace copy

void run_host(const CopyPlan& plan, void* dst, const void* src, std::int64_t whole) noexcept {
    copy::run_plan(plan, static_cast<char*>(dst), static_cast<const char*>(src), whole,
                   copy::kernels());
}

namespace {

/// copy_host() where pointers are followed.
void copy_pointers(void* dst, const Layout& dst_layout, const void* src, const Layout& src_layout,
                   std::int64_t itemsize) {
    const int ndim =
        std::max(rows::axes_with_pointers(dst_layout), rows::axes_with_pointers(src_layout));
    detail::check_same_shape("copy", dst_layout, src_layout);
    if (dst_layout.size() == 0 || itemsize == 0) return;
    // Behind the last pointer every block of items has the same plan.
    const CopyPlan plan = plan_copy(rows::axes_from(dst_layout, ndim, itemsize),
                                    rows::axes_from(src_layout, ndim, itemsize), itemsize);
    rows::each_block(dst_layout, src_layout, 0, ndim, static_cast<char*>(dst),
                     static_cast<const char*>(src),
                     [&](char* to, const char* from) { run_host(plan, to, from); });
}

}  // namespace

void copy_host(void* dst, const Layout& dst_layout, const void* src, const Layout& src_layout,
               std::int64_t itemsize) {
    if (dst_layout.suboffsets() != nullptr || src_layout.suboffsets() != nullptr) {
        return copy_pointers(dst, dst_layout, src, src_layout, itemsize);
    }
    copy_in_parts(plan_copy(dst_layout, src_layout, itemsize), dst, src);
}

void fill_host(void* dst, const Layout& layout, const void* item, std::int64_t itemsize) {
    copy_host(dst, layout, item, Layout().broadcast_to(layout.ndim(), layout.shape(), itemsize),
              itemsize);
}

}  // namespace devview
