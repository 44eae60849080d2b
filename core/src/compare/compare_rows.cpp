// Rows of scalars: which loop compares a pair of kinds.
#include "src/compare/compare_rows.hpp"

namespace devview::detail {
namespace {

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
    if (const CompareRow same = same_number_row(a, b, false)) return same;
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
        leaf.row = pascal ? equal_bytes_row : equal_bits_row;
    } else {
        const bool is_signed = a.kind == Kind::integer;
        leaf.bitwise = whole_integer(a) && whole_integer(b) && a.size == b.size &&
                       is_signed == (b.kind == Kind::integer) && a.swapped == b.swapped;
        leaf.row = leaf.bitwise ? equal_bits_row : numbers(a, b);
    }
    return leaf;
}

CompareLeaf compare_pairs(const CompareScalar& a, const CompareScalar& b) noexcept {
    return {a, b, same_number_row(a, b, true), false};
}

CompareLeaf compare_left_with_zero(const CompareScalar& a) noexcept {
    return {a, a, left_zeros, false};
}

CompareLeaf compare_right_with_zero(const CompareScalar& b) noexcept {
    return {b, b, right_zeros, false};
}

CompareLeaf compare_bytes(std::int64_t size) noexcept {
    const CompareScalar bytes{Kind::bytes, FloatKind::ieee, 's', false, 0, 0, size};
    return {bytes, bytes, equal_bits_row, true};
}

}  // namespace devview::detail
