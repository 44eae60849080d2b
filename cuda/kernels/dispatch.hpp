// From a plan to one functor call per position: picks the unit's width, for any way to launch.
//
// A way to launch, `Each`, is called as each(n, functor) and runs the functor at positions 0 to
// n - 1 in any order; each.transpose(tiles) may take a plan's tiles instead (false: it has no such
// kernel).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "devview/cuda/runtime.hpp"
#include "kernels/functors.hpp"
#include "kernels/transpose.hpp"
#include "kernels/walk.hpp"

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

/// What a functor is instantiated for.
template <typename U, std::size_t axes>
struct Types {
    using Unit = U;
    static constexpr std::size_t kAxes = axes;
};

/// Calls body(Types<...>{}) for a few axes.
template <typename Body>
void with_unit(std::int64_t width, const Body& body) {
    switch (width) {
        case 1:
            return body(Types<std::uint8_t, kFewAxes>{});
        case 2:
            return body(Types<std::uint16_t, kFewAxes>{});
        case 4:
            return body(Types<std::uint32_t, kFewAxes>{});
        case 8:
            return body(Types<std::uint64_t, kFewAxes>{});
        default:
            return body(Types<Unit16, kFewAxes>{});
    }
}

/// Rare plans: only copy and fill have kernels for them, for two units.
inline bool has_many_axes(const CopyPlan& plan) {
    return plan.ndim >= static_cast<int>(kFewAxes);  // one is kept for the chunks
}

/// The width that the kernels of a plan have.
inline std::int64_t kernel_width(const CopyPlan& plan, std::int64_t width) {
    return has_many_axes(plan) ? (width >= 4 ? 4 : 1) : width;
}

template <typename Body>
void with_any_axes(const CopyPlan& plan, std::int64_t width, const Body& body) {
    if (!has_many_axes(plan)) {
        with_unit(width, body);
    } else if (width >= 4) {
        body(Types<std::uint32_t, kAllAxes>{});
    } else {
        body(Types<std::uint8_t, kAllAxes>{});
    }
}

