// Functors that look for a difference between two sides, and their launch; one source for GPU and
// host. Equality is core's (devview/compare.hpp): by value, NaN unequal to itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devview/number.hpp"
#include "kernels/cast.hpp"
#include "kernels/dispatch.hpp"

namespace devview::cuda::kernels {

/// How bits of one float type compare: lanes of `size` bytes, or (0) plain bits.
struct FloatLanes {
    unsigned size;
    std::uint64_t magnitude;  ///< of every lane: all bits but the sign
    std::uint64_t infinity;   ///< of one lane; beyond it lie NaNs

    /// Lanes of 64 bits differ: unequal or NaN, but no zeros of either sign.
    DEVVIEW_HD bool differ(std::uint64_t a, std::uint64_t b) const {
        if (size == 0) return a != b;
        const std::uint64_t lane = ~std::uint64_t{0} >> (64 - 8 * size);
        bool result = false;
        for (unsigned done = 0; done < 8; done += size) {
            const std::uint64_t x = a & magnitude & lane, y = b & magnitude & lane;
            result |= (x | y) != 0 && (((a ^ b) & lane) != 0 || x > infinity);
            a = size == 8 ? 0 : a >> (8 * size % 64);
            b = size == 8 ? 0 : b >> (8 * size % 64);
        }
        return result;
    }
};

/// Units of whole items of one type. A difference sets the flag, which nobody clears.
template <typename U, std::size_t max_axes>
struct StridedCompare {
    using Unit = U;
    Axes<Index, max_axes, 2> axes;
    const unsigned char* a;
    const unsigned char* b;
    FloatLanes lanes;
    std::uint32_t* different;

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offsets[2];
        axes.locate(position, offsets);
        const Unit x = load_unit<Unit>(a + offsets[0]);
        const Unit y = load_unit<Unit>(b + offsets[1]);
        if (differ(x, y)) *different = 1;
    }

private:
    DEVVIEW_HD bool differ(const Unit& x, const Unit& y) const {
        if constexpr (sizeof(Unit) == 16) {
            return lanes.differ(x.low, y.low) || lanes.differ(x.high, y.high);
        } else {
            return lanes.differ(x, y);
        }
    }
};

/// A number as a comparison takes it: exact, whatever its type.
struct Comparable {
    bool is_real;
    double real;
    std::uint64_t bits;  ///< two's complement
    bool negative;

    DEVVIEW_HD static Comparable of(const NumberType& type, std::uint64_t bits) {
        const NumberType wide{Number::float64, FloatKind::ieee, 8, false, false};
        const NumberType whole{Number::int64, FloatKind::ieee, 8, false, false};
        switch (type.number) {
            case Number::float32:
            case Number::float64:
            case Number::small_float:
                return {true, devview::detail::bits_as<double>(convert_number(wide, type, bits)), 0,
                        false};
            case Number::int8:
            case Number::int16:
            case Number::int32:
            case Number::int64:
            case Number::int4: {
                const std::uint64_t value = convert_number(whole, type, bits);
                return {false, 0, value, value >> 63 != 0};
            }
            default:
                return {false, 0, convert_number(whole, type, bits), false};
        }
    }

    DEVVIEW_HD bool equals(const Comparable& other) const {
        if (is_real && other.is_real) return real == other.real;
        if (is_real) return other.equals_real(real);
        if (other.is_real) return equals_real(other.real);
        return bits == other.bits && negative == other.negative;
    }

    /// True if `value` is this integer exactly: within 64 bits, where it then has no fraction.
    DEVVIEW_HD bool equals_real(double value) const {
        constexpr double kTwo63 = 9223372036854775808.0, kTwo64 = 2 * kTwo63;
        if (negative) {
            return value >= -kTwo63 && value < 0 &&
                   static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) == bits &&
                   static_cast<double>(static_cast<std::int64_t>(value)) == value;
        }
        return value >= 0 && value < kTwo64 && static_cast<std::uint64_t>(value) == bits &&
               static_cast<double>(static_cast<std::uint64_t>(value)) == value;
    }
};

/// Numbers of any two types, which are the same for all threads.
struct NumberCompare {
    Axes<Index, kAllAxes, 2> axes;
    const unsigned char* a;
    const unsigned char* b;
    NumberType a_type;
    NumberType b_type;
    NumberAccess reads_a;
    NumberAccess reads_b;
    std::uint32_t* different;

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offsets[2];
        axes.locate(position, offsets);
        const unsigned char* const x = a + offsets[0];
        const unsigned char* const y = b + offsets[1];
        const unsigned parts = a_type.is_complex || b_type.is_complex ? 2 : 1;
        bool equal = true;
        DEVVIEW_ROLLED
        for (unsigned k = 0; k < parts; ++k)
            equal = equal && part(a_type, reads_a, x, k).equals(part(b_type, reads_b, y, k));
        if (!equal) *different = 1;
    }

