// Casts between common pairs of types: the generic conversion with its types fixed, 16 bytes at a
// time where items lie in rows. One source for GPU and host.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "devview/number.hpp"
#include "kernels/walk.hpp"

namespace devview::cuda::kernels {

/// A real number in the host's byte order whose kind is known to the compiler.
template <Number number_, typename Bits_, FloatKind kind_ = FloatKind::ieee>
struct Scalar {
    using Bits = Bits_;
    static constexpr NumberType type() { return {number_, kind_, sizeof(Bits), false, false}; }
    static constexpr bool is(const NumberType& other) {
        return other.number == number_ && !other.is_complex && !other.swapped &&
               (number_ != Number::small_float || other.float_kind == kind_);
    }
};

using Byte = Scalar<Number::uint8, std::uint8_t>;
using Int32 = Scalar<Number::int32, std::uint32_t>;
using Int64 = Scalar<Number::int64, std::uint64_t>;
using Half = Scalar<Number::small_float, std::uint16_t>;
using BFloat16 = Scalar<Number::small_float, std::uint16_t, FloatKind::bfloat16>;
using Float = Scalar<Number::float32, std::uint32_t>;
using Double = Scalar<Number::float64, std::uint64_t>;

template <typename To_, typename From_>
struct Pair {
    using To = To_;
    using From = From_;
};

/// `n` neighbours as one value that moves in accesses of up to 16 bytes.
template <typename Bits, unsigned n>
struct Neighbours {
    static constexpr unsigned kBytes = n * sizeof(Bits);
    using Word = std::conditional_t<kBytes >= 16, Unit16,
                                    std::conditional_t<kBytes == 8, std::uint64_t, std::uint32_t>>;
    static constexpr unsigned kWords = kBytes / sizeof(Word);
    static_assert(kBytes >= 4 && kBytes % sizeof(Word) == 0);

    Bits items[n];

    DEVVIEW_HD static Neighbours load(const unsigned char* src) {
        Word words[kWords];
        DEVVIEW_UNROLL
        for (unsigned k = 0; k < kWords; ++k)
            words[k] = load_unit<Word>(src + k * sizeof(Word));
        Neighbours result;
        std::memcpy(result.items, words, kBytes);
        return result;
    }
    DEVVIEW_HD void store(unsigned char* dst) const {
        Word words[kWords];
        std::memcpy(words, items, kBytes);
        DEVVIEW_UNROLL
        for (unsigned k = 0; k < kWords; ++k)
            store_unit(dst + k * sizeof(Word), words[k]);
    }
};

/// The innermost axis counts groups of kItems neighbours (`in_rows`), or items.
template <typename To, typename From>
struct PairCast {
    using ToBits = typename To::Bits;
    using FromBits = typename From::Bits;
    /// The narrower side moves 16 bytes, or 8 items.
    static constexpr unsigned kNarrow =
        sizeof(ToBits) < sizeof(FromBits) ? sizeof(ToBits) : sizeof(FromBits);
    static constexpr unsigned kItems = kNarrow == 1 ? 8 : 16 / kNarrow;

    Axes<Index, kFewAxes, 2> axes;
    unsigned char* dst;
    const unsigned char* src;
    bool in_rows;
    Index extent;  ///< items of a row

    DEVVIEW_HD static ToBits convert(FromBits bits) {
        return static_cast<ToBits>(convert_number(To::type(), From::type(), bits));
    }
    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offsets[2];
        const Index group = axes.locate(position, offsets);
        unsigned char* const to = dst + offsets[0];
        const unsigned char* const from = src + offsets[1];
        if (!in_rows) return store_unit(to, convert(load_unit<FromBits>(from)));
        const Index left = extent - group * kItems;
        if (left < kItems) return convert_few(to, from, left);
        const auto read = Neighbours<FromBits, kItems>::load(from);
        Neighbours<ToBits, kItems> made;
        DEVVIEW_UNROLL
        for (unsigned k = 0; k < kItems; ++k)
            made.items[k] = convert(read.items[k]);
        made.store(to);
    }

private:
    DEVVIEW_HD static void convert_few(unsigned char* to, const unsigned char* from, Index count) {
        DEVVIEW_ROLLED
        for (Index k = 0; k < count; ++k) {
            store_unit(to + k * sizeof(ToBits),
                       convert(load_unit<FromBits>(from + k * sizeof(FromBits))));
        }
    }
};

