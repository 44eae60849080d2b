// The grammar: one pass, no recursion. Prefixes stay in force until the next one, also out of a
// T{...} that holds them: NumPy reads them so, and ctypes writes one before every member.
#include "src/format/format_parse.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "devview/error.hpp"
#include "src/format/format_names.hpp"
#include "src/format/format_parser.hpp"
#include "src/quote.hpp"

namespace devview::detail {
namespace {

bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_order(char c) noexcept {
    return c == '@' || c == '=' || c == '<' || c == '>' || c == '!' || c == '^';
}

// Letters whose count is a size and not a number of items, as struct and NumPy have it.
bool is_sized(char c) noexcept {
    return c == 's' || c == 'p' || c == 'x' || c == 'u' || c == 'w' || c == 't';
}

}  // namespace

void FormatParser::fail(std::size_t position, const std::string& what) {
    throw FormatError("format: position " + std::to_string(position) + ": " + what, position);
}

void FormatParser::check_text() const {
    if (spec_.size() > kMaxFormatLength) {
        fail(kMaxFormatLength, "too long: " + std::to_string(spec_.size()) + " bytes, limit " +
                                   std::to_string(kMaxFormatLength));
    }
    const std::size_t nul = spec_.find('\0');
    if (nul != std::string_view::npos) fail(nul, "NUL byte");
}

FormatNode* FormatParser::parse() {
    check_text();
    // Most members have names: "i:a:". What is reserved and not used is never touched.
    drafts_.reserve(std::min(spec_.size() / 4 + 1, static_cast<std::size_t>(kMaxParts)));
    frames_.reserve(4);
    frames_.emplace_back();
    while (position_ < spec_.size()) {
        const char c = spec_[position_];
        if (is_space(c)) {
            ++position_;
        } else if (is_order(c)) {
            order_ = c;
            ++position_;
        } else if (c == '}') {
            close_record();
        } else {
            read_item();
        }
    }
    return finish();
}

// Padding in a row, but for its last byte, which may have a name: no other item is one byte long
// and may come a million times.
void FormatParser::read_padding() {
    const std::size_t last = std::min(spec_.find_first_not_of('x', position_), spec_.size()) - 1;
    if (last == position_ || !may_pad()) return;
    pad(static_cast<std::int64_t>(last - position_), position_);
    position_ = last;
}

void FormatParser::read_item() {
    settle_sole_item();
    if (spec_[position_] == 'x') read_padding();
    FormatItem item;
    item.begin = item.unrepeated = position_;
    item.begin_order = item.unrepeated_order = order_;
    item.first_axis = axes_.size();
    while (read_part(item)) {
    }
    read_code(item);
}

// A count, a shape, or a prefix or space behind a shape; false at anything else.
bool FormatParser::read_part(FormatItem& item) {
    if (position_ == spec_.size()) fail(position_, "a count or sub-array without an item");
    const char c = spec_[position_];
    if (is_digit(c)) {
        item.element_begin = position_;
        item.size = read_number();
        return true;
    }
    if (c == '(') {
        take_count(item);
        read_shape(item);
        return true;
    }
    if (!is_space(c) && !is_order(c)) return false;
    if (item.size != kNoCount) fail(position_, "a count without an item");
    if (is_order(c)) order_ = c;
    ++position_;
    return true;
}

std::int64_t FormatParser::read_number() {
    const std::size_t begin = position_;
    std::int64_t value = 0;
    while (position_ < spec_.size() && is_digit(spec_[position_])) {
        value = value * 10 + (spec_[position_] - '0');
        if (value > kMaxItemsize) {
            fail(begin, "count too large, limit " + std::to_string(kMaxItemsize));
        }
        ++position_;
    }
    return value;
}

void FormatParser::read_shape(FormatItem& item) {
    const auto skip_spaces = [this] {
        while (position_ < spec_.size() && is_space(spec_[position_]))
            ++position_;
    };
    while (true) {
        ++position_;  // '(' or ','
        skip_spaces();
        if (position_ == spec_.size() || !is_digit(spec_[position_])) {
            fail(position_, "expected an extent of a sub-array");
        }
        if (item.axis_count >= kMaxAxes) {
            fail(position_, "more than " + std::to_string(kMaxAxes) + " axes");
        }
        axes_.push_back(read_number());
        ++item.axis_count;
        skip_spaces();
        if (position_ == spec_.size()) fail(position_, "missing ')'");
        if (spec_[position_] == ')') break;
        if (spec_[position_] != ',') fail(position_, "expected ',' or ')'");
    }
    ++position_;
}

// A leading count repeats the item; one behind a shape is a further axis, as in NumPy's "(2)3i".
void FormatParser::take_count(FormatItem& item) {
    const std::int64_t count = std::exchange(item.size, kNoCount);
    if (count == kNoCount || count == 1) return;
    if (item.axis_count == 0 && item.repeat == kNoCount) {
        item.repeat = count;
        item.unrepeated = position_;
        item.unrepeated_order = order_;
        return;
    }
    if (item.axis_count >= kMaxAxes) {
        fail(position_, "more than " + std::to_string(kMaxAxes) + " axes");
    }
    axes_.push_back(count);
    ++item.axis_count;
}

void FormatParser::read_code(FormatItem& item) {
    const char code = spec_[position_];
    if (!is_sized(code)) take_count(item);
    if (item.size == kNoCount) item.element_begin = position_;
    item.element_order = item.layout_order = order_;
    switch (code) {
        case 'T':
            if (spec_.substr(position_, 2) != "T{") fail(position_ + 1, "expected '{' after 'T'");
            open(FormatFrame::Type::record, item);
            position_ += 2;
            return;
        case '&':
            open(FormatFrame::Type::pointer, item);
            ++position_;
            return;
        case 'X':
            return read_function(item);
        case 'Z':
            return read_complex(item);
        case ':':
            fail(position_, "a name without an item");
        default:
            ++position_;
            return read_scalar(item, code);
    }
}

bool FormatParser::name_follows() const {
    const std::size_t next = spec_.find_first_not_of(" \t\n\v\f\r", position_);
    return next != std::string_view::npos && spec_[next] == ':';
}

void FormatParser::read_scalar(FormatItem& item, char code) {
    if (code == 'x' && item.axis_count == 0 && item.repeat == kNoCount && may_pad() &&
        !name_follows()) {
        return pad(item.size == kNoCount ? 1 : item.size, item.begin);
    }
    item.element = scalar(item, code);
    complete(item);
}

// 'Z' of ctypes (wchar_t*) has a prefix and no float behind it.
void FormatParser::read_complex(FormatItem& item) {
    const char part = position_ + 1 < spec_.size() ? spec_[position_ + 1] : '\0';
    if (part == 'f' || part == 'd' || part == 'g') {
        position_ += 2;
        return read_scalar(item, part == 'f' ? 'F' : part == 'd' ? 'D' : 'G');
    }
    const bool ends = part == '\0' || part == ':' || part == '}';
    if (order_ == '@' || !ends) fail(position_ + 1, "expected f, d or g after 'Z'");
    ++position_;
    read_scalar(item, 'Z');
}

void FormatParser::read_function(FormatItem& item) {
    const std::size_t begin = position_;
    if (spec_.substr(begin, 2) != "X{") fail(begin + 1, "expected '{' after 'X'");
    std::size_t open_braces = 0;
    do {
        ++position_;
        if (position_ == spec_.size())
            fail(position_, "missing '}' of the 'X{' at " + std::to_string(begin));
        if (spec_[position_] == '{') ++open_braces;
        if (spec_[position_] == '}') --open_braces;
    } while (open_braces != 0);
    ++position_;
    const std::string_view text = spec_.substr(begin, position_ - begin);
    const std::size_t invalid = find_invalid_utf8(text);
    if (invalid != std::string_view::npos) fail(begin + invalid, "not UTF-8");
    FormatNode* node = new_node(*scalar_node('P'), {}, text);
    node->kind = Kind::function;
    node->code = 'X';
    item.element = node;
    complete(item);
}

FormatName FormatParser::read_name() {
    std::size_t begin = position_;
    while (begin < spec_.size() && is_space(spec_[begin]))
        ++begin;
    if (begin == spec_.size() || spec_[begin] != ':') return {};
    ++begin;
    const std::size_t end = spec_.find(':', begin);
    if (end == std::string_view::npos) fail(spec_.size(), "missing ':' after a name");
    const std::string_view name = spec_.substr(begin, end - begin);
    if (name.size() > kMaxName) {
        fail(begin + kMaxName, "a name of " + std::to_string(name.size()) + " bytes, limit " +
                                   std::to_string(kMaxName));
    }
    const std::size_t invalid = find_invalid_utf8(name);
    if (invalid != std::string_view::npos) fail(begin + invalid, "a name that is not UTF-8");
    position_ = end + 1;
    return {name, true};
}

void FormatParser::open(FormatFrame::Type type, const FormatItem& item) {
    if (frames_.size() > kMaxDepth) {
        fail(position_, "nested deeper than " + std::to_string(kMaxDepth));
    }
    count_part(position_);
    FormatFrame frame;
    frame.type = type;
    frame.item = item;
    frame.first_field = drafts_.size();
    frames_.push_back(frame);
}

void FormatParser::close_record() {
    FormatFrame frame = frames_.back();
    if (frame.type == FormatFrame::Type::top) fail(position_, "'}' without 'T{'");
    if (frame.type == FormatFrame::Type::pointer) fail(position_, "'&' without an item");
    ++position_;
    flush_bits(frame);
    FormatItem item = frame.item;
    const std::int64_t end = frame.cursor;
    if (rules_.pad_records && is_aligned(order_)) align(frame, frame.alignment);
    item.tail = frame.cursor - end;
    frames_.pop_back();

    const char order = item.element_order;
    const std::string_view prefix(&order, order == '@' ? 0 : 1);
    FormatNode* node =
        record(frame, prefix, spec_.substr(item.element_begin, position_ - item.element_begin));
    make_small_type(node);
    item.element = node;
    item.layout_order = order_;  // as NumPy: the prefix at the closing brace decides
    complete(item);
}

FormatNode* FormatParser::finish() {
    const FormatFrame& open_frame = frames_.back();
    if (open_frame.type == FormatFrame::Type::pointer) fail(position_, "'&' without an item");
    if (open_frame.type == FormatFrame::Type::record) {
        fail(position_,
             "missing '}' of the 'T{' at " + std::to_string(open_frame.item.element_begin));
    }
    if (has_sole_) {
        const FormatNode* node = with_axes(sole_, true);
        if (node->immortal || node->text != spec_) return new_node(*node, {}, spec_);
        return const_cast<FormatNode*>(node);  // of root_, and nothing else refers to it
    }
    flush_bits(frames_.back());
    return record(frames_.back(), {}, spec_);
}

std::unique_ptr<FormatRoot> parse_format(std::string_view spec, const FormatRules& rules) {
    constexpr std::size_t kNodes = 2 * sizeof(ArenaNode);
    constexpr std::size_t kPerByte = 24;  // most formats fit into the first block
    constexpr std::size_t kMaxFirst = 4096;
    const std::size_t guess = kNodes + kPerByte * spec.size();
    auto root = std::make_unique<FormatRoot>(guess < kMaxFirst ? guess : kMaxFirst);
    root->node = FormatParser(spec, rules, root.get()).parse();
    return root;
}

namespace {

// Aligned but without a word of it (CPython below 3.12), and 'u' for wchar_t; null if neither fits.
std::unique_ptr<FormatRoot> parse_as_ctypes(std::string_view spec, std::int64_t itemsize,
                                            bool has_padding) {
    using Align = FormatRules::Align;
    const bool wide_u = sizeof(wchar_t) == 4 && spec.find('u') != std::string_view::npos;
    if (wide_u) {
        auto root = parse_format(spec, {Align::by_prefix, true, false, true});
        if (root->node->itemsize == itemsize) return root;
    }
    if (!has_padding) {
        auto root = parse_format(spec, {Align::always, true, false, wide_u});
        if (root->node->itemsize == itemsize) return root;
    }
    return nullptr;
}

}  // namespace

// Each rule adds padding to the one before it or takes some away, so two that give the same size
// mostly give the same offsets. Where they do not, the exporter that is known to write so wins.
std::unique_ptr<FormatRoot> parse_format_of_size(std::string_view spec, std::int64_t itemsize) {
    using Align = FormatRules::Align;
    const auto fits = [itemsize](const FormatRoot& root) {
        return root.node->itemsize == itemsize;
    };
    std::unique_ptr<FormatRoot> root = parse_format(spec, {});
    const std::int64_t natural_size = root->node->itemsize;
    if (root->has_explicit_tails) {
        auto numpy = parse_format(spec, {Align::by_prefix, true, true, false});
        if (fits(*numpy)) return numpy;
        if (!fits(*root)) root = std::move(numpy);
    }
    if (fits(*root)) return root;
    if (itemsize > natural_size) {
        if (auto ctypes = parse_as_ctypes(spec, itemsize, root->has_padding)) return ctypes;
    }
    if (root->has_implied_padding) {
        for (const Align align : {Align::by_prefix, Align::never}) {
            auto tighter = parse_format(spec, {align, false, false, false});
            if (fits(*tighter)) return tighter;
            if (root->node->itemsize > itemsize) root = std::move(tighter);
        }
    }
    // No text at all describes no item; braces around nothing are a record of padding.
    const bool says_nothing = natural_size == 0 && spec.find('{') == std::string_view::npos;
    if (root->node->kind == Kind::record && root->node->itemsize < itemsize && !says_nothing) {
        root->node->itemsize = itemsize;
        return root;
    }
    throw FormatError("format: itemsize " + std::to_string(itemsize) + " of " + quote(spec) +
                          ": its items take " + std::to_string(natural_size) + " bytes",
                      spec.size());
}

}  // namespace devview::detail
