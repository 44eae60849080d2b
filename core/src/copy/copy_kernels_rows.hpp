// Rows of units that go on by -2 to 2 units in the source, for every kind of CPU; a part of
// copy_kernels_any.hpp.
#pragma once

#include "src/copy/copy_kernels.hpp"

namespace devview::copy {
namespace {

template <typename V>
inline V repeated(V lane, V* /*tag*/) noexcept {
    return lane;
}
#if defined(__AVX2__)
inline VectorOf<std::uint64_t, 32> repeated(VectorOf<std::uint64_t, 16> lane,
                                            VectorOf<std::uint64_t, 32>* /*tag*/) noexcept {
    const auto low = reinterpret_cast<__m128i>(lane);
    return reinterpret_cast<VectorOf<std::uint64_t, 32>>(_mm256_broadcastsi128_si256(low));
}
#endif
#if defined(__AVX512BW__)
inline VectorOf<std::uint64_t, 64> repeated(VectorOf<std::uint64_t, 16> lane,
                                            VectorOf<std::uint64_t, 64>* /*tag*/) noexcept {
    const auto twice = repeated(lane, static_cast<VectorOf<std::uint64_t, 32>*>(nullptr));
    return join(twice, twice, std::make_index_sequence<8>());
}
#endif

/// Vectors of kBytes that hold units of kParts items E.
template <typename E, int kParts, int kBytes>
struct Units {
    using V = VectorOf<E, kBytes>;
    static constexpr std::int64_t kUnit = sizeof(E) * kParts;
    static constexpr std::int64_t kCount = kBytes / kUnit;
    static constexpr std::int64_t kLast = (kCount - 1) * kUnit;
    static constexpr std::size_t kItems = kBytes / sizeof(E);
    using Items = std::make_index_sequence<kItems>;

    template <std::size_t... k>
    static V in_lanes_reversed(V v, std::index_sequence<k...> /*k*/) noexcept {
        constexpr std::size_t kLane = 16 / sizeof(E);
        return __builtin_shufflevector(
            v, v,
            (k / kLane * kLane + (kLane - kParts - k % kLane / kParts * kParts) + k % kParts)...);
    }
    template <std::size_t... k>
    static auto lanes_reversed(VectorOf<std::uint64_t, kBytes> v,
                               std::index_sequence<k...> /*k*/) noexcept {
        return __builtin_shufflevector(v, v, ((sizeof...(k) / 2 - 1 - k / 2) * 2 + k % 2)...);
    }
    /// In two steps: few CPUs shuffle small items across lanes.
    static V reversed(V v) noexcept {
        if constexpr (kUnit < 16) v = in_lanes_reversed(v, Items());
        return reinterpret_cast<V>(
            lanes_reversed(reinterpret_cast<VectorOf<std::uint64_t, kBytes>>(v),
                           std::make_index_sequence<std::size_t{kBytes} / 8>()));
    }

    template <std::size_t... k>
    static V picked(V low, V high, std::index_sequence<k...> /*k*/) noexcept {
        constexpr std::size_t kUnits = kCount;
        return __builtin_shufflevector(
            low, high,
            ((2 * (k / kParts) < kUnits ? 0 : kParts) + 2 * (k / kParts) * kParts + k % kParts)...);
    }
    template <typename W, typename H, std::size_t... k>
    static V narrowed(W low, W high, std::index_sequence<k...> /*k*/) noexcept {
        const auto a = __builtin_convertvector(low, H);
        const auto b = __builtin_convertvector(high >> (8 * sizeof(E)), H);
        return __builtin_shufflevector(a, b, k...);
    }
    /// Every second unit. `high` begins with the last unit of `low`, so that it ends with the last
    /// unit that is needed.
    static V evens(V low, V high) noexcept {
        // Small items are narrowed in one instruction.
        if constexpr (sizeof(E) == 1) {
            using W = VectorOf<std::uint16_t, kBytes>;
            return narrowed<W, VectorOf<E, kBytes / 2>>(reinterpret_cast<W>(low),
                                                        reinterpret_cast<W>(high), Items());
        } else if constexpr (sizeof(E) == 2 && kBytes < 64) {
            using W = VectorOf<std::uint32_t, kBytes>;
            return narrowed<W, VectorOf<E, kBytes / 2>>(reinterpret_cast<W>(low),
                                                        reinterpret_cast<W>(high), Items());
        } else {
            return picked(low, high, Items());
        }
    }

