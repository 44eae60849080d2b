// Formats through the C interface. A handle is a counted node: its address is the descriptor's.
#include "devview/c_api/format.h"

#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "devview/c_api/errors.hpp"
#include "devview/format.hpp"

namespace devview {
namespace {

using c_api::guarded;
using c_api::refuse;

// format.hpp and c_api.h describe the same bytes; a difference ends the build here.
#define DEVVIEW_SAME_MEMBER(ours, theirs, member)                                               \
    static_assert(offsetof(ours, member) == offsetof(theirs, member), #theirs "::" #member);    \
    static_assert(sizeof(std::declval<ours>().member) == sizeof(std::declval<theirs>().member), \
                  #theirs "::" #member)

static_assert(std::is_standard_layout_v<FormatNode> && std::is_standard_layout_v<FormatField>);
static_assert(sizeof(FormatNode) == sizeof(devview_format_node));
static_assert(sizeof(FormatField) == sizeof(devview_format_field));
static_assert(kFormatNodeVersion == DEVVIEW_FORMAT_NODE_VERSION);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, version);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, kind);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, byteorder);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, float_kind);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, code);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, immortal);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, bits);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, itemsize);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, alignment);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, ndim);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, field_count);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, shape);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, element);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, fields);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, text);
DEVVIEW_SAME_MEMBER(FormatNode, devview_format_node, packed);
DEVVIEW_SAME_MEMBER(FormatField, devview_format_field, name);
DEVVIEW_SAME_MEMBER(FormatField, devview_format_field, offset);
DEVVIEW_SAME_MEMBER(FormatField, devview_format_field, format);
DEVVIEW_SAME_MEMBER(FormatField, devview_format_field, bit_offset);
#undef DEVVIEW_SAME_MEMBER

template <class T>
constexpr bool same(T ours, std::int32_t theirs) {
    return static_cast<std::int32_t>(ours) == theirs;
}
static_assert(same(Kind::boolean, DEVVIEW_KIND_BOOLEAN) &&
              same(Kind::integer, DEVVIEW_KIND_INTEGER) &&
              same(Kind::unsigned_integer, DEVVIEW_KIND_UNSIGNED_INTEGER) &&
              same(Kind::floating, DEVVIEW_KIND_FLOATING) &&
              same(Kind::complex_floating, DEVVIEW_KIND_COMPLEX_FLOATING) &&
              same(Kind::character, DEVVIEW_KIND_CHARACTER) &&
              same(Kind::bytes, DEVVIEW_KIND_BYTES) && same(Kind::pascal, DEVVIEW_KIND_PASCAL) &&
              same(Kind::unicode, DEVVIEW_KIND_UNICODE) &&
              same(Kind::pointer, DEVVIEW_KIND_POINTER) &&
              same(Kind::function, DEVVIEW_KIND_FUNCTION) &&
              same(Kind::object, DEVVIEW_KIND_OBJECT) && same(Kind::bits, DEVVIEW_KIND_BITS) &&
              same(Kind::opaque, DEVVIEW_KIND_OPAQUE) && same(Kind::record, DEVVIEW_KIND_RECORD) &&
              same(Kind::array, DEVVIEW_KIND_ARRAY));
static_assert(same(ByteOrder::native, DEVVIEW_ORDER_NATIVE) &&
              same(ByteOrder::little, DEVVIEW_ORDER_LITTLE) &&
              same(ByteOrder::big, DEVVIEW_ORDER_BIG));
static_assert(same(FloatKind::ieee, DEVVIEW_FLOAT_IEEE) &&
              same(FloatKind::bfloat16, DEVVIEW_FLOAT_BFLOAT16) &&
              same(FloatKind::float8_e3m4, DEVVIEW_FLOAT8_E3M4) &&
              same(FloatKind::float8_e4m3, DEVVIEW_FLOAT8_E4M3) &&
              same(FloatKind::float8_e4m3b11fnuz, DEVVIEW_FLOAT8_E4M3B11FNUZ) &&
              same(FloatKind::float8_e4m3fn, DEVVIEW_FLOAT8_E4M3FN) &&
              same(FloatKind::float8_e4m3fnuz, DEVVIEW_FLOAT8_E4M3FNUZ) &&
              same(FloatKind::float8_e5m2, DEVVIEW_FLOAT8_E5M2) &&
              same(FloatKind::float8_e5m2fnuz, DEVVIEW_FLOAT8_E5M2FNUZ) &&
              same(FloatKind::float8_e8m0fnu, DEVVIEW_FLOAT8_E8M0FNU) &&
              same(FloatKind::float6_e2m3fn, DEVVIEW_FLOAT6_E2M3FN) &&
              same(FloatKind::float6_e3m2fn, DEVVIEW_FLOAT6_E3M2FN) &&
              same(FloatKind::float4_e2m1fn, DEVVIEW_FLOAT4_E2M1FN));

