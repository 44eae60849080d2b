// Element functors of the strided kernels: one source for GPU and host, needs no CUDA headers.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "devview/copy_plan.hpp"
#include "devview/host_device.hpp"

// nvcc's host compiler would warn of the pragma.
#ifdef __CUDA_ARCH__
#define DEVVIEW_UNROLL _Pragma("unroll")
#else
#define DEVVIEW_UNROLL
#endif

namespace devview::cuda::kernels {

/// Moves as one 128-bit access on a GPU.
struct alignas(16) Unit16 {
    std::uint64_t low, high;
};

/// Reads one unit; the pointer is aligned to it. The host may not alias types, the GPU must.
template <typename Unit>
DEVVIEW_HD inline Unit load_unit(const unsigned char* src) {
#ifdef __CUDA_ARCH__
    return *reinterpret_cast<const Unit*>(src);
#else
    assert(reinterpret_cast<std::uintptr_t>(src) % sizeof(Unit) == 0);
    Unit unit;
    std::memcpy(&unit, src, sizeof(Unit));
    return unit;
#endif
}

template <typename Unit>
DEVVIEW_HD inline void store_unit(unsigned char* dst, Unit unit) {
#ifdef __CUDA_ARCH__
    *reinterpret_cast<Unit*>(dst) = unit;
#else
    assert(reinterpret_cast<std::uintptr_t>(dst) % sizeof(Unit) == 0);
    std::memcpy(dst, &unit, sizeof(Unit));
#endif
}

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
        // CUB copies the functor: an index that is not constant would put the copy in local memory.
        DEVVIEW_UNROLL
        for (std::size_t axis = 0; axis < max_axes; ++axis) {
            if (axis == static_cast<std::size_t>(ndim)) break;
            const Index rest = extents[axis].quotient(position);
            const Index index = static_cast<Index>(position - rest * extents[axis].divisor);
            if (axis == 0) innermost = index;
            DEVVIEW_UNROLL
            for (std::size_t side = 0; side < sides; ++side) {
                offsets[side] += static_cast<std::int64_t>(index) * strides[axis][side];
            }
            position = rest;
        }
        return innermost;
    }
};

/// Strided source to dense destination; position 0 is `first` in the plan's order.
template <typename Unit, typename Index, std::size_t max_axes>
struct StridedPack {
    Axes<Index, max_axes, 1> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offset[1];
        axes.locate(static_cast<Index>(first + position), offset);
        const std::int64_t dense = static_cast<std::int64_t>(position) * std::int64_t{sizeof(Unit)};
        store_unit(dst + dense, load_unit<Unit>(src + offset[0]));
    }
};

/// Dense source to strided destination.
template <typename Unit, typename Index, std::size_t max_axes>
struct StridedUnpack {
    Axes<Index, max_axes, 1> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offset[1];
        axes.locate(static_cast<Index>(first + position), offset);
        const std::int64_t dense = static_cast<std::int64_t>(position) * std::int64_t{sizeof(Unit)};
        store_unit(dst + offset[0], load_unit<Unit>(src + dense));
    }
};

/// Strided to strided; position 0 is `first`.
template <typename Unit, typename Index, std::size_t max_axes>
struct StridedCopy {
    Axes<Index, max_axes, 2> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offsets[2];
        axes.locate(static_cast<Index>(first + position), offsets);
        store_unit(dst + offsets[0], load_unit<Unit>(src + offsets[1]));
    }
};

/// As devview::cuda::kMaxFillBytes, which a file without CUDA headers cannot see.
constexpr int kMaxItemBytes = 64;

/// One item to every place; where the item is several units, the innermost axis counts them.
template <typename Unit, typename Index, std::size_t max_axes>
struct StridedFill {
    Axes<Index, max_axes, 1> axes;
    unsigned char* dst;
    bool single;                             ///< the item is one unit
    std::uint64_t words[kMaxItemBytes / 8];  ///< the item, little-endian as every CUDA host

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offset[1];
        const Index innermost = axes.locate(position, offset);
        const unsigned chunk = single ? 0 : static_cast<unsigned>(innermost);
        if constexpr (sizeof(Unit) == 16) {
            store_unit(dst + offset[0], Unit{word(2 * chunk), word(2 * chunk + 1)});
        } else {
            const unsigned byte = chunk * static_cast<unsigned>(sizeof(Unit));
            store_unit(dst + offset[0], static_cast<Unit>(word(byte / 8) >> (byte % 8 * 8)));
        }
    }

    /// words[index], with constant indices only, as in Axes::locate().
    DEVVIEW_HD std::uint64_t word(unsigned index) const {
        std::uint64_t result = words[0];
        DEVVIEW_UNROLL
        for (unsigned other = 1; other < kMaxItemBytes / 8; ++other) {
            if (index == other) result = words[other];
        }
        return result;
    }
};

}  // namespace devview::cuda::kernels
