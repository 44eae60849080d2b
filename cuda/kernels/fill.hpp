// Fills: items repeated until they fill the widest store, rows less their ends if need be.
#pragma once

#include <cstdint>
#include <cstring>
#include <numeric>

#include "kernels/dispatch.hpp"

namespace devview::cuda::kernels {

namespace detail {

/// Takes `times` neighbours on the innermost, dense axis as one item.
inline void repeat_item(CopyPlan& plan, FillItem& item, std::int64_t times) {
    const int last = plan.ndim - 1;
    for (std::int64_t k = 1; k < times; ++k) {
        std::memcpy(item.bytes + k * plan.unit, item.bytes, static_cast<std::size_t>(plan.unit));
    }
    plan.unit *= times;
    plan.dst_strides[last] *= times;
    plan.extents[last] /= times;
    plan.count /= times;
}

inline bool is_dense_row(const CopyPlan& plan) {
    return plan.ndim > 0 && plan.dst_strides[plan.ndim - 1] == plan.unit;
}

/// The part of a plan that has `count` items from `first` on, on the innermost axis.
inline CopyPlan columns(const CopyPlan& plan, std::int64_t first, std::int64_t count) {
    CopyPlan part = plan;
    const int last = plan.ndim - 1;
    part.dst_shift += first * plan.dst_strides[last];
    part.extents[last] = count;
    part.count = plan.count / plan.extents[last] * count;
    return part;
}

/// Rows of items that begin with `head` items and end with some, between which lie whole groups of
/// `times` items on multiples of 16 bytes.
struct WideRows {
    std::int64_t head;
    std::int64_t groups;
    std::int64_t times;
};

/// groups == 0: there are none to speak of.
inline WideRows find_wide_rows(const CopyPlan& plan, std::uintptr_t at) {
    if (!is_dense_row(plan)) return {};
    const std::int64_t times = 16 / std::gcd(plan.unit, std::int64_t{16});
    if (times == 1 || times * plan.unit > kMaxFillBytes) return {};
    for (int axis = 0; axis + 1 < plan.ndim; ++axis)
        if (plan.dst_strides[axis] % 16 != 0) return {};
    std::int64_t head = 0;
    while (head < times && (at + static_cast<std::uintptr_t>(head * plan.unit)) % 16 != 0)
        ++head;
    constexpr std::int64_t kWorthIt = 512;  // bytes
    const std::int64_t items = plan.extents[plan.ndim - 1] - head;
    if (head == times || items * plan.unit < kWorthIt) return {};
    return {head, items / times, times};
}

template <typename Each>
void fill_box(CopyPlan plan, void* dst, FillItem item, const Each& each) {
    if (plan.count == 0) return;
    while (plan.unit < 16 && is_dense_row(plan) && plan.extents[plan.ndim - 1] % 2 == 0)
        repeat_item(plan, item, 2);
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const std::int64_t width = kernel_width(plan, unit_width(plan, {{to, plan.dst_strides}}));
    const std::int64_t chunks = plan.unit / width;
    with_any_axes(plan, width, [&](auto types) {
        using T = decltype(types);
        // Whole items, so that each piece begins with the first chunk of one.
        in_pieces(make_walk(plan, width, to, nullptr), 0, plan.count * chunks, kMostPositions,
                  [&](const Walk& piece, Index, Index count, std::int64_t) {
                      StridedFill<typename T::Unit, T::kAxes> functor{
                          make_axes<T::kAxes, 1>(piece), piece.dst, chunks == 1, {}};
                      std::memcpy(functor.words, item.bytes, static_cast<std::size_t>(plan.unit));
                      each(count, functor);
                  });
    });
}

}  // namespace detail

template <typename Each>
void run_fill(const CopyPlan& plan, void* dst, const FillItem& item, const Each& each) {
    if (plan.count == 0 || plan.unit == 0) return;
    const auto at =
        reinterpret_cast<std::uintptr_t>(dst) + static_cast<std::uintptr_t>(plan.dst_shift);
    const detail::WideRows rows = detail::find_wide_rows(plan, at);
    if (rows.groups == 0) return detail::fill_box(plan, dst, item, each);
    const std::int64_t wide = rows.groups * rows.times;
    const std::int64_t after = rows.head + wide;
    CopyPlan body = detail::columns(plan, rows.head, wide);
    FillItem repeated = item;
    detail::repeat_item(body, repeated, rows.times);
    detail::fill_box(body, dst, repeated, each);
    detail::fill_box(detail::columns(plan, 0, rows.head), dst, item, each);
    const std::int64_t rest = plan.extents[plan.ndim - 1] - after;
    detail::fill_box(detail::columns(plan, after, rest), dst, item, each);
}

}  // namespace devview::cuda::kernels
