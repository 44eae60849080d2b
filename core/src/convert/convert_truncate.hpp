// Floats to integers by vectors: truncated, saturated, NaN as 0. AVX-512 has an instruction for
// every pair, AVX2 for those by way of int32; private to the core.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "src/copy/copy_rows.hpp"
#include "src/machine/cpu_level.hpp"

#if DEVVIEW_CPU_LEVELS

#include "src/machine/x86_intrinsics.hpp"

namespace devview::convert::avx512 {

#define DEVVIEW_LANES DEVVIEW_FOR_AVX512 static inline

// Beyond the range the instructions give the lowest signed or the highest unsigned integer, of NaN
// as well. The second operand of max and min is what they give for NaN.
template <typename From>
struct Lanes;

template <>
struct Lanes<float> {
    static constexpr std::int64_t kCount = 16;
    using V = __m512;

    DEVVIEW_LANES V load(const char* src) noexcept { return _mm512_loadu_ps(src); }
    DEVVIEW_LANES V load_half(const char* src) noexcept {
        return _mm512_castps256_ps512(_mm256_loadu_ps(reinterpret_cast<const float*>(src)));
    }
    DEVVIEW_LANES V not_negative(V v) noexcept { return _mm512_max_ps(v, _mm512_setzero_ps()); }
    DEVVIEW_LANES V at_most(V v, float high) noexcept {
        return _mm512_min_ps(_mm512_set1_ps(high), v);
    }
    DEVVIEW_LANES __m512i to_signed(V v) noexcept {
        return _mm512_maskz_cvttps_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v);
    }
    DEVVIEW_LANES __m512i to_unsigned(V v) noexcept { return _mm512_cvttps_epu32(v); }
    DEVVIEW_LANES __m512i int32_of(V v) noexcept {
        const __mmask16 beyond = _mm512_cmp_ps_mask(v, _mm512_set1_ps(0x1p31f), _CMP_GE_OQ);
        return _mm512_mask_mov_epi32(to_signed(v), beyond, _mm512_set1_epi32(INT32_MAX));
    }
    DEVVIEW_LANES __m512i int64_of(V v) noexcept {
        const __m256 half = _mm512_castps512_ps256(v);
        const __mmask8 ordered = _mm256_cmp_ps_mask(half, half, _CMP_ORD_Q);
        const __mmask8 beyond = _mm256_cmp_ps_mask(half, _mm256_set1_ps(0x1p63f), _CMP_GE_OQ);
        return _mm512_mask_mov_epi64(_mm512_maskz_cvttps_epi64(ordered, half), beyond,
                                     _mm512_set1_epi64(INT64_MAX));
    }
    DEVVIEW_LANES __m512i uint64_of(V v) noexcept {
        return _mm512_cvttps_epu64(_mm512_castps512_ps256(v));
    }
    DEVVIEW_LANES void store(char* dst, __m512i all) noexcept { _mm512_storeu_si512(dst, all); }
    DEVVIEW_LANES void store_int16(char* dst, __m512i all) noexcept {
        rows::store(dst, _mm512_cvtsepi32_epi16(all));
    }
    DEVVIEW_LANES void store_uint16(char* dst, __m512i all) noexcept {
        rows::store(dst, _mm512_cvtusepi32_epi16(all));
    }
    DEVVIEW_LANES void store_int8(char* dst, __m512i all) noexcept {
        rows::store(dst, _mm512_cvtsepi32_epi8(all));
    }
    DEVVIEW_LANES void store_uint8(char* dst, __m512i all) noexcept {
        rows::store(dst, _mm512_cvtusepi32_epi8(all));
    }
};

template <>
struct Lanes<double> {
    static constexpr std::int64_t kCount = 8;
    using V = __m512d;

