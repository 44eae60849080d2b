// Floats to integers in runs: fast where all of a block are in range, saturated where not; private
// to the core.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "src/copy/copy_rows.hpp"

namespace devview::convert {

/// The floats that an integer type can hold once truncated.
template <typename To, typename From>
struct Range {
    using Limits = std::numeric_limits<To>;
    /// True if every integer of the type is a float.
    static constexpr bool kExact = Limits::digits <= std::numeric_limits<From>::digits;
    static constexpr From kLow = static_cast<From>(Limits::min());
    static constexpr From kTop = static_cast<From>(Limits::max() / 2 + 1) * 2;  ///< too large
    static constexpr From kHigh =
        kExact ? kTop - 1 : kTop * (1 - std::numeric_limits<From>::epsilon() / 2);
    /// Nothing below it is surely in range; some floats that truncate to kLow are.
    static constexpr From kBelow = std::is_signed_v<To> ? kLow : From{-1};

    static bool holds(From value) noexcept { return value > kBelow && value < kTop; }
    static From clamped(From value) noexcept {
        value = value == value ? value : From{0};
        value = value > kLow ? value : kLow;
        return value < kHigh ? value : kHigh;
    }
};

// The compiler does not find these instructions for double by itself (GCC 12).
template <typename From>
struct Lanes {
    static constexpr std::int64_t kCount = 0;
};
#if defined(__SSE2__)
template <>
struct Lanes<float> {
    static constexpr std::int64_t kCount = 4;
    using V = __m128;
    static V load(const char* src) noexcept { return rows::load<V>(src); }
    static V all(float value) noexcept { return _mm_set1_ps(value); }
    static V both(V a, V b) noexcept { return _mm_and_ps(a, b); }
    static V above(V a, V b) noexcept { return _mm_cmpgt_ps(a, b); }
    static V numbers(V a) noexcept { return _mm_cmpord_ps(a, a); }
    static V clamp(V a, V low, V high) noexcept { return _mm_min_ps(_mm_max_ps(a, low), high); }
    static bool every(V a) noexcept { return _mm_movemask_ps(a) == 15; }
    static __m128i truncated(V a) noexcept { return _mm_cvttps_epi32(a); }
    static void store(char* dst, __m128i integers) noexcept { rows::store(dst, integers); }
};
template <>
struct Lanes<double> {
    static constexpr std::int64_t kCount = 2;
    using V = __m128d;
    static V load(const char* src) noexcept { return rows::load<V>(src); }
    static V all(double value) noexcept { return _mm_set1_pd(value); }
    static V both(V a, V b) noexcept { return _mm_and_pd(a, b); }
    static V above(V a, V b) noexcept { return _mm_cmpgt_pd(a, b); }
    static V numbers(V a) noexcept { return _mm_cmpord_pd(a, a); }
    static V clamp(V a, V low, V high) noexcept { return _mm_min_pd(_mm_max_pd(a, low), high); }
    static bool every(V a) noexcept { return _mm_movemask_pd(a) == 3; }
    static __m128i truncated(V a) noexcept { return _mm_cvttpd_epi32(a); }
    static void store(char* dst, __m128i integers) noexcept {
        rows::store(dst, _mm_cvtsi128_si64(integers));
    }
};
#endif

/// Copies the floats that are in range, 0 for the others; true if all are.
template <typename To, typename From>
bool take_held(From* inside, const char* src, std::int64_t count) noexcept {
    using R = Range<To, From>;
    constexpr std::int64_t kFrom = sizeof(From);
    std::int64_t i = 0;
    bool all = true;
    if constexpr (constexpr std::int64_t kLanes = Lanes<From>::kCount; kLanes > 0) {
        using L = Lanes<From>;
        auto every = L::numbers(L::all(0));
        for (; i + kLanes <= count; i += kLanes) {
            const auto values = L::load(src + i * kFrom);
            const auto held =
                L::both(L::above(values, L::all(R::kBelow)), L::above(L::all(R::kTop), values));
            every = L::both(every, held);
            rows::store(reinterpret_cast<char*>(inside + i), L::both(values, held));
        }
        all = L::every(every);
    }
    for (; i < count; ++i) {
        const From value = rows::load<From>(src + i * kFrom);
        all = all && R::holds(value);
        inside[i] = R::holds(value) ? value : From{0};
    }
    return all;
}

template <typename To, typename From>
void take_clamped(From* inside, const char* src, std::int64_t count) noexcept {
    using R = Range<To, From>;
    constexpr std::int64_t kFrom = sizeof(From);
    std::int64_t i = 0;
    if constexpr (constexpr std::int64_t kLanes = Lanes<From>::kCount; kLanes > 0) {
        using L = Lanes<From>;
        for (; i + kLanes <= count; i += kLanes) {
            const auto values = L::load(src + i * kFrom);
            const auto numbers = L::both(values, L::numbers(values));
            rows::store(reinterpret_cast<char*>(inside + i),
                        L::clamp(numbers, L::all(R::kLow), L::all(R::kHigh)));
        }
    }
    for (; i < count; ++i)
        inside[i] = R::clamped(rows::load<From>(src + i * kFrom));
}

/// dst = integers truncated from floats in range.
template <typename To, typename From>
void truncate_all(char* __restrict dst, const From* __restrict inside,
                  std::int64_t count) noexcept {
    using Step = std::conditional_t<(sizeof(To) < sizeof(int)), int, To>;
    constexpr std::int64_t kTo = sizeof(To);
    for (std::int64_t i = 0; i < count; ++i)
        rows::store(dst + i * kTo, static_cast<To>(static_cast<Step>(inside[i])));
}

/// Integers that int32 holds are truncated first and looked at then: what has none is INT32_MIN.
template <typename To, typename From>
constexpr bool kByInt32 = Lanes<From>::kCount > 0 && std::numeric_limits<To>::digits < 32;

#if defined(__SSE2__)
/// Truncates to int32; true if all are integers of the type, and not INT32_MIN.
template <typename To, typename From>
bool take_int32(char* dst, const char* src, std::int64_t count) noexcept {
    using L = Lanes<From>;
    using R = Range<To, From>;
    constexpr std::int64_t kFrom = sizeof(From);
    constexpr int kLeast = std::max<int>(R::Limits::min(), -INT32_MAX);
    const __m128i least = _mm_set1_epi32(kLeast);
    const __m128i most = _mm_set1_epi32(R::Limits::max());
    __m128i beyond = _mm_setzero_si128();
    std::int64_t i = 0;
    for (; i + L::kCount <= count; i += L::kCount) {
        const __m128i integers = L::truncated(L::load(src + i * kFrom));
        beyond = _mm_or_si128(beyond, _mm_cmplt_epi32(integers, least));
        beyond = _mm_or_si128(beyond, _mm_cmpgt_epi32(integers, most));
        L::store(dst + 4 * i, integers);
    }
    bool all = _mm_movemask_epi8(beyond) == 0;
    for (; i < count; ++i) {
        const From value = rows::load<From>(src + i * kFrom);
        all = all && R::holds(value);
        rows::store(dst + 4 * i, static_cast<std::int32_t>(R::holds(value) ? value : From{0}));
    }
    return all;
}
#endif

/// Converts a block if all of its floats are in range; else it is written again.
template <typename To, typename From>
bool truncate_held(char* dst, const char* src, std::int64_t count, From* inside) noexcept {
    if constexpr (kByInt32<To, From> && sizeof(To) == 4) {
        return take_int32<To, From>(dst, src, count);
    } else if constexpr (kByInt32<To, From>) {
        auto* const integers = reinterpret_cast<char*>(inside);
        if (!take_int32<To, From>(integers, src, count)) return false;
        constexpr std::int64_t kTo = sizeof(To);
        for (std::int64_t i = 0; i < count; ++i)
            rows::store(dst + i * kTo, static_cast<To>(rows::load<std::int32_t>(integers + 4 * i)));
        return true;
    } else {
        if (!take_held<To>(inside, src, count)) return false;
        truncate_all<To>(dst, inside, count);
        return true;
    }
}

/// number_cast<To>() of `count` floats.
template <typename To, typename From>
void saturate_run(char* __restrict dst, const char* __restrict src, std::int64_t count) noexcept {
    using R = Range<To, From>;
    constexpr std::int64_t kTo = sizeof(To);
    constexpr std::int64_t kFrom = sizeof(From);
    constexpr std::int64_t kBlock = 512;
    alignas(16) From inside[kBlock];
    for (std::int64_t at = 0; at < count; at += kBlock) {
        const std::int64_t part = std::min(kBlock, count - at);
        const char* const from = src + at * kFrom;
        char* const to = dst + at * kTo;
        if (truncate_held<To>(to, from, part, inside)) continue;
        take_clamped<To>(inside, from, part);
        truncate_all<To>(to, inside, part);
        // The largest float below the top is not the largest integer.
        for (std::int64_t i = 0; !R::kExact && i < part; ++i) {
            if (rows::load<From>(from + i * kFrom) >= R::kTop) {
                rows::store(to + i * kTo, R::Limits::max());
            }
        }
    }
}

}  // namespace devview::convert
