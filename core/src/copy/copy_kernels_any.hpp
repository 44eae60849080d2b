// The kernels' source for every kind of CPU. Each file that includes it is compiled for its own
// instructions, so all is in an unnamed namespace, and nothing inline of others is called: the
// linker would keep one copy of it for all CPUs.
#pragma once

#include <cstring>

#include "src/copy/copy_kernels.hpp"
#include "src/copy/copy_kernels_lines.hpp"
#include "src/copy/copy_kernels_vector.hpp"

namespace devview::copy {
namespace {

/// 16 / sizeof(T) columns of as many rows in each lane: a lane holds a square of its own, and each
/// round interleaves the square's two halves.
template <typename T, int kBytes>
inline void transpose_square(char* dst, const std::int64_t* dst_at, const char* src,
                             const std::int64_t* src_at) noexcept {
    constexpr std::size_t kSide = 16 / sizeof(T);
    Square<T, kBytes> square;
    square.load(src, src_at, std::make_index_sequence<kSide>());
    square = square.template transposed<kSide>();
    square.store(dst, dst_at, std::make_index_sequence<kSide>());
}

/// All columns of one group of rows. The last columns are done together with some before them.
template <typename T, int kBytes>
inline void transpose_rows(char* dst, const std::int64_t* dst_at, const char* src,
                           const std::int64_t* src_at, std::int64_t columns) noexcept {
    constexpr std::int64_t kSide = 16 / sizeof(T);
    constexpr std::int64_t kItem = sizeof(T);
    std::int64_t i = 0;
    for (; i + kSide <= columns; i += kSide)
        transpose_square<T, kBytes>(dst, dst_at + i, src + i * kItem, src_at);
    if (i == columns) return;
    i = columns - kSide;
    transpose_square<T, kBytes>(dst, dst_at + i, src + i * kItem, src_at);
}

template <typename T>
void transpose(char* dst, const std::int64_t* dst_at, const char* src, const std::int64_t* src_at,
               std::int64_t rows, std::int64_t columns) noexcept {
    constexpr std::int64_t kSide = 16 / sizeof(T);
    constexpr std::int64_t kWide = kVectorBytes / sizeof(T);
    constexpr std::int64_t kItem = sizeof(T);
    std::int64_t j = 0;
    for (; j + kWide <= rows; j += kWide)
        transpose_rows<T, kVectorBytes>(dst + j * kItem, dst_at, src, src_at + j, columns);
    if (rows - j > kSide && rows >= kWide) {
        // Some rows again cost less than narrow vectors.
        j = rows - kWide;
        return transpose_rows<T, kVectorBytes>(dst + j * kItem, dst_at, src, src_at + j, columns);
    }
    for (; j + kSide <= rows; j += kSide)
        transpose_rows<T, 16>(dst + j * kItem, dst_at, src, src_at + j, columns);
    if (j == rows) return;
    j = rows - kSide;
    transpose_rows<T, 16>(dst + j * kItem, dst_at, src, src_at + j, columns);
}

/// Items that fill a lane: nothing is shuffled.
inline void transpose_lanes(char* dst, const std::int64_t* dst_at, const char* src,
                            const std::int64_t* src_at, std::int64_t rows,
                            std::int64_t columns) noexcept {
    using V = VectorOf<std::uint64_t, 16>;
    std::int64_t j = 0;
    for (; j + 4 <= rows; j += 4) {
        const char* const a = src + src_at[j];
        const char* const b = src + src_at[j + 1];
        const char* const c = src + src_at[j + 2];
        const char* const d = src + src_at[j + 3];
        for (std::int64_t i = 0; i < columns; ++i) {
            char* const to = dst + dst_at[i] + j * 16;
            store_vector(to, load_vector<V>(a + i * 16));
            store_vector(to + 16, load_vector<V>(b + i * 16));
            store_vector(to + 32, load_vector<V>(c + i * 16));
            store_vector(to + 48, load_vector<V>(d + i * 16));
        }
    }
    for (; j < rows; ++j) {
        for (std::int64_t i = 0; i < columns; ++i)
            store_vector(dst + dst_at[i] + j * 16, load_vector<V>(src + src_at[j] + i * 16));
    }
}

/// As transpose(); lines of the source are read whole, those of one column of them after another,
/// and so are lines of the destination written where its rows begin alike.
template <typename T, Transpose kRest, std::size_t kSide = 16 / sizeof(T)>
void transpose_lines(char* dst, const std::int64_t* dst_at, const char* src,
                     const std::int64_t* src_at, std::int64_t rows, std::int64_t columns) noexcept {
    constexpr std::int64_t kItem = 16 / kSide;
    constexpr std::int64_t kItems = kLine / kItem;
    constexpr auto kLeast = static_cast<std::int64_t>(kSide);
    std::int64_t j = 0;
    const bool alike = columns > 1 && (dst_at[1] - dst_at[0]) % kLine == 0;
    if (alike && rows >= 4 * kItems) {  // else the rows before the first line are too many
        const auto start = reinterpret_cast<std::uintptr_t>(dst + dst_at[0]);
        j = static_cast<std::int64_t>(-start % kLine) / kItem;
        if (j > 0) kRest(dst, dst_at, src, src_at, j < kLeast ? kLeast : j, columns);
    }
    for (; columns >= kItems && j + kItems <= rows; j += kItems)
        write_rows<T, kSide>(dst + j * kItem, dst_at, src, src_at + j, columns);
    if (j == rows) return;
    j = rows - j < kLeast ? rows - kLeast : j;
    kRest(dst + j * kItem, dst_at, src, src_at + j, rows - j, columns);
}

inline void stream(char* dst, const char* src, std::int64_t nbytes) noexcept {
    using V = VectorOf<std::uint64_t, kVectorBytes>;
    for (std::int64_t k = 0; k < nbytes; k += kVectorBytes)
        stream_vector(dst + k, load_vector<V>(src + k));
}

inline void fence() noexcept {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

/// The last vector of a row overlaps the one before it.
inline void gather_rows(char* dst, std::int64_t pitch, const char* src, const std::int64_t* src_at,
                        std::int64_t nbytes, std::int64_t count) noexcept {
    using Wide = VectorOf<std::uint64_t, (kVectorBytes > 32 ? 32 : kVectorBytes)>;
    using Lane = VectorOf<std::uint64_t, 16>;
    constexpr std::int64_t kWide = sizeof(Wide);
    for (std::int64_t k = 0; k < count; ++k, dst += pitch) {
        const char* const from = src + src_at[k];
        std::int64_t at = 0;
        for (; at + kWide <= nbytes; at += kWide)
            store_vector(dst + at, load_vector<Wide>(from + at));
        if (at + 16 <= nbytes) {
            store_vector(dst + at, load_vector<Lane>(from + at));
            at += 16;
        }
        if (at < nbytes) {
            store_vector(dst + nbytes - 16, load_vector<Lane>(from + nbytes - 16));
        }
    }
}

}  // namespace
}  // namespace devview::copy

#include "src/copy/copy_kernels_rows.hpp"
#include "src/copy/copy_kernels_shuffles.hpp"

namespace devview::copy {
namespace {

constexpr Kernels make_kernels(const char* name) noexcept {
    Kernels kernels{};
    kernels.name = name;
    kernels.piece = kShuffledBytes;
    kernels.transpose[0] = transpose<std::uint8_t>;
    kernels.transpose[1] = transpose<std::uint16_t>;
    kernels.transpose[2] = transpose<std::uint32_t>;
    kernels.transpose[3] = transpose<std::uint64_t>;
    kernels.transpose[4] = transpose_lanes;
    kernels.transpose_lines[0] = transpose_lines<std::uint8_t, transpose<std::uint8_t>>;
    kernels.stream_squares[0] = stream_squares<std::uint8_t>;
    kernels.stream_shifted[0] = stream_shifted<std::uint8_t>;
    kernels.transpose_lines[1] = transpose_lines<std::uint16_t, transpose<std::uint16_t>>;
    kernels.stream_squares[1] = stream_squares<std::uint16_t>;
    kernels.stream_shifted[1] = stream_shifted<std::uint16_t>;
    kernels.transpose_lines[2] = transpose_lines<std::uint32_t, transpose<std::uint32_t>>;
    kernels.stream_squares[2] = stream_squares<std::uint32_t>;
    kernels.stream_shifted[2] = stream_shifted<std::uint32_t>;
    kernels.transpose_lines[3] = transpose_lines<std::uint64_t, transpose<std::uint64_t>>;
    kernels.stream_squares[3] = stream_squares<std::uint64_t>;
    kernels.stream_shifted[3] = stream_shifted<std::uint64_t>;
    kernels.transpose_lines[4] = transpose_lines<std::uint64_t, transpose_lanes, 1>;
    kernels.stream_squares[4] = stream_squares<std::uint64_t, 1>;
    kernels.stream_shifted[4] = stream_shifted<std::uint64_t, 1>;
    kernels.run_rows[0] = run_rows<std::uint8_t, 1>;
    kernels.run_rows[1] = run_rows<std::uint16_t, 1>;
    kernels.run_rows[2] = run_rows<std::uint32_t, 1>;
    kernels.run_rows[3] = run_rows<std::uint64_t, 1>;
    kernels.run_rows[4] = run_rows<std::uint64_t, 2>;
#if defined(__AVX2__)
    kernels.run_program = run_program;
    kernels.stream_program = stream_program;
    kernels.run_pattern = run_pattern;
#endif
    kernels.stream = stream;
    kernels.gather_rows = gather_rows;
    kernels.fence = fence;
    return kernels;
}

}  // namespace
}  // namespace devview::copy
