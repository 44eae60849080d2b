// Rows of numbers of two kinds: both sides become blocks of a type that holds them exactly.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "devview/bits.hpp"
#include "devview/byte_order.hpp"
#include "devview/small_numbers.hpp"
#include "src/compare/compare_rows.hpp"

namespace devview::detail {
namespace {

constexpr std::int64_t kBlock = 256;

template <typename To>
using Decode = void (*)(const CompareScalar& scalar, const char* from, std::int64_t stride,
                        std::int64_t n, To* to);

template <typename To, typename From, bool swapped>
void decode_words(const CompareScalar&, const char* from, std::int64_t stride, std::int64_t n,
                  To* to) noexcept {
    constexpr std::int64_t kDense = sizeof(From);
    if (stride == kDense) {  // a loop of its own: it vectorises
        for (std::int64_t i = 0; i < n; ++i)
            to[i] = static_cast<To>(load_number<From, swapped>(from + i * kDense));
    } else {
        for (std::int64_t i = 0; i < n; ++i)
            to[i] = static_cast<To>(load_number<From, swapped>(from + i * stride));
    }
}

template <typename To>
void decode_truth(const CompareScalar&, const char* from, std::int64_t stride, std::int64_t n,
                  To* to) noexcept {
    for (std::int64_t i = 0; i < n; ++i)
        to[i] = static_cast<To>(from[i * stride] != 0 ? 1 : 0);
}

template <typename To>
void decode_four_bits(const CompareScalar& scalar, const char* from, std::int64_t stride,
                      std::int64_t n, To* to) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        const auto code = static_cast<unsigned char>(from[i * stride]);
        to[i] = scalar.kind == Kind::integer ? static_cast<To>(decode_int4(code))
                                             : static_cast<To>(decode_uint4(code));
    }
}

template <typename To>
void decode_bit_field(const CompareScalar& scalar, const char* from, std::int64_t stride,
                      std::int64_t n, To* to) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        to[i] = static_cast<To>(read_bits(from + i * stride, scalar.bits, scalar.bit_offset));
    }
}

// One instance a kind: with constants for a format the loop vectorises.
template <FloatKind kind, typename Code, bool swapped>
void decode_small(const CompareScalar&, const char* from, std::int64_t stride, std::int64_t n,
                  double* to) noexcept {
    constexpr SmallFloat kFormat = small_float(kind);
    for (std::int64_t i = 0; i < n; ++i) {
        to[i] = static_cast<double>(
            decode_float(kFormat, load_number<Code, swapped>(from + i * stride)));
    }
}

template <FloatKind kind>
Decode<double> halves(const CompareScalar& scalar) noexcept {
    return scalar.swapped ? decode_small<kind, std::uint16_t, true>
                          : decode_small<kind, std::uint16_t, false>;
}

Decode<double> small_floats(const CompareScalar& scalar) noexcept {
    switch (scalar.float_kind) {
        case FloatKind::bfloat16:
            return halves<FloatKind::bfloat16>(scalar);
        case FloatKind::float8_e3m4:
            return decode_small<FloatKind::float8_e3m4, std::uint8_t, false>;
        case FloatKind::float8_e4m3:
            return decode_small<FloatKind::float8_e4m3, std::uint8_t, false>;
        case FloatKind::float8_e4m3b11fnuz:
            return decode_small<FloatKind::float8_e4m3b11fnuz, std::uint8_t, false>;
        case FloatKind::float8_e4m3fn:
            return decode_small<FloatKind::float8_e4m3fn, std::uint8_t, false>;
        case FloatKind::float8_e4m3fnuz:
            return decode_small<FloatKind::float8_e4m3fnuz, std::uint8_t, false>;
        case FloatKind::float8_e5m2:
            return decode_small<FloatKind::float8_e5m2, std::uint8_t, false>;
        case FloatKind::float8_e5m2fnuz:
            return decode_small<FloatKind::float8_e5m2fnuz, std::uint8_t, false>;
        case FloatKind::float8_e8m0fnu:
            return decode_small<FloatKind::float8_e8m0fnu, std::uint8_t, false>;
        case FloatKind::float6_e2m3fn:
            return decode_small<FloatKind::float6_e2m3fn, std::uint8_t, false>;
        case FloatKind::float6_e3m2fn:
            return decode_small<FloatKind::float6_e3m2fn, std::uint8_t, false>;
        case FloatKind::float4_e2m1fn:
            return decode_small<FloatKind::float4_e2m1fn, std::uint8_t, false>;
        case FloatKind::ieee:
            break;
    }
    return halves<FloatKind::ieee>(scalar);
}

