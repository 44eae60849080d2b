// Halves to floats and back by the CPU's own instructions, NaNs bit for bit as without them.
#include <algorithm>

#include "src/convert/convert_float16.hpp"

#if DEVVIEW_CPU_LEVELS
#include "src/machine/x86_intrinsics.hpp"
#endif

namespace devview::convert {
namespace {

constexpr std::int64_t kHalfSize = 2;
constexpr std::int64_t kFloatSize = 4;

using Decoded = RunCompiled<DecodeFloat16<FloatKind::ieee>>;
template <typename From>
using Encoded = RunCompiled<EncodeFloat16<FloatKind::ieee, From>>;

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

using Block = bool (*)(char* dst, const char* src, std::int64_t count);

template <Block block, Run by_hand, std::int64_t to_size, std::int64_t from_size>
void run_blocks(char* dst, const char* src, std::int64_t count, const SmallFloat& small) {
    const std::int64_t whole = count - count % kLanes;
    for (std::int64_t at = 0; at < whole; at += kBlock) {
        const std::int64_t part = std::min(kBlock, whole - at);
        char* const to = dst + at * to_size;
        const char* const from = src + at * from_size;
        if (!block(to, from, part)) by_hand(to, from, part, small);
    }
    by_hand(dst + whole * to_size, src + whole * from_size, count - whole, small);
}

constexpr Run kDecode = run_blocks<decode_block, Decoded::avx2, kFloatSize, kHalfSize>;
constexpr Run kEncode = run_blocks<encode_block, Encoded<float>::avx2, kHalfSize, kFloatSize>;
constexpr Runs kDecoded{Decoded::portable, kDecode, kDecode};
constexpr Runs kEncoded{Encoded<float>::portable, kEncode, kEncode};
#else
constexpr Runs kDecoded = Decoded::kAll;
constexpr Runs kEncoded = Encoded<float>::kAll;
#endif

}  // namespace

Run decode_half_run(cpu::Level level) noexcept { return kDecoded.at(level); }

Run encode_half_run(Number via, cpu::Level level) noexcept {
    if (via == Number::float32) return kEncoded.at(level);
    return Encoded<double>::kAll.at(level);
}

}  // namespace devview::convert
