// Rows of scalars: which loop compares a pair of kinds, and the loops where both sides are alike.
#include "compare_rows.hpp"

#include <algorithm>
#include <cstring>

#include "devview/byte_order.hpp"
#include "devview/small_numbers.hpp"

namespace devview::detail {
namespace {

// Items whose differences are summed up before anybody asks: the loop over them vectorises.
constexpr std::int64_t kBlock = 1024;

// bool: every byte but 0 is true.
struct Truth {
    unsigned char byte;
    friend bool operator!=(Truth a, Truth b) noexcept { return (a.byte != 0) != (b.byte != 0); }
};

template <typename T>
struct EqualBlock {
    bool operator()(const char* a, std::int64_t a_stride, const char* b, std::int64_t b_stride,
                    std::int64_t n) const noexcept {
        using Bits = WordOf<sizeof(T)>;  // as wide as the items: so it vectorises
        Bits different = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const bool differ =
                load_number<T>(a + i * a_stride) != load_number<T>(b + i * b_stride);
            different = static_cast<Bits>(different | static_cast<Bits>(differ));
        }
        return different == 0;
    }
};

/// Block by block. Dense rows have a call of their own: strides that the compiler knows.
template <std::int64_t size, typename Block>
bool equal_blocks(const Block& block, const char* a, std::int64_t a_stride, const char* b,
                  std::int64_t b_stride, std::int64_t n) noexcept {
    const bool dense = a_stride == size && b_stride == size;
    for (std::int64_t at = 0; at < n; at += kBlock) {
        const std::int64_t count = std::min(kBlock, n - at);
        const char* const left = a + at * a_stride;
        const char* const right = b + at * b_stride;
        const bool equal = dense ? block(left, size, right, size, count)
                                 : block(left, a_stride, right, b_stride, count);
        if (!equal) return false;
    }
    return true;
}

template <typename T>
bool equal_row(const CompareLeaf&, const char* a, std::int64_t a_stride, const char* b,
               std::int64_t b_stride, std::int64_t n) noexcept {
    return equal_blocks<sizeof(T)>(EqualBlock<T>{}, a, a_stride, b, b_stride, n);
}

/// Dense doubles, four vectors at a time: twice as fast as what the compiler makes of the loop.
bool equal_dense_doubles(const char* a, const char* b, std::int64_t n) noexcept {
    typedef double Vector __attribute__((vector_size(16)));
    using Mask = decltype(Vector{} != Vector{});
    constexpr std::int64_t kSize = sizeof(double);
    constexpr std::int64_t kItems = 4 * sizeof(Vector) / sizeof(double);
    Mask different[4] = {};
    std::int64_t i = 0;
    for (; i + kItems <= n; i += kItems) {
        Vector left[4];
        Vector right[4];
        std::memcpy(left, a + i * kSize, sizeof left);
        std::memcpy(right, b + i * kSize, sizeof right);
        for (int k = 0; k < 4; ++k)
            different[k] |= left[k] != right[k];
    }
    const Mask all = different[0] | different[1] | different[2] | different[3];
    return (all[0] | all[1]) == 0 &&
           EqualBlock<double>{}(a + i * kSize, kSize, b + i * kSize, kSize, n - i);
}

bool equal_doubles(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                   std::int64_t b_stride, std::int64_t n) noexcept {
    constexpr std::int64_t kSize = sizeof(double);
    if (a_stride != kSize || b_stride != kSize) {
        return equal_row<double>(leaf, a, a_stride, b, b_stride, n);
    }
    for (std::int64_t at = 0; at < n; at += kBlock) {
        const std::int64_t count = std::min(kBlock, n - at);
        if (!equal_dense_doubles(a + at * kSize, b + at * kSize, count)) return false;
    }
    return true;
}

bool equal_bits(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                std::int64_t b_stride, std::int64_t n) noexcept {
    const auto size = static_cast<std::size_t>(leaf.a.size);
    if (a_stride == leaf.a.size && b_stride == leaf.a.size) {
        return std::memcmp(a, b, size * static_cast<std::size_t>(n)) == 0;
    }
    if (size == 1) return equal_row<std::uint8_t>(leaf, a, a_stride, b, b_stride, n);
    if (size == 2) return equal_row<std::uint16_t>(leaf, a, a_stride, b, b_stride, n);
    if (size == 4) return equal_row<std::uint32_t>(leaf, a, a_stride, b, b_stride, n);
    if (size == 8) return equal_row<std::uint64_t>(leaf, a, a_stride, b, b_stride, n);
    for (std::int64_t i = 0; i < n; ++i) {
        if (std::memcmp(a + i * a_stride, b + i * b_stride, size) != 0) return false;
    }
    return true;
}

// The codes of one small float: equal where they are the same and no NaN, or zeros of either sign.
template <typename Code>
struct CodeRule {
    explicit CodeRule(const SmallFloat& format) noexcept
        : magnitude(static_cast<Code>(format.sign_bit - 1)),
          sign(static_cast<Code>(format.unsigned_zero ? 0 : format.sign_bit)),
          all(static_cast<Code>(magnitude | format.sign_bit)),
          largest(static_cast<Code>(format.infinity == SmallFloat::kNone ? format.max_finite
                                                                         : format.infinity)),
          only_nan(static_cast<Code>(format.nan)) {}

