// Arrow's format strings and extension names, read and written.
#include "src/exchange/arrow_format.hpp"

#include <charconv>
#include <cstring>

#include "devview/error.hpp"
#include "src/quote.hpp"

namespace devview::arrow {

namespace {

// The longest that says something is a timestamp with its time zone.
constexpr std::size_t kMaxFormat = 256;

// Metadata has no length of its own: these bound how far a damaged one is followed.
constexpr std::int32_t kMaxPairs = 1 << 12;
constexpr std::int32_t kMaxText = 1 << 24;

struct Number {
    char arrow;
    std::uint8_t code;  ///< DLPack's
    std::uint8_t bits;
};

constexpr Number kNumbers[] = {
    {'c', 0, 8},  {'C', 1, 8},  {'s', 0, 16}, {'S', 1, 16}, {'i', 0, 32}, {'I', 1, 32},
    {'l', 0, 64}, {'L', 1, 64}, {'e', 2, 16}, {'f', 2, 32}, {'g', 2, 64},
};

/// A type that is not mapped: its name, and what its owner can do. `text` with a final '*' is the
/// beginning of a format.
struct Unmapped {
    std::string_view text;
    const char* name;
    const char* why;
};

constexpr const char* kVariable = "items of variable size have no shape";
constexpr const char* kTime = "its unit would be lost; cast it to its integers first";

constexpr Unmapped kUnmapped[] = {
    {"n", "null", "it has no memory"},
    {"b", "boolean", "its items are bits; cast it to uint8 or arrow.bool8 first"},
    {"z", "binary", kVariable},
    {"Z", "large_binary", kVariable},
    {"vz", "binary_view", kVariable},
    {"u", "utf8", kVariable},
    {"U", "large_utf8", kVariable},
    {"vu", "utf8_view", kVariable},
    {"d:*", "decimal", "its scale would be lost"},
    {"tdD", "date32", kTime},
    {"tdm", "date64", kTime},
    {"tt*", "time", kTime},
    {"ts*", "timestamp", kTime},
    {"tD*", "duration", kTime},
    {"ti*", "interval", "its unit would be lost"},
    {"+l", "list", kVariable},
    {"+L", "large_list", kVariable},
    {"+vl", "list_view", kVariable},
    {"+vL", "large_list_view", kVariable},
    {"+s", "struct", "its columns are apart in memory; take one"},
    {"+m", "map", kVariable},
    {"+u*", "union", "its items differ in type"},
    {"+r", "run_end_encoded", "its items are not in memory one by one; decode it first"},
};

bool matches(std::string_view text, std::string_view pattern) {
    if (pattern.back() != '*') return text == pattern;
    pattern.remove_suffix(1);
    return text.substr(0, pattern.size()) == pattern;
}

/// The number after a prefix. @throws FormatError  none, or out of range.
std::int64_t size_after(std::string_view text, std::size_t prefix, std::int64_t least) {
    std::int64_t size = 0;
    const char* const first = text.data() + prefix;
    const char* const last = text.data() + text.size();
    const auto read = std::from_chars(first, last, size);
    if (read.ec != std::errc{} || read.ptr != last || size < least || size > kMaxListSize) {
        throw FormatError("arrow: format " + detail::quote(text) + ": the size is no number from " +
                              std::to_string(least) + " to " + std::to_string(kMaxListSize),
                          prefix);
    }
    return size;
}

[[noreturn]] void refuse(std::string_view text) {
    for (const Unmapped& type : kUnmapped) {
        if (!matches(text, type.text)) continue;
        throw BufferError(std::string("arrow: type ") + type.name + " (format " +
                          detail::quote(text) + "): " + type.why);
    }
    throw FormatError("arrow: format " + detail::quote(text) + " is none of Arrow's", 0);
}

[[noreturn]] void refuse(const Format& format, const char* why) {
    throw BufferError(std::string("arrow: format '") + format.text() + "': " + why);
}

/// Reads a schema's metadata: int32 counts and bytes, in native order, nowhere aligned.
class Metadata {
public:
    explicit Metadata(const char* at) : at_(at), pairs_(number("pairs", kMaxPairs)) {}
    bool next(std::string_view& key, std::string_view& value) {
        if (pairs_ == 0) return false;
        --pairs_;
        key = text("a key");
        value = text("a value");
        return true;
    }

private:
    std::int32_t number(const char* what, std::int32_t limit) {
        std::int32_t value = 0;
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        if (value < 0 || value > limit) {
            throw FormatError(std::string("arrow: schema.metadata: ") + what + ": " +
                                  std::to_string(value) + ", limit " + std::to_string(limit),
                              0);
        }
        return value;
    }
    std::string_view text(const char* what) {
        const auto size = static_cast<std::size_t>(number(what, kMaxText));
        const std::string_view read(at_, size);
        at_ += size;
        return read;
    }