    DEVVIEW_LANES V load(const char* src) noexcept { return _mm512_loadu_pd(src); }
    DEVVIEW_LANES V load_half(const char* src) noexcept { return load(src); }  // 8 are all
    DEVVIEW_LANES V not_negative(V v) noexcept { return _mm512_max_pd(v, _mm512_setzero_pd()); }
    DEVVIEW_LANES V at_most(V v, double high) noexcept {
        return _mm512_min_pd(_mm512_set1_pd(high), v);
    }
    DEVVIEW_LANES __m256i to_signed(V v) noexcept {
        return _mm512_maskz_cvttpd_epi32(_mm512_cmp_pd_mask(v, v, _CMP_ORD_Q), v);
    }
    DEVVIEW_LANES __m256i to_unsigned(V v) noexcept { return _mm512_cvttpd_epu32(v); }
    DEVVIEW_LANES __m256i int32_of(V v) noexcept { return to_signed(at_most(v, INT32_MAX)); }
    DEVVIEW_LANES __m512i int64_of(V v) noexcept {
        const __mmask8 ordered = _mm512_cmp_pd_mask(v, v, _CMP_ORD_Q);
        const __mmask8 beyond = _mm512_cmp_pd_mask(v, _mm512_set1_pd(0x1p63), _CMP_GE_OQ);
        return _mm512_mask_mov_epi64(_mm512_maskz_cvttpd_epi64(ordered, v), beyond,
                                     _mm512_set1_epi64(INT64_MAX));
    }
    DEVVIEW_LANES __m512i uint64_of(V v) noexcept { return _mm512_cvttpd_epu64(v); }
    DEVVIEW_LANES void store(char* dst, __m256i all) noexcept { rows::store(dst, all); }
    DEVVIEW_LANES void store_int16(char* dst, __m256i all) noexcept {
        rows::store(dst, _mm256_cvtsepi32_epi16(all));
    }
    DEVVIEW_LANES void store_uint16(char* dst, __m256i all) noexcept {
        rows::store(dst, _mm256_cvtusepi32_epi16(all));
    }
    DEVVIEW_LANES void store_int8(char* dst, __m256i all) noexcept {
        _mm256_mask_cvtsepi32_storeu_epi8(dst, 0xff, all);
    }
    DEVVIEW_LANES void store_uint8(char* dst, __m256i all) noexcept {
        _mm256_mask_cvtusepi32_storeu_epi8(dst, 0xff, all);
    }
};

/// Lanes that one step converts: of 64-bit integers eight fill a vector.
template <typename To, typename From>
constexpr std::int64_t kStep = sizeof(To) == 8 ? 8 : Lanes<From>::kCount;

template <typename To, typename From>
DEVVIEW_LANES void truncate_step(char* dst, const char* src) noexcept {
    using L = Lanes<From>;
    const auto v = kStep<To, From> == L::kCount ? L::load(src) : L::load_half(src);
    if constexpr (std::is_same_v<To, std::int64_t>) {
        _mm512_storeu_si512(dst, L::int64_of(v));
    } else if constexpr (std::is_same_v<To, std::uint64_t>) {
        _mm512_storeu_si512(dst, L::uint64_of(L::not_negative(v)));
    } else if constexpr (std::is_same_v<To, std::int32_t>) {
        L::store(dst, L::int32_of(v));
    } else if constexpr (std::is_signed_v<To>) {
        const auto all = L::to_signed(L::at_most(v, std::numeric_limits<To>::max()));
        if constexpr (sizeof(To) == 2) L::store_int16(dst, all);
        if constexpr (sizeof(To) == 1) L::store_int8(dst, all);
    } else {
        const auto all = L::to_unsigned(L::not_negative(v));
        if constexpr (sizeof(To) == 4) L::store(dst, all);
        if constexpr (sizeof(To) == 2) L::store_uint16(dst, all);
        if constexpr (sizeof(To) == 1) L::store_uint8(dst, all);
    }
}

#undef DEVVIEW_LANES

/// Converts whole steps; the number of floats that are done.
template <typename To, typename From>
DEVVIEW_FOR_AVX512 std::int64_t truncate(char* dst, const char* src, std::int64_t count) noexcept {
    constexpr std::int64_t kTo = sizeof(To);
    constexpr std::int64_t kFrom = sizeof(From);
    std::int64_t i = 0;
    for (; i + kStep<To, From> <= count; i += kStep<To, From>)
        truncate_step<To, From>(dst + i * kTo, src + i * kFrom);
    return i;
}

}  // namespace devview::convert::avx512

