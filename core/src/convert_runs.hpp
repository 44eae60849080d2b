// Conversions of dense, native runs of numbers, put together from a few steps; private to the core.
#pragma once

#include <cstdint>

#include "devview/number.hpp"

namespace devview::convert {

/// Converts `count` numbers, dense and native on both sides; any alignment, no overlap.
using Run = void (*)(char* dst, const char* src, std::int64_t count, const SmallFloat& small);

/// boolean ... long_double to each other.
Run wide_run(Number to, Number from) noexcept;
/// int64, uint64 and long double to a double that rounds to small numbers as they do.
Run sticky_run(Number from) noexcept;
/// small_float to float32, int4 to int8, uint4 to uint8.
Run decode_run(const NumberType& from) noexcept;
/// The way back, from `via`: float32 or float64 (small floats), float64 or uint8 (int4 and uint4).
Run encode_run(const NumberType& to, Number via) noexcept;
/// A real part and a zero for each number of 4, 8 or more bytes.
Run spread_run(std::int64_t part_size) noexcept;
/// Pairs of booleans to one: true if either is.
void either(char* dst, const char* src, std::int64_t count, const SmallFloat& small);

/// Bytes of a number of these types; of the others their NumberType knows.
std::int64_t size_of(Number number) noexcept;

/// The steps from one number type to another, without byte orders.
class NumberConversion {
public:
    NumberConversion(const NumberType& to, const NumberType& from);

    /// Converts `count` items. Any alignment, no overlap.
    void run(char* dst, const char* src, std::int64_t count) const noexcept;

    std::int64_t dst_size() const noexcept { return dst_size_; }
    std::int64_t src_size() const noexcept { return src_size_; }
    /// Bytes that are reversed on each side, 0: none.
    std::int64_t dst_swap() const noexcept { return dst_swap_; }
    std::int64_t src_swap() const noexcept { return src_swap_; }
    /// True if only places and byte orders differ.
    bool identity() const noexcept { return count_ == 0; }
    /// The items of a block: none of its steps needs more than kBlockBytes.
    std::int64_t block() const noexcept { return block_; }

    static constexpr std::int64_t kBlockBytes = 8192;

private:
    struct Step {
        Run run;
        std::int64_t parts;      ///< numbers per item
        std::int64_t item_size;  ///< bytes per item that it makes
        SmallFloat small;
    };
    void add(Run step, std::int64_t parts, std::int64_t item_size, const SmallFloat& small = {});
    void plan_real(const NumberType& to, const NumberType& from, std::int64_t parts);
    void run_block(char* dst, const char* src, std::int64_t count) const noexcept;

    static constexpr int kMostSteps = 4;
    Step steps_[kMostSteps];
    int count_ = 0;
    std::int64_t dst_size_;
    std::int64_t src_size_;
    std::int64_t dst_swap_;
    std::int64_t src_swap_;
    std::int64_t block_;
};

}  // namespace devview::convert