void decode_long_double(const CompareScalar& scalar, const char* from, std::int64_t stride,
                        std::int64_t n, double* to) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        unsigned char bytes[sizeof(long double)];
        std::memcpy(bytes, from + i * stride, sizeof bytes);
        if (scalar.swapped) std::reverse(bytes, bytes + sizeof bytes);
        long double value;
        std::memcpy(&value, bytes, sizeof value);
        to[i] = static_cast<double>(value);
    }
}

template <typename To, typename From>
Decode<To> words(const CompareScalar& scalar) noexcept {
    return scalar.swapped ? decode_words<To, From, true> : decode_words<To, From, false>;
}

template <typename To>
Decode<To> integers(const CompareScalar& scalar) noexcept {
    const bool is_signed = scalar.kind == Kind::integer;
    if (scalar.kind == Kind::boolean) return decode_truth<To>;
    if (scalar.kind == Kind::bits) return decode_bit_field<To>;
    if (scalar.bits == 4) return decode_four_bits<To>;
    switch (scalar.size) {
        case 1:
            return is_signed ? words<To, std::int8_t>(scalar) : words<To, std::uint8_t>(scalar);
        case 2:
            return is_signed ? words<To, std::int16_t>(scalar) : words<To, std::uint16_t>(scalar);
        case 4:
            return is_signed ? words<To, std::int32_t>(scalar) : words<To, std::uint32_t>(scalar);
        default:
            return is_signed ? words<To, std::int64_t>(scalar) : words<To, std::uint64_t>(scalar);
    }
}

Decode<double> floats(const CompareScalar& scalar) noexcept {
    if (scalar.size <= 2) return small_floats(scalar);
    if (scalar.size == 4) return words<double, float>(scalar);
    if (scalar.size == 8) return words<double, double>(scalar);
    return decode_long_double;
}

template <typename To>
struct Decoder {
    static Decode<To> of(const CompareScalar& scalar) noexcept { return integers<To>(scalar); }
};
template <>
struct Decoder<double> {
    static Decode<double> of(const CompareScalar& scalar) noexcept {
        return scalar.kind == Kind::floating ? floats(scalar) : integers<double>(scalar);
    }
};

template <typename T>
bool same(T a, T b) noexcept {
    return a == b;
}
bool same(std::int64_t a, std::uint64_t b) noexcept {
    return a >= 0 && static_cast<std::uint64_t>(a) == b;
}
// Exact: the double is an integer of the range, and that integer; nothing is rounded.
bool same(double a, std::int64_t b) noexcept {
    return a >= -0x1p63 && a < 0x1p63 && static_cast<std::int64_t>(a) == b &&
           static_cast<double>(static_cast<std::int64_t>(a)) == a;
}
bool same(double a, std::uint64_t b) noexcept {
    return a >= 0 && a < 0x1p64 && static_cast<std::uint64_t>(a) == b &&
           static_cast<double>(static_cast<std::uint64_t>(a)) == a;
}

template <typename A, typename B>
bool equal_block(const A* a, const B* b, std::int64_t n) noexcept {
    std::int64_t different = 0;
    for (std::int64_t i = 0; i < n; ++i)
        different |= same(a[i], b[i]) ? 0 : 1;
    return different == 0;
}

// Rounded first, without a branch: only a block with integers beyond 2**53 is looked at exactly.
template <typename Integer>
bool equal_rounded(const double* a, const Integer* b, std::int64_t n) noexcept {
    constexpr std::uint64_t kExact = std::uint64_t{1} << std::numeric_limits<double>::digits;
    constexpr std::uint64_t kBelow = std::is_signed_v<Integer> ? kExact : 0;
    std::int64_t different = 0;
    std::int64_t rounded = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        different |= a[i] != static_cast<double>(b[i]) ? 1 : 0;
        rounded |= static_cast<std::uint64_t>(b[i]) + kBelow > kExact + kBelow ? 1 : 0;
    }
    if (different != 0 || rounded == 0) return different == 0;
    return equal_block<double, Integer>(a, b, n);
}
bool equal_items(const double* a, const std::int64_t* b, std::int64_t n) noexcept {
    return equal_rounded(a, b, n);
}
bool equal_items(const double* a, const std::uint64_t* b, std::int64_t n) noexcept {
    return equal_rounded(a, b, n);
}
template <typename A, typename B>
bool equal_items(const A* a, const B* b, std::int64_t n) noexcept {
    return equal_block(a, b, n);
}

