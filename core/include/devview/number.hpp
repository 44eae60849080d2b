// Numbers by value: what a scalar's bytes mean, and C's conversions made total. One source for host
// and device; moves no arrays.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/host_device.hpp"
#include "devview/small_numbers.hpp"

namespace devview {

/// The machine's number types in the order of C's conversion tables, then those made of them.
enum class Number : std::uint8_t {
    boolean,
    int8,
    uint8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    uint64,
    float32,
    float64,
    long_double,  ///< host only
    small_float,  ///< see FloatKind; half is one of them
    int4,         ///< one byte per item
    uint4,
    none,  ///< no number
};

/// A scalar format that is a number, as plain data: what a kernel needs to know of it.
struct NumberType {
    Number number;           ///< of complex ones: the parts'
    FloatKind float_kind;    ///< of small_float
    std::uint8_t part_size;  ///< bytes of the number, of a complex one: of each part
    bool is_complex;         ///< two parts, the real one first
    bool swapped;            ///< the bytes of each part are in the other order
};

/// The number type of a format; `none` for formats that are none.
DEVVIEW_CORE_API NumberType number_type(const FormatNode& format) noexcept;

namespace detail {

/// The range of an integer type among the values of a float type. Constants: nvcc lets device code
/// read them, but not call std::numeric_limits without --expt-relaxed-constexpr.
template <typename To, typename From>
struct Range {
    using Limits = std::numeric_limits<To>;
    static constexpr bool kExact = Limits::digits <= std::numeric_limits<From>::digits;
    static constexpr To kMax = (Limits::max)();
    static constexpr From kLow = static_cast<From>((Limits::min)());
    static constexpr From kTop = static_cast<From>(kMax / 2 + 1) * 2;  // one above the largest
    static constexpr From kHigh =
        kExact ? kTop - 1 : kTop * (1 - std::numeric_limits<From>::epsilon() / 2);
};

/// Truncates; beyond the range the nearest limit, NaN 0 (as PTX cvt does). No branches: vectorises.
template <typename To, typename From>
DEVVIEW_HD constexpr To saturate(From value) noexcept {
    constexpr From low = Range<To, From>::kLow;
    constexpr From top = Range<To, From>::kTop;
    constexpr From high = Range<To, From>::kHigh;
    From inside = value > low ? value : low;
    inside = inside < high ? inside : high;
    using Step = std::conditional_t<(sizeof(To) < sizeof(int)), int, To>;
    To result = static_cast<To>(static_cast<Step>(inside));
    if (!Range<To, From>::kExact) result = value >= top ? Range<To, From>::kMax : result;
    if (std::is_signed<To>::value) result = value != value ? To{0} : result;
    return result;
}

}  // namespace detail

/// C's conversion where that is defined. Integers wrap modulo 2^n, floats saturate to integers with
/// NaN as 0, anything but zero is true.
template <typename To, typename From>
DEVVIEW_HD constexpr To number_cast(From value) noexcept {
    if constexpr (std::is_same<To, bool>::value) {
        return value != From{0};
    } else if constexpr (std::is_floating_point<From>::value && std::is_integral<To>::value) {
        return detail::saturate<To>(value);
    } else {
        return static_cast<To>(value);
    }
}

/// A double that a small float or int4 may be made of with no second rounding.
template <typename From>
DEVVIEW_HD inline double sticky_cast(From value) noexcept {
    if constexpr (!std::is_integral<From>::value || sizeof(From) < 8) {
        return static_cast<double>(value);
    } else if constexpr (std::is_signed<From>::value) {
        const auto bits = static_cast<std::uint64_t>(value);
        return value < 0 ? -sticky_double(0 - bits) : sticky_double(bits);
    } else {
        return sticky_double(value);
    }
}

/// To int4 or uint4: integers modulo 16, floats saturate.
template <typename From>
DEVVIEW_HD inline std::uint32_t cast_to_int4(From value, bool is_signed) noexcept {
    if constexpr (std::is_floating_point<From>::value) {
        const int low = is_signed ? -8 : 0;
        const int high = is_signed ? 7 : 15;
        const int whole = detail::saturate<int>(value);
        return encode_int4(static_cast<std::uint64_t>(whole < low    ? low
                                                      : whole > high ? high
                                                                     : whole));
    } else {
        return encode_int4(static_cast<std::uint64_t>(value));
    }
}

namespace detail {

/// The bits of a number of type `to` (of a complex one: a part) that is `value`.
template <typename From>
DEVVIEW_HD inline std::uint64_t bits_of_number(const NumberType& to, From value) noexcept {
    switch (to.number) {
        case Number::boolean:
            return number_cast<bool>(value) ? 1 : 0;
        case Number::int8:
            return static_cast<std::uint8_t>(number_cast<std::int8_t>(value));
        case Number::uint8:
            return number_cast<std::uint8_t>(value);
        case Number::int16:
            return static_cast<std::uint16_t>(number_cast<std::int16_t>(value));
        case Number::uint16:
            return number_cast<std::uint16_t>(value);
        case Number::int32:
            return static_cast<std::uint32_t>(number_cast<std::int32_t>(value));
        case Number::uint32:
            return number_cast<std::uint32_t>(value);
        case Number::int64:
            return static_cast<std::uint64_t>(number_cast<std::int64_t>(value));
        case Number::uint64:
            return number_cast<std::uint64_t>(value);
        case Number::float32:
            return bits_as<std::uint32_t>(number_cast<float>(value));
        case Number::float64:
            return bits_as<std::uint64_t>(number_cast<double>(value));
        case Number::small_float:
            return encode_float(small_float(to.float_kind), sticky_cast(value));
        case Number::int4:
        case Number::uint4:
            return cast_to_int4(value, to.number == Number::int4);
        default:
            return 0;
    }
}

}  // namespace detail

/// One number's bits to the bits of another; both in native order, neither a long double.
DEVVIEW_HD inline std::uint64_t convert_number(const NumberType& to, const NumberType& from,
                                               std::uint64_t bits) noexcept {
    using detail::bits_of_number;
    if (to.number == from.number && to.float_kind == from.float_kind) return bits;
    switch (from.number) {
        case Number::boolean:
            return bits_of_number(to, std::uint64_t{bits != 0});
        case Number::int8:
            return bits_of_number(to, static_cast<std::int64_t>(static_cast<std::int8_t>(bits)));
        case Number::int16:
            return bits_of_number(to, static_cast<std::int64_t>(static_cast<std::int16_t>(bits)));
        case Number::int32:
            return bits_of_number(to, static_cast<std::int64_t>(static_cast<std::int32_t>(bits)));
        case Number::int64:
            return bits_of_number(to, static_cast<std::int64_t>(bits));
        case Number::int4:
            return bits_of_number(
                to, static_cast<std::int64_t>(decode_int4(static_cast<std::uint32_t>(bits))));
        case Number::uint4:
            return bits_of_number(to, std::uint64_t{bits & 0xf});
        case Number::float32:
            return bits_of_number(to, detail::bits_as<float>(static_cast<std::uint32_t>(bits)));
        case Number::float64:
            return bits_of_number(to, detail::bits_as<double>(bits));
        case Number::small_float:
            return bits_of_number(
                to, decode_float(small_float(from.float_kind), static_cast<std::uint32_t>(bits)));
        default:
            return bits_of_number(to, bits);
    }
}

}  // namespace devview
