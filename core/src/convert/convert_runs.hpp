// Conversions of dense, native runs of numbers, put together from a few steps; private to the core.
#pragma once

#include <cstdint>

#include "devview/number.hpp"
#include "src/machine/cpu_level.hpp"

namespace devview::convert {

/// Converts `count` numbers, dense and native on both sides; any alignment, no overlap.
using Run = void (*)(char* dst, const char* src, std::int64_t count, const SmallFloat& small);

using Runs = cpu::Levels<Run>;

/// A body's loop for every level.
template <typename Body>
using RunCompiled = cpu::Compiled<Body, char*, const char*, std::int64_t, const SmallFloat&>;

/// boolean ... long_double to each other.
Run wide_run(Number to, Number from, cpu::Level level) noexcept;
/// int64, uint64 and long double to a double that rounds to small numbers as they do.
Run sticky_run(Number from) noexcept;
/// small_float to float32, int4 to int8, uint4 to uint8.
Run decode_run(const NumberType& from, cpu::Level level) noexcept;
/// The way back, from `via`: float32 or float64 (small floats), float64 or uint8 (int4 and uint4).
Run encode_run(const NumberType& to, Number via, cpu::Level level) noexcept;
/// Halves alone: as decode_run() and encode_run().
Run decode_half_run(cpu::Level level) noexcept;
Run encode_half_run(Number via, cpu::Level level) noexcept;
/// To complex numbers of parts `to`: a part and a zero for each number; null: in two steps, by the
/// type of the parts.
Run spread_run(Number to, Number from, cpu::Level level) noexcept;
/// Numbers of 2, 4, 8 or a long double's bytes in the other byte order.
Run turn_run(std::int64_t size, cpu::Level level) noexcept;
/// Pairs of booleans to one: true if either is.
void either(char* dst, const char* src, std::int64_t count, const SmallFloat& small);

/// Bytes of a number of these types; of the others their NumberType knows.
std::int64_t size_of(Number number) noexcept;

/// The steps from one number type to another, byte orders among them.
class NumberConversion {
public:
    NumberConversion(const NumberType& to, const NumberType& from, cpu::Level level = cpu_kind());

    /// Converts `count` items; not an identity. Any alignment, no overlap.
    void run(char* dst, const char* src, std::int64_t count) const noexcept;

    std::int64_t dst_size() const noexcept { return dst_size_; }
    std::int64_t src_size() const noexcept { return src_size_; }
    /// True if all bits stay.
    bool identity() const noexcept { return count_ == 0; }

private:
    // Few items: the CPU reads the next block from memory while it converts this one.
    static constexpr std::int64_t kBlockItems = 256;
    static constexpr std::int64_t kBlockBytes = 8192;

    struct Step {
        Run run;
        std::int64_t parts;      ///< numbers per item
        std::int64_t item_size;  ///< bytes per item that it makes
        SmallFloat small;
    };
    void add(Run step, std::int64_t parts, std::int64_t item_size, const SmallFloat& small = {});
    void plan_real(const NumberType& to, const NumberType& from);
    void run_block(char* dst, const char* src, std::int64_t count) const noexcept;

    static constexpr int kMostSteps = 6;
    Step steps_[kMostSteps];
    int count_ = 0;
    cpu::Level level_;
    std::int64_t dst_size_;
    std::int64_t src_size_;
    std::int64_t block_;  ///< items that no step needs more than kBlockBytes for
};

}  // namespace devview::convert
