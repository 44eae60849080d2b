// The immortal nodes: constant-initialised, so that formats work before and after main().
#include "src/format/format_nodes.hpp"

#include <array>

namespace devview::detail {
namespace {

constexpr FormatNode make(Kind kind, char code, std::size_t size, std::size_t alignment, int bits,
                          const char* text, FloatKind float_kind = FloatKind::ieee) {
    return FormatNode{kFormatNodeVersion,
                      kind,
                      ByteOrder::native,
                      float_kind,
                      code,
                      true,
                      bits,
                      static_cast<std::int64_t>(size),
                      static_cast<std::int64_t>(alignment),
                      0,
                      0,
                      nullptr,
                      nullptr,
                      nullptr,
                      text,
                      false};
}

template <class T>
constexpr FormatNode number(Kind kind, char code, const char* text) {
    return make(kind, code, sizeof(T), alignof(T), static_cast<int>(8 * sizeof(T)), text);
}

template <class T>
constexpr FormatNode complex_number(const char* text) {
    return make(Kind::complex_floating, 'Z', 2 * sizeof(T), alignof(T),
                static_cast<int>(16 * sizeof(T)), text);
}

constexpr std::array<FormatNode, 29> kScalars{{
    number<bool>(Kind::boolean, '?', "?"),
    make(Kind::character, 'c', 1, 1, 8, "c"),
    number<signed char>(Kind::integer, 'b', "b"),
    number<unsigned char>(Kind::unsigned_integer, 'B', "B"),
    number<short>(Kind::integer, 'h', "h"),
    number<unsigned short>(Kind::unsigned_integer, 'H', "H"),
    number<int>(Kind::integer, 'i', "i"),
    number<unsigned int>(Kind::unsigned_integer, 'I', "I"),
    number<long>(Kind::integer, 'l', "l"),
    number<unsigned long>(Kind::unsigned_integer, 'L', "L"),
    number<long long>(Kind::integer, 'q', "q"),
    number<unsigned long long>(Kind::unsigned_integer, 'Q', "Q"),
    number<std::ptrdiff_t>(Kind::integer, 'n', "n"),
    number<std::size_t>(Kind::unsigned_integer, 'N', "N"),
    number<std::uint16_t>(Kind::floating, 'e', "e"),
    number<float>(Kind::floating, 'f', "f"),
    number<double>(Kind::floating, 'd', "d"),
    number<long double>(Kind::floating, 'g', "g"),
    number<void*>(Kind::pointer, 'P', "P"),
    number<void*>(Kind::object, 'O', "O"),
    make(Kind::bytes, 's', 1, 1, 0, "s"),
    make(Kind::pascal, 'p', 1, 1, 0, "p"),
    make(Kind::unicode, 'u', 2, 2, 0, "u"),
    make(Kind::unicode, 'w', 4, 4, 0, "w"),
    make(Kind::opaque, 'x', 1, 1, 0, "x"),
    make(Kind::bits, 't', 1, 1, 1, "t"),
    complex_number<float>("Zf"),
    complex_number<double>("Zd"),
    complex_number<long double>("Zg"),
}};
constexpr std::size_t kFirstComplex = 26;

constexpr FormatNode small_float(FloatKind kind, int bits, const char* text) {
    return make(Kind::floating, 0, bits > 8 ? 2 : 1, bits > 8 ? 2 : 1, bits, text, kind);
}

// Spelled by the name of the type, in a record of the unsigned integer of its size.
constexpr std::array<FormatNode, 14> kSmall{{
    small_float(FloatKind::bfloat16, 16, "T{H:bfloat16:}"),
    small_float(FloatKind::float8_e3m4, 8, "T{B:float8_e3m4:}"),
    small_float(FloatKind::float8_e4m3, 8, "T{B:float8_e4m3:}"),
    small_float(FloatKind::float8_e4m3b11fnuz, 8, "T{B:float8_e4m3b11fnuz:}"),
    small_float(FloatKind::float8_e4m3fn, 8, "T{B:float8_e4m3fn:}"),
    small_float(FloatKind::float8_e4m3fnuz, 8, "T{B:float8_e4m3fnuz:}"),
    small_float(FloatKind::float8_e5m2, 8, "T{B:float8_e5m2:}"),
    small_float(FloatKind::float8_e5m2fnuz, 8, "T{B:float8_e5m2fnuz:}"),
    small_float(FloatKind::float8_e8m0fnu, 8, "T{B:float8_e8m0fnu:}"),
    small_float(FloatKind::float6_e2m3fn, 6, "T{B:float6_e2m3fn:}"),
    small_float(FloatKind::float6_e3m2fn, 6, "T{B:float6_e3m2fn:}"),
    small_float(FloatKind::float4_e2m1fn, 4, "T{B:float4_e2m1fn:}"),
    make(Kind::integer, 0, 1, 1, 4, "T{B:int4:}"),
    make(Kind::unsigned_integer, 0, 1, 1, 4, "T{B:uint4:}"),
}};
constexpr FormatNode packed(Kind kind, int bits, const char* text,
                            FloatKind float_kind = FloatKind::ieee) {
    FormatNode node = make(kind, 0, 1, 1, bits, text, float_kind);
    node.packed = true;
    return node;
}

// The same with as many bits of PEP 3118 in the record, and so no byte of its own to each.
constexpr std::array<FormatNode, 5> kPacked{{
    packed(Kind::floating, 6, "T{6t:float6_e2m3fn:}", FloatKind::float6_e2m3fn),
    packed(Kind::floating, 6, "T{6t:float6_e3m2fn:}", FloatKind::float6_e3m2fn),
    packed(Kind::floating, 4, "T{4t:float4_e2m1fn:}", FloatKind::float4_e2m1fn),
    packed(Kind::integer, 4, "T{4t:int4:}"),
    packed(Kind::unsigned_integer, 4, "T{4t:uint4:}"),
}};
constexpr std::size_t kInt4 = 12;
constexpr std::size_t kUint4 = 13;

// From a letter to its place in kScalars, plus 1.
constexpr std::array<unsigned char, 128> make_letters() {
    std::array<unsigned char, 128> places{};
    for (std::size_t i = 0; i < kFirstComplex; ++i) {
        places[static_cast<unsigned char>(kScalars[i].code)] = static_cast<unsigned char>(i + 1);
    }
    places['F'] = kFirstComplex + 1;
    places['D'] = kFirstComplex + 2;
    places['G'] = kFirstComplex + 3;
    return places;
}
constexpr std::array<unsigned char, 128> kLetters = make_letters();

struct DlpackType {
    std::uint8_t code;
    std::uint8_t bits;
    char letter;
};

constexpr std::array<DlpackType, 14> kDlpackTypes{{
    {0, 8, 'b'},
    {0, 16, 'h'},
    {0, 32, 'i'},
    {0, 64, 'q'},
    {1, 8, 'B'},
    {1, 16, 'H'},
    {1, 32, 'I'},
    {1, 64, 'Q'},
    {2, 16, 'e'},
    {2, 32, 'f'},
    {2, 64, 'd'},
    {5, 64, 'F'},
    {5, 128, 'D'},
    {6, 8, '?'},
}};

/// 0 to 4 for 8 to 128 bits.
constexpr std::size_t byte_power(std::uint8_t bits) noexcept {
    return static_cast<std::size_t>(__builtin_ctz(bits)) - 3;
}

// From a type's code and its bytes to its place in kScalars, plus 1.
using DlpackPlaces = std::array<std::array<unsigned char, 5>, 7>;
constexpr DlpackPlaces make_dlpack_places() {
    DlpackPlaces places{};
    for (const DlpackType& type : kDlpackTypes) {
        places[type.code][byte_power(type.bits)] =
            kLetters[static_cast<unsigned char>(type.letter)];
    }
    return places;
}
constexpr DlpackPlaces kDlpackPlaces = make_dlpack_places();

}  // namespace

const FormatNode* scalar_node(char code) noexcept {
    const auto letter = static_cast<unsigned char>(code);
    if (letter >= kLetters.size() || kLetters[letter] == 0) return nullptr;
    return &kScalars[kLetters[letter] - std::size_t{1}];
}

const FormatNode* small_node(std::string_view name) noexcept {
    for (const FormatNode& node : kSmall) {
        const std::string_view text = node.text;
        if (text.substr(4, text.size() - 6) == name) return &node;
    }
    return nullptr;
}

const FormatNode* packed_node(std::string_view name) noexcept {
    for (const FormatNode& node : kPacked) {
        const std::string_view text = node.text;
        if (text.substr(5, text.size() - 7) == name) return &node;
    }
    return nullptr;
}

const FormatNode* packed_node(const FormatNode& node) noexcept {
    for (const FormatNode& packed : kPacked) {
        if (node.code == 0 && node.kind == packed.kind && node.bits == packed.bits &&
            node.float_kind == packed.float_kind) {
            return &packed;
        }
    }
    return nullptr;
}

const FormatNode* padded_node(const FormatNode& packed) noexcept {
    const std::string_view text = packed_node(packed)->text;
    return small_node(text.substr(5, text.size() - 7));
}

const FormatNode* immortal_node(std::string_view spec) noexcept {
    if (spec.size() == 1) {
        const FormatNode* node = scalar_node(spec[0]);
        return node != nullptr && node->text == spec ? node : nullptr;
    }
    if (spec.size() == 2 && spec[0] == 'Z') {
        for (std::size_t i = kFirstComplex; i < kScalars.size(); ++i) {
            if (kScalars[i].text == spec) return &kScalars[i];
        }
        return nullptr;
    }
    if (spec.size() < 5 || spec.substr(0, 2) != "T{") return nullptr;
    if (spec[3] == 't') {
        for (const FormatNode& node : kPacked) {
            if (node.text == spec) return &node;
        }
    }
    if (spec[3] != ':') return nullptr;
    for (const FormatNode& node : kSmall) {
        if (node.text == spec) return &node;
    }
    return nullptr;
}

const FormatNode* dlpack_node(std::uint8_t code, std::uint8_t bits) noexcept {
    if (code < kDlpackPlaces.size() && bits >= 8 && (bits & (bits - 1)) == 0) {
        const unsigned char place = kDlpackPlaces[code][byte_power(bits)];
        if (place != 0) return &kScalars[place - std::size_t{1}];
    }
    if (bits == 4 && code <= 1) return &kSmall[code == 0 ? kInt4 : kUint4];
    for (std::size_t i = 0; i < kInt4; ++i) {
        if (static_cast<std::int32_t>(kSmall[i].float_kind) == code && kSmall[i].bits == bits) {
            return &kSmall[i];
        }
    }
    return nullptr;
}

bool has_byte_order(const FormatNode& node) noexcept {
    switch (node.kind) {
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::floating:
        case Kind::complex_floating:
            return node.itemsize > 1;
        case Kind::unicode:
            return true;
        default:
            return false;
    }
}

std::string_view signature(const FormatNode& node) noexcept {
    const std::string_view text = node.text;
    const std::size_t begin = text.find('X');
    return text.substr(begin, text.rfind('}') + 1 - begin);
}

}  // namespace devview::detail
