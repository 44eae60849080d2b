// The one-pass parser with its stack: format_parse.cpp is its grammar, format_build.cpp the layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/format/format_names.hpp"
#include "src/format/format_nodes.hpp"
#include "src/format/format_parse.hpp"

namespace devview::detail {

/// Between limits and memory: nothing that is read makes more than a fixed multiple of its length.
inline constexpr std::size_t kMaxFormatLength = std::size_t{1} << 20;
inline constexpr std::size_t kMaxDepth = 64;
inline constexpr std::size_t kMaxAxes = 64;
inline constexpr std::int64_t kMaxParts = std::int64_t{1} << 16;
inline constexpr std::size_t kMaxText = std::size_t{1} << 23;  ///< of all parts, each spelled out

inline constexpr std::int64_t kNoCount = -1;

/// An item while it is read: where it is, under which prefixes, and the counts in front of it.
struct FormatItem {
    const FormatNode* element = nullptr;  ///< of one item without counts and axes
    std::size_t begin = 0;                ///< the first byte after its prefix
    std::size_t unrepeated = 0;           ///< the same, after its leading count
    std::size_t element_begin = 0;        ///< the code, or the count of a string
    std::size_t end = 0;
    std::size_t first_axis = 0;  ///< in the parser's axes
    std::size_t axis_count = 0;
    std::int64_t tail = 0;           ///< implied padding at the end of a record [bytes]
    std::int64_t repeat = kNoCount;  ///< leading count: as many members, if the item has no name
    std::int64_t size = kNoCount;    ///< count directly before the code
    char begin_order = '@';          ///< the prefix that is in force at `begin`, and so on
    char unrepeated_order = '@';
    char element_order = '@';
    char layout_order = '@';  ///< the prefix that decides whether the item is aligned
};

struct FormatName {
    std::string_view text;
    bool given = false;
};

/// An open bracket: the whole format, a 'T{', or a '&' that waits for what it points to.
struct FormatFrame {
    enum class Type { top, record, pointer };

    Type type = Type::top;
    bool started = false;  ///< an item was read
    FormatItem item;       ///< what the bracket will become
    std::size_t first_field = 0;
    std::int64_t cursor = 0;  ///< the end of the last member [bytes]
    std::int32_t bit = 0;     ///< bits in use of the byte at the cursor
    std::int64_t alignment = 1;
    std::int64_t tails = 0;    ///< implied padding at the ends of the last member's records [bytes]
    std::int64_t padding = 0;  ///< explicit padding since then [bytes]
};

class FormatParser {
public:
    FormatParser(std::string_view spec, const FormatRules& rules, FormatRoot* root)
        : spec_(spec), rules_(rules), root_(root) {}

    FormatNode* parse();

private:
    [[noreturn]] static void fail(std::size_t position, const std::string& what);

    // Grammar (format_parse.cpp).
    void check_text() const;
    void read_padding();
    bool name_follows() const;
    void read_item();
    bool read_part(FormatItem& item);
    void read_shape(FormatItem& item);
    std::int64_t read_number();
    void take_count(FormatItem& item);
    void read_code(FormatItem& item);
    void read_scalar(FormatItem& item, char code);
    void read_complex(FormatItem& item);
    void read_function(FormatItem& item);
    FormatName read_name();
    void open(FormatFrame::Type type, const FormatItem& item);
    void close_record();
    FormatNode* finish();

    // Items become members (format_build.cpp).
    void complete(FormatItem& item);
    void place(const FormatItem& item, const FormatName& name);
    void settle_sole_item();
    void add(const FormatItem& item, const FormatName& name);
    bool may_pad() const noexcept {
        return frames_.back().started && frames_.back().type != FormatFrame::Type::pointer;
    }
    void pad(std::int64_t bytes, std::size_t position);
    void add_padding(FormatFrame& frame, std::int64_t bytes, std::int64_t times,
                     std::size_t position);
    void add_members(FormatFrame& frame, const FormatField& draft, std::int64_t times,
                     std::size_t position);
    void advance(FormatFrame& frame, std::int64_t bytes, std::int64_t times, std::size_t position);
    [[noreturn]] static void fail_parts(std::size_t position);
    void count_part(std::size_t position);
    void push_draft(const FormatField& draft, std::size_t position);
    void align(FormatFrame& frame, std::int64_t alignment) const;
    static void flush_bits(FormatFrame& frame) noexcept;

    // Nodes (format_build.cpp).
    FormatNode* new_node(const FormatNode& like, std::string_view prefix, std::string_view text);
    FormatNode* new_node(const FormatNode& like, char order, std::size_t begin, std::size_t end);
    const FormatNode* base_scalar(char code, std::size_t position) const;
    static void set_size(FormatNode* node, const FormatItem& item);
    const FormatNode* scalar(const FormatItem& item, char code);
    const FormatNode* with_axes(const FormatItem& item, bool repeated) {
        const bool leading = repeated && item.repeat != kNoCount;
        return leading || item.axis_count != 0 ? sub_array(item, leading) : item.element;
    }
    const FormatNode* sub_array(const FormatItem& item, bool leading);
    const FormatNode* pointer_to(const FormatNode* element, const FormatItem& item);
    FormatNode* record(const FormatFrame& frame, std::string_view prefix, std::string_view text);
    const FormatField* take_fields(std::size_t first);
    static void make_small_type(FormatNode* node);

    bool is_aligned(char order) const noexcept {
        return rules_.align == FormatRules::Align::by_prefix
                   ? order == '@'
                   : rules_.align == FormatRules::Align::always;
    }

    std::string_view spec_;
    FormatRules rules_;
    FormatRoot* root_;
    std::size_t position_ = 0;
    char order_ = '@';
    std::vector<FormatFrame> frames_;
    std::vector<FormatField> drafts_;  ///< members of all open records, innermost last
    std::vector<std::int64_t> axes_;   ///< of all open items, innermost last
    FormatItem sole_;                  ///< the first item of the whole format, until a second comes
    bool has_sole_ = false;
    std::size_t text_total_ = 0;
    std::int64_t part_total_ = 0;                                 ///< members and brackets so far
    std::array<std::array<const FormatNode*, 64>, 6> scalars_{};  ///< by prefix and letter
};

}  // namespace devview::detail