    /// Units src, src + kStep, ... of which `load` reads vectors.
    template <int kStep, typename Load>
    static V pick(const char* src, const Load& load) noexcept {
        if constexpr (kStep == 0) return splat(src);
        if constexpr (kStep == 1) return load(src);
        if constexpr (kStep == -1) return reversed(load(src - kLast));
        if constexpr (kStep == 2) return evens(load(src), load(src + kLast));
        if constexpr (kStep == -2) return reversed(evens(load(src - 2 * kLast), load(src - kLast)));
    }
    /// One unit again and again.
    static V splat(const char* src) noexcept {
        if constexpr (kParts == 1) {
            return V{} + load_vector<E>(src);
        } else {
            return repeated(load_vector<VectorOf<E, 16>>(src), static_cast<V*>(nullptr));
        }
    }
};

#if defined(__AVX512BW__)
/// The lowest `count` bits.
inline std::uint64_t low_bits(std::int64_t count) noexcept {
    return count <= 0 ? 0 : ~std::uint64_t{0} >> (64 - count);
}
inline std::uint64_t high_bits(std::int64_t count, std::int64_t of) noexcept {
    return count <= 0 ? 0 : low_bits(of) & ~low_bits(of - count);
}

template <typename E>
inline __m512i load_masked(const char* from, std::uint64_t mask) noexcept {
    if constexpr (sizeof(E) == 1) return _mm512_maskz_loadu_epi8(mask, from);
    if constexpr (sizeof(E) == 2) {
        return _mm512_maskz_loadu_epi16(static_cast<__mmask32>(mask), from);
    }
    if constexpr (sizeof(E) == 4) {
        return _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), from);
    }
    if constexpr (sizeof(E) == 8)
        return _mm512_maskz_loadu_epi64(static_cast<__mmask8>(mask), from);
}

template <typename E>
inline void store_masked(char* to, std::uint64_t mask, __m512i value) noexcept {
    if constexpr (sizeof(E) == 1) _mm512_mask_storeu_epi8(to, mask, value);
    if constexpr (sizeof(E) == 2) {
        _mm512_mask_storeu_epi16(to, static_cast<__mmask32>(mask), value);
    }
    if constexpr (sizeof(E) == 4) {
        _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(mask), value);
    }
    if constexpr (sizeof(E) == 8) _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(mask), value);
}

/// The last units of a row, fewer than a vector holds: nothing else is read or written.
template <typename E, int kParts, int kStep>
class Tail {
public:
    using U = Units<E, kParts, 64>;
    using V = typename U::V;

    explicit Tail(std::int64_t count) noexcept {
        const auto items = [](std::int64_t units) { return units * kParts; };
        const std::int64_t near = 2 * count - 1 < U::kCount ? 2 * count - 1 : U::kCount;
        const std::int64_t far = 2 * count - U::kCount;
        written_ = low_bits(items(count));
        if (kStep == 1) near_ = written_;
        if (kStep == -1) near_ = high_bits(items(count), U::kItems);
        if (kStep == 2) near_ = low_bits(items(near));
        if (kStep == 2) far_ = low_bits(items(far));
        if (kStep == -2) near_ = high_bits(items(near), U::kItems);
        if (kStep == -2) far_ = high_bits(items(far), U::kItems);
    }
    void move(char* dst, const char* src) const noexcept {
        const auto load = [&](const char* at) noexcept {
            const bool far = kStep == 2    ? at != src
                             : kStep == -2 ? at == src - 2 * U::kLast
                                           : false;
            return reinterpret_cast<V>(load_masked<E>(at, far ? far_ : near_));
        };
        store_masked<E>(dst, written_,
                        reinterpret_cast<__m512i>(U::template pick<kStep>(src, load)));
    }

private:
    std::uint64_t near_ = 0;  // of the vector that begins or ends with the first unit
    std::uint64_t far_ = 0;   // of the other one
    std::uint64_t written_;
};
#endif

/// `units` units in whole vectors. What lies `ahead` bytes is asked for, unless 0.
template <typename E, int kParts, int kBytes, int kStep, bool kStreams>
inline void move_vectors(char* dst, const char* src, std::int64_t units,
                         std::int64_t ahead) noexcept {
    using U = Units<E, kParts, kBytes>;
    constexpr std::int64_t kSpan = kBytes * kStep;
    const auto load = [](const char* at) noexcept { return load_vector<typename U::V>(at); };
    typename U::V vector = U::splat(src);
    for (std::int64_t k = 0; k < units; k += U::kCount) {
        if (ahead != 0) {
            __builtin_prefetch(src + ahead);
            if (kSpan / 2 >= kLine || kSpan / 2 <= -kLine) {
                __builtin_prefetch(src + ahead + kSpan / 2);
            }
        }
        if constexpr (kStep != 0) vector = U::template pick<kStep>(src, load);
        PutVector<kStreams>()(dst, vector);
        dst += kBytes;
        src += kSpan;
    }
}

