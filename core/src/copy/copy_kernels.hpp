// The inner loops of host copies, compiled once for each kind of CPU; private to the core.
#pragma once

#include <cstddef>
#include <cstdint>

namespace devview::copy {

/// Bytes of a cache line, the least that is streamed past the caches.
constexpr std::int64_t kLine = 64;

/// A pattern of bytes that repeats: one period makes `phases` pieces of a dense destination, each
/// the union of bytes picked from `windows` windows of the source, which are as long.
struct Program {
    static constexpr int kMostBytes = 1536;  // of masks
    static constexpr int kMost = kMostBytes / 16;
    static constexpr int kMostPhases = 16;
    int piece;  ///< bytes of a piece and of a window: 16, or 64
    int phases;
    int windows;
    std::int64_t places[kMostPhases];  ///< of each piece from the period's first byte
    std::int64_t advance;              ///< source bytes from one period to the next
    std::int64_t offsets[kMost];       ///< of each window from the period's first item
    std::uint64_t reads[kMost];        ///< which bytes of each window are picked
    /// Of each window, which of its bytes each byte of the piece is; 0x80: none.
    alignas(kLine) std::uint8_t masks[kMostBytes];

    std::uint8_t* mask(int window) noexcept { return masks + window * piece; }
    const std::uint8_t* mask(int window) const noexcept { return masks + window * piece; }
};

/// A program whose pieces lie as lines of the destination hold them: a round of periods makes
/// `lines` whole ones. Windows are those of a line's first piece, of its second, ...
struct LineProgram {
    static constexpr int kMostBytes = 4 * Program::kMostBytes;
    int piece;
    int lines;
    int windows;
    std::int64_t periods;                   ///< of a round
    std::int64_t advance;                   ///< source bytes from one round to the next
    std::int64_t offsets[kMostBytes / 16];  ///< [line][window][piece], from the round's first item
    alignas(kLine) std::uint8_t masks[kMostBytes];  ///< likewise
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
    int piece;  ///< bytes of the longest pieces of programs
    /// Null where the CPU has no shuffle of bytes. Windows are read whole. What comes `ahead` bytes
    /// later is asked for, unless 0.
    void (*run_program)(const Program& program, char* dst, const char* src, std::int64_t periods,
                        std::int64_t ahead) noexcept;
    /// As above, past the caches, rows that go on together, from src[i] to dst[i], which is aligned
    /// to a line. Only what lies ahead of src[0] is asked for. Null as above.
    void (*stream_program)(const LineProgram& program, char* const* dst, const char* const* src,
                           std::int64_t rows, std::int64_t rounds, std::int64_t ahead) noexcept;
    /// One period for each of `count` places: from src + src_at[k] to dst + k * nbytes. Windows of
    /// 64 bytes are read as far as they are needed. Null as above.
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
const Kernels* avx512vbmi_kernels() noexcept;

/// Those of cpu_kind().
const Kernels& kernels() noexcept;

}  // namespace devview::copy
