// Makes the patterns of shuffles.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "checked.hpp"
#include "copy_task.hpp"

namespace devview::copy {
namespace {

constexpr int kLane = 16;

/// Where in the source each byte of a piece of 16 comes from.
using Bytes = std::int64_t[kLane];

/// Covers the bytes by as few windows as go one after the other; 0 if more than `most`.
int cover(const Bytes& bytes, bool downward, int most, std::int64_t* offsets,
          std::uint8_t (*masks)[kLane]) noexcept {
    bool done[kLane] = {};
    for (int window = 0; window <= most; ++window) {
        int first = -1;
        for (int k = 0; k < kLane; ++k) {
            const bool before =
                first >= 0 && (downward ? bytes[k] > bytes[first] : bytes[k] < bytes[first]);
            if (!done[k] && (first < 0 || before)) first = k;
        }
        if (first < 0) return window;
        if (window == most) return 0;
        // What is read beyond the bytes needed lies where later periods read.
        const std::int64_t from = downward ? bytes[first] - (kLane - 1) : bytes[first];
        offsets[window] = from;
        for (int k = 0; k < kLane; ++k) {
            const bool inside = !done[k] && bytes[k] >= from && bytes[k] < from + kLane;
            masks[window][k] = inside ? static_cast<std::uint8_t>(bytes[k] - from) : 0x80;
            done[k] = done[k] || inside;
        }
    }
    return 0;
}

/// Bytes from the first unit to unit `item`.
std::int64_t offset_of(const AxisRun& along, std::int64_t item) noexcept {
    std::int64_t offset = 0;
    for (int k = along.ndim - 1; k >= 0; --k) {
        const std::int64_t extent = k == 0 ? item + 1 : along.axes[k].extent;
        offset += item % extent * along.axes[k].src;
        item /= extent;
    }
    return offset;
}

}  // namespace

bool make_program(const AxisRun& along, std::int64_t unit, Program& program,
                  std::int64_t& items) noexcept {
    const Axis& repeated = along.axes[0];
    const std::int64_t block = along.extent / repeated.extent * unit;  // bytes of one repetition
    const std::int64_t period = std::lcm(block, static_cast<std::int64_t>(kLane));
    const std::int64_t repetitions = period / block;
    const std::int64_t phases = period / kLane;
    // Unit by unit: a load and a store each, two for units that are no power of two.
    const std::int64_t moves = (kLane + unit - 1) / unit * ((unit & (unit - 1)) == 0 ? 1 : 2);
    const auto most = static_cast<int>(std::min<std::int64_t>(moves, Program::kMost / phases));
    const auto step = checked::magnitude(repeated.src);
    if (repeated.src == 0 || step > 16 * kLane || most < 1 || along.extent < 2 * period / unit) {
        return false;
    }
    items = period / unit;
    program.phases = static_cast<int>(phases);
    program.windows = 1;
    program.advance = repetitions * repeated.src;
    std::int64_t offsets[Program::kMost];
    std::uint8_t masks[Program::kMost][kLane];
    int counts[kLane];
    if (phases > kLane) return false;
    for (int phase = 0; phase < program.phases; ++phase) {
        Bytes bytes;
        for (int k = 0; k < kLane; ++k) {
            const std::int64_t at = phase * kLane + k;
            bytes[k] = offset_of(along, at / unit) + at % unit;
        }
        counts[phase] =
            cover(bytes, repeated.src < 0, most, offsets + phase * most, masks + phase * most);
        if (counts[phase] == 0) return false;
        program.windows = std::max(program.windows, counts[phase]);
    }
    for (int phase = 0; phase < program.phases; ++phase) {
        for (int window = 0; window < program.windows; ++window) {
            const int to = phase * program.windows + window;
            const bool used = window < counts[phase];
            program.offsets[to] = offsets[phase * most + (used ? window : 0)];
            std::memset(program.masks[to], 0x80, kLane);
            if (used) std::memcpy(program.masks[to], masks[phase * most + window], kLane);
        }
    }
    return true;
}

}  // namespace devview::copy
