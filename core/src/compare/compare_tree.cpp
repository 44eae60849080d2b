// Both formats become one tree of leaves; rows are compared leaf by leaf, records column by column.
#include "src/compare/compare_tree.hpp"

#include <algorithm>
#include <utility>

namespace devview::detail {

// Here, where Member is complete: clang 14 wants all of it for the vector.
Comparison::Comparison(Kind kind_) : kind(kind_) {}
Comparison::Comparison(const CompareLeaf& leaf_)
    : kind(leaf_.row == nullptr ? Kind::never : Kind::leaf), leaf(leaf_) {}

namespace {

// Bytes of a record row that stay in the first cache while each member has its turn.
constexpr std::int64_t kRowBytes = 16384;

/// One side of the comparison: a node, and how many of its axes are behind us if it is an array.
struct Side {
    const FormatNode* node;
    int axis = 0;
    std::int32_t bit_offset = 0;

    Side settled() const noexcept {
        Side side = *this;
        while (side.node->kind == Kind::array && side.axis == side.node->ndim)
            side = Side{side.node->element};
        return side;
    }
    bool is_array() const noexcept { return node->kind == Kind::array; }
    std::int64_t extent() const noexcept { return node->shape[axis]; }
    Side element() const noexcept { return Side{node, axis + 1}.settled(); }
    std::int64_t size() const noexcept {
        if (!is_array()) return node->itemsize;
        std::int64_t bytes = node->element->itemsize;
        for (int k = axis; k < node->ndim; ++k)
            bytes *= node->shape[k];
        return bytes;
    }
};

CompareScalar scalar_of(const Side& side) noexcept {
    const FormatNode& node = *side.node;
    return {node.kind,       node.float_kind, node.code,    node.byteorder != ByteOrder::native,
            side.bit_offset, node.bits,       node.itemsize};
}

/// The real part of a complex number as a float of its own; any other scalar itself.
CompareScalar real_part(const CompareScalar& scalar) noexcept {
    if (scalar.kind != Kind::complex_floating) return scalar;
    CompareScalar part = scalar;
    part.kind = Kind::floating;
    part.size /= 2;
    part.bits /= 2;
    part.code = part.size == 4 ? 'f' : part.size == 8 ? 'd' : 'g';
    return part;
}

Comparison compare_complex(const CompareScalar& a, const CompareScalar& b) {
    const CompareScalar left = real_part(a);
    const CompareScalar right = real_part(b);
    if (a.kind == b.kind) {
        const CompareLeaf pairs = compare_pairs(left, right);
        if (pairs.row != nullptr) return Comparison(pairs);
    }
    Comparison both(compare_scalars(left, right));
    if (both.kind == Comparison::Kind::never) return both;
    Comparison parts(Comparison::Kind::record);
    parts.members.push_back({0, 0, both});
    if (a.kind == b.kind) {
        parts.members.push_back({left.size, right.size, both});
    } else if (a.kind == Kind::complex_floating) {
        parts.members.push_back({left.size, 0, Comparison(compare_left_with_zero(left))});
    } else {
        parts.members.push_back({0, right.size, Comparison(compare_right_with_zero(right))});
    }
    return parts;
}

Comparison compare_sides(const Side& a_side, const Side& b_side);

Comparison compare_arrays(const Side& a, const Side& b) {
    if (a.extent() != b.extent()) return Comparison(Comparison::Kind::never);
    if (a.extent() == 0) return Comparison(Comparison::Kind::always);
    const Side a_element = a.element();
    const Side b_element = b.element();
    Comparison element = compare_sides(a_element, b_element);
    if (element.kind == Comparison::Kind::always || element.kind == Comparison::Kind::never) {
        return element;
    }
    Comparison array(Comparison::Kind::array);
    array.extent = a.extent();
    array.a_stride = a_element.size();
    array.b_stride = b_element.size();
    if (array.a_stride == 0 && array.b_stride == 0) array.extent = 1;  // all of them are the same
    if (element.kind == Comparison::Kind::leaf && element.leaf.bitwise) {
        return Comparison(compare_bytes(array.extent * array.a_stride));
    }
    if (element.kind == Comparison::Kind::array) {  // dense on both sides
        array.extent *= element.extent;
        array.a_stride = element.a_stride;
        array.b_stride = element.b_stride;
        array.members = std::move(element.members);
    } else {
        array.members.push_back({0, 0, std::move(element)});
    }
    return array;
}

/// Adds a member; one that only extends the bytes of the one before it joins that.
void add_member(Comparison& record, Comparison::Member member) {
    if (!record.members.empty() && is_bitwise(member.part)) {
        Comparison::Member& last = record.members.back();
        const std::int64_t size = is_bitwise(last.part) ? last.part.leaf.a.size : -1;
        if (size >= 0 && last.a_offset + size == member.a_offset &&
            last.b_offset + size == member.b_offset) {
            last.part = Comparison(compare_bytes(size + member.part.leaf.a.size));
            return;
        }
    }
    record.members.push_back(std::move(member));
}

Comparison compare_records(const FormatNode& a, const FormatNode& b) {
    if (a.field_count != b.field_count) return Comparison(Comparison::Kind::never);
    Comparison record(Comparison::Kind::record);
    for (std::int32_t i = 0; i < a.field_count; ++i) {
        const FormatField& left = a.fields[i];
        const FormatField& right = b.fields[i];
        Comparison part = compare_sides(Side{left.format, 0, left.bit_offset},
                                        Side{right.format, 0, right.bit_offset});
        if (part.kind == Comparison::Kind::never) return part;
        if (part.kind == Comparison::Kind::always) continue;
        add_member(record, {left.offset, right.offset, std::move(part)});
    }
    if (record.members.empty()) return Comparison(Comparison::Kind::always);
    const Comparison::Member& first = record.members.front();
    if (record.members.size() == 1 && first.a_offset == 0 && first.b_offset == 0) {
        return Comparison(first.part);
    }
    return record;
}

/// The member that a record beside another kind is compared as: struct reads "h 0c" and "xh" as one
/// value, the same as "h". Null where it has a name, or is not the only one.
const FormatField* only_member(const Side& side) noexcept {
    const FormatNode& node = *side.node;
    const bool one = node.kind == Kind::record && node.field_count == 1;
    return one && node.fields[0].name[0] == '\0' ? node.fields : nullptr;
}

Comparison compare_only_members(const Side& a, const FormatField* a_member, const Side& b,
                                const FormatField* b_member) {
    const auto side = [](const Side& whole, const FormatField* member) {
        return member == nullptr ? whole : Side{member->format, 0, member->bit_offset};
    };
    const std::int64_t a_offset = a_member == nullptr ? 0 : a_member->offset;
    const std::int64_t b_offset = b_member == nullptr ? 0 : b_member->offset;
    Comparison part = compare_sides(side(a, a_member), side(b, b_member));
    const bool known =
        part.kind == Comparison::Kind::always || part.kind == Comparison::Kind::never;
    if (known || (a_offset == 0 && b_offset == 0)) return part;
    Comparison record(Comparison::Kind::record);
    record.members.push_back({a_offset, b_offset, std::move(part)});
    return record;
}

Comparison compare_sides(const Side& a_side, const Side& b_side) {
    const Side a = a_side.settled();
    const Side b = b_side.settled();
    if ((a.node->kind == Kind::record) != (b.node->kind == Kind::record)) {
        const FormatField* const a_member = only_member(a);
        const FormatField* const b_member = only_member(b);
        if (a_member != nullptr || b_member != nullptr) {
            return compare_only_members(a, a_member, b, b_member);
        }
    }
    if (a.is_array() && b.is_array()) return compare_arrays(a, b);
    const Kind left = a.node->kind;
    const Kind right = b.node->kind;
    if (left == Kind::record && right == Kind::record) return compare_records(*a.node, *b.node);
    if (left == Kind::complex_floating || right == Kind::complex_floating) {
        return compare_complex(scalar_of(a), scalar_of(b));
    }
    return Comparison(compare_scalars(scalar_of(a), scalar_of(b)));
}

/// Items that are compared part by part at a time.
std::int64_t chunk_of(const Row& row) noexcept {
    const std::int64_t step = std::max(row.a_stride < 0 ? -row.a_stride : row.a_stride,
                                       row.b_stride < 0 ? -row.b_stride : row.b_stride);
    return std::max<std::int64_t>(16, kRowBytes / std::max<std::int64_t>(step, 1));
}

bool equal_record_row(const Comparison& record, const Row& row) noexcept {
    const std::int64_t chunk = chunk_of(row);
    for (std::int64_t at = 0; at < row.n; at += chunk) {
        const Row some = row.part(at, std::min(chunk, row.n - at));
        for (const Comparison::Member& member : record.members) {
            if (!equal_row(member.part, some.shifted(member.a_offset, member.b_offset))) {
                return false;
            }
        }
    }
    return true;
}

bool equal_array_row(const Comparison& array, const Row& row) noexcept {
    const Comparison& element = array.members.front().part;
    const std::int64_t extent = array.extent;
    const Row elements{row.a, array.a_stride, row.b, array.b_stride, extent};
    if (row.n == 1) return equal_row(element, elements);
    if (row.a_stride == extent * array.a_stride && row.b_stride == extent * array.b_stride) {
        Row dense = elements;
        return !__builtin_mul_overflow(extent, row.n, &dense.n) && equal_row(element, dense);
    }
    for (std::int64_t i = 0; i < row.n; ++i) {
        if (!equal_row(element, elements.shifted(i * row.a_stride, i * row.b_stride))) return false;
    }
    return true;
}

}  // namespace

Comparison compare_formats(const FormatNode& a, const FormatNode& b) {
    return compare_sides(Side{&a}, Side{&b});
}

bool equal_row(const Comparison& comparison, const Row& row) noexcept {
    switch (comparison.kind) {
        case Comparison::Kind::always:
            return true;
        case Comparison::Kind::never:
            return row.n == 0;
        case Comparison::Kind::leaf:
            return comparison.leaf.row(comparison.leaf, row.a, row.a_stride, row.b, row.b_stride,
                                       row.n);
        case Comparison::Kind::record:
            return equal_record_row(comparison, row);
        case Comparison::Kind::array:
            break;
    }
    return equal_array_row(comparison, row);
}

}  // namespace devview::detail