    const char* at_;
    std::int32_t pairs_;
};

void append(std::string& to, std::string_view text) {
    const auto size = static_cast<std::int32_t>(text.size());
    char bytes[sizeof size];
    std::memcpy(bytes, &size, sizeof size);
    to.append(bytes, sizeof size).append(text);
}

}  // namespace

ItemType item_type(const Format& format) {
    const FormatNode& node = *format.node();
    if (node.byteorder != ByteOrder::native) refuse(format, "Arrow has native byte order only");
    switch (node.kind) {
        case Kind::boolean:
            return {"c", kBool8};
        case Kind::character:
            return {"w:1", ""};
        case Kind::bytes:
            if (node.itemsize > kMaxListSize) refuse(format, "Arrow's limit is 2^31 - 1 bytes");
            return {"w:" + std::to_string(node.itemsize), ""};
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::floating: {
            if (node.float_kind != FloatKind::ieee && node.kind == Kind::floating) break;
            const std::uint8_t code = node.kind == Kind::integer            ? 0
                                      : node.kind == Kind::unsigned_integer ? 1
                                                                            : 2;
            for (const Number& number : kNumbers) {
                if (number.code == code && number.bits == node.bits &&
                    number.bits == 8 * node.itemsize) {
                    return {std::string(1, number.arrow), ""};
                }
            }
            break;
        }
        default:
            break;
    }
    refuse(format, "Arrow has no such type");
}

std::string extension_metadata(std::string_view name) {
    const std::int32_t pairs = 2;
    std::string metadata(sizeof pairs, '\0');
    std::memcpy(metadata.data(), &pairs, sizeof pairs);
    append(metadata, "ARROW:extension:name");
    append(metadata, name);
    append(metadata, "ARROW:extension:metadata");
    append(metadata, "");
    return metadata;
}

std::string_view format_text(const ArrowSchema& schema) {
    if (schema.format == nullptr) throw FormatError("arrow: schema.format is NULL", 0);
    const std::size_t size = ::strnlen(schema.format, kMaxFormat);
    if (size == kMaxFormat) {
        throw FormatError(
            "arrow: schema.format has more than " + std::to_string(kMaxFormat - 1) + " bytes",
            kMaxFormat);
    }
    return {schema.format, size};
}

bool is_bool8(const ArrowSchema& schema) {
    if (schema.metadata == nullptr) return false;
    Metadata metadata(schema.metadata);
    std::string_view key, value;
    while (metadata.next(key, value)) {
        if (key != "ARROW:extension:name" || value.empty()) continue;
        const std::string_view text = format_text(schema);
        if (value == kBool8 && text == "c") return true;
        throw BufferError("arrow: extension type " + detail::quote(value) + " (format " +
                          detail::quote(text) +
                          "): only its storage could be viewed; take that first");
    }
    return false;
}

Format item_format(const ArrowSchema& schema) {
    const std::string_view text = format_text(schema);
    if (is_bool8(schema)) return Format::scalar('?');
    if (text.size() == 1) {
        for (const Number& number : kNumbers) {
            if (number.arrow == text[0]) return Format::from_dlpack(number.code, number.bits);
        }
    }
    if (text.substr(0, 2) == "w:") {
        return Format(std::to_string(size_after(text, 2, 1)) + "s");
    }
    refuse(text);
}

bool is_fixed_size_list(const ArrowSchema& schema, std::int64_t& size) {
    const std::string_view text = format_text(schema);
    if (text.substr(0, 3) != "+w:") return false;
    is_bool8(schema);  // refuses extensions
    size = size_after(text, 3, 0);
    return true;
}

}  // namespace devview::arrow