namespace devview::convert::avx2 {

#define DEVVIEW_LANES DEVVIEW_FOR_AVX2 static inline

/// Eight floats to int32, no higher than `high`, no lower than `low`.
DEVVIEW_LANES __m256i int32_of(const char* src, float low, float high) noexcept {
    const __m256 v = _mm256_loadu_ps(reinterpret_cast<const float*>(src));
    const __m256 number = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
    const __m256 inside =
        _mm256_min_ps(_mm256_max_ps(number, _mm256_set1_ps(low)), _mm256_set1_ps(high));
    const __m256i made = _mm256_cvttps_epi32(inside);
    if (high < 0x1p31f) return made;
    // 2^31 is no int32: what is above the highest of them became INT32_MIN, and is turned over.
    const __m256 beyond = _mm256_cmp_ps(v, _mm256_set1_ps(0x1p31f), _CMP_GE_OQ);
    return _mm256_xor_si256(made, _mm256_castps_si256(beyond));
}

DEVVIEW_LANES __m128i int32_of(const char* src, double low, double high) noexcept {
    const __m256d v = _mm256_loadu_pd(reinterpret_cast<const double*>(src));
    const __m256d number = _mm256_and_pd(v, _mm256_cmp_pd(v, v, _CMP_ORD_Q));
    return _mm256_cvttpd_epi32(
        _mm256_min_pd(_mm256_max_pd(number, _mm256_set1_pd(low)), _mm256_set1_pd(high)));
}

#undef DEVVIEW_LANES

/// Integers that int32 holds.
template <typename To>
constexpr bool kByInt32 = std::numeric_limits<To>::digits < 32;

/// The bounds as floats: of int32 and float, 2^31 stands for all that is above.
template <typename To, typename From>
constexpr From kHigh = sizeof(To) == 4 && sizeof(From) == 4
                           ? static_cast<From>(0x1p31)
                           : static_cast<From>(std::numeric_limits<To>::max());

/// Converts whole steps of 8; the number of floats that are done.
template <typename To, typename From>
DEVVIEW_FOR_AVX2 std::int64_t truncate(char* dst, const char* src, std::int64_t count) noexcept {
    constexpr std::int64_t kTo = sizeof(To);
    constexpr std::int64_t kFrom = sizeof(From);
    constexpr std::int64_t kStep = 8;
    constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
    std::int64_t i = 0;
    for (; i + kStep <= count; i += kStep) {
        __m256i made;
        if constexpr (sizeof(From) == 4) {
            made = int32_of(src + i * kFrom, kLow, kHigh<To, From>);
        } else {
            made = _mm256_set_m128i(int32_of(src + (i + 4) * kFrom, kLow, kHigh<To, From>),
                                    int32_of(src + i * kFrom, kLow, kHigh<To, From>));
        }
        char* const to = dst + i * kTo;
        if constexpr (sizeof(To) == 4) {
            rows::store(to, made);
        } else {  // in range: the packing need not saturate
            const __m128i halves = std::is_signed_v<To> || sizeof(To) == 1
                                       ? _mm_packs_epi32(_mm256_castsi256_si128(made),
                                                         _mm256_extracti128_si256(made, 1))
                                       : _mm_packus_epi32(_mm256_castsi256_si128(made),
                                                          _mm256_extracti128_si256(made, 1));
            if constexpr (sizeof(To) == 2) {
                rows::store(to, halves);
            } else {
                const __m128i bytes = std::is_signed_v<To> ? _mm_packs_epi16(halves, halves)
                                                           : _mm_packus_epi16(halves, halves);
                rows::store(to, _mm_cvtsi128_si64(bytes));
            }
        }
    }
    return i;
}

}  // namespace devview::convert::avx2

#endif
