// Copies and fills on host memory: the loops for each size of a plan's unit.
#include <algorithm>
#include <cstring>

#include "copy_walk.hpp"
#include "devview/copy_plan.hpp"
#include "layout_check.hpp"
#include "plan_parts.hpp"

namespace devview {
namespace {

template <typename Move>
void run_plane(const Move& move, char* dst, const char* src, const rows::Walk& walk) noexcept {
    if (walk.pattern == rows::Pattern::kRows) {
        rows::plane_of_rows(move, dst, src, walk.along, walk.other);
    } else {
        rows::plane_of_blocks(move, dst, src, walk.along, walk.other);
    }
}

template <typename T>
void run_plane(const rows::Exact<T>& move, char* dst, const char* src,
               const rows::Walk& walk) noexcept {
    if (walk.pattern == rows::Pattern::kTiles) {
        rows::plane_of_tiles<T>(dst, src, walk.along, walk.other);
    } else if (walk.pattern == rows::Pattern::kRows) {
        rows::plane_of_rows(move, dst, src, walk.along, walk.other);
    } else {
        rows::plane_of_blocks(move, dst, src, walk.along, walk.other);
    }
}

template <typename Move>
void run(const Move& move, char* dst, const char* src, const CopyPlan& plan) noexcept {
    const rows::Walk walk = rows::arrange(plan);
    rows::each_plane(walk, dst, src,
                     [&](char* to, const char* from) { run_plane(move, to, from, walk); });
}

}  // namespace

void run_host(const CopyPlan& plan, void* dst, const void* src) noexcept {
    if (plan.count == 0) return;
    char* to = static_cast<char*>(dst) + plan.dst_shift;
    const char* from = static_cast<const char*>(src) + plan.src_shift;
    const std::int64_t unit = plan.unit;
    if (plan.ndim == 0) {
        std::memcpy(to, from, static_cast<std::size_t>(unit));
        return;
    }
    if (unit == 1) return run(rows::Exact<std::uint8_t>{}, to, from, plan);
    if (unit == 2) return run(rows::Exact<std::uint16_t>{}, to, from, plan);
    if (unit == 4) return run(rows::Exact<std::uint32_t>{}, to, from, plan);
    if (unit == 8) return run(rows::Exact<std::uint64_t>{}, to, from, plan);
    if (unit == 16) return run(rows::Exact<rows::Bytes16>{}, to, from, plan);
    if (unit < 4) return run(rows::Pair<std::uint16_t>{unit - 2}, to, from, plan);
    if (unit < 8) return run(rows::Pair<std::uint32_t>{unit - 4}, to, from, plan);
    if (unit < 16) return run(rows::Pair<std::uint64_t>{unit - 8}, to, from, plan);
    if (unit <= 32) return run(rows::Pair<rows::Bytes16>{unit - 16}, to, from, plan);
    run(rows::Any{unit}, to, from, plan);
}

void copy_host(void* dst, const Layout& dst_layout, const void* src, const Layout& src_layout,
               std::int64_t itemsize) {
    const int ndim =
        std::max(rows::axes_with_pointers(dst_layout), rows::axes_with_pointers(src_layout));
    if (ndim == 0) return copy_in_parts(plan_copy(dst_layout, src_layout, itemsize), dst, src);
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