    bool differ(Code x, Code y) const noexcept {
        const bool nan = sign == 0 ? (x & all) == only_nan : (x & magnitude) > largest;
        const bool zeros = ((x | y) & all & ~sign) == 0;
        return (((x ^ y) & all) != 0 || nan) && !zeros;
    }

    Code magnitude;
    Code sign;
    Code all;
    Code largest;
    Code only_nan;
};

template <typename Code, bool swapped>
struct EqualCodes {
    CodeRule<Code> rule;

    bool operator()(const char* a, std::int64_t a_stride, const char* b, std::int64_t b_stride,
                    std::int64_t n) const noexcept {
        const CodeRule<Code> constants = rule;
        Code different = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const Code x = load_number<Code, swapped>(a + i * a_stride);
            const Code y = load_number<Code, swapped>(b + i * b_stride);
            different = static_cast<Code>(different | static_cast<Code>(constants.differ(x, y)));
        }
        return different == 0;
    }
};

template <typename Code, bool swapped>
bool equal_codes(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                 std::int64_t b_stride, std::int64_t n) noexcept {
    const EqualCodes<Code, swapped> block{CodeRule<Code>(small_float(leaf.a.float_kind))};
    return equal_blocks<sizeof(Code)>(block, a, a_stride, b, b_stride, n);
}

bool zeros(const CompareScalar& scalar, const char* data, std::int64_t stride,
           std::int64_t n) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        if (!(read_real(scalar, data + i * stride) == 0.0)) return false;
    }
    return true;
}

bool left_zeros(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char*,
                std::int64_t, std::int64_t n) noexcept {
    return zeros(leaf.a, a, a_stride, n);
}

bool right_zeros(const CompareLeaf& leaf, const char*, std::int64_t, const char* b,
                 std::int64_t b_stride, std::int64_t n) noexcept {
    return zeros(leaf.b, b, b_stride, n);
}

enum class Class { number, bytes, text, other };

Class class_of(Kind kind) noexcept {
    switch (kind) {
        case Kind::boolean:
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::floating:
        case Kind::complex_floating:
        case Kind::pointer:
        case Kind::function:
        case Kind::bits:
            return Class::number;
        case Kind::character:
        case Kind::bytes:
        case Kind::pascal:
        case Kind::opaque:
            return Class::bytes;
        case Kind::unicode:
            return Class::text;
        default:
            return Class::other;
    }
}

bool whole_integer(const CompareScalar& scalar) noexcept {
    switch (scalar.kind) {
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::pointer:
        case Kind::function:
            return scalar.bits == 8 * scalar.size;
        default:
            return false;
    }
}

CompareRow numbers(const CompareScalar& a, const CompareScalar& b) noexcept {
    if (a.kind == Kind::boolean && b.kind == Kind::boolean) return equal_row<Truth>;
    if (a.kind == Kind::floating && b.kind == Kind::floating && !a.swapped && !b.swapped &&
        a.code == b.code) {
        if (a.code == 'f') return equal_row<float>;
        if (a.code == 'd') return equal_doubles;
    }
    if (a.kind == Kind::floating && b.kind == Kind::floating && a.size <= 2 && a.size == b.size &&
        a.float_kind == b.float_kind && a.swapped == b.swapped) {
        if (a.size == 1) return equal_codes<std::uint8_t, false>;
        return a.swapped ? equal_codes<std::uint16_t, true> : equal_codes<std::uint16_t, false>;
    }
    const CompareRow row = number_row(a, b);
    return row != nullptr ? row : equal_wide_row;
}

}  // namespace

CompareLeaf compare_scalars(const CompareScalar& a, const CompareScalar& b) noexcept {
    CompareLeaf leaf{a, b, nullptr, false};
    const Class common = class_of(a.kind);
    if (common != class_of(b.kind) || common == Class::other) return leaf;
    if (common == Class::text) {
        leaf.row = equal_text_row;
    } else if (common == Class::bytes) {
        const bool pascal = a.kind == Kind::pascal || b.kind == Kind::pascal;
        if (!pascal && a.size != b.size) return leaf;
        leaf.bitwise = !pascal;
        leaf.row = pascal ? equal_bytes_row : equal_bits;
    } else {
        const bool is_signed = a.kind == Kind::integer;
        leaf.bitwise = whole_integer(a) && whole_integer(b) && a.size == b.size &&
                       is_signed == (b.kind == Kind::integer) && a.swapped == b.swapped;
        leaf.row = leaf.bitwise ? equal_bits : numbers(a, b);
    }
    return leaf;
}

CompareLeaf compare_left_with_zero(const CompareScalar& a) noexcept {
    return {a, a, left_zeros, false};
}

CompareLeaf compare_right_with_zero(const CompareScalar& b) noexcept {
    return {b, b, right_zeros, false};
}

CompareLeaf compare_bytes(std::int64_t size) noexcept {
    const CompareScalar bytes{Kind::bytes, FloatKind::ieee, 's', false, 0, 0, size};
    return {bytes, bytes, equal_bits, true};
}

}  // namespace devview::detail
