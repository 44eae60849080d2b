// Squares of whole lines, transposed in the registers from where they leave past the caches: each
// line of either side is touched once. As copy_kernels_any.hpp, which it belongs to.
#pragma once

#include <algorithm>

#include "src/copy/copy_kernels_vector.hpp"

namespace devview::copy {
namespace {

using Lanes = VectorOf<std::uint64_t, kVectorBytes>;

/// The lanes of four vectors, transposed: the line of lane c has that lane of each of them. Its
/// vectors go to `to(c)` and behind it, by `put`.
template <typename Put, typename To>
inline void put_lanes(const Lanes (&from)[4], const Put& put, const To& to) noexcept {
#if defined(__AVX512BW__)
    // As a0 a2 b0 b2 and a1 a3 b1 b3.
    const Lanes even[2]{__builtin_shufflevector(from[0], from[1], 0, 1, 4, 5, 8, 9, 12, 13),
                        __builtin_shufflevector(from[2], from[3], 0, 1, 4, 5, 8, 9, 12, 13)};
    const Lanes odd[2]{__builtin_shufflevector(from[0], from[1], 2, 3, 6, 7, 10, 11, 14, 15),
                       __builtin_shufflevector(from[2], from[3], 2, 3, 6, 7, 10, 11, 14, 15)};
    put(to(0), __builtin_shufflevector(even[0], even[1], 0, 1, 4, 5, 8, 9, 12, 13));
    put(to(1), __builtin_shufflevector(odd[0], odd[1], 0, 1, 4, 5, 8, 9, 12, 13));
    put(to(2), __builtin_shufflevector(even[0], even[1], 2, 3, 6, 7, 10, 11, 14, 15));
    put(to(3), __builtin_shufflevector(odd[0], odd[1], 2, 3, 6, 7, 10, 11, 14, 15));
#elif defined(__AVX2__)
    put(to(0), __builtin_shufflevector(from[0], from[1], 0, 1, 4, 5));
    put(to(0) + 32, __builtin_shufflevector(from[2], from[3], 0, 1, 4, 5));
    put(to(1), __builtin_shufflevector(from[0], from[1], 2, 3, 6, 7));
    put(to(1) + 32, __builtin_shufflevector(from[2], from[3], 2, 3, 6, 7));
#else
    for (int k = 0; k < 4; ++k)
        put(to(0) + 16 * k, from[k]);
#endif
}

/// `kLines` lines of each of as many rows of the destination as a vector has items, from as many
/// rows of the source as these lines have items. Squares of items lie in the first cache until all
/// their lanes are there: what leaves past the caches comes from where nothing waits.
template <typename T, std::size_t kSide, int kLines>
class LineSquare {
public:
    static constexpr std::int64_t kColumns = kVectorBytes / 16 * kSide;
    static constexpr std::int64_t kFetches = kLines * kColumns;

    void load(const char* src, const std::int64_t* src_at) noexcept {
        for (auto& line : groups_) {
            for (Group& group : line) {
                group = load_group(src, src_at, Sides());
                src_at += kSide;
            }
        }
    }

    /// Calls fetch(n) between stores, `kFetches` times.
    template <typename Put, typename Fetch>
    void store(char* dst, const std::int64_t* dst_at, const Put& put,
               const Fetch& fetch) const noexcept {
        constexpr int kLanes = kVectorBytes / 16;
        std::int64_t fetched = 0;
        for (std::size_t k = 0; k < kSide; ++k) {
            char* to[kLanes];
            for (std::size_t lane = 0; lane < kLanes; ++lane)
                to[lane] = dst + dst_at[lane * kSide + k];
            for (int line = 0; line < kLines; ++line) {
                const auto& groups = groups_[line];
                put_lanes({reinterpret_cast<Lanes>(groups[0].rows[k]),
                           reinterpret_cast<Lanes>(groups[1].rows[k]),
                           reinterpret_cast<Lanes>(groups[2].rows[k]),
                           reinterpret_cast<Lanes>(groups[3].rows[k])},
                          put, [&](int lane) { return to[lane] + line * kLine; });
            }
            for (int n = 0; n < kLines * kLanes; ++n)
                fetch(fetched++);
        }
    }

private:
    using Group = Square<T, kVectorBytes, kSide>;
    using Sides = std::make_index_sequence<kSide>;

    template <std::size_t... k>
    static Group load_group(const char* src, const std::int64_t* src_at,
                            std::index_sequence<k...> /*k*/) noexcept {
        return Group{{load_vector<typename Group::V>(src + src_at[k])...}}
            .template transposed<kSide>();
    }

