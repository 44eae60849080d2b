// Names of scalars as NumPy, ml_dtypes and the Array API have them.
#include <array>
#include <string>

#include "devview/error.hpp"
#include "formats/format_object.hpp"

namespace devview::python {

namespace {

struct Named {
    const char* name;
    const char* format;
};

constexpr std::array<Named, 17> kNamed{{
    {"bool", "?"},
    {"int8", "b"},
    {"int16", "h"},
    {"int32", "i"},
    {"int64", "q"},
    {"uint8", "B"},
    {"uint16", "H"},
    {"uint32", "I"},
    {"uint64", "Q"},
    {"float16", "e"},
    {"float32", "f"},
    {"float64", "d"},
    {"longdouble", "g"},
    {"complex64", "Zf"},
    {"complex128", "Zd"},
    {"clongdouble", "Zg"},
    {"bfloat16", "T{H:bfloat16:}"},
}};

std::string sized(const char* kind, std::int32_t bits) { return kind + std::to_string(bits); }

/// "bfloat16" of "T{H:bfloat16:}": the small floats are spelled by their names.
std::string small_name(const FormatNode& node) {
    const Format format = Format::from_dlpack(static_cast<std::uint8_t>(node.float_kind),
                                              static_cast<std::uint8_t>(node.bits));
    const std::string text = format.text();
    return text.substr(4, text.size() - 6);
}

bool is_little(ByteOrder order) noexcept {
    constexpr bool kHostIsLittle = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    return order == ByteOrder::native ? kHostIsLittle : order == ByteOrder::little;
}

}  // namespace

std::string format_name(const Format& format) {
    const FormatNode& node = *format.node();
    const bool extended = node.code == 'g' || (node.code == 'Z' && node.bits > 128);
    switch (node.kind) {
        case Kind::boolean:
            return "bool";
        case Kind::integer:
            return sized("int", node.bits);
        case Kind::unsigned_integer:
            return sized("uint", node.bits);
        case Kind::floating:
            if (node.float_kind != FloatKind::ieee) return small_name(node);
            return extended ? "longdouble" : sized("float", node.bits);
        case Kind::complex_floating:
            return extended ? "clongdouble" : sized("complex", node.bits);
        default:
            return {};
    }
}

Format format_of_name(const std::string& text) {
    for (const Named& named : kNamed) {
        if (text == named.name) return Format(named.format);
    }
    // The other small types are what their spelling makes of the name; any other is a record.
    constexpr std::size_t kLongest = 20;
    if (text.size() <= kLongest && text.find_first_of(":{}") == std::string::npos) {
        const Format small("T{B:" + text + ":}");
        if (small.kind() != Kind::record) return small;
    }
    throw FormatError("format: '" + text + "' is no name of a scalar", 0);
}

const char* byteorder_name(const Format& format) noexcept {
    const FormatNode* node = format.node();
    while (node->kind == Kind::array)
        node = node->element;
    switch (node->kind) {
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::floating:
        case Kind::complex_floating:
            if (node->itemsize <= 1) return nullptr;
            break;
        case Kind::unicode:
            break;
        default:
            return nullptr;
    }
    return is_little(node->byteorder) ? "little" : "big";
}

}  // namespace devview::python
