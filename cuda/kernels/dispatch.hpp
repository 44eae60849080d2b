// From a plan to one functor call per position: picks unit and index width, for any way to launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "devview/cuda/runtime.hpp"
#include "kernels/functors.hpp"

namespace devview::cuda::kernels {

static_assert(kMaxItemBytes == kMaxFillBytes);

/// One side of a plan as the kernels take it: null strides for a dense side.
struct Side {
    const void* data;
    const std::int64_t* strides;
};

/// Widest unit in bytes (1, 2, 4, 8, 16) that divides the plan's unit, all strides and addresses.
inline std::int64_t unit_width(const CopyPlan& plan, std::initializer_list<Side> sides) {
    std::uint64_t bits = 16 | static_cast<std::uint64_t>(plan.unit);
    for (const Side& side : sides) {
        bits |= reinterpret_cast<std::uintptr_t>(side.data);
        for (int axis = 0; side.strides && axis < plan.ndim; ++axis) {
            bits |= static_cast<std::uint64_t>(side.strides[axis]);
        }
    }
    return static_cast<std::int64_t>(bits & (~bits + 1));
}

/// The plan's axes innermost first, with the chunks of a unit as one more axis where it has
/// several, so that long units are shared among threads.
template <typename Index, std::size_t max_axes, std::size_t sides>
Axes<Index, max_axes, sides> make_axes(const CopyPlan& plan, std::int64_t width,
                                       const std::int64_t* const (&strides)[sides]) {
    Axes<Index, max_axes, sides> axes{};
    const auto add = [&](std::int64_t extent) {
        axes.extents[axes.ndim] = Divider<Index>::of(static_cast<Index>(extent));
        return axes.strides[axes.ndim++];
    };
    if (plan.unit != width) {
        std::int64_t* steps = add(plan.unit / width);
        for (std::size_t side = 0; side < sides; ++side)
            steps[side] = width;
    }
    for (int axis = plan.ndim - 1; axis >= 0; --axis) {
        std::int64_t* steps = add(plan.extents[axis]);
        for (std::size_t side = 0; side < sides; ++side)
            steps[side] = strides[side][axis];
    }
    return axes;
}

/// What a functor is instantiated for.
template <typename U, typename I, std::size_t axes>
struct Types {
    using Unit = U;
    using Index = I;
    static constexpr std::size_t kAxes = axes;
};

template <typename Index, typename Body>
void with_unit(std::int64_t width, const Body& body) {
    switch (width) {
        case 1:
            return body(Types<std::uint8_t, Index, kFewAxes>{});
        case 2:
            return body(Types<std::uint16_t, Index, kFewAxes>{});
        case 4:
            return body(Types<std::uint32_t, Index, kFewAxes>{});
        case 8:
            return body(Types<std::uint64_t, Index, kFewAxes>{});
        default:
            return body(Types<Unit16, Index, kFewAxes>{});
    }
}

/// Calls body(Types<...>{}) for positions up to the end of `units` units.
template <typename Body>
void with_few_axes(const CopyPlan& plan, std::int64_t width, std::int64_t units, const Body& body) {
    // Divider is exact below half of the index' range.
    if (units <= INT32_MAX / (plan.unit / width)) {
        with_unit<std::uint32_t>(width, body);
    } else {
        with_unit<std::uint64_t>(width, body);
    }
}

/// Rare plans, whose kernels are 65 steps long: only copy and fill have them, for two units.
inline bool has_many_axes(const CopyPlan& plan) {
    return plan.ndim >= static_cast<int>(kFewAxes);  // one is kept for the chunks
}

template <typename Body>
void with_any_axes(const CopyPlan& plan, std::int64_t width, std::int64_t units, const Body& body) {
    if (!has_many_axes(plan)) {
        with_few_axes(plan, width, units, body);
    } else if (width >= 4) {
        body(Types<std::uint32_t, std::uint64_t, kAllAxes>{});
    } else {
        body(Types<std::uint8_t, std::uint64_t, kAllAxes>{});
    }
}

/// Copies `units` units from `first` on. `each(n, functor)` is to run the functor at positions 0 to
/// n - 1, in any order.
template <typename Each>
void run_units(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
               std::int64_t units, const Each& each) {
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const auto* from = static_cast<const unsigned char*>(src) + plan.src_shift;
    const std::int64_t width = unit_width(plan, {{to, plan.dst_strides}, {from, plan.src_strides}});
    with_any_axes(plan, width, first + units, [&](auto types) {
        using T = decltype(types);
        using Index = typename T::Index;
        constexpr std::int64_t kWidth = sizeof(typename T::Unit);
        const std::int64_t chunks = plan.unit / kWidth;
        const StridedCopy<typename T::Unit, Index, T::kAxes> functor{
            make_axes<Index, T::kAxes, 2>(plan, kWidth, {plan.dst_strides, plan.src_strides}), to,
            from, static_cast<Index>(first * chunks)};
        each(static_cast<Index>(units * chunks), functor);
    });
}

/// Pack and unpack, which differ in the side that is dense; `strides` are the other's.
template <template <typename, typename, std::size_t> class Functor, typename Each>
void run_dense(const CopyPlan& plan, unsigned char* dst, const unsigned char* src,
               const std::int64_t* strides, std::int64_t width, std::int64_t first,
               std::int64_t units, const Each& each) {
    with_few_axes(plan, width, first + units, [&](auto types) {
        using T = decltype(types);
        using Index = typename T::Index;
        constexpr std::int64_t kWidth = sizeof(typename T::Unit);
        const std::int64_t chunks = plan.unit / kWidth;
        const Functor<typename T::Unit, Index, T::kAxes> functor{
            make_axes<Index, T::kAxes, 1>(plan, kWidth, {strides}), dst, src,
            static_cast<Index>(first * chunks)};
        each(static_cast<Index>(units * chunks), functor);
    });
}

/// The strides of a dense side whose data begins with unit `first`; returns its shift.
inline std::int64_t make_dense(const CopyPlan& plan, std::int64_t first, std::int64_t* strides) {
    std::int64_t stride = plan.unit;
    for (int axis = plan.ndim - 1; axis >= 0; --axis) {
        strides[axis] = stride;
        stride *= plan.extents[axis];
    }
    return -first * plan.unit;
}

template <typename Each>
void run_pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
              std::int64_t units, const Each& each) {
    if (units == 0 || plan.unit == 0) return;
    if (has_many_axes(plan)) {
        CopyPlan whole = plan;
        whole.dst_shift = make_dense(plan, first, whole.dst_strides);
        return run_units(whole, dst, src, first, units, each);
    }
    const auto* from = static_cast<const unsigned char*>(src) + plan.src_shift;
    const std::int64_t width = unit_width(plan, {{dst, nullptr}, {from, plan.src_strides}});
    run_dense<StridedPack>(plan, static_cast<unsigned char*>(dst), from, plan.src_strides, width,
                           first, units, each);
}