#if !defined(__AVX512BW__)
/// Fewer units than a vector holds.
template <typename E, int kParts, int kStep>
class Tail {
public:
    explicit Tail(std::int64_t count) noexcept : count_(count) {}
    void move(char* dst, const char* src) const noexcept {
        constexpr std::int64_t kUnit = sizeof(E) * kParts;
        constexpr std::int64_t kLane = 16 / kUnit;
        if (kVectorBytes == 16 || count_ < kLane) {
            for (std::int64_t k = 0; k < count_; ++k)
                std::memcpy(dst + k * kUnit, src + k * kStep * kUnit, kUnit);
            return;
        }
        const std::int64_t last = count_ - kLane;
        move_vectors<E, kParts, 16, kStep, false>(dst, src, last, 0);
        move_vectors<E, kParts, 16, kStep, false>(dst + last * kUnit, src + last * kStep * kUnit,
                                                  kLane, 0);
    }

private:
    std::int64_t count_;
};
#endif

/// Rows of one plane, one at a time.
template <typename E, int kParts, int kStep>
class Rows {
public:
    explicit Rows(const RowPlane& plane) noexcept
        : extent_(plane.extent),
          whole_(plane.extent / U::kCount * U::kCount),
          tail_(plane.extent - whole_) {
        if (plane.following != 0) fetch(plane);
    }

    template <bool kStreams>
    void move(char* dst, const char* src) const noexcept {
        if (end_ != 0) __builtin_prefetch(src + end_);
        vectors<kStreams>(dst, src, 0, turn_, ahead_);
        vectors<kStreams>(dst, src, turn_, whole_, beyond_);
        if (whole_ == extent_) return;
        if (kVectorBytes < 64 && whole_ > 0) {
            // The last vector overlaps the one before it.
            return vectors<false>(dst, src, extent_ - U::kCount, extent_, 0);
        }
        tail_.move(dst + whole_ * kUnit, src + whole_ * kStep * kUnit);
    }

private:
    using U = Units<E, kParts, kVectorBytes>;
    static constexpr std::int64_t kUnit = U::kUnit;

    void fetch(const RowPlane& plane) noexcept {
        const std::int64_t reach = extent_ * kStep * kUnit;
        if (plane.ahead == 0) {
            ahead_ = beyond_ = kStep == 0 ? 0 : plane.following;
            end_ = plane.following + reach - kStep * kUnit;
            return;
        }
        if (kStep == 0) return;
        const std::int64_t stride = (kStep < 0 ? -kStep : kStep) * kUnit;
        turn_ = (extent_ - plane.ahead / stride) / U::kCount * U::kCount;
        ahead_ = kStep < 0 ? -plane.ahead : plane.ahead;
        beyond_ = plane.following - reach + ahead_;
    }

    template <bool kStreams>
    void vectors(char* dst, const char* src, std::int64_t first, std::int64_t last,
                 std::int64_t ahead) const noexcept {
        move_vectors<E, kParts, kVectorBytes, kStep, kStreams>(
            dst + first * kUnit, src + first * kStep * kUnit, last - first, ahead);
    }

    std::int64_t extent_;
    std::int64_t whole_;  // units that whole vectors hold
    Tail<E, kParts, kStep> tail_;
    std::int64_t turn_ = 0;  // units until what is asked for is of a later row
    std::int64_t ahead_ = 0;
    std::int64_t beyond_ = 0;
    std::int64_t end_ = 0;  // bytes to the end of a later row
};

template <typename E, int kParts, int kStep>
inline void move_rows(const RowPlane& plane) noexcept {
    if (!plane.streams) {
        const Rows<E, kParts, kStep> rows(plane);
        for (std::int64_t k = 0; k < plane.rows; ++k) {
            rows.template move<false>(plane.dst + k * plane.dst_pitch,
                                      plane.src + k * plane.src_pitch);
        }
        return;
    }
    constexpr std::int64_t kUnit = sizeof(E) * kParts;
    for (std::int64_t k = 0; k < plane.rows; ++k) {
        char* const dst = plane.dst + k * plane.dst_pitch;
        const char* const src = plane.src + k * plane.src_pitch;
        const std::uintptr_t phase = -reinterpret_cast<std::uintptr_t>(dst) % kLine;
        RowPlane part = plane;
        part.extent = static_cast<std::int64_t>(phase) / kUnit;
        part.following = 0;
        if (part.extent > 0) Rows<E, kParts, kStep>(part).template move<false>(dst, src);
        const std::int64_t head = part.extent;
        part.extent = plane.extent - head;
        part.following = plane.following - head * kStep * kUnit;
        Rows<E, kParts, kStep>(part).template move<true>(dst + head * kUnit,
                                                         src + head * kStep * kUnit);
    }
}

template <typename E, int kParts>
void run_rows(const RowPlane& plane) noexcept {
    if (plane.step == 0) return move_rows<E, kParts, 0>(plane);
    if (plane.step == 1) return move_rows<E, kParts, 1>(plane);
    if (plane.step == -1) return move_rows<E, kParts, -1>(plane);
    if (plane.step == 2) return move_rows<E, kParts, 2>(plane);
    move_rows<E, kParts, -2>(plane);
}

}  // namespace
}  // namespace devview::copy
