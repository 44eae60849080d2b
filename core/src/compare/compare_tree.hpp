// Two formats made one tree of leaves, and rows of items compared by it; private to the core.
#pragma once

#include <cstdint>
#include <vector>

#include "src/compare/compare_rows.hpp"

namespace devview::detail {

/// How two items are compared: where their parts lie, and what compares them.
struct Comparison {
    enum class Kind { always, never, leaf, record, array };
    struct Member;

    explicit Comparison(Kind kind_);
    explicit Comparison(const CompareLeaf& leaf_);

    Kind kind;
    CompareLeaf leaf{};
    std::vector<Member> members;  ///< of a record; the element of an array
    std::int64_t extent = 0;      ///< of an array, as are the strides [bytes]
    std::int64_t a_stride = 0;
    std::int64_t b_stride = 0;
};

struct Comparison::Member {
    std::int64_t a_offset;
    std::int64_t b_offset;
    Comparison part;
};

Comparison compare_formats(const FormatNode& a, const FormatNode& b);

/// True if all of its bytes decide, and nothing else.
inline bool is_bitwise(const Comparison& comparison) noexcept {
    return comparison.kind == Comparison::Kind::leaf && comparison.leaf.bitwise;
}

/// A row of items on both sides: where the first ones lie, and how far the next ones are.
struct Row {
    const char* a;
    std::int64_t a_stride;
    const char* b;
    std::int64_t b_stride;
    std::int64_t n;

    Row part(std::int64_t first, std::int64_t count) const noexcept {
        return {a + first * a_stride, a_stride, b + first * b_stride, b_stride, count};
    }
    Row shifted(std::int64_t a_offset, std::int64_t b_offset) const noexcept {
        return {a + a_offset, a_stride, b + b_offset, b_stride, n};
    }
};

bool equal_row(const Comparison& comparison, const Row& row) noexcept;

}  // namespace devview::detail
