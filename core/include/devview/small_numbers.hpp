// The numbers that C++ has no type for, from and to bits: half, bfloat16, floats of 8, 6 and 4
// bits, and integers of 4. One source for host and device; moves no arrays.
#pragma once

#include <cstdint>
#include <cstring>

#include "devview/format.hpp"
#include "devview/host_device.hpp"

namespace devview {

/// How the bits of a small float are meant. A code without its sign is a magnitude; the finite ones
/// count up from 0 to `max_finite`.
struct SmallFloat {
    int mantissa_bits;
    int bias;
    std::uint32_t sign_bit;    ///< 0: neither sign nor zero, the code is an exponent (e8m0)
    std::uint32_t max_finite;  ///< largest finite magnitude
    std::uint32_t infinity;    ///< its magnitude, or kNone
    std::uint32_t overflow;    ///< what values beyond the largest finite one become
    std::uint32_t nan;         ///< what a NaN becomes; without NaNs, zero of the other sign
    bool unsigned_zero;        ///< "uz": the code of -0 is the NaN, which has no sign
    bool payload;              ///< a NaN keeps the high bits of its payload (half, as NumPy does)

    static constexpr std::uint32_t kNone = 0xffffffff;
};

/// The meaning of a kind's bits, as ml_dtypes and the OCP papers (OFP8, MX) give it; `ieee` is
/// half.
DEVVIEW_HD constexpr SmallFloat small_float(FloatKind kind) noexcept {
    constexpr std::uint32_t none = SmallFloat::kNone;
    switch (kind) {
        case FloatKind::bfloat16:
            return {7, 127, 0x8000, 0x7f7f, 0x7f80, 0x7f80, 0x7fc0, false, false};
        case FloatKind::float8_e3m4:
            return {4, 3, 0x80, 0x6f, 0x70, 0x70, 0x78, false, false};
        case FloatKind::float8_e4m3:
            return {3, 7, 0x80, 0x77, 0x78, 0x78, 0x7c, false, false};
        case FloatKind::float8_e4m3b11fnuz:
            return {3, 11, 0x80, 0x7f, none, 0x80, 0x80, true, false};
        case FloatKind::float8_e4m3fn:
            return {3, 7, 0x80, 0x7e, none, 0x7f, 0x7f, false, false};
        case FloatKind::float8_e4m3fnuz:
            return {3, 8, 0x80, 0x7f, none, 0x80, 0x80, true, false};
        case FloatKind::float8_e5m2:
            return {2, 15, 0x80, 0x7b, 0x7c, 0x7c, 0x7e, false, false};
        case FloatKind::float8_e5m2fnuz:
            return {2, 16, 0x80, 0x7f, none, 0x80, 0x80, true, false};
        case FloatKind::float8_e8m0fnu:
            return {0, 127, 0, 0xfe, none, 0xff, 0xff, true, false};
        case FloatKind::float6_e2m3fn:
            return {3, 1, 0x20, 0x1f, none, 0x1f, 0x20, false, false};
        case FloatKind::float6_e3m2fn:
            return {2, 3, 0x20, 0x1f, none, 0x1f, 0x20, false, false};
        case FloatKind::float4_e2m1fn:
            return {1, 1, 0x8, 0x7, none, 0x7, 0x8, false, false};
        case FloatKind::ieee:
            break;
    }
    return {10, 15, 0x8000, 0x7bff, 0x7c00, 0x7c00, 0x7e00, false, true};
}

namespace detail {

template <typename To, typename From>
DEVVIEW_HD inline To bits_as(From from) noexcept {
    static_assert(sizeof(To) == sizeof(From), "a value and its bits have one size");
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

template <typename Float>
struct WideFloat;

template <>
struct WideFloat<float> {
    using Bits = std::uint32_t;
    static constexpr int kMantissaBits = 23;
    static constexpr int kBias = 127;
};

template <>
struct WideFloat<double> {
    using Bits = std::uint64_t;
    static constexpr int kMantissaBits = 52;
    static constexpr int kBias = 1023;
};

// Nearest power of two. Ties go up, to the even one of the significands 1 and 2.
template <typename Float>
DEVVIEW_HD inline std::uint32_t encode_exponent(Float value, const SmallFloat& format) noexcept {
    using Wide = WideFloat<double>;
    const auto wide = static_cast<double>(value);
    if (!(wide > 0)) return format.nan;
    const auto bits =
        bits_as<std::uint64_t>(wide) + (std::uint64_t{1} << (Wide::kMantissaBits - 1));
    const auto code = static_cast<int>(bits >> Wide::kMantissaBits) - Wide::kBias + format.bias;
    if (code < 0) return 0;
    return code > static_cast<int>(format.max_finite) ? format.overflow
                                                      : static_cast<std::uint32_t>(code);
}

}  // namespace detail

/// The value of `code`; exact. Bits above the format's are ignored.
DEVVIEW_HD inline float decode_float(const SmallFloat& format, std::uint32_t code) noexcept {
    if (format.sign_bit == 0) {
        const std::uint32_t exponent = code & 0xff;
        const std::uint32_t bits = exponent == 0 ? 0x00400000u : exponent << 23;
        return detail::bits_as<float>(exponent == format.nan ? 0x7fc00000u : bits);
    }
    const std::uint32_t magnitude = code & (format.sign_bit - 1);
    const std::uint32_t sign = (code & format.sign_bit) != 0 ? 0x80000000u : 0u;
    const int shift = 23 - format.mantissa_bits;
    const auto rebias = static_cast<std::uint32_t>(127 - format.bias) << 23;
    if (rebias == 0) return detail::bits_as<float>(sign | (magnitude << shift));  // bfloat16
    // Without branches, so that loops over it vectorise.
    const auto least = detail::bits_as<float>(
        static_cast<std::uint32_t>(128 - format.bias - format.mantissa_bits) << 23);
    const auto subnormal =
        detail::bits_as<std::uint32_t>(static_cast<float>(static_cast<int>(magnitude)) * least);
    std::uint32_t bits = (magnitude << shift) + rebias;
    bits = (magnitude >> format.mantissa_bits) == 0 ? subnormal : bits;
    const std::uint32_t payload = format.payload ? (magnitude << shift) & 0x7fffffu : 0x400000u;
    const std::uint32_t special = magnitude == format.infinity ? 0u : payload;
    bits = magnitude > format.max_finite ? 0x7f800000u | special : bits;
    bits = format.unsigned_zero && code == format.nan ? 0x7fc00000u : bits;
    return detail::bits_as<float>(sign | bits);
}

/// The code nearest to `value` (float or double), ties to even, rounded once. Infinities, NaNs and
/// values beyond the largest finite one become what the format has for them.
template <typename Float>
DEVVIEW_HD inline std::uint32_t encode_float(const SmallFloat& format, Float value) noexcept {
    using Wide = detail::WideFloat<Float>;
    using Bits = typename Wide::Bits;
    if (format.sign_bit == 0) return detail::encode_exponent(value, format);
    const auto all = detail::bits_as<Bits>(value);
    const Bits sign_mask = Bits{1} << (8 * sizeof(Bits) - 1);
    const Bits infinity = static_cast<Bits>(2 * Wide::kBias + 1) << Wide::kMantissaBits;
    const Bits bits = all & ~sign_mask;
    const int shift = Wide::kMantissaBits - format.mantissa_bits;
    const Bits rebias = static_cast<Bits>(Wide::kBias - format.bias) << Wide::kMantissaBits;
    // Normal: the half of the last bit, less one where that bit is 0; a carry runs into the
    // exponent. Subnormal: added to a number whose last bit is the format's least, which rounds.
    const Bits moved = bits - rebias;
    const Bits normal = (moved + ((Bits{1} << (shift - 1)) - 1) + ((moved >> shift) & 1)) >> shift;
    const Bits anchor = static_cast<Bits>(Wide::kBias + 1 - format.bias - format.mantissa_bits +
                                          Wide::kMantissaBits)
                        << Wide::kMantissaBits;
    const Bits subnormal =
        detail::bits_as<Bits>(detail::bits_as<Float>(bits) + detail::bits_as<Float>(anchor)) -
        anchor;
    const bool is_normal = bits >= rebias + (Bits{1} << Wide::kMantissaBits);
    const Bits rounded = is_normal ? normal : subnormal;
    auto code = static_cast<std::uint32_t>(rounded > format.max_finite ? format.overflow : rounded);
    const auto payload = static_cast<std::uint32_t>((bits & (infinity - 1)) >> shift) &
                         ((1u << format.mantissa_bits) - 1);
    const std::uint32_t kept = format.infinity | (payload == 0 ? 1u : payload);
    const std::uint32_t nan = format.payload ? kept : format.nan;
    code = bits > infinity ? nan : code;
    const bool signless = format.unsigned_zero && (code == 0 || code == format.nan);
    return all == bits || signless ? code : code ^ format.sign_bit;
}

/// Two's complement of four bits; the upper half of the byte is ignored.
DEVVIEW_HD constexpr int decode_int4(std::uint32_t code) noexcept {
    return static_cast<int>((code & 0xf) ^ 0x8) - 8;
}

DEVVIEW_HD constexpr unsigned decode_uint4(std::uint32_t code) noexcept { return code & 0xf; }

/// A value modulo 16, in the lower half of a byte whose upper half is 0 (both signs).
DEVVIEW_HD constexpr std::uint32_t encode_int4(std::uint64_t value) noexcept { return value & 0xf; }

/// A double that rounds to any small float as `value` itself does: bits that a double cannot hold
/// leave a trace in the last one (rounding to odd).
DEVVIEW_HD inline double sticky_double(std::uint64_t value) noexcept {
    const std::uint64_t low = value & 0xfff;
    const bool exact = value < (std::uint64_t{1} << 53);
    return static_cast<double>(exact ? value : (value - low) | (low != 0 ? 0x1000u : 0u));
}

}  // namespace devview