const FormatNode* node_of(const devview_format* handle) noexcept {
    return reinterpret_cast<const FormatNode*>(handle);
}

devview_format* handle_of(Format format) noexcept {
    const FormatNode* node = std::move(format).detach();
    return reinterpret_cast<devview_format*>(const_cast<FormatNode*>(node));
}

devview_status null(const char* text) noexcept { return refuse(DEVVIEW_ERROR_ARGUMENT, text); }

}  // namespace
}  // namespace devview

using devview::Format;
using devview::handle_of;
using devview::node_of;
using devview::null;
using devview::c_api::guarded;
using devview::c_api::refuse;

devview_status devview_format_parse(const char* text, int64_t itemsize, devview_format** format) {
    if (text == nullptr) return null("devview_format_parse: text: null");
    if (format == nullptr) return null("devview_format_parse: format: null");
    return guarded([&] {
        *format = handle_of(itemsize == -1 ? Format(text) : Format::with_itemsize(text, itemsize));
        return DEVVIEW_OK;
    });
}

devview_status devview_format_scalar(char code, devview_format** format) {
    if (format == nullptr) return null("devview_format_scalar: format: null");
    return guarded([&] {
        *format = handle_of(Format::scalar(code));
        return DEVVIEW_OK;
    });
}

devview_status devview_format_from_dlpack(uint8_t code, uint8_t bits, uint16_t lanes,
                                          devview_format** format) {
    if (format == nullptr) return null("devview_format_from_dlpack: format: null");
    return guarded([&] {
        *format = handle_of(Format::from_dlpack(code, bits, lanes));
        return DEVVIEW_OK;
    });
}

devview_status devview_format_of_node(const devview_format_node* node, devview_format** format) {
    if (node == nullptr) return null("devview_format_of_node: node: null");
    if (format == nullptr) return null("devview_format_of_node: format: null");
    if (node->version != DEVVIEW_FORMAT_NODE_VERSION) {
        return refuse(DEVVIEW_ERROR_VERSION, "devview_format_of_node: version of the node: not 2");
    }
    *format = handle_of(Format::of_node(reinterpret_cast<const devview::FormatNode*>(node)));
    return DEVVIEW_OK;
}

devview_status devview_format_retain(devview_format* format) {
    if (format == nullptr) return null("devview_format_retain: format: null");
    handle_of(Format::of_node(node_of(format)));
    return DEVVIEW_OK;
}

devview_status devview_format_release(devview_format* format) {
    if (format != nullptr) Format::attach(node_of(format));
    return DEVVIEW_OK;
}

devview_status devview_format_describe(const devview_format* format, uint32_t version,
                                       const devview_format_node** node) {
    if (format == nullptr) return null("devview_format_describe: format: null");
    if (node == nullptr) return null("devview_format_describe: node: null");
    if (version < 1 || version > DEVVIEW_FORMAT_NODE_VERSION) {
        return refuse(DEVVIEW_ERROR_VERSION, "devview_format_describe: version: not 1 or 2");
    }
    if (version < 2 && node_of(format)->packed) {
        return refuse(DEVVIEW_ERROR_VERSION,
                      "devview_format_describe: version: 1, which has no packed items");
    }
    *node = reinterpret_cast<const devview_format_node*>(format);
    return DEVVIEW_OK;
}

devview_status devview_format_str(const devview_format* format, char* buffer, size_t capacity,
                                  size_t* length) {
    if (format == nullptr) return null("devview_format_str: format: null");
    return guarded([&] {
        devview::c_api::write_text("devview_format_str", Format::of_node(node_of(format)).str(),
                                   buffer, capacity, length);
    });
}

devview_status devview_format_equal(const devview_format* a, const devview_format* b,
                                    int32_t* equal) {
    if (a == nullptr || b == nullptr) return null("devview_format_equal: format: null");
    if (equal == nullptr) return null("devview_format_equal: equal: null");
    *equal = Format::of_node(node_of(a)) == Format::of_node(node_of(b)) ? 1 : 0;
    return DEVVIEW_OK;
}

devview_status devview_format_hash(const devview_format* format, uint64_t* hash) {
    if (format == nullptr) return null("devview_format_hash: format: null");
    if (hash == nullptr) return null("devview_format_hash: hash: null");
    *hash = Format::of_node(node_of(format)).hash();
    return DEVVIEW_OK;
}