/// Copies `units` units from `first` on, both sides strided.
template <typename Each>
void run_units(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
               std::int64_t units, const Each& each) {
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const auto* from = static_cast<const unsigned char*>(src) + plan.src_shift;
    const std::int64_t width =
        kernel_width(plan, unit_width(plan, {{to, plan.dst_strides}, {from, plan.src_strides}}));
    const Walk walk = make_walk(plan, width, to, from);
    const std::int64_t chunks = plan.unit / width;
    if (chunks == 1) {
        const auto tiles = make_transpose(walk, first, units);
        if (tiles && each.transpose(*tiles)) return;
    }
    with_any_axes(plan, width, [&](auto types) {
        using T = decltype(types);
        in_pieces(walk, first * chunks, units * chunks, kMostPositions,
                  [&](const Walk& piece, Index from_position, Index count, std::int64_t) {
                      each(count,
                           StridedCopy<typename T::Unit, T::kAxes>{
                               make_axes<T::kAxes, 2>(piece), piece.dst, piece.src, from_position});
                  });
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

/// True if the plan goes the way of run_units(): in tiles, or many axes.
template <typename Each>
bool run_as_strided(const CopyPlan& whole, void* dst, const void* src, std::int64_t first,
                    std::int64_t units, const Each& each) {
    auto* to = static_cast<unsigned char*>(dst) + whole.dst_shift;
    const auto* from = static_cast<const unsigned char*>(src) + whole.src_shift;
    if (has_many_axes(whole)) {
        run_units(whole, dst, src, first, units, each);
        return true;
    }
    const std::int64_t width =
        unit_width(whole, {{to, whole.dst_strides}, {from, whole.src_strides}});
    if (width != whole.unit) return false;
    const auto tiles = make_transpose(make_walk(whole, width, to, from), first, units);
    return tiles && each.transpose(*tiles);
}

template <typename Each>
void run_pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
              std::int64_t units, const Each& each) {
    if (units == 0 || plan.unit == 0) return;
    CopyPlan whole = plan;
    whole.dst_shift = make_dense(plan, first, whole.dst_strides);
    if (run_as_strided(whole, dst, src, first, units, each)) return;
    const auto* from = static_cast<const unsigned char*>(src) + plan.src_shift;
    const std::int64_t width = unit_width(plan, {{dst, nullptr}, {from, plan.src_strides}});
    const std::int64_t chunks = plan.unit / width;
    with_unit(width, [&](auto types) {
        using T = decltype(types);
        in_pieces(make_walk(plan, width, dst, from), first * chunks, units * chunks, kMostPositions,
                  [&](const Walk& piece, Index from_position, Index count, std::int64_t done) {
                      each(count, StridedPack<typename T::Unit, T::kAxes>{
                                      make_axes<T::kAxes, 1>(piece, 1),
                                      static_cast<unsigned char*>(dst) + done * width, piece.src,
                                      from_position});
                  });
    });
}

template <typename Each>
void run_unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                std::int64_t units, const Each& each) {
    if (units == 0 || plan.unit == 0) return;
    CopyPlan whole = plan;
    whole.src_shift = make_dense(plan, first, whole.src_strides);
    if (run_as_strided(whole, dst, src, first, units, each)) return;
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const std::int64_t width = unit_width(plan, {{to, plan.dst_strides}, {src, nullptr}});
    const std::int64_t chunks = plan.unit / width;
    with_unit(width, [&](auto types) {
        using T = decltype(types);
        in_pieces(make_walk(plan, width, to, src), first * chunks, units * chunks, kMostPositions,
                  [&](const Walk& piece, Index from_position, Index count, std::int64_t done) {
                      each(count, StridedUnpack<typename T::Unit, T::kAxes>{
                                      make_axes<T::kAxes, 1>(piece, 0), piece.dst,
                                      static_cast<const unsigned char*>(src) + done * width,
                                      from_position});
                  });
    });
}

template <typename Each>
void run_copy(const CopyPlan& plan, void* dst, const void* src, const Each& each) {
    if (plan.count == 0 || plan.unit == 0) return;
    run_units(plan, dst, src, 0, plan.count, each);
}

/// A copy that reverses the bytes of every `part` bytes; the plan's unit is whole parts.
template <typename Each>
void run_byteswap(const CopyPlan& plan, void* dst, const void* src, unsigned part,
                  const Each& each) {
    if (plan.count == 0 || plan.unit == 0) return;
    auto* to = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const auto* from = static_cast<const unsigned char*>(src) + plan.src_shift;
    const std::int64_t widest =
        unit_width(plan, {{to, plan.dst_strides}, {from, plan.src_strides}});
    const bool by_bytes = widest < part || has_many_axes(plan);
    const std::int64_t width = by_bytes ? 1 : widest;
    const Walk walk = make_walk(plan, width, to, from);
    const auto launch = [&](const auto& functor_of) {
        in_pieces(walk, 0, plan.count * (plan.unit / width), kMostPositions,
                  [&](const Walk& piece, Index first, Index count, std::int64_t) {
                      each(count, functor_of(piece, first));
                  });
    };
    if (has_many_axes(plan)) {
        launch([&](const Walk& piece, Index first) {
            return StridedSwapBytes<kAllAxes>{make_axes<kAllAxes, 2>(piece), piece.dst, piece.src,
                                              first, part};
        });
    } else if (by_bytes) {
        launch([&](const Walk& piece, Index first) {
            return StridedSwapBytes<kFewAxes>{make_axes<kFewAxes, 2>(piece), piece.dst, piece.src,
                                              first, part};
        });
    } else {
        with_unit(width, [&](auto types) {
            using T = decltype(types);
            if constexpr (sizeof(typename T::Unit) > 1) {
                launch([&](const Walk& piece, Index first) {
                    return StridedSwap<typename T::Unit, T::kAxes>{
                        make_axes<T::kAxes, 2>(piece), piece.dst, piece.src, first, part};
                });
            }
        });
    }
}

}  // namespace devview::cuda::kernels
