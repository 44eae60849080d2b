// Floats to integers by AVX-512, which has an instruction for every pair: truncated, saturated, NaN
// as 0; private to the core.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "copy_rows.hpp"
#include "cpu_level.hpp"

#if DEVVIEW_CPU_LEVELS

#include "x86_intrinsics.hpp"

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

#endif
