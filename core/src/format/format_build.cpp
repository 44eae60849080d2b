// What the parser has read becomes members and nodes: layout as C, struct and NumPy have it.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "src/format/format_names.hpp"
#include "src/format/format_parser.hpp"
#include "src/quote.hpp"

namespace devview::detail {
namespace {

constexpr std::string_view kOrders = "@=<>!^";

std::int64_t align_up(std::int64_t offset, std::int64_t alignment) noexcept {
    return (offset + alignment - 1) & -alignment;  // a power of two
}

template <class T>
T* new_array(FormatRoot& root, std::size_t count) {
    return static_cast<T*>(root.arena.allocate(count * sizeof(T), alignof(T)));
}

char* new_text(FormatRoot& root, std::string_view prefix, std::string_view text) {
    char* copy = new_array<char>(root, prefix.size() + text.size() + 1);
    std::copy(prefix.begin(), prefix.end(), copy);
    std::copy(text.begin(), text.end(), copy + prefix.size());
    copy[prefix.size() + text.size()] = '\0';
    return copy;
}

bool is_native_size(char order) noexcept { return order == '@' || order == '^'; }

bool is_opposite(char order) noexcept {
    return order == kOppositeOrder || (order == '!' && kOppositeOrder == '>');
}

}  // namespace

void FormatParser::complete(FormatItem& item) {
    item.end = position_;
    while (frames_.back().type == FormatFrame::Type::pointer) {
        const FormatNode* element = with_axes(item, true);
        axes_.resize(item.first_axis);
        item = frames_.back().item;
        frames_.pop_back();
        item.end = position_;
        item.element = pointer_to(element, item);
    }
    place(item, read_name());
}

void FormatParser::place(const FormatItem& item, const FormatName& name) {
    FormatFrame& frame = frames_.back();
    if (frame.type == FormatFrame::Type::top && !frame.started && !name.given) {
        sole_ = item;
        has_sole_ = true;
    } else {
        add(item, name);
        axes_.resize(item.first_axis);
    }
    frame.started = true;
}

// "3i" alone is an array, in "h3i" it is three members: known when a second item begins.
void FormatParser::settle_sole_item() {
    if (!has_sole_ || frames_.size() != 1) return;
    has_sole_ = false;
    add(sole_, {});
    axes_.resize(sole_.first_axis);
}

void FormatParser::add(const FormatItem& item, const FormatName& name) {
    FormatFrame& frame = frames_.back();
    const bool repeated = item.repeat != kNoCount && !name.given;
    const std::int64_t times = repeated ? item.repeat : 1;
    const FormatNode* node = times == 0 ? item.element : with_axes(item, !repeated);
    if (node->kind == Kind::bits && times == 1) {
        frame.tails = 0;
        push_draft({name.text.data(), frame.cursor, node, frame.bit}, item.begin);
        const std::int64_t used = std::int64_t{frame.bit} + node->bits;
        frame.bit = static_cast<std::int32_t>(used % 8);
        return advance(frame, used / 8, 1, item.begin);
    }
    flush_bits(frame);
    if (node->alignment > 1 && is_aligned(item.layout_order)) {
        align(frame, node->alignment);
        frame.alignment = std::max(frame.alignment, node->alignment);
    }
    if (innermost(node)->kind == Kind::opaque && !name.given) {
        return add_padding(frame, node->itemsize, times, item.begin);
    }
    frame.padding = 0;
    const std::int64_t before = frame.cursor;
    add_members(frame, {name.text.data(), 0, node, 0}, times, item.begin);
    frame.tails = item.tail == 0 ? 0 : (frame.cursor - before) / item.element->itemsize * item.tail;
}

// As add(), for 'x' without a name: no node is made of it.
void FormatParser::pad(std::int64_t bytes, std::size_t position) {
    flush_bits(frames_.back());
    add_padding(frames_.back(), bytes, 1, position);
}

void FormatParser::add_padding(FormatFrame& frame, std::int64_t bytes, std::int64_t times,
                               std::size_t position) {
    const std::int64_t before = frame.cursor;
    advance(frame, bytes, times, position);
    root_->has_padding = true;
    if (frame.tails == 0) return;
    frame.padding += frame.cursor - before;
    if (frame.padding < frame.tails) return;
    root_->has_explicit_tails = true;
    const std::int64_t tails = std::exchange(frame.tails, 0);
    if (rules_.explicit_tails) frame.cursor -= tails;
}

void FormatParser::add_members(FormatFrame& frame, const FormatField& draft, std::int64_t times,
                               std::size_t position) {
    if (times > kMaxParts - part_total_) fail_parts(position);
    for (std::int64_t i = 0; i < times; ++i) {
        push_draft({draft.name, frame.cursor, draft.format, 0}, position);
        advance(frame, draft.format->itemsize, 1, position);
    }
}

void FormatParser::fail_parts(std::size_t position) {
    fail(position, "more than " + std::to_string(kMaxParts) + " members and brackets");
}

void FormatParser::count_part(std::size_t position) {
    if (++part_total_ > kMaxParts) fail_parts(position);
}

void FormatParser::push_draft(const FormatField& draft, std::size_t position) {
    if (draft.format->packed) fail(position, "a member of packed items, which have no bytes");
    count_part(position);
    drafts_.push_back(draft);
}

void FormatParser::advance(FormatFrame& frame, std::int64_t bytes, std::int64_t times,
                           std::size_t position) {
    const std::int64_t room = kMaxItemsize - frame.cursor;
    if (times == 1 ? bytes > room : times != 0 && bytes > room / times) {
        fail(position, "item too large, limit " + std::to_string(kMaxItemsize) + " bytes");
    }
    frame.cursor += bytes * times;
}

void FormatParser::align(FormatFrame& frame, std::int64_t alignment) const {
    const std::int64_t cursor = align_up(frame.cursor, alignment);
    if (cursor > kMaxItemsize) {
        fail(position_, "item too large, limit " + std::to_string(kMaxItemsize) + " bytes");
    }
    if (cursor != frame.cursor) root_->has_implied_padding = true;
    frame.cursor = cursor;
}

void FormatParser::flush_bits(FormatFrame& frame) noexcept {
    if (frame.bit != 0) ++frame.cursor;
    frame.bit = 0;
}

FormatNode* FormatParser::new_node(const FormatNode& like, std::string_view prefix,
                                   std::string_view text) {
    text_total_ += text.size();
    if (text_total_ > kMaxText) {
        fail(position_, "nested parts too long, limit " + std::to_string(kMaxText) + " bytes");
    }
    void* place = new_array<ArenaNode>(*root_, 1);
    auto* node = ::new (place) ArenaNode{like, root_};
    node->immortal = false;
    node->text = new_text(*root_, prefix, text);
    return node;
}

// The text of a part stands alone: the prefix that is in force comes first.
FormatNode* FormatParser::new_node(const FormatNode& like, char order, std::size_t begin,
                                   std::size_t end) {
    return new_node(like, std::string_view(&order, order == '@' ? 0 : 1),
                    spec_.substr(begin, end - begin));
}

// The native node of the type that a letter stands for under the prefix in force.
const FormatNode* FormatParser::base_scalar(char code, std::size_t position) const {
    const bool native = is_native_size(order_);
    if (code == 'l' && !native) return scalar_node('i');
    if (code == 'L' && !native) return scalar_node('I');
    if (code == 'u' && rules_.wide_u) return scalar_node('w');
    if ((code == 'n' || code == 'N') && !native) {
        fail(position, "'" + std::string(1, code) + "' has a native size only, under '@' or '^'");
    }
    // ctypes writes char* and wchar_t* so, always with a prefix.
    if ((code == 'z' || code == 'Z') && order_ != '@') return scalar_node('P');
    const FormatNode* node = scalar_node(code);
    if (node == nullptr) fail(position, "unknown code " + quote(std::string_view(&code, 1)));
    return node;
}

// A count of characters, of bytes, or of bits.
void FormatParser::set_size(FormatNode* node, const FormatItem& item) {
    if (node->kind == Kind::bits) {
        constexpr std::int64_t kMaxBits = std::numeric_limits<std::int32_t>::max();
        if (item.size > kMaxBits) {
            fail(item.element_begin, "too many bits, limit " + std::to_string(kMaxBits));
        }
        node->bits = static_cast<std::int32_t>(item.size);
        node->itemsize = (item.size + 7) / 8;
        return;
    }
    if (item.size > kMaxItemsize / node->itemsize) {
        fail(item.element_begin,
             "item too large, limit " + std::to_string(kMaxItemsize) + " bytes");
    }
    node->itemsize *= item.size;
}

const FormatNode* FormatParser::scalar(const FormatItem& item, char code) {
    const std::size_t code_at = item.size == kNoCount ? item.element_begin : position_ - 1;
    const FormatNode* base = base_scalar(code, code_at);
    const std::string_view spelled =
        spec_.substr(item.element_begin, position_ - item.element_begin);
    if (order_ == '@' && item.size == kNoCount && code == base->code) return base;
    if (order_ == '@' && spelled == base->text) return base;

    // The low six bits tell all letters and '?' apart.
    const FormatNode*& known = scalars_[kOrders.find(order_)][static_cast<std::size_t>(code) & 63];
    const bool plain = spelled.size() == 1;  // not "Zf" beside "F", no count
    if (plain && known != nullptr) return known;
    FormatNode* node = new_node(*base, order_, item.element_begin, position_);
    if (is_opposite(order_) && has_byte_order(*base)) node->byteorder = kOpposite;
    if (item.size != kNoCount) set_size(node, item);
    if (plain) known = node;
    return node;
}

const FormatNode* FormatParser::sub_array(const FormatItem& item, bool leading) {
    const std::size_t ndim = item.axis_count + (leading ? 1 : 0);
    if (ndim > kMaxAxes) fail(item.begin, "more than " + std::to_string(kMaxAxes) + " axes");
    if (item.element->packed) fail(item.begin, "a sub-array of packed items");
    if (item.element->kind == Kind::bits && item.element->bits % 8 != 0) {
        fail(item.begin, "a sub-array of bits that do not fill bytes");
    }
    auto* shape = new_array<std::int64_t>(*root_, ndim);
    if (leading) shape[0] = item.repeat;
    std::copy_n(axes_.begin() + static_cast<std::ptrdiff_t>(item.first_axis), item.axis_count,
                shape + (leading ? 1 : 0));

    // Range-checked as if no extent and no element were 0: nothing that is computed later wraps.
    std::int64_t range = std::max<std::int64_t>(item.element->itemsize, 1);
    std::int64_t itemsize = item.element->itemsize;
    for (std::size_t axis = 0; axis < ndim; ++axis) {
        const std::int64_t extent = std::max<std::int64_t>(shape[axis], 1);
        if (range > kMaxItemsize / extent) {
            fail(item.begin,
                 "sub-array too large, limit " + std::to_string(kMaxItemsize) + " bytes");
        }
        range *= extent;
        itemsize *= shape[axis];
    }
    const FormatNode like{kFormatNodeVersion,
                          Kind::array,
                          ByteOrder::native,
                          FloatKind::ieee,
                          0,
                          false,
                          0,
                          itemsize,
                          item.element->alignment,
                          static_cast<std::int32_t>(ndim),
                          0,
                          shape,
                          item.element,
                          nullptr,
                          nullptr,
                          false};
    if (leading) return new_node(like, item.begin_order, item.begin, item.end);
    return new_node(like, item.unrepeated_order, item.unrepeated, item.end);
}

const FormatNode* FormatParser::pointer_to(const FormatNode* element, const FormatItem& item) {
    FormatNode* node =
        new_node(*scalar_node('P'), item.element_order, item.element_begin, item.end);
    node->code = '&';
    node->element = element;
    return node;
}

FormatNode* FormatParser::record(const FormatFrame& frame, std::string_view prefix,
                                 std::string_view text) {
    const std::size_t count = drafts_.size() - frame.first_field;
    FormatField* drafts = drafts_.data() + frame.first_field;
    if (const FormatField* twice = find_duplicate(drafts, count)) {
        fail(static_cast<std::size_t>(twice->name - spec_.data()),
             "a second member named " + quote(draft_name(*twice)));
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view name = draft_name(drafts[i]);
        drafts[i].name = name.empty() ? "" : new_text(*root_, {}, name);
    }
    const FormatField* fields = take_fields(frame.first_field);
    const FormatNode like{kFormatNodeVersion,
                          Kind::record,
                          ByteOrder::native,
                          FloatKind::ieee,
                          0,
                          false,
                          0,
                          frame.cursor,
                          frame.alignment,
                          0,
                          static_cast<std::int32_t>(count),
                          nullptr,
                          nullptr,
                          fields,
                          nullptr,
                          false};
    return new_node(like, prefix, text);
}

// The members of the record that is closed. Many of them stay where they are: half of the time of a
// large format went into fresh pages for copies.
const FormatField* FormatParser::take_fields(std::size_t first) {
    constexpr std::size_t kMany = 1024;
    if (first == 0 && drafts_.size() >= kMany && root_->fields.empty()) {
        root_->fields = std::exchange(drafts_, {});
        return root_->fields.data();
    }
    const std::size_t count = drafts_.size() - first;
    auto* fields = new_array<FormatField>(*root_, count);
    std::copy_n(drafts_.data() + first, count, fields);
    drafts_.resize(first);
    return fields;
}

// "T{H:bfloat16:}" and "T{4t:int4:}" and their like: a scalar of that name, not a record.
void FormatParser::make_small_type(FormatNode* node) {
    if (node->field_count != 1) return;
    const FormatNode* member = node->fields[0].format;
    const bool bits = member->kind == Kind::bits;
    const FormatNode* small =
        bits ? packed_node(node->fields[0].name) : small_node(node->fields[0].name);
    if (small == nullptr || node->itemsize != small->itemsize) return;
    const bool fits = bits ? member->bits == small->bits
                           : member->kind == Kind::unsigned_integer && member->code != 0 &&
                                 member->itemsize == small->itemsize;
    if (!fits) return;
    const char* text = node->text;
    *node = *small;
    node->text = text;
    node->immortal = false;
    node->byteorder = member->byteorder;
}

}  // namespace devview::detail
