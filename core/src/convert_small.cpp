// Runs from and to small floats and 4-bit integers.
#include <array>

#include "convert_runs.hpp"
#include "copy_rows.hpp"

namespace devview::convert {
namespace {

// The kinds that matter most know their format at compile time; the others share one loop.
template <typename Code, FloatKind kind>
void decode_known(char* __restrict dst, const char* __restrict src, std::int64_t count,
                  const SmallFloat&) {
    constexpr SmallFloat kFormat = small_float(kind);
    constexpr std::int64_t kCode = sizeof(Code);
    for (std::int64_t i = 0; i < count; ++i)
        rows::store(dst + 4 * i, decode_float(kFormat, rows::load<Code>(src + i * kCode)));
}

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

template <typename Code, FloatKind kind, typename From>
void encode_known(char* __restrict dst, const char* __restrict src, std::int64_t count,
                  const SmallFloat&) {
    constexpr SmallFloat kFormat = small_float(kind);
    constexpr std::int64_t kCode = sizeof(Code);
    constexpr std::int64_t kFrom = sizeof(From);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::uint32_t code = encode_float(kFormat, rows::load<From>(src + i * kFrom));
        rows::store(dst + i * kCode, static_cast<Code>(code));
    }
}

template <typename From>
void encode_bytes(char* __restrict dst, const char* __restrict src, std::int64_t count,
                  const SmallFloat& small) {
    const SmallFloat format = small;
    constexpr std::int64_t kFrom = sizeof(From);
    for (std::int64_t i = 0; i < count; ++i) {
        dst[i] = static_cast<char>(encode_float(format, rows::load<From>(src + i * kFrom)));
    }
}

template <typename From>
Run encode_small(FloatKind kind) noexcept {
    if (kind == FloatKind::ieee) return encode_known<std::uint16_t, FloatKind::ieee, From>;
    if (kind == FloatKind::bfloat16) return encode_known<std::uint16_t, FloatKind::bfloat16, From>;
    return encode_bytes<From>;
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

Run decode_run(const NumberType& from) noexcept {
    if (from.number == Number::int4) return decode_nibbles<true>;
    if (from.number == Number::uint4) return decode_nibbles<false>;
    if (from.float_kind == FloatKind::ieee) return decode_known<std::uint16_t, FloatKind::ieee>;
    if (from.float_kind == FloatKind::bfloat16)
        return decode_known<std::uint16_t, FloatKind::bfloat16>;
    return decode_bytes;
}

Run encode_run(const NumberType& to, Number via) noexcept {
    if (to.number == Number::small_float) {
        return via == Number::float32 ? encode_small<float>(to.float_kind)
                                      : encode_small<double>(to.float_kind);
    }
    const bool is_signed = to.number == Number::int4;
    if (via == Number::float64) {
        return is_signed ? encode_nibbles<true, double> : encode_nibbles<false, double>;
    }
    return is_signed ? encode_nibbles<true, std::uint8_t> : encode_nibbles<false, std::uint8_t>;
}

}  // namespace devview::convert
