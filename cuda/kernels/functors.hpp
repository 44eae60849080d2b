// Element functors of the strided kernels: one source for GPU and host, needs no CUDA headers.
//
// A GPU's thread does several load()s before the first store(), so that the loads overlap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/axes.hpp"
#include "kernels/unit.hpp"

namespace devview::cuda::kernels {

/// 32 bits: longer walks are run in pieces.
using Index = std::uint32_t;

/// What one position moves.
template <typename Unit>
struct Move {
    unsigned char* to;
    Unit unit;

    DEVVIEW_HD void store() const { store_unit(to, unit); }
};

/// Strided source to dense destination; position 0 is `first` in the walk's order.
template <typename U, std::size_t max_axes>
struct StridedPack {
    using Unit = U;
    Axes<Index, max_axes, 1> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;

    DEVVIEW_HD Move<Unit> load(Index position) const {
        std::int64_t offset[1];
        axes.locate(first + position, offset);
        const std::int64_t dense = std::int64_t{position} * std::int64_t{sizeof(Unit)};
        return {dst + dense, load_unit<Unit>(src + offset[0])};
    }
    DEVVIEW_HD void operator()(Index position) const { load(position).store(); }
};

/// Dense source to strided destination.
template <typename U, std::size_t max_axes>
struct StridedUnpack {
    using Unit = U;
    Axes<Index, max_axes, 1> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;

    DEVVIEW_HD Move<Unit> load(Index position) const {
        std::int64_t offset[1];
        axes.locate(first + position, offset);
        const std::int64_t dense = std::int64_t{position} * std::int64_t{sizeof(Unit)};
        return {dst + offset[0], load_unit<Unit>(src + dense)};
    }
    DEVVIEW_HD void operator()(Index position) const { load(position).store(); }
};

/// Strided to strided; position 0 is `first`.
template <typename U, std::size_t max_axes>
struct StridedCopy {
    using Unit = U;
    Axes<Index, max_axes, 2> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;

    DEVVIEW_HD Move<Unit> load(Index position) const {
        std::int64_t offsets[2];
        axes.locate(first + position, offsets);
        return {dst + offsets[0], load_unit<Unit>(src + offsets[1])};
    }
    DEVVIEW_HD void operator()(Index position) const { load(position).store(); }
};

/// A unit of whole parts of `part` bytes (2, 4, 8, 16), each in the other order.
template <typename Unit>
DEVVIEW_HD inline Unit swapped_parts(Unit unit, unsigned part) {
    if constexpr (sizeof(Unit) == 16) {
        const bool whole = part == 16;
        const unsigned size = whole ? 8 : part;
        const Unit swapped{swapped_parts(unit.low, size), swapped_parts(unit.high, size)};
        return whole ? Unit{swapped.high, swapped.low} : swapped;
    } else {
        // The whole in the other order, then the parts in theirs again.
        std::uint64_t bits = reversed_bytes(std::uint64_t{unit}, sizeof(Unit));
        if (sizeof(Unit) > 4 && part <= 4) bits = bits << 32 | bits >> 32;
        if (sizeof(Unit) > 2 && part == 2) {
            bits = (bits & 0x0000ffff0000ffffu) << 16 | (bits >> 16 & 0x0000ffff0000ffffu);
        }
        return static_cast<Unit>(bits);
    }
}

/// As StridedCopy, with the bytes of each part in the other order; units of whole parts.
template <typename U, std::size_t max_axes>
struct StridedSwap {
    using Unit = U;
    Axes<Index, max_axes, 2> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;
    unsigned part;

    DEVVIEW_HD Move<Unit> load(Index position) const {
        std::int64_t offsets[2];
        axes.locate(first + position, offsets);
        return {dst + offsets[0], swapped_parts(load_unit<Unit>(src + offsets[1]), part)};
    }
    DEVVIEW_HD void operator()(Index position) const { load(position).store(); }
};

/// As StridedSwap where parts are not aligned: byte by byte, the innermost axis counts them.
template <std::size_t max_axes>
struct StridedSwapBytes {
    using Unit = std::uint8_t;
    Axes<Index, max_axes, 2> axes;
    unsigned char* dst;
    const unsigned char* src;
    Index first;
    unsigned part;  ///< a power of two

    DEVVIEW_HD Move<Unit> load(Index position) const {
        std::int64_t offsets[2];
        const Index byte = axes.locate(first + position, offsets);
        const auto in_part = static_cast<std::int64_t>(byte & (part - 1));
        const std::int64_t mirror = std::int64_t{part} - 1 - 2 * in_part;
        return {dst + offsets[0], src[offsets[1] + mirror]};
    }
    DEVVIEW_HD void operator()(Index position) const { load(position).store(); }
};

/// As devview::cuda::kMaxFillBytes, which a file without CUDA headers cannot see.
constexpr int kMaxItemBytes = 64;

/// One item to every place; where the item is several units, the innermost axis counts them.
template <typename U, std::size_t max_axes>
struct StridedFill {
    using Unit = U;
    Axes<Index, max_axes, 1> axes;
    unsigned char* dst;
    bool single;                             ///< the item is one unit
    std::uint64_t words[kMaxItemBytes / 8];  ///< the item, little-endian as every CUDA host

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offset[1];
        const Index innermost = axes.locate(position, offset);
        const unsigned chunk = single ? 0 : innermost;
        if constexpr (sizeof(Unit) == 16) {
            store_unit(dst + offset[0], Unit{words[2 * chunk], words[2 * chunk + 1]});
        } else {
            const unsigned byte = chunk * static_cast<unsigned>(sizeof(Unit));
            store_unit(dst + offset[0], static_cast<Unit>(words[byte / 8] >> (byte % 8 * 8)));
        }
    }
};

}  // namespace devview::cuda::kernels
