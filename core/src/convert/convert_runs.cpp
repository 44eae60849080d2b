// Puts the steps of a conversion of numbers together, and runs them block by block.
#include "src/convert/convert_runs.hpp"

#include <algorithm>

namespace devview::convert {
namespace {

bool is_wide(Number number) noexcept { return number <= Number::long_double; }

bool is_float(Number number) noexcept {
    return number == Number::float32 || number == Number::float64 || number == Number::long_double;
}

/// The type that numbers are converted to before they are encoded, so that they are rounded once.
Number before_encoding(const NumberType& to, Number from) noexcept {
    if (to.number == Number::small_float) {
        const bool exact = from <= Number::uint16 || from == Number::float32;
        return exact ? Number::float32 : Number::float64;
    }
    return is_float(from) ? Number::float64 : Number::uint8;
}

bool needs_sticky(Number from) noexcept {
    return from == Number::int64 || from == Number::uint64 || from == Number::long_double;
}

std::int64_t item_size(const NumberType& type) noexcept {
    return type.part_size * (type.is_complex ? 2 : 1);
}

bool is_turned(const NumberType& type) noexcept { return type.swapped && type.part_size > 1; }

bool is_integer(Number number) noexcept {
    return number >= Number::int8 && number <= Number::uint64;
}

/// True if equal bits are equal numbers of both: integers wrap.
bool same_bits(const NumberType& to, const NumberType& from) noexcept {
    if (to.number == from.number) return to.float_kind == from.float_kind;
    return is_integer(to.number) && is_integer(from.number) && to.part_size == from.part_size;
}

}  // namespace

NumberConversion::NumberConversion(const NumberType& to, const NumberType& from, cpu::Level level)
    : level_(level), dst_size_(item_size(to)), src_size_(item_size(from)) {
    const std::int64_t parts = from.is_complex ? 2 : 1;
    const bool same = same_bits(to, from) && to.is_complex == from.is_complex;
    const bool turned = same && is_turned(from) && is_turned(to);  // as good as neither
    if (is_turned(from) && !turned) add(turn_run(from.part_size, level), parts, src_size_);
    plan_real(to, from);
    if (!to.is_complex && from.is_complex) add(either, 1, dst_size_);
    if (is_turned(to) && !turned) {
        add(turn_run(to.part_size, level), to.is_complex ? 2 : 1, dst_size_);
    }
    std::int64_t largest = std::max(dst_size_, src_size_);
    for (int k = 0; k < count_; ++k)
        largest = std::max(largest, steps_[k].item_size);
    block_ = std::min(kBlockItems, kBlockBytes / largest);
}

void NumberConversion::add(Run step, std::int64_t parts, std::int64_t item_size,
                           const SmallFloat& small) {
    steps_[count_++] = {step, parts, item_size, small};
}

void NumberConversion::plan_real(const NumberType& to, const NumberType& from) {
    const std::int64_t parts = from.is_complex ? 2 : 1;
    const bool spreads = to.is_complex && !from.is_complex;
    if (!spreads && same_bits(to, from)) return;
    Number now = from.number;
    if (!is_wide(now)) {
        now = now == Number::small_float ? Number::float32
              : now == Number::int4      ? Number::int8
                                         : Number::uint8;
        add(decode_run(from, level_), parts, parts * size_of(now), small_float(from.float_kind));
    }
    if (spreads) {
        const Run spread = spread_run(to.number, now, level_);
        if (spread != nullptr) return add(spread, 1, dst_size_);
    }
    const bool encoded = !is_wide(to.number);
    const Number via = encoded ? before_encoding(to, now) : to.number;
    if (via != now) {
        const bool sticky = encoded && via == Number::float64 && needs_sticky(now);
        add(sticky ? sticky_run(now) : wide_run(via, now, level_), parts, parts * size_of(via));
    }
    if (encoded) {
        add(encode_run(to, via, level_), parts, parts * to.part_size, small_float(to.float_kind));
    }
    if (spreads) add(spread_run(to.number, to.number, level_), 1, dst_size_);
}

void NumberConversion::run(char* dst, const char* src, std::int64_t count) const noexcept {
    if (count_ == 1) {
        steps_[0].run(dst, src, count * steps_[0].parts, steps_[0].small);
    } else {
        for (std::int64_t at = 0; at < count; at += block_) {
            run_block(dst + at * dst_size_, src + at * src_size_, std::min(block_, count - at));
        }
    }
}

void NumberConversion::run_block(char* dst, const char* src, std::int64_t count) const noexcept {
    alignas(64) char between[2][kBlockBytes];
    for (int k = 0; k < count_; ++k) {
        char* const to = k + 1 == count_ ? dst : between[k % 2];
        steps_[k].run(to, src, count * steps_[k].parts, steps_[k].small);
        src = to;
    }
}

}  // namespace devview::convert
