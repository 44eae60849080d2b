// Nodes of formats: the immortal scalars, and the blocks that own parsed ones. Reads no text.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "devview/format.hpp"

namespace devview::detail {

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
inline constexpr char kOppositeOrder = '<';
inline constexpr ByteOrder kOpposite = ByteOrder::little;
#else
inline constexpr char kOppositeOrder = '>';
inline constexpr ByteOrder kOpposite = ByteOrder::big;
#endif

/// No item is larger [bytes]: the address space of a process ends here, and sums cannot wrap.
inline constexpr std::int64_t kMaxItemsize = (std::int64_t{1} << 47) - 1;

/// The key of a format that was read without an exporter's itemsize.
inline constexpr std::int64_t kNaturalItemsize = -1;

/// One parsed format: its nodes, fields, names and texts, freed together.
struct FormatRoot {
    explicit FormatRoot(std::size_t first_block) : arena(first_block) {}

    std::atomic<std::int64_t> references{1};
    std::int64_t key_itemsize = kNaturalItemsize;
    FormatNode* node = nullptr;
    bool has_implied_padding = false;  ///< alignment moved some member or end
    bool has_padding = false;          ///< some 'x' without a name was read
    bool has_explicit_tails = false;   ///< some 'x' stands where NumPy repeats a record's padding
    std::vector<FormatField> fields;   ///< of the record with many members, if there is one
    std::pmr::monotonic_buffer_resource arena;
};

/// A counted node. Whoever holds a part of a format holds all of it, through `root`.
struct ArenaNode : FormatNode {
    FormatRoot* root;
};

inline FormatRoot* root_of(const FormatNode* node) noexcept {
    return static_cast<const ArenaNode*>(node)->root;
}

/// The native scalar of a letter, or null. Complex letters: 'F', 'D', 'G', spelled "Zf" and so on.
const FormatNode* scalar_node(char code) noexcept;

/// The small type of a name as in "T{H:bfloat16:}" ("int4", "float8_e5m2"), or null.
const FormatNode* small_node(std::string_view name) noexcept;

/// The packed type of a name as in "T{4t:int4:}", or null.
const FormatNode* packed_node(std::string_view name) noexcept;

/// The packed type of the same number, or null; the one of a byte an item.
const FormatNode* packed_node(const FormatNode& node) noexcept;
const FormatNode* padded_node(const FormatNode& packed) noexcept;

/// The immortal node that is spelled exactly so, or null.
const FormatNode* immortal_node(std::string_view spec) noexcept;

/// The immortal node of a DLPack type, or null.
const FormatNode* dlpack_node(std::uint8_t code, std::uint8_t bits) noexcept;

/// True for a scalar whose bytes have an order: several to a number or to a character.
bool has_byte_order(const FormatNode& node) noexcept;

/// Of a function: "X{...}" without prefixes, counts and spaces before it.
std::string_view signature(const FormatNode& node) noexcept;

/// The innermost element of an array, any other node itself.
inline const FormatNode* innermost(const FormatNode* node) noexcept {
    while (node->kind == Kind::array)
        node = node->element;
    return node;
}

}  // namespace devview::detail
