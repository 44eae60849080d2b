// Handles of formats: made, counted, compared, hashed.
#include "devview/format.hpp"

#include <cstring>
#include <functional>
#include <memory>

#include "devview/error.hpp"
#include "src/format/format_intern.hpp"
#include "src/format/format_nodes.hpp"
#include "src/format/format_parse.hpp"
#include "src/quote.hpp"

namespace devview {
namespace {

using detail::FormatRoot;

const FormatNode* natural_node(std::string_view spec) {
    if (const FormatNode* node = detail::immortal_node(spec)) return node;
    if (const FormatNode* node = detail::find_interned(spec, detail::kNaturalItemsize)) return node;
    return detail::intern(detail::parse_format(spec, detail::FormatRules{}));
}

bool same_records(const FormatNode& a, const FormatNode& b,
                  bool (*same)(const FormatNode*, const FormatNode*)) noexcept {
    if (a.field_count != b.field_count) return false;
    for (std::int32_t i = 0; i < a.field_count; ++i) {
        const FormatField& mine = a.fields[i];
        const FormatField& other = b.fields[i];
        if (mine.offset != other.offset || mine.bit_offset != other.bit_offset ||
            std::strcmp(mine.name, other.name) != 0 || !same(mine.format, other.format)) {
            return false;
        }
    }
    return true;
}

// Recursion is bounded by the depth that the parser admits, here and below.
bool same_meaning(const FormatNode* a, const FormatNode* b) noexcept {
    if (a == b) return true;
    if (a->kind != b->kind || a->itemsize != b->itemsize || a->byteorder != b->byteorder ||
        a->bits != b->bits || a->float_kind != b->float_kind || a->packed != b->packed) {
        return false;
    }
    switch (a->kind) {
        case Kind::unicode:
            return a->code == b->code;
        case Kind::function:
            return detail::signature(*a) == detail::signature(*b);
        case Kind::pointer:
            if (a->element == nullptr || b->element == nullptr) return a->element == b->element;
            return same_meaning(a->element, b->element);
        case Kind::array:
            return a->ndim == b->ndim &&
                   std::memcmp(a->shape, b->shape,
                               static_cast<std::size_t>(a->ndim) * sizeof(*a->shape)) == 0 &&
                   same_meaning(a->element, b->element);
        case Kind::record:
            return same_records(*a, *b, &same_meaning);
        default:
            return true;
    }
}

class Hash {
public:
    void add(std::uint64_t value) noexcept {
        state_ = (state_ ^ value) * 0x9e3779b97f4a7c15U;
        state_ ^= state_ >> 32;
    }
    void add(std::string_view text) noexcept { add(std::hash<std::string_view>{}(text)); }
    void add(const FormatNode& node) noexcept;
    std::size_t value() const noexcept { return static_cast<std::size_t>(state_); }

private:
    std::uint64_t state_ = 0xcbf29ce484222325U;
};

void Hash::add(const FormatNode& node) noexcept {
    add(static_cast<std::uint64_t>(node.kind));
    add(static_cast<std::uint64_t>(node.itemsize));
    add(static_cast<std::uint64_t>(node.byteorder));
    add(static_cast<std::uint64_t>(node.bits));
    add(static_cast<std::uint64_t>(node.float_kind));
    if (node.packed) add(std::uint64_t{1});
    if (node.kind == Kind::unicode) add(static_cast<std::uint64_t>(node.code));
    if (node.kind == Kind::function) add(detail::signature(node));
    if (node.element != nullptr) add(*node.element);
    for (std::int32_t axis = 0; axis < node.ndim; ++axis) {
        add(static_cast<std::uint64_t>(node.shape[axis]));
    }
    for (std::int32_t i = 0; i < node.field_count; ++i) {
        add(std::string_view(node.fields[i].name));
        add(static_cast<std::uint64_t>(node.fields[i].offset));
        add(*node.fields[i].format);
    }
}

bool holds_objects(const FormatNode& node) noexcept {
    if (node.kind == Kind::object) return true;
    if (node.kind == Kind::array) return holds_objects(*node.element);
    for (std::int32_t i = 0; i < node.field_count; ++i) {
        if (holds_objects(*node.fields[i].format)) return true;
    }
    return false;
}

}  // namespace

Format::Format() noexcept : node_(byte_node()) {}

Format::Format(std::string_view spec) : node_(natural_node(spec)) {}

Format Format::with_itemsize(std::string_view spec, std::int64_t itemsize) {
    if (itemsize < 0 || itemsize > detail::kMaxItemsize) {
        throw FormatError("format: itemsize of " + detail::quote(spec) + ": " +
                              std::to_string(itemsize) + ", limit " +
                              std::to_string(detail::kMaxItemsize),
                          spec.size());
    }
    const FormatNode* known = detail::immortal_node(spec);
    if (known != nullptr && known->itemsize == itemsize) return Format(known);
    if ((known = detail::find_interned(spec, itemsize)) != nullptr) return Format(known);
    if ((known = detail::find_interned(spec, detail::kNaturalItemsize)) != nullptr) {
        Format natural(known);
        if (natural.itemsize() == itemsize) return natural;
    }
    std::unique_ptr<FormatRoot> root = detail::parse_format_of_size(spec, itemsize);
    root->key_itemsize = itemsize;
    return Format(detail::intern(std::move(root)));
}

Format Format::scalar(char code) {
    const FormatNode* node = detail::scalar_node(code);
    if (node == nullptr) {
        throw FormatError("format: no scalar: " + detail::quote(std::string_view(&code, 1)), 0);
    }
    return Format(node);
}

Format Format::from_dlpack(std::uint8_t code, std::uint8_t bits, std::uint16_t lanes) {
    if (lanes != 1) {
        throw FormatError("format: DLPack lanes: " + std::to_string(lanes) + ", expected 1", 0);
    }
    const FormatNode* node = detail::dlpack_node(code, bits);
    if (node == nullptr) {
        throw FormatError("format: unknown DLPack type: code " + std::to_string(code) + ", bits " +
                              std::to_string(bits),
                          0);
    }
    return Format(node);
}

Format Format::packed() const {
    const FormatNode* node = detail::packed_node(*node_);
    if (node == nullptr) {
        throw FormatError("format: " + detail::quote(node_->text) +
                              ": only numbers of less than a byte are packed",
                          0);
    }
    return Format(node);
}

Format Format::padded() const noexcept {
    return node_->packed ? Format(detail::padded_node(*node_)) : *this;
}

Format Format::of_node(const FormatNode* node) noexcept {
    if (!node->immortal) retain_node(node);
    return Format(node);
}

bool Format::native_scalar() const noexcept {
    constexpr std::string_view kMemoryviewCodes = "?cbBhHiIlLqQnNefdP";
    return node_->code != 0 && node_->byteorder == ByteOrder::native &&
           kMemoryviewCodes.find(node_->code) != std::string_view::npos;
}

bool Format::has_objects() const noexcept { return holds_objects(*node_); }

std::size_t Format::hash() const noexcept {
    Hash hash;
    hash.add(*node_);
    return hash.value();
}

const FormatNode* Format::byte_node() noexcept { return detail::scalar_node('B'); }

bool Format::same(const FormatNode* a, const FormatNode* b) noexcept { return same_meaning(a, b); }

void Format::retain_node(const FormatNode* node) noexcept {
    detail::root_of(node)->references.fetch_add(1, std::memory_order_relaxed);
}

void Format::release_node(const FormatNode* node) noexcept {
    detail::release_root(detail::root_of(node));
}

}  // namespace devview
