// Which formats are numbers.
#include "devview/number.hpp"

namespace devview {
namespace {

Number integer_of(std::int64_t bits, bool is_signed) noexcept {
    switch (bits) {
        case 4:
            return is_signed ? Number::int4 : Number::uint4;
        case 8:
            return is_signed ? Number::int8 : Number::uint8;
        case 16:
            return is_signed ? Number::int16 : Number::uint16;
        case 32:
            return is_signed ? Number::int32 : Number::uint32;
        case 64:
            return is_signed ? Number::int64 : Number::uint64;
        default:
            return Number::none;
    }
}

Number float_of(const FormatNode& format, std::int64_t part_size) noexcept {
    if (format.float_kind != FloatKind::ieee || part_size == 2) return Number::small_float;
    if (part_size == 4) return Number::float32;
    if (part_size == 8) return Number::float64;
    return part_size == static_cast<std::int64_t>(sizeof(long double)) ? Number::long_double
                                                                       : Number::none;
}

}  // namespace

NumberType number_type(const FormatNode& format) noexcept {
    const bool is_complex = format.kind == Kind::complex_floating;
    const std::int64_t part_size = is_complex ? format.itemsize / 2 : format.itemsize;
    Number number = Number::none;
    switch (format.kind) {
        case Kind::boolean:
            number = part_size == 1 ? Number::boolean : Number::none;
            break;
        case Kind::integer:
        case Kind::unsigned_integer:
            number = integer_of(format.bits, format.kind == Kind::integer);
            break;
        case Kind::floating:
        case Kind::complex_floating:
            number = float_of(format, part_size);
            break;
        default:
            break;
    }
    if (number == Number::none) return {number, FloatKind::ieee, 0, false, false};
    return {number, format.float_kind, static_cast<std::uint8_t>(part_size), is_complex,
            format.byteorder != ByteOrder::native};
}

}  // namespace devview
