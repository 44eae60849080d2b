// Positions of a strided walk to byte offsets, by multiplications; one source for GPU and host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devview/copy_plan.hpp"
#include "kernels/unit.hpp"

namespace devview::cuda::kernels {

DEVVIEW_HD inline std::uint32_t multiply_high(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
}

DEVVIEW_HD inline std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
#if defined(__CUDA_ARCH__)
    return __umul64hi(a, b);
#elif defined(__SIZEOF_INT128__)
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
#else
    const std::uint64_t mask = 0xffffffffu;
    const std::uint64_t low = (a & mask) * (b & mask);
    const std::uint64_t cross = (a >> 32) * (b & mask) + (low >> 32);
    const std::uint64_t other = (a & mask) * (b >> 32) + (cross & mask);
    return (a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32);
#endif
}

/// Division by a number known at launch, as a multiplication (Granlund and Montgomery 1994,
/// fig. 4.1); exact for dividends below half of Index's range.
template <typename Index>
struct Divider {
    Index divisor;
    Index multiplier;
    std::uint32_t shift;

    static Divider of(Index divisor) {
        Divider result{divisor, 0, 0};
        while ((Index{1} << result.shift) < divisor)
            ++result.shift;
        // multiplier = (2^bits * (2^shift - divisor)) / divisor + 1, by long division.
        Index rest = static_cast<Index>((Index{1} << result.shift) - divisor);
        for (unsigned bit = 0; bit < 8 * sizeof(Index); ++bit) {
            rest = static_cast<Index>(rest << 1);
            result.multiplier = static_cast<Index>(result.multiplier << 1);
            if (rest >= divisor) {
                rest = static_cast<Index>(rest - divisor);
                ++result.multiplier;
            }
        }
        ++result.multiplier;
        return result;
    }

    DEVVIEW_HD Index quotient(Index dividend) const {
        return static_cast<Index>((multiply_high(dividend, multiplier) + dividend) >> shift);
    }
};

/// Axes that a functor can hold. Few keep the kernel's parameters and code small and serve almost
/// every plan; all 64 and the chunks of a unit are for the rest.
constexpr std::size_t kFewAxes = 8;
constexpr std::size_t kAllAxes = kMaxNdim + 1;

/// Innermost-first axes with the strides of one side or of both.
template <typename Index, std::size_t max_axes, std::size_t sides>
struct Axes {
    std::int32_t ndim;
    Divider<Index> extents[max_axes];
    std::int64_t strides[max_axes][sides];

    /// Byte offsets of position `position` on each side; returns the index on the innermost axis.
    DEVVIEW_HD Index locate(Index position, std::int64_t (&offsets)[sides]) const {
        Index innermost = 0;
        DEVVIEW_UNROLL
        for (std::size_t side = 0; side < sides; ++side)
            offsets[side] = 0;
        if constexpr (max_axes <= kFewAxes) {  // every index a constant: no access but to operands
            DEVVIEW_UNROLL
            for (std::size_t axis = 0; axis < max_axes; ++axis) {
                if (axis == static_cast<std::size_t>(ndim)) break;
                step(axis, position, innermost, offsets);
            }
        } else {
            DEVVIEW_ROLLED
            for (std::size_t axis = 0; axis < static_cast<std::size_t>(ndim); ++axis)
                step(axis, position, innermost, offsets);
        }
        return innermost;
    }

private:
    DEVVIEW_HD void step(std::size_t axis, Index& position, Index& innermost,
                         std::int64_t (&offsets)[sides]) const {
        const Index rest = extents[axis].quotient(position);
        const Index index = static_cast<Index>(position - rest * extents[axis].divisor);
        if (axis == 0) innermost = index;
        DEVVIEW_UNROLL
        for (std::size_t side = 0; side < sides; ++side)
            offsets[side] += static_cast<std::int64_t>(index) * strides[axis][side];
        position = rest;
    }
};

}  // namespace devview::cuda::kernels
