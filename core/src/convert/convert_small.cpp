// Runs from and to small floats and 4-bit integers.
#include <array>

#include "src/convert/convert_float16.hpp"

namespace devview::convert {
namespace {

// One byte has 256 values.
void decode_bytes(char* __restrict dst, const char* __restrict src, std::int64_t count,
                  const SmallFloat& small) {
    constexpr std::int64_t kFew = 256;
    std::array<float, 256> values;
    if (count > kFew) {
        for (std::uint32_t code = 0; code < values.size(); ++code)
            values[code] = decode_float(small, code);
    }
    for (std::int64_t i = 0; i < count; ++i) {
        const auto code = static_cast<std::uint8_t>(src[i]);
        rows::store(dst + 4 * i, count > kFew ? values[code] : decode_float(small, code));
    }
}

template <typename From>
struct EncodeBytes {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat& small) {
        const SmallFloat format = small;
        constexpr std::int64_t kFrom = sizeof(From);
        for (std::int64_t i = 0; i < count; ++i) {
            dst[i] = static_cast<char>(encode_float(format, rows::load<From>(src + i * kFrom)));
        }
    }
};

template <typename From>
Run encode_small(FloatKind kind, cpu::Level level) noexcept {
    if (kind == FloatKind::bfloat16)
        return RunCompiled<EncodeFloat16<FloatKind::bfloat16, From>>::kAll.at(level);
    return RunCompiled<EncodeBytes<From>>::kAll.at(level);
}

template <bool is_signed>
void decode_nibbles(char* __restrict dst, const char* __restrict src, std::int64_t count,
                    const SmallFloat&) {
    for (std::int64_t i = 0; i < count; ++i) {
        const auto code = static_cast<std::uint8_t>(src[i]);
        dst[i] =
            static_cast<char>(is_signed ? decode_int4(code) : static_cast<int>(decode_uint4(code)));
    }
}

template <bool is_signed, typename From>
void encode_nibbles(char* __restrict dst, const char* __restrict src, std::int64_t count,
                    const SmallFloat&) {
    constexpr std::int64_t kFrom = sizeof(From);
    for (std::int64_t i = 0; i < count; ++i) {
        dst[i] = static_cast<char>(cast_to_int4(rows::load<From>(src + i * kFrom), is_signed));
    }
}

}  // namespace

Run decode_run(const NumberType& from, cpu::Level level) noexcept {
    if (from.number == Number::int4) return decode_nibbles<true>;
    if (from.number == Number::uint4) return decode_nibbles<false>;
    if (from.float_kind == FloatKind::ieee) return decode_half_run(level);
    if (from.float_kind == FloatKind::bfloat16)
        return RunCompiled<DecodeFloat16<FloatKind::bfloat16>>::kAll.at(level);
    return decode_bytes;
}

Run encode_run(const NumberType& to, Number via, cpu::Level level) noexcept {
    if (to.number == Number::small_float) {
        if (to.float_kind == FloatKind::ieee) return encode_half_run(via, level);
        return via == Number::float32 ? encode_small<float>(to.float_kind, level)
                                      : encode_small<double>(to.float_kind, level);
    }
    const bool is_signed = to.number == Number::int4;
    if (via == Number::float64) {
        return is_signed ? encode_nibbles<true, double> : encode_nibbles<false, double>;
    }
    return is_signed ? encode_nibbles<true, std::uint8_t> : encode_nibbles<false, std::uint8_t>;
}

}  // namespace devview::convert
