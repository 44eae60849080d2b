// The canonical spelling: what a format means, in the fewest rules that bring it back.
#include <algorithm>
#include <string>
#include <string_view>

#include "devview/format.hpp"
#include "src/format/format_nodes.hpp"

namespace devview {
namespace {

// Follows the parser's layout while it prints. Aligned ('@', unwritten) as long as C's rules with
// some 'x' reproduce every offset; otherwise all of it is printed unaligned ('^').
class Printer {
public:
    explicit Printer(bool aligned) : native_(aligned ? '@' : '^'), order_(native_) {}

    /// False if the offsets cannot be reproduced; `out` is then of no use.
    bool print(const FormatNode& node, std::string& out) {
        if (!is_aligned()) out += native_;
        std::int64_t alignment = 1;
        return print_item(node, out, alignment);
    }

private:
    struct Cursor {
        std::int64_t bytes = 0;
        std::int32_t bit = 0;
    };

    bool is_aligned() const noexcept { return order_ == '@'; }
    void print_order(const FormatNode& scalar, std::string& out);
    bool print_item(const FormatNode& node, std::string& out, std::int64_t& alignment);
    bool print_record(const FormatNode& node, std::string& out, std::int64_t& alignment);
    bool print_field(const FormatField& field, Cursor& cursor, std::string& out,
                     std::int64_t& alignment);
    bool print_end(std::int64_t itemsize, Cursor cursor, std::string& out,
                   std::int64_t alignment) const;

    char native_;
    char order_;
};

void print_counted(std::int64_t count, char code, std::string& out) {
    if (count != 1) out += std::to_string(count);
    out += code;
}

void flush(std::int64_t& bytes, std::int32_t& bit) noexcept {
    if (bit != 0) ++bytes;
    bit = 0;
}

bool is_opaque(const FormatNode* node) noexcept {
    return detail::innermost(node)->kind == Kind::opaque;
}

void print_shape(const FormatNode& array, std::string& out) {
    for (std::int32_t axis = 0; axis < array.ndim; ++axis) {
        out += axis == 0 ? "(" : ",";
        out += std::to_string(array.shape[axis]);
    }
    out += ')';
}

// The fixed letter of a size, the same under every prefix.
char number_code(const FormatNode& node) noexcept {
    switch (node.kind) {
        case Kind::integer:
            return node.itemsize == 1   ? 'b'
                   : node.itemsize == 2 ? 'h'
                   : node.itemsize == 4 ? 'i'
                                        : 'q';
        case Kind::unsigned_integer:
            return node.itemsize == 1   ? 'B'
                   : node.itemsize == 2 ? 'H'
                   : node.itemsize == 4 ? 'I'
                                        : 'Q';
        default:
            return node.code;
    }
}

void print_scalar(const FormatNode& node, std::string& out) {
    switch (node.kind) {
        case Kind::bytes:
        case Kind::pascal:
        case Kind::opaque:
            return print_counted(node.itemsize, node.code, out);
        case Kind::unicode:
            return print_counted(node.itemsize / (node.code == 'u' ? 2 : 4), node.code, out);
        case Kind::bits:
            return print_counted(node.bits, node.code, out);
        case Kind::function:
            out += detail::signature(node);
            return;
        case Kind::complex_floating:
            out += node.bits == 64 ? "Zf" : node.bits == 128 ? "Zd" : "Zg";
            return;
        default:
            break;
    }
    if (node.code != 0) {
        out += number_code(node);
    } else if (node.packed) {
        out += detail::packed_node(node)->text;
    } else if (node.kind == Kind::floating) {
        const auto code = static_cast<std::uint8_t>(node.float_kind);
        out += detail::dlpack_node(code, static_cast<std::uint8_t>(node.bits))->text;
    } else {
        out += detail::dlpack_node(node.kind == Kind::integer ? 0 : 1, 4)->text;
    }
}

void Printer::print_order(const FormatNode& scalar, std::string& out) {
    if (!detail::has_byte_order(scalar)) return;
    const char wanted = scalar.byteorder == ByteOrder::native ? native_ : detail::kOppositeOrder;
    if (order_ != wanted) out += wanted;
    order_ = wanted;
}

bool Printer::print_item(const FormatNode& node, std::string& out, std::int64_t& alignment) {
    const FormatNode& element = *detail::innermost(&node);
    print_order(element, out);
    if (node.kind == Kind::array) print_shape(node, out);
    alignment = element.alignment;
    if (element.kind == Kind::record) return print_record(element, out, alignment);
    if (element.kind == Kind::pointer && element.element != nullptr) {
        std::int64_t unused = 1;
        out += '&';
        return print_item(*element.element, out, unused);
    }
    print_scalar(element, out);
    return true;
}

bool Printer::print_record(const FormatNode& node, std::string& out, std::int64_t& alignment) {
    Cursor cursor;
    alignment = 1;
    out += "T{";
    for (std::int32_t i = 0; i < node.field_count; ++i) {
        if (!print_field(node.fields[i], cursor, out, alignment)) return false;
    }
    if (!print_end(node.itemsize, cursor, out, alignment)) return false;
    out += '}';
    return true;
}

bool Printer::print_field(const FormatField& field, Cursor& cursor, std::string& out,
                          std::int64_t& alignment) {
    const FormatNode* element = detail::innermost(field.format);
    const bool order_before = is_aligned();
    std::string item;
    std::int64_t item_alignment = 1;
    if (!print_item(*field.format, item, item_alignment)) return false;

    // The parser aligns a pointer by the prefix at its '&', all else by the one at its end.
    const bool aligned = element->kind == Kind::pointer ? order_before : is_aligned();
    const bool bits = field.format->kind == Kind::bits;
    const bool follows = bits && field.offset == cursor.bytes && field.bit_offset == cursor.bit;
    if (!follows) {
        const bool open_byte = cursor.bit != 0;
        flush(cursor.bytes, cursor.bit);
        const std::int64_t gap = field.offset - cursor.bytes;
        const std::int64_t phase = aligned && !bits ? field.offset % item_alignment : 0;
        if (gap < 0 || phase != 0) return false;
        if (!aligned || bits || gap >= item_alignment) {
            if (gap > 0) print_counted(gap, 'x', out);
        }
        if (bits && open_byte && gap == 0) out += "0x";
    }
    out += item;
    if (field.name[0] != '\0' || is_opaque(field.format)) out.append(":").append(field.name) += ':';
    if (bits) {
        const std::int64_t used = std::int64_t{field.bit_offset} + field.format->bits;
        cursor = {field.offset + used / 8, static_cast<std::int32_t>(used % 8)};
        return true;
    }
    cursor = {field.offset + field.format->itemsize, 0};
    if (aligned) alignment = std::max(alignment, item_alignment);
    return true;
}

bool Printer::print_end(std::int64_t itemsize, Cursor cursor, std::string& out,
                        std::int64_t alignment) const {
    flush(cursor.bytes, cursor.bit);
    const std::int64_t gap = itemsize - cursor.bytes;
    if (gap < 0 || (is_aligned() && itemsize % alignment != 0)) return false;
    if (!is_aligned() || gap >= alignment) {
        if (gap > 0) print_counted(gap, 'x', out);
    }
    return true;
}

}  // namespace

std::string Format::str() const {
    std::string out;
    if (Printer(true).print(*node_, out)) return out;
    out.clear();
    Printer(false).print(*node_, out);
    return out;
}

}  // namespace devview
