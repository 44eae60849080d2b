// Makes the patterns of shuffles.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "src/checked.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr int kLongest = 64;  // piece
constexpr std::uint8_t kNone = 0x80;

/// Where in the source each byte of a piece comes from.
struct Bytes {
    std::int64_t at[kLongest];
    int count;
};

/// Which bytes windows may hold.
struct Readable {
    std::int64_t low;
    std::int64_t high;
};

/// The windows of one piece.
struct Windows {
    int count = 0;
    std::int64_t offsets[Program::kMost];
    std::uint64_t reads[Program::kMost];
    std::uint8_t masks[Program::kMost][kLongest];
};

/// Covers the bytes by as few windows of `piece` bytes as go one after the other; false if more
/// than `most`. What a window holds beyond the bytes needed lies above them, or below if
/// `downward`, but within `readable`.
bool cover(const Bytes& bytes, int piece, bool downward, Readable readable, int most,
           Windows& windows) noexcept {
    int left[kLongest];
    int count = bytes.count;
    for (int k = 0; k < count; ++k)
        left[k] = k;
    for (windows.count = 0; count > 0; ++windows.count) {
        if (windows.count == most) return false;
        std::int64_t from = bytes.at[left[0]];
        for (int k = 1; k < count; ++k) {
            const std::int64_t at = bytes.at[left[k]];
            from = downward ? std::max(from, at) : std::min(from, at);
        }
        if (downward) from -= piece - 1;
        from = std::max(std::min(from, readable.high - piece), readable.low);
        std::uint8_t* const mask = windows.masks[windows.count];
        std::memset(mask, kNone, kLongest);
        std::uint64_t reads = 0;
        int missing = 0;
        for (int k = 0; k < count; ++k) {
            const std::int64_t at = bytes.at[left[k]] - from;
            if (at >= 0 && at < piece) {
                mask[left[k]] = static_cast<std::uint8_t>(at);
                reads |= std::uint64_t{1} << at;
            } else {
                left[missing++] = left[k];
            }
        }
        windows.offsets[windows.count] = from;
        windows.reads[windows.count] = reads;
        count = missing;
    }
    return true;
}

/// Where bytes [first, first + count) of what `along` makes come from.
Bytes find_bytes(const AxisRun& along, std::int64_t unit, std::int64_t first, int count) noexcept {
    Bytes bytes;
    bytes.count = count;
    std::int64_t units[kLongest + 1];
    const std::int64_t start = first / unit;
    find_offsets(along, &Axis::src, start, (first + count - 1) / unit - start + 1, units);
    std::int64_t within = first % unit;
    for (int k = 0, item = 0; k < count; ++k) {
        bytes.at[k] = units[item] + within;
        if (++within == unit) within = 0, ++item;
    }
    return bytes;
}

/// Windows for each phase; `program` knows the phases and their places. False if one takes more
/// than `most`.
bool cover_phases(const AxisRun& along, std::int64_t unit, std::int64_t nbytes, bool downward,
                  Readable readable, int most, Program& program) noexcept {
    Windows windows;
    int counts[Program::kMostPhases];
    int widest = 1;
    for (int phase = 0; phase < program.phases; ++phase) {
        const std::int64_t first = program.places[phase];
        const auto count = static_cast<int>(std::min<std::int64_t>(program.piece, nbytes - first));
        if (!cover(find_bytes(along, unit, first, count), program.piece, downward, readable, most,
                   windows)) {
            return false;
        }
        counts[phase] = windows.count;
        widest = std::max(widest, windows.count);
        for (int window = 0; window < windows.count; ++window) {
            const int to = phase * most + window;
            program.offsets[to] = windows.offsets[window];
            program.reads[to] = windows.reads[window];
            std::memcpy(program.mask(to), windows.masks[window],
                        static_cast<std::size_t>(program.piece));
        }
    }
    // Those that a phase lacks read what another one reads, and pick nothing.
    for (int phase = 0; phase < program.phases; ++phase) {
        for (int window = 0; window < widest; ++window) {
            const int to = phase * widest + window;
            const int from = phase * most + (window < counts[phase] ? window : 0);
            program.offsets[to] = program.offsets[from];
            program.reads[to] = program.reads[from];
            std::memmove(program.mask(to), program.mask(from),
                         static_cast<std::size_t>(program.piece));
            if (window >= counts[phase])
                std::memset(program.mask(to), kNone, static_cast<std::size_t>(program.piece));
        }
    }
    program.windows = widest;
    return true;
}

