// Which formats convert to which.
#include <algorithm>
#include <string>

#include "devview/convert.hpp"
#include "devview/error.hpp"
#include "devview/number.hpp"

namespace devview {
namespace {

/// NumPy's order of kinds: a conversion upwards keeps the kind of value ("same_kind").
int rank_of(const FormatNode& format, const NumberType& type) noexcept {
    if (type.is_complex) return 4;
    switch (format.kind) {
        case Kind::boolean:
            return 0;
        case Kind::unsigned_integer:
            return 1;
        case Kind::integer:
            return 2;
        default:
            return 3;
    }
}

bool numbers_convert(const FormatNode& from, const FormatNode& to, Casting casting) noexcept {
    const NumberType source = number_type(from);
    const NumberType target = number_type(to);
    if (source.number == Number::none || target.number == Number::none) return false;
    if (casting == Casting::same_kind) return rank_of(from, source) <= rank_of(to, target);
    // Array API, astype: complex to real is not permitted; to bool it is.
    return !source.is_complex || target.is_complex || target.number == Number::boolean;
}

bool is_bytes(const FormatNode& format) noexcept {
    return format.kind == Kind::bytes || format.kind == Kind::character;
}

bool texts_convert(const FormatNode& from, const FormatNode& to, Casting casting) noexcept {
    if (is_bytes(from) && is_bytes(to)) return true;
    if (from.kind != Kind::unicode || to.kind != Kind::unicode) return false;
    return from.code == to.code || to.code == 'w' || casting == Casting::unsafe;
}

bool nodes_convert(const FormatNode& from, const FormatNode& to, Casting casting) noexcept;

/// Members that share bytes convert only as the whole that they are a part of.
bool records_convert(const FormatNode& from, const FormatNode& to, Casting casting) noexcept {
    if (from.field_count != to.field_count) return false;
    for (std::int32_t k = 0; k < from.field_count; ++k) {
        const FormatNode& source = *from.fields[k].format;
        const FormatNode& target = *to.fields[k].format;
        if (source.kind == Kind::bits || target.kind == Kind::bits) return false;
        if (!nodes_convert(source, target, casting)) return false;
    }
    return true;
}

bool arrays_convert(const FormatNode& from, const FormatNode& to, Casting casting) noexcept {
    return from.ndim == to.ndim && std::equal(from.shape, from.shape + from.ndim, to.shape) &&
           nodes_convert(*from.element, *to.element, casting);
}

bool nodes_convert(const FormatNode& from, const FormatNode& to, Casting casting) noexcept {
    if (from.kind == Kind::record && to.kind == Kind::record) {
        if (records_convert(from, to, casting)) return true;
    } else if (from.kind == Kind::array && to.kind == Kind::array) {
        if (arrays_convert(from, to, casting)) return true;
    } else if (numbers_convert(from, to, casting) || texts_convert(from, to, casting)) {
        return true;
    }
    return Format::of_node(&from) == Format::of_node(&to);
}

}  // namespace

bool convertible(const Format& from, const Format& to, Casting casting) noexcept {
    return from == to || nodes_convert(*from.node(), *to.node(), casting);
}

void require_convertible(const char* function, const Format& from, const Format& to,
                         Casting casting) {
    if (convertible(from, to, casting)) return;
    std::string text = std::string(function) + ": format '" + from.text() + "' into '" + to.text() +
                       "': no conversion";
    if (convertible(from, to, Casting::unsafe)) text += " within the kind of value; astype has one";
    if (from.kind() == Kind::complex_floating && to.kind() != Kind::complex_floating) {
        text += ": the imaginary parts would be lost; cast to pairs of reals instead";
    }
    throw FormatError(text, 0);
}

}  // namespace devview