    Group groups_[static_cast<std::size_t>(kLines)][4];
};

/// Calls run(column, byte, part) for the squares of each line of columns, which begins at `byte`.
/// From the second on, lines of the source are read from their start in the first row; the squares
/// at either end are done together with some columns of their neighbours.
template <typename Part, std::int64_t kItem, typename Run>
inline void each_square(const char* src, const std::int64_t* src_at, std::int64_t columns,
                        const Run& run) noexcept {
    constexpr std::int64_t kItems = kLine / kItem;
    const auto start = reinterpret_cast<std::uintptr_t>(src + src_at[0]);
    const std::int64_t lead = static_cast<std::int64_t>(-start % kLine) / kItem;
    for (std::int64_t i = lead == 0 ? 0 : lead - kItems; i < columns; i += kItems) {
        for (std::int64_t k = 0; k < kItems && i + k < columns; k += Part::kColumns) {
            if (i + k + Part::kColumns <= 0) continue;
            const std::int64_t most = columns - Part::kColumns;
            run(std::clamp<std::int64_t>(i + k, 0, most), i * kItem, k / Part::kColumns);
        }
    }
}

/// How far ahead lines of the source are asked for, into the second cache: there are more rows than
/// the CPU follows by itself.
constexpr std::int64_t kFetched = 3 * kLine;

/// What is read after the last column: rows of the source, and bytes from the last column's end.
struct Following {
    const std::int64_t* src_at;
    std::int64_t bytes;
};

template <typename T, std::size_t kSide, int kLines>
inline void stream_rows(char* dst, const std::int64_t* dst_at, const char* src,
                        const std::int64_t* src_at, std::int64_t columns,
                        const Following& following) noexcept {
    constexpr std::int64_t kItem = 16 / kSide;
    using Part = LineSquare<T, kSide, kLines>;
    Part square;
    each_square<Part, kItem>(src, src_at, columns, [&](auto i, auto byte, auto part) {
        square.load(src + i * kItem, src_at);
        const bool beyond = byte + kFetched >= columns * kItem;
        const std::int64_t* const rows = beyond ? following.src_at : src_at;
        const std::int64_t* const next_at = rows + part * Part::kFetches;
        const char* const next = src + byte + kFetched + (beyond ? following.bytes : 0);
        square.store(dst, dst_at + i, PutVector<true>(),
                     [&](std::int64_t n) { __builtin_prefetch(next + next_at[n], 0, 2); });
    });
}

/// As many rows as a line has items, to where they stay in the caches.
template <typename T, std::size_t kSide>
inline void write_rows(char* dst, const std::int64_t* dst_at, const char* src,
                       const std::int64_t* src_at, std::int64_t columns) noexcept {
    constexpr std::int64_t kItem = 16 / kSide;
    using Part = LineSquare<T, kSide, 1>;
    Part square;
    each_square<Part, kItem>(src, src_at, columns, [&](auto i, auto /*byte*/, auto /*part*/) {
        square.load(src + i * kItem, src_at);
        square.store(dst, dst_at + i, PutVector<false>(), [](std::int64_t /*n*/) {});
    });
}

template <typename T, std::size_t kSide = 16 / sizeof(T)>
void stream_squares(char* dst, const std::int64_t* dst_at, const char* src,
                    const std::int64_t* src_at, std::int64_t columns, std::int64_t lines) noexcept {
    constexpr std::int64_t kItem = 16 / kSide;
    constexpr int kPair = kVectorBytes == 16 ? 1 : 2;  // lines that leave side by side
    constexpr std::int64_t kRows = kPair * kLine / kItem;
    const Following columns_after{src_at, 0};
    for (; lines >= kPair; lines -= kPair) {
        const Following rows_after{src_at + kRows, -columns * kItem};
        stream_rows<T, kSide, kPair>(dst, dst_at, src, src_at, columns,
                                     lines >= 2 * kPair ? rows_after : columns_after);
        dst += kPair * kLine;
        src_at += kRows;
    }
    if (lines > 0) stream_rows<T, kSide, 1>(dst, dst_at, src, src_at, columns, columns_after);
}

/// Rows of one line of columns each, made side by side in the first cache.
template <typename T, std::size_t kSide>
struct LineRows {
    static constexpr std::int64_t kItem = 16 / kSide;
    static constexpr std::int64_t kColumns = kLine / kItem;
    static constexpr std::int64_t kPitch = (kSideBySide + 1) * kLine;
    alignas(kLine) char made[static_cast<std::size_t>(kColumns * kPitch)];
    std::int64_t made_at[static_cast<std::size_t>(kColumns)];

    LineRows() noexcept {
        for (std::int64_t k = 0; k < kColumns; ++k)
            made_at[k] = k * kPitch;
    }

    void make(const char* src, const std::int64_t* src_at, std::int64_t lines) noexcept {
        using Part = LineSquare<T, kSide, 1>;
        Part square;
        for (std::int64_t g = 0; g < lines; ++g) {
            for (std::int64_t k = 0; k < kColumns; k += Part::kColumns) {
                square.load(src + k * kItem, src_at + g * kColumns);
                square.store(made + g * kLine, made_at + k, PutVector<false>(),
                             [](std::int64_t /*n*/) {});
            }
        }
    }
    void stream(char* dst, const std::int64_t* dst_at, const std::int64_t* skipped,
                std::int64_t lines) const noexcept {
        for (std::int64_t k = 0; k < kColumns; ++k) {
            char* const to = dst + dst_at[k] + skipped[k];
            const char* const from = made + made_at[k] + skipped[k];
            for (std::int64_t byte = 0; byte < lines * kLine; byte += kVectorBytes)
                stream_vector(to + byte, load_vector<Lanes>(from + byte));
        }
    }
};

template <typename T, std::size_t kSide = 16 / sizeof(T)>
void stream_shifted(char* dst, const std::int64_t* dst_at, const std::int64_t* skipped,
                    const char* src, const std::int64_t* src_at, std::int64_t columns,
                    std::int64_t lines) noexcept {
    using Rows = LineRows<T, kSide>;
    Rows rows;
    each_square<Rows, Rows::kItem>(src, src_at, columns, [&](auto i, auto byte, auto /*part*/) {
        for (std::int64_t k = 0; k < (lines + 1) * Rows::kColumns; ++k)
            __builtin_prefetch(src + byte + kFetched + src_at[k], 0, 2);
        rows.make(src + i * Rows::kItem, src_at, lines + 1);
        rows.stream(dst, dst_at + i, skipped + i, lines);
    });
}

}  // namespace
}  // namespace devview::copy