private:
    /// The imaginary part of a real number is 0.
    DEVVIEW_HD static Comparable part(const NumberType& type, const NumberAccess& reads,
                                      const unsigned char* at, unsigned number) {
        if (number == 1 && !type.is_complex) return {false, 0, 0, false};
        return Comparable::of(type, reads.load(at + number * reads.size));
    }
};

namespace detail {

inline bool is_integer(const NumberType& type) {
    return type.number >= Number::int8 && type.number <= Number::uint64;
}

inline std::int64_t size_of(const NumberType& type) {
    return type.is_complex ? 2 * type.part_size : type.part_size;
}

inline bool same_type(const NumberType& a, const NumberType& b) {
    return a.number == b.number && a.is_complex == b.is_complex && a.swapped == b.swapped &&
           (a.number != Number::small_float || a.float_kind == b.float_kind);
}

/// Fills `lanes` for numbers that compare by their bits alone; false for all others.
inline bool find_lanes(const NumberType& a, const NumberType& b, FloatLanes& lanes) {
    lanes = {};
    if (!same_type(a, b)) return false;
    if (a.number == Number::none || is_integer(a)) return true;
    if (a.swapped) return false;
    std::uint64_t sign = 0;
    if (a.number == Number::float64) {
        lanes = {8, 0, 0x7ff0000000000000u};
        sign = 0x8000000000000000u;
    } else if (a.number == Number::float32) {
        lanes = {4, 0, 0x7f800000u};
        sign = 0x8000000080000000u;
    } else if (a.number == Number::small_float && a.part_size == 2) {
        lanes = {2, 0, a.float_kind == FloatKind::bfloat16 ? 0x7f80u : 0x7c00u};
        sign = 0x8000800080008000u;
    } else {
        return false;
    }
    lanes.magnitude = ~sign;
    return true;
}

template <typename Each>
void compare_numbers(const Walk& walk, const NumberType& a, const NumberType& b, std::int64_t count,
                     std::uint32_t* different, const Each& each) {
    const NumberAccess reads_a = access_to(a, walk, 0, walk.dst);
    const NumberAccess reads_b = access_to(b, walk, 1, walk.src);
    in_pieces(walk, 0, count, kMostPositions,
              [&](const Walk& piece, Index, Index part, std::int64_t) {
                  each(part, NumberCompare{make_axes<kAllAxes, 2>(piece), piece.dst, piece.src, a,
                                           b, reads_a, reads_b, different});
              });
}

}  // namespace detail

/// Sets *different where an item of `a` (the plan's dst side) differs from its partner in `b`.
/// Types `none`: bytes, of the plan's unit. The plan is one of plan_pairs(): its unit is one or
/// more whole items where both sides have one size, else 1 as in plan_items().
template <typename Each>
void run_compare(const CopyPlan& plan, const void* a, const NumberType& a_type, const void* b,
                 const NumberType& b_type, std::uint32_t* different, const Each& each) {
    if (plan.count == 0 || plan.unit == 0) return;
    // Nothing is written through this: the walk's first side is just another source here.
    auto* const left =
        const_cast<unsigned char*>(static_cast<const unsigned char*>(a)) + plan.dst_shift;
    const auto* const right = static_cast<const unsigned char*>(b) + plan.src_shift;
    const std::int64_t widest =
        unit_width(plan, {{left, plan.dst_strides}, {right, plan.src_strides}});
    const std::int64_t width = kernel_width(plan, widest);
    FloatLanes lanes{};
    const bool by_bits = detail::find_lanes(a_type, b_type, lanes);
    if (by_bits && (lanes.size == 0 || width >= lanes.size)) {
        with_any_axes(plan, width, [&](auto types) {
            using T = decltype(types);
            in_pieces(make_walk(plan, width, left, right), 0, plan.count * (plan.unit / width),
                      kMostPositions, [&](const Walk& piece, Index, Index part, std::int64_t) {
                          each(part, StridedCompare<typename T::Unit, T::kAxes>{
                                         make_axes<T::kAxes, 2>(piece), piece.dst, piece.src, lanes,
                                         different});
                      });
        });
        return;
    }
    const std::int64_t size = detail::size_of(a_type);
    const std::int64_t items = size == detail::size_of(b_type) ? plan.unit / size : 1;
    const Walk walk = make_walk(plan, plan.unit / items, left, right);
    detail::compare_numbers(walk, a_type, b_type, plan.count * items, different, each);
}

}  // namespace devview::cuda::kernels
