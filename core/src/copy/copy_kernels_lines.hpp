// Squares of whole lines, transposed in the registers from where they leave past the caches: each
// line of either side is touched once. As copy_kernels_any.hpp, which it belongs to.
#pragma once

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

/// A vector, or its halves from two rows that are `apart` places apart.
template <typename T, int kLines>
inline VectorOf<T, kVectorBytes> load_pieces(const char* src, const std::int64_t* src_at,
                                             [[maybe_unused]] std::int64_t apart) noexcept {
#if defined(__AVX512BW__)
    if constexpr (kLines == 2) {
        return join(load_vector<VectorOf<T, 32>>(src + src_at[0]),
                    load_vector<VectorOf<T, 32>>(src + src_at[apart]),
                    std::make_index_sequence<64 / sizeof(T)>());
    }
#endif
    return load_vector<VectorOf<T, kVectorBytes>>(src + src_at[0]);
}

/// `kLines` lines of each of as many columns as lanes times `kSide` make, from as many rows as
/// these lines have items.
template <typename T, std::size_t kSide, int kLines>
struct LineSquare {
    using Group = Square<T, kVectorBytes, kSide>;
    using Sides = std::make_index_sequence<kSide>;
    static constexpr std::int64_t kColumns = kVectorBytes / 16 * kSide / kLines;

    template <std::size_t... k>
    static Group load(const char* src, const std::int64_t* src_at,
                      std::index_sequence<k...> /*k*/) noexcept {
        return Group{{load_pieces<T, kLines>(src, src_at + k, 4 * kSide)...}}
            .template transposed<kSide>();
    }
    template <typename Put, std::size_t... k>
    static void store(char* dst, const std::int64_t* dst_at, const Group (&groups)[4],
                      const Put& put, std::index_sequence<k...> /*k*/) noexcept {
        constexpr int kOfLine = kVectorBytes / 16 / kLines;  // lanes
        (put_lanes({reinterpret_cast<Lanes>(groups[0].rows[k]),
                    reinterpret_cast<Lanes>(groups[1].rows[k]),
                    reinterpret_cast<Lanes>(groups[2].rows[k]),
                    reinterpret_cast<Lanes>(groups[3].rows[k])},
                   put,
                   [&](int lane) {
                       const auto column = static_cast<std::size_t>(lane % kOfLine) * kSide + k;
                       return dst + dst_at[column] + lane / kOfLine * kLine;
                   }),
         ...);
    }
    template <typename Put>
    static void run(char* dst, const std::int64_t* dst_at, const char* src,
                    const std::int64_t* src_at, const Put& put) noexcept {
        const Group groups[4]{load(src, src_at, Sides()), load(src, src_at + kSide, Sides()),
                              load(src, src_at + 2 * kSide, Sides()),
                              load(src, src_at + 3 * kSide, Sides())};
        store(dst, dst_at, groups, put, Sides());
    }
};

/// Asks for the lines that follow those at `src`, into the second cache: these are more rows than
/// the CPU follows by itself.
inline void fetch_lines(const char* src, const std::int64_t* src_at, std::int64_t rows) noexcept {
    constexpr std::int64_t kAhead = 2 * kLine;
    for (std::int64_t k = 0; k < rows; ++k)
        __builtin_prefetch(src + src_at[k] + kAhead, 0, 2);
}

/// Calls run(first) for the squares of a row of them. From the second on, lines of the source are
/// read from their start in the first row; the squares at either end are done together with some
/// columns of their neighbours.
template <typename Part, std::int64_t kItem, typename Fetch, typename Run>
inline void each_square(const char* src, const std::int64_t* src_at, std::int64_t columns,
                        const Fetch& fetch, const Run& run) noexcept {
    constexpr std::int64_t kItems = kLine / kItem;
    const auto start = reinterpret_cast<std::uintptr_t>(src + src_at[0]);
    const std::int64_t lead = static_cast<std::int64_t>(-start % kLine) / kItem;
    for (std::int64_t i = lead == 0 ? 0 : lead - kItems; i < columns; i += kItems) {
        if (i >= 0) fetch(src + i * kItem);
        for (std::int64_t k = i; k < i + kItems && k < columns; k += Part::kColumns) {
            const std::int64_t most = columns - Part::kColumns;
            run(k < 0 ? 0 : k < most ? k : most);
        }
    }
}

template <typename T, std::size_t kSide, int kLines>
inline void stream_rows(char* dst, const std::int64_t* dst_at, const char* src,
                        const std::int64_t* src_at, std::int64_t columns) noexcept {
    using Part = LineSquare<T, kSide, kLines>;
    constexpr std::int64_t kItem = 16 / kSide;
    each_square<Part, kItem>(
        src, src_at, columns,
        [&](const char* from) { fetch_lines(from, src_at, kLines * kLine / kItem); },
        [&](std::int64_t i) {
            Part::run(dst, dst_at + i, src + i * kItem, src_at, PutVector<true>());
        });
}

/// As many rows as a line has items, to where they stay in the caches.
template <typename T, std::size_t kSide>
inline void write_rows(char* dst, const std::int64_t* dst_at, const char* src,
                       const std::int64_t* src_at, std::int64_t columns) noexcept {
    using Part = LineSquare<T, kSide, 1>;
    constexpr std::int64_t kItem = 16 / kSide;
    each_square<Part, kItem>(
        src, src_at, columns, [](const char* /*from*/) {},
        [&](std::int64_t i) {
            Part::run(dst, dst_at + i, src + i * kItem, src_at, PutVector<false>());
        });
}

template <typename T, std::size_t kSide = 16 / sizeof(T)>
void stream_squares(char* dst, const std::int64_t* dst_at, const char* src,
                    const std::int64_t* src_at, std::int64_t columns, std::int64_t lines) noexcept {
    constexpr int kMostLines = kVectorBytes == 64 ? 2 : 1;
    constexpr std::int64_t kItems = 4 * kSide;
    for (std::int64_t k = 0; k < lines; k += kMostLines) {
        if (kMostLines == 1 || k + 1 == lines) {
            stream_rows<T, kSide, 1>(dst, dst_at, src, src_at, columns);
        } else {
            stream_rows<T, kSide, kMostLines>(dst, dst_at, src, src_at, columns);
        }
        dst += kMostLines * kLine;
        src_at += kMostLines * kItems;
    }
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
        for (std::int64_t g = 0; g < lines; ++g) {
            for (std::int64_t k = 0; k < kColumns; k += Part::kColumns) {
                Part::run(made + g * kLine, made_at + k, src + k * kItem, src_at + g * kColumns,
                          PutVector<false>());
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
    each_square<Rows, Rows::kItem>(
        src, src_at, columns,
        [&](const char* from) { fetch_lines(from, src_at, (lines + 1) * Rows::kColumns); },
        [&](std::int64_t i) {
            rows.make(src + i * Rows::kItem, src_at, lines + 1);
            rows.stream(dst, dst_at + i, skipped + i, lines);
        });
}

}  // namespace
}  // namespace devview::copy
