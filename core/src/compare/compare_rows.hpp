// Comparison of rows of scalars, one function for each pair of kinds; private.
#pragma once

#include <cstdint>

#include "devview/format.hpp"

namespace devview::detail {

/// What the comparison has to know about one side's scalar; also of a part of a complex number.
struct CompareScalar {
    Kind kind;
    FloatKind float_kind;
    char code;
    bool swapped;             ///< its bytes are not in the host's order
    std::int32_t bit_offset;  ///< of bits
    std::int64_t bits;
    std::int64_t size;  ///< bytes
};

struct CompareLeaf;

/// True if `n` items from `a` on, `a_stride` bytes apart, equal those from `b` on.
using CompareRow = bool (*)(const CompareLeaf& leaf, const char* a, std::int64_t a_stride,
                            const char* b, std::int64_t b_stride, std::int64_t n);

struct CompareLeaf {
    CompareScalar a;
    CompareScalar b;
    CompareRow row;  ///< null: never equal
    bool bitwise;    ///< equal values have equal bytes and the other way round, a.size of them
};

/// Rows of numbers of one type and byte order (compare_same.cpp), or with `pairs` of two such an
/// item; null: of others.
CompareRow same_number_row(const CompareScalar& a, const CompareScalar& b, bool pairs) noexcept;

/// Items of a.size bytes that are equal where their bytes are (compare_same.cpp).
bool equal_bits_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                    std::int64_t b_stride, std::int64_t n) noexcept;

/// Complex numbers of one type by their parts' scalars; its row is null for others.
CompareLeaf compare_pairs(const CompareScalar& a, const CompareScalar& b) noexcept;

/// How two scalars compare, complex numbers excepted (their parts are leaves).
CompareLeaf compare_scalars(const CompareScalar& a, const CompareScalar& b) noexcept;

/// Compares one side with zero: the imaginary part beside a real number.
CompareLeaf compare_left_with_zero(const CompareScalar& a) noexcept;
CompareLeaf compare_right_with_zero(const CompareScalar& b) noexcept;

/// Rows whose items are equal where their `size` bytes are.
CompareLeaf compare_bytes(std::int64_t size) noexcept;

/// Strings of any two widths and orders (compare_text.cpp).
bool equal_text_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                    std::int64_t b_stride, std::int64_t n) noexcept;

/// Byte strings, pascal strings among them (compare_text.cpp).
bool equal_bytes_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                     std::int64_t b_stride, std::int64_t n) noexcept;

/// Rows of numbers; null where one of them is a field of more than 64 bits.
CompareRow number_row(const CompareScalar& a, const CompareScalar& b) noexcept;

/// Fields of more than 64 bits beside any real number (compare_wide.cpp).
bool equal_wide_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                    std::int64_t b_stride, std::int64_t n) noexcept;

/// The value of a float of any kind, as Python has it.
double read_real(const CompareScalar& scalar, const char* data) noexcept;

/// The value of an integer, pointer, bool or bit field of at most 64 bits: its two's complement,
/// and whether that is to be read as unsigned.
struct CompareInteger {
    std::uint64_t value;
    bool is_unsigned;
    bool negative() const noexcept { return !is_unsigned && (value >> 63) != 0; }
};
CompareInteger read_integer(const CompareScalar& scalar, const char* data) noexcept;

}  // namespace devview::detail