template <typename A, typename B>
bool equal_blocks(const CompareScalar& a_scalar, const char* a, std::int64_t a_stride,
                  const CompareScalar& b_scalar, const char* b, std::int64_t b_stride,
                  std::int64_t n) noexcept {
    const Decode<A> left = Decoder<A>::of(a_scalar);
    const Decode<B> right = Decoder<B>::of(b_scalar);
    A left_block[kBlock];
    B right_block[kBlock];
    for (std::int64_t at = 0; at < n; at += kBlock) {
        const std::int64_t count = std::min(kBlock, n - at);
        left(a_scalar, a + at * a_stride, a_stride, count, left_block);
        right(b_scalar, b + at * b_stride, b_stride, count, right_block);
        if (!equal_items(left_block, right_block, count)) return false;
    }
    return true;
}

template <typename A, typename B>
bool blocks(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
            std::int64_t b_stride, std::int64_t n) noexcept {
    return equal_blocks<A, B>(leaf.a, a, a_stride, leaf.b, b, b_stride, n);
}

template <typename A, typename B>
bool blocks_turned(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                   std::int64_t b_stride, std::int64_t n) noexcept {
    return equal_blocks<A, B>(leaf.b, b, b_stride, leaf.a, a, a_stride, n);
}

// The type that holds every value of a scalar; `exact`: a double does too.
enum class Holder { exact_integer, signed_integer, unsigned_integer, real, none };

Holder holder_of(const CompareScalar& scalar) noexcept {
    if (scalar.kind == Kind::floating) return Holder::real;
    if (scalar.kind == Kind::boolean) return Holder::exact_integer;
    if (scalar.bits > 64) return Holder::none;
    if (scalar.bits <= std::numeric_limits<double>::digits) return Holder::exact_integer;
    if (scalar.kind == Kind::integer || scalar.bits < 64) return Holder::signed_integer;
    return Holder::unsigned_integer;
}

}  // namespace

CompareRow number_row(const CompareScalar& a, const CompareScalar& b) noexcept {
    const Holder left = holder_of(a);
    const Holder right = holder_of(b);
    if (left == Holder::none || right == Holder::none) return nullptr;
    if (left == Holder::real || right == Holder::real) {
        const Holder other = left == Holder::real ? right : left;
        if (other == Holder::real || other == Holder::exact_integer) return blocks<double, double>;
        if (other == Holder::unsigned_integer) {
            return left == Holder::real ? blocks<double, std::uint64_t>
                                        : blocks_turned<double, std::uint64_t>;
        }
        return left == Holder::real ? blocks<double, std::int64_t>
                                    : blocks_turned<double, std::int64_t>;
    }
    const bool left_unsigned = left == Holder::unsigned_integer;
    const bool right_unsigned = right == Holder::unsigned_integer;
    if (left_unsigned && right_unsigned) return blocks<std::uint64_t, std::uint64_t>;
    if (left_unsigned) return blocks_turned<std::int64_t, std::uint64_t>;
    if (right_unsigned) return blocks<std::int64_t, std::uint64_t>;
    return blocks<std::int64_t, std::int64_t>;
}

double read_real(const CompareScalar& scalar, const char* data) noexcept {
    double value = 0;
    floats(scalar)(scalar, data, 0, 1, &value);
    return value;
}

CompareInteger read_integer(const CompareScalar& scalar, const char* data) noexcept {
    if (holder_of(scalar) == Holder::unsigned_integer) {
        std::uint64_t value = 0;
        integers<std::uint64_t>(scalar)(scalar, data, 0, 1, &value);
        return {value, true};
    }
    std::int64_t value = 0;
    integers<std::int64_t>(scalar)(scalar, data, 0, 1, &value);
    return {static_cast<std::uint64_t>(value), false};
}

}  // namespace devview::detail
