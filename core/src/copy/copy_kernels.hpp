// The inner loops of host copies, compiled once for each kind of CPU; private to the core.
#pragma once

#include <cstddef>
#include <cstdint>

namespace devview::copy {

/// Bytes of a cache line, the least that is streamed past the caches.
constexpr std::int64_t kLine = 64;

/// A pattern of bytes that repeats: one period makes `phases` pieces of 16 bytes of a dense
/// destination, each the union of bytes picked from `windows` 16-byte windows of the source.
struct Program {
    static constexpr int kMost = 96;   // phases * windows
    static constexpr int kAlign = 32;  // of a destination that is streamed
    int phases;
    int windows;
    std::int64_t places[kMost];                 ///< of each piece from the period's first byte
    std::int64_t advance;                       ///< source bytes from one period to the next
    std::int64_t offsets[kMost];                ///< of each window from the period's first item
    alignas(16) std::uint8_t masks[kMost][16];  ///< as pshufb takes them: 0x80 picks nothing
};

/// Rows `j` of the source, at src + src_at[j], are dense in `i`; rows `i` of the destination, at
/// dst + dst_at[i], are dense in `j`. Both extents must be at least 16 / (bytes of an item).
using Transpose = void (*)(char* dst, const std::int64_t* dst_at, const char* src,
                           const std::int64_t* src_at, std::int64_t rows,
                           std::int64_t columns) noexcept;

/// As above, past the caches: `lines` lines of each row of the destination, which are aligned, from
/// kLine / (bytes of an item) times as many rows of the source. Columns must fill a line.
using StreamSquares = void (*)(char* dst, const std::int64_t* dst_at, const char* src,
                               const std::int64_t* src_at, std::int64_t columns,
                               std::int64_t lines) noexcept;

/// As above, of rows whose lines begin anywhere: `lines` lines of each row, from skipped[i] bytes
/// behind dst + dst_at[i] on, where the first begins. kept + i * kLine has what comes before the
/// rows of the source, one line of it; then the last line of them.
using StreamShifted = void (*)(char* dst, const std::int64_t* dst_at, const std::int64_t* skipped,
                               char* kept, const char* src, const std::int64_t* src_at,
                               std::int64_t columns, std::int64_t lines) noexcept;

/// Most lines of one row that leave past the caches before those of others do: what lies near them
/// stays at hand.
constexpr std::int64_t kMostLines = 8;

/// Rows of units, dense in the destination, that go on by `step` units of the source (-2 to 2; 0: a
/// row is one unit, repeated).
struct RowPlane {
    char* dst;
    std::int64_t dst_pitch;
    const char* src;
    std::int64_t src_pitch;
    std::int64_t step;
    std::int64_t extent;  ///< units of a row, 1 or more
    std::int64_t rows;
    /// Bytes of the source from a row to a later one that is asked for in advance, 0: none.
    std::int64_t following;
    /// Not 0: rows so long that `ahead` bytes of them are enough, and only the end asks for the
    /// beginning of a later one.
    std::int64_t ahead;
    bool streams;  ///< past the caches; rows of a line at least, whose units are aligned
};

struct Kernels {
    const char* name;
    Transpose transpose[5];  ///< of items of 1, 2, 4, 8, 16 bytes
    /// The same where rows of the source fall into few sets of the caches.
    Transpose transpose_lines[5];
    StreamSquares stream_squares[5];
    StreamShifted stream_shifted[5];
    void (*run_rows[5])(const RowPlane& plane) noexcept;  ///< of units of as many bytes
    /// Null where the CPU has no shuffle of bytes. Windows are read whole. What comes `ahead` bytes
    /// later is asked for, unless 0. `streams`: past the caches; dst is aligned to Program::kAlign.
    void (*run_program)(const Program& program, char* dst, const char* src, std::int64_t periods,
                        std::int64_t ahead, bool streams) noexcept;
    /// One period for each of `count` places: from src + src_at[k] to dst + k * nbytes. Null as
    /// above.
    void (*run_pattern)(const Program& program, char* dst, std::int64_t nbytes, const char* src,
                        const std::int64_t* src_at, std::int64_t count) noexcept;
    /// Whole lines past the caches; dst is aligned to a line. An sfence follows before the copy
    /// ends.
    void (*stream)(char* dst, const char* src, std::int64_t nbytes) noexcept;
    /// Row k of `nbytes` (16 or more) from src + src_at[k] to dst + k * pitch.
    void (*gather_rows)(char* dst, std::int64_t pitch, const char* src, const std::int64_t* src_at,
                        std::int64_t nbytes, std::int64_t count) noexcept;
    void (*fence)() noexcept;
};

/// Null where the build has no such kernels.
const Kernels* portable_kernels() noexcept;
const Kernels* avx2_kernels() noexcept;
const Kernels* avx512_kernels() noexcept;

/// Those of cpu_kind().
const Kernels& kernels() noexcept;

}  // namespace devview::copy
