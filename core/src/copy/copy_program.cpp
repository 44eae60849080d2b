// Makes the patterns of shuffles.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "src/checked.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr int kLane = 16;

/// Where in the source each byte of a piece of 16 comes from.
using Bytes = std::int64_t[kLane];

/// Which 16 bytes are read, at least and at most.
struct Readable {
    std::int64_t low;
    std::int64_t high;
};

/// Covers the bytes by as few windows as go one after the other; 0 if more than `most`. What a
/// window reads beyond the bytes needed lies above them, or below if `downward`, but within
/// `readable`.
int cover(const Bytes& bytes, bool downward, Readable readable, int most, std::int64_t* offsets,
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
        std::int64_t from = downward ? bytes[first] - (kLane - 1) : bytes[first];
        from = std::max(std::min(from, readable.high - kLane), readable.low);
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

/// Windows for each phase; `program` knows the phases and their places. False if one takes more
/// than `most`.
bool cover_phases(const AxisRun& along, std::int64_t unit, bool downward, Readable readable,
                  int most, Program& program) noexcept {
    std::int64_t offsets[Program::kMost];
    std::uint8_t masks[Program::kMost][kLane];
    int counts[Program::kMost];
    program.windows = 1;
    for (int phase = 0; phase < program.phases; ++phase) {
        Bytes bytes;
        for (int k = 0; k < kLane; ++k) {
            const std::int64_t at = program.places[phase] + k;
            bytes[k] = offset_of(along, at / unit) + at % unit;
        }
        counts[phase] =
            cover(bytes, downward, readable, most, offsets + phase * most, masks + phase * most);
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

/// Windows that cost as much as 16 bytes moved unit by unit: a load and a store each, two for odd
/// sizes.
int windows_for(std::int64_t unit) noexcept {
    const std::int64_t units = (kLane + unit - 1) / unit;
    return static_cast<int>((unit & (unit - 1)) == 0 ? (units + 2) / 3 : units);
}

}  // namespace

bool make_program(const AxisRun& along, std::int64_t unit, Program& program,
                  std::int64_t& items) noexcept {
    const Axis& repeated = along.axes[0];
    const std::int64_t block = along.extent / repeated.extent * unit;  // bytes of one repetition
    const std::int64_t period = std::lcm(block, static_cast<std::int64_t>(kLane));
    const std::int64_t phases = period / kLane;
    const auto step = checked::magnitude(repeated.src);
    if (phases > kLane || repeated.src == 0 || step > 16 * kLane) return false;
    if (along.extent < 4 * period / unit) return false;
    const auto most =
        static_cast<int>(std::min<std::int64_t>(windows_for(unit) + 1, Program::kMost / phases));
    items = period / unit;
    program.phases = static_cast<int>(phases);
    program.advance = period / block * repeated.src;
    for (int phase = 0; phase < program.phases; ++phase)
        program.places[phase] = phase * kLane;
    // Beyond what a period needs lies what later periods need.
    return cover_phases(along, unit, repeated.src < 0, {-checked::kMax, checked::kMax}, most,
                        program);
}

bool make_pattern(const AxisRun& along, std::int64_t unit, Program& program) noexcept {
    const std::int64_t nbytes = along.extent * unit;
    Readable readable{0, unit};
    for (int k = 0; k < along.ndim; ++k) {
        const std::int64_t reach = along.axes[k].src * (along.axes[k].extent - 1);
        (reach < 0 ? readable.low : readable.high) += reach;
    }
    const std::int64_t phases = (nbytes + kLane - 1) / kLane;
    if (nbytes < kLane || phases > kLane || readable.high - readable.low < kLane) return false;
    const auto most =
        static_cast<int>(std::min<std::int64_t>(windows_for(unit), Program::kMost / phases));
    program.phases = static_cast<int>(phases);
    program.advance = 0;
    for (int phase = 0; phase < program.phases; ++phase)
        program.places[phase] = std::min<std::int64_t>(phase * kLane, nbytes - kLane);
    return cover_phases(along, unit, false, readable, most, program);
}

void make_line_program(const Program& program, LineProgram& made) noexcept {
    constexpr int kPieces = kLine / kLane;
    made.lines = static_cast<int>(std::lcm(program.phases, kPieces)) / kPieces;
    made.windows = program.windows;
    made.periods = made.lines * kPieces / program.phases;
    made.advance = made.periods * program.advance;
    for (int piece = 0; piece < made.lines * kPieces; ++piece) {
        const int line = piece / kPieces;
        for (int window = 0; window < made.windows; ++window) {
            const int from = piece % program.phases * program.windows + window;
            const int to = (line * made.windows + window) * kPieces + piece % kPieces;
            made.offsets[to] = program.offsets[from] + piece / program.phases * program.advance;
            std::memcpy(made.masks[to], program.masks[from], kLane);
        }
    }
}

}  // namespace devview::copy
