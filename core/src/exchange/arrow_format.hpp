// One item's type in Arrow's words and in ours; private to the core.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "devview/arrow_abi.hpp"
#include "devview/format.hpp"

namespace devview::arrow {

/// Of a fixed-size list or binary: Arrow's flatbuffers have int32 for both.
inline constexpr std::int64_t kMaxListSize = 0x7fffffff;

/// The canonical extension type of one byte for each boolean; its storage is int8 ("c").
inline constexpr const char* kBool8 = "arrow.bool8";

/// An item's format string, and the extension that makes of it what it is (empty: none).
struct ItemType {
    std::string format;
    std::string extension;
};

/// @throws BufferError  Arrow has no type for such items.
ItemType item_type(const Format& format);

/// The metadata of a schema that names an extension type without parameters.
std::string extension_metadata(std::string_view name);

/// The text of a schema's format. @throws FormatError  it is null or longer than any that is read.
std::string_view format_text(const ArrowSchema& schema);

/// The items of a schema without children.
/// @throws BufferError  a type that would lose something (named); FormatError  no format of Arrow.
Format item_format(const ArrowSchema& schema);

/// True if the schema is a fixed-size list, and then its `size`.
/// @throws FormatError  "+w:" without a number from 0 to 2^31 - 1.
bool is_fixed_size_list(const ArrowSchema& schema, std::int64_t& size);

/// @throws BufferError  the schema is an extension type other than bool8; FormatError  metadata
/// that contradicts itself. Returns true for bool8.
bool is_bool8(const ArrowSchema& schema);

}  // namespace devview::arrow