template <typename Each>
void run_unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                std::int64_t units, const Each& each) {
    if (units == 0 || plan.unit == 0) return;
    if (has_many_axes(plan)) {
        CopyPlan whole = plan;
        whole.src_shift = make_dense(plan, first, whole.src_strides);
        return run_units(whole, dst, src, first, units, each);
    }
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const std::int64_t width = unit_width(plan, {{to, plan.dst_strides}, {src, nullptr}});
    run_dense<StridedUnpack>(plan, to, static_cast<const unsigned char*>(src), plan.dst_strides,
                             width, first, units, each);
}

template <typename Each>
void run_copy(const CopyPlan& plan, void* dst, const void* src, const Each& each) {
    if (plan.count == 0 || plan.unit == 0) return;
    run_units(plan, dst, src, 0, plan.count, each);
}

/// Takes pairs of neighbours as one item of twice the size while that allows wider units.
inline void widen_fill(CopyPlan& plan, FillItem& item) {
    const int last = plan.ndim - 1;
    while (plan.unit < 16 && last >= 0 && plan.dst_strides[last] == plan.unit &&
           plan.extents[last] % 2 == 0) {
        std::memcpy(item.bytes + plan.unit, item.bytes, static_cast<std::size_t>(plan.unit));
        plan.unit *= 2;
        plan.dst_strides[last] *= 2;
        plan.extents[last] /= 2;
        plan.count /= 2;
    }
}

template <typename Each>
void run_fill(CopyPlan plan, void* dst, FillItem item, const Each& each) {
    if (plan.count == 0 || plan.unit == 0) return;
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    widen_fill(plan, item);
    const std::int64_t width = unit_width(plan, {{to, plan.dst_strides}});
    with_any_axes(plan, width, plan.count, [&](auto types) {
        using T = decltype(types);
        using Index = typename T::Index;
        constexpr std::int64_t kWidth = sizeof(typename T::Unit);
        StridedFill<typename T::Unit, Index, T::kAxes> functor{
            make_axes<Index, T::kAxes, 1>(plan, kWidth, {plan.dst_strides}),
            to,
            plan.unit == kWidth,
            {}};
        std::memcpy(functor.words, item.bytes, static_cast<std::size_t>(plan.unit));
        each(static_cast<Index>(plan.count * (plan.unit / kWidth)), functor);
    });
}

}  // namespace devview::cuda::kernels
