// Halves to floats and back by the CPU's own instructions, NaNs bit for bit as without them.
#include <algorithm>

#include "src/convert/convert_runs.hpp"
#include "src/copy/copy_rows.hpp"

#if DEVVIEW_CPU_LEVELS
#include "src/machine/x86_intrinsics.hpp"
#endif

namespace devview::convert {
namespace {

constexpr SmallFloat kHalf = small_float(FloatKind::ieee);
constexpr std::int64_t kHalfSize = 2;
constexpr std::int64_t kFloatSize = 4;

struct Decode {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        for (std::int64_t i = 0; i < count; ++i) {
            rows::store(dst + i * kFloatSize,
                        decode_float(kHalf, rows::load<std::uint16_t>(src + i * kHalfSize)));
        }
    }
};

template <typename From>
struct Encode {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        constexpr std::int64_t kFrom = sizeof(From);
        for (std::int64_t i = 0; i < count; ++i) {
            const std::uint32_t code = encode_float(kHalf, rows::load<From>(src + i * kFrom));
            rows::store(dst + i * kHalfSize, static_cast<std::uint16_t>(code));
        }
    }
};

using Decoded = RunCompiled<Decode>;
using Encoded = RunCompiled<Encode<float>>;

#if DEVVIEW_CPU_LEVELS

// The instructions make signalling NaNs quiet and NaNs keep their payload otherwise: a block with
// a NaN is done again by hand.
constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kLanes = 8;

__attribute__((target("avx2,f16c"))) bool decode_block(char* dst, const char* src,
                                                       std::int64_t count) noexcept {
    __m256 unordered = _mm256_setzero_ps();
    for (std::int64_t i = 0; i < count; i += kLanes) {
        const __m256 values = _mm256_cvtph_ps(rows::load<__m128i>(src + i * kHalfSize));
        unordered = _mm256_or_ps(unordered, _mm256_cmp_ps(values, values, _CMP_UNORD_Q));
        _mm256_storeu_ps(reinterpret_cast<float*>(dst + i * kFloatSize), values);
    }
    return _mm256_movemask_ps(unordered) == 0;
}

__attribute__((target("avx2,f16c"))) bool encode_block(char* dst, const char* src,
                                                       std::int64_t count) noexcept {
    __m256 unordered = _mm256_setzero_ps();
    for (std::int64_t i = 0; i < count; i += kLanes) {
        const __m256 values = _mm256_loadu_ps(reinterpret_cast<const float*>(src + i * kFloatSize));
        unordered = _mm256_or_ps(unordered, _mm256_cmp_ps(values, values, _CMP_UNORD_Q));
        rows::store(dst + i * kHalfSize, _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    }
    return _mm256_movemask_ps(unordered) == 0;
}

void decode_halves(char* dst, const char* src, std::int64_t count, const SmallFloat& small) {
    const std::int64_t whole = count - count % kLanes;
    for (std::int64_t at = 0; at < whole; at += kBlock) {
        const std::int64_t part = std::min(kBlock, whole - at);
        char* const to = dst + at * kFloatSize;
        const char* const from = src + at * kHalfSize;
        if (!decode_block(to, from, part)) Decoded::avx2(to, from, part, small);
    }
    Decoded::avx2(dst + whole * kFloatSize, src + whole * kHalfSize, count - whole, small);
}

void encode_halves(char* dst, const char* src, std::int64_t count, const SmallFloat& small) {
    const std::int64_t whole = count - count % kLanes;
    for (std::int64_t at = 0; at < whole; at += kBlock) {
        const std::int64_t part = std::min(kBlock, whole - at);
        char* const to = dst + at * kHalfSize;
        const char* const from = src + at * kFloatSize;
        if (!encode_block(to, from, part)) Encoded::avx2(to, from, part, small);
    }
    Encoded::avx2(dst + whole * kHalfSize, src + whole * kFloatSize, count - whole, small);
}

constexpr Runs kDecoded{Decoded::portable, decode_halves, decode_halves};
constexpr Runs kEncoded{Encoded::portable, encode_halves, encode_halves};
#else
constexpr Runs kDecoded = Decoded::kAll;
constexpr Runs kEncoded = Encoded::kAll;
#endif

}  // namespace

Run decode_half_run(cpu::Level level) noexcept { return kDecoded.at(level); }

Run encode_half_run(Number via, cpu::Level level) noexcept {
    if (via == Number::float32) return kEncoded.at(level);
    return RunCompiled<Encode<double>>::kAll.at(level);
}

}  // namespace devview::convert