namespace detail {

/// Every address and every stride but the innermost is a multiple of `bytes`.
inline bool walks_in(const Walk& walk, int side, const void* data, std::int64_t bytes,
                     bool innermost) {
    auto bits = reinterpret_cast<std::uintptr_t>(data);
    for (int axis = 0; axis < walk.ndim - (innermost ? 0 : 1); ++axis)
        bits |= static_cast<std::uintptr_t>(walk.strides[side][axis]);
    return bits % static_cast<std::uintptr_t>(bytes) == 0;
}

inline std::int64_t at_most_16(std::int64_t bytes) { return bytes < 16 ? bytes : 16; }

/// Rows of groups, or single items anywhere; rows that an Index can count.
template <typename To, typename From, typename Each>
void launch_pair(Walk walk, const Each& each, std::int64_t count, bool in_rows) {
    using Cast = PairCast<To, From>;
    constexpr std::int64_t items = Cast::kItems;
    Index extent = 0;
    if (in_rows) {
        const int last = walk.ndim - 1;
        const std::int64_t row = walk.extents[last];
        extent = static_cast<Index>(row);
        walk.extents[last] = (row - 1) / items + 1;
        walk.strides[0][last] *= items;
        walk.strides[1][last] *= items;
        count = count / row * walk.extents[last];
    }
    in_pieces(
        walk, 0, count, kMostPositions, [&](const Walk& piece, Index, Index part, std::int64_t) {
            each(part, Cast{make_axes<kFewAxes, 2>(piece), piece.dst, piece.src, in_rows, extent});
        });
}

template <typename To, typename From, typename Each>
bool cast_pair(const Walk& walk, const Each& each, std::int64_t count) {
    constexpr std::int64_t to_size = sizeof(typename To::Bits);
    constexpr std::int64_t from_size = sizeof(typename From::Bits);
    constexpr std::int64_t items = PairCast<To, From>::kItems;
    if (!walks_in(walk, 0, walk.dst, to_size, true) ||
        !walks_in(walk, 1, walk.src, from_size, true)) {
        return false;
    }
    const int last = walk.ndim - 1;
    const bool in_rows = last >= 0 && walk.strides[0][last] == to_size &&
                         walk.strides[1][last] == from_size && walk.extents[last] >= items &&
                         walks_in(walk, 0, walk.dst, at_most_16(items * to_size), false) &&
                         walks_in(walk, 1, walk.src, at_most_16(items * from_size), false);
    if (!in_rows) {
        launch_pair<To, From>(walk, each, count, false);
        return true;
    }
    constexpr std::int64_t kMostColumns = std::int64_t{1} << 30;
    for (std::int64_t done = 0; done < walk.extents[last]; done += kMostColumns) {
        Walk part = walk;
        part.extents[last] = std::min(kMostColumns, walk.extents[last] - done);
        part.dst += done * to_size;
        part.src += done * from_size;
        launch_pair<To, From>(part, each, count / walk.extents[last] * part.extents[last], true);
    }
    return true;
}

template <typename Each, typename... Pairs>
bool try_pairs(const Walk& walk, const NumberType& to, const NumberType& from, const Each& each,
               std::int64_t count) {
    bool launched = false;
    static_cast<void>(
        ((Pairs::To::is(to) && Pairs::From::is(from) &&
          (launched = cast_pair<typename Pairs::To, typename Pairs::From>(walk, each, count),
           true)) ||
         ...));
    return launched;
}

}  // namespace detail

/// False where the pair has no kernel of its own, or an address is not a multiple of its number.
template <typename Each>
bool run_pair_cast(const Walk& walk, const NumberType& to, const NumberType& from, const Each& each,
                   std::int64_t count) {
    return detail::try_pairs<
        Each, Pair<Half, Float>, Pair<Float, Half>, Pair<BFloat16, Float>, Pair<Float, BFloat16>,
        Pair<Half, BFloat16>, Pair<BFloat16, Half>, Pair<Double, Float>, Pair<Float, Double>,
        Pair<Half, Double>, Pair<Double, Half>, Pair<Int32, Float>, Pair<Float, Int32>,
        Pair<Int64, Float>, Pair<Float, Int64>, Pair<Byte, Float>, Pair<Float, Byte>,
        Pair<Half, Byte>, Pair<BFloat16, Byte>, Pair<Int32, Double>, Pair<Double, Int32>,
        Pair<Int64, Double>, Pair<Double, Int64>, Pair<Int32, Int64>, Pair<Int64, Int32>>(
        walk, to, from, each, count);
}

}  // namespace devview::cuda::kernels
