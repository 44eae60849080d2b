// Bit fields of more than 64 bits beside other real numbers: octet by octet.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "devview/bits.hpp"
#include "src/compare/compare_rows.hpp"

namespace devview::detail {
namespace {

// A natural number as octets, or none (negative, fractional, infinite, NaN).
struct Natural {
    const char* field;    ///< a bit field, or null: `mantissa` << `shift`
    std::int32_t offset;  ///< of the field in its first byte
    std::int64_t bits;    ///< what lies beyond is 0
    std::uint64_t mantissa;
    std::int64_t shift;
    bool exists;

    unsigned octet(std::int64_t index) const noexcept {
        if (field != nullptr) return read_octet(field, bits, offset, index);
        const std::int64_t low = 8 * index - shift;
        if (low >= 64 || low <= -8) return 0;
        const std::uint64_t part = low >= 0 ? mantissa >> low : mantissa << -low;
        return static_cast<unsigned>(part & 0xff);
    }
};

Natural of_double(double value) noexcept {
    Natural natural{nullptr, 0, 0, 0, 0, false};
    if (!(value >= 0) || std::isinf(value) || value != std::floor(value)) return natural;
    natural.exists = true;
    if (value < 0x1p63) {
        natural.mantissa = static_cast<std::uint64_t>(value);
        natural.bits = 64;
        return natural;
    }
    int exponent = 0;
    natural.mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(value, &exponent), 53));
    natural.shift = exponent - 53;
    natural.bits = exponent;
    return natural;
}

Natural natural_of(const CompareScalar& scalar, const char* data) noexcept {
    if (scalar.kind == Kind::floating) return of_double(read_real(scalar, data));
    if (scalar.kind == Kind::bits) return {data, scalar.bit_offset, scalar.bits, 0, 0, true};
    const CompareInteger integer = read_integer(scalar, data);
    return {nullptr, 0, 64, integer.value, 0, !integer.negative()};
}

bool equal(const Natural& a, const Natural& b) noexcept {
    if (!a.exists || !b.exists) return false;
    const std::int64_t octets = (std::max(a.bits, b.bits) + 7) / 8;
    for (std::int64_t i = 0; i < octets; ++i) {
        if (a.octet(i) != b.octet(i)) return false;
    }
    return true;
}

}  // namespace

bool equal_wide_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                    std::int64_t b_stride, std::int64_t n) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        if (!equal(natural_of(leaf.a, a + i * a_stride), natural_of(leaf.b, b + i * b_stride))) {
            return false;
        }
    }
    return true;
}

}  // namespace devview::detail