/// Windows that cost as much as a piece moved unit by unit: a load and a store each, two for odd
/// sizes. Long windows cost more.
int windows_for(std::int64_t unit, int piece) noexcept {
    const std::int64_t units = (piece + unit - 1) / unit;
    const bool odd = (unit & (unit - 1)) != 0;
    const std::int64_t each = piece == 16 ? (odd ? 1 : 3) : (odd ? 3 : 4);
    return static_cast<int>(std::min<std::int64_t>((units + each - 1) / each, 8));
}

int most_windows(const Program& program, int wanted) noexcept {
    return std::min(wanted, Program::kMostBytes / program.piece / program.phases);
}

}  // namespace

bool make_program(const AxisRun& along, std::int64_t unit, int piece, Program& program,
                  std::int64_t& items) noexcept {
    const Axis& repeated = along.axes[0];
    const std::int64_t block = along.extent / repeated.extent * unit;  // bytes of one repetition
    const std::int64_t period = std::lcm(block, static_cast<std::int64_t>(piece));
    const std::int64_t phases = period / piece;
    const auto step = checked::magnitude(repeated.src);
    if (phases > Program::kMostPhases || repeated.src == 0) return false;
    if (step > 16 * static_cast<std::uint64_t>(piece)) return false;
    if (along.extent < 4 * period / unit) return false;
    items = period / unit;
    program.piece = piece;
    program.phases = static_cast<int>(phases);
    program.advance = period / block * repeated.src;
    for (int phase = 0; phase < program.phases; ++phase)
        program.places[phase] = phase * piece;
    // Beyond what a period needs lies what later periods need.
    const int extra = piece == 16 ? 1 : 0;
    return cover_phases(along, unit, period, repeated.src < 0, {-checked::kMax, checked::kMax},
                        most_windows(program, windows_for(unit, piece) + extra), program);
}

bool make_pattern(const AxisRun& along, std::int64_t unit, int piece, Program& program) noexcept {
    const std::int64_t nbytes = along.extent * unit;
    // Long windows are read no further than they are needed.
    Readable readable{-checked::kMax, checked::kMax};
    if (piece == 16) {
        readable = {0, unit};
        for (int k = 0; k < along.ndim; ++k) {
            const std::int64_t reach = along.axes[k].src * (along.axes[k].extent - 1);
            (reach < 0 ? readable.low : readable.high) += reach;
        }
        if (nbytes < piece || readable.high - readable.low < piece) return false;
    }
    const std::int64_t phases = (nbytes + piece - 1) / piece;
    if (phases > Program::kMostPhases) return false;
    program.piece = piece;
    program.phases = static_cast<int>(phases);
    program.advance = 0;
    for (int phase = 0; phase < program.phases; ++phase) {
        program.places[phase] =
            std::max<std::int64_t>(std::min<std::int64_t>(phase * piece, nbytes - piece), 0);
    }
    return cover_phases(along, unit, nbytes, false, readable,
                        most_windows(program, windows_for(unit, piece)), program);
}

void make_line_program(const Program& program, LineProgram& made) noexcept {
    const int pieces = static_cast<int>(kLine) / program.piece;  // of a line
    made.piece = program.piece;
    made.lines = std::lcm(program.phases, pieces) / pieces;
    made.windows = program.windows;
    made.periods = made.lines * pieces / program.phases;
    made.advance = made.periods * program.advance;
    for (int piece = 0; piece < made.lines * pieces; ++piece) {
        for (int window = 0; window < made.windows; ++window) {
            const int from = piece % program.phases * program.windows + window;
            const int to = (piece / pieces * made.windows + window) * pieces + piece % pieces;
            made.offsets[to] = program.offsets[from] + piece / program.phases * program.advance;
            std::memcpy(made.masks + to * program.piece, program.mask(from),
                        static_cast<std::size_t>(program.piece));
        }
    }
}

}  // namespace devview::copy
