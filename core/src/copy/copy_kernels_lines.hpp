// Squares of whole lines, which leave past the caches: each line of either side is touched once. As
// copy_kernels_any.hpp, which it belongs to.
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
            const std::int64_t at = i + k;
            const std::int64_t most = columns - Part::kColumns;
            if (at + Part::kColumns <= 0) continue;
            run(at < 0 ? 0 : at < most ? at : most, i * kItem, k / Part::kColumns);
        }
    }
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

/// What is read after the last column: rows of the source, and bytes from the last column's end.
struct Following {
    const std::int64_t* src_at;
    std::int64_t bytes;
};

constexpr std::int64_t kFetchAhead = 3 * kLine;

/// Asks for lines ahead of one at `byte`, into the second cache: there are more rows than the CPU
/// follows by itself.
class Ahead {
public:
    Ahead(const char* src, const std::int64_t* src_at, std::int64_t byte, std::int64_t end,
          const Following& following) noexcept
        : src_(src + byte + kFetchAhead), src_at_(src_at) {
        if (byte + kFetchAhead < end) return;
        src_ += following.bytes;
        src_at_ = following.src_at;
    }
    void operator()(std::int64_t row) const noexcept {
        __builtin_prefetch(src_ + src_at_[row], 0, 2);
    }

private:
    const char* src_;
    const std::int64_t* src_at_;
};

/// Calls run(count, line, src_at, following) for `lines` lines of each row of the destination, of
/// which `count`, `kMost` or what is left, are done together.
template <std::int64_t kItem, std::int64_t kMost, typename Run>
inline void each_lines(const std::int64_t* src_at, std::int64_t columns, std::int64_t lines,
                       const Run& run) noexcept {
    // Of rows that far apart, what follows their own lines comes sooner than lines of others.
    constexpr std::int64_t kFar = 48 << 10;
    const std::int64_t apart = src_at[1] - src_at[0];
    const bool alone = apart >= kFar || apart <= -kFar;
    for (std::int64_t line = 0; line < lines; line += kMost) {
        const std::int64_t count = lines - line < kMost ? lines - line : kMost;
        const std::int64_t* const rows = src_at + line * kLine / kItem;
        Following following{alone ? rows : src_at, 0};
        if (!alone && line + 2 * count <= lines)
            following = {rows + count * kLine / kItem, -columns * kItem};
        run(count, line, rows, following);
    }
}

template <typename T, std::size_t kSide, int kLines>
inline void stream_rows(char* dst, const std::int64_t* dst_at, const char* src,
                        const std::int64_t* src_at, std::int64_t columns,
                        const Following& following) noexcept {
    constexpr std::int64_t kItem = 16 / kSide;
    using Part = LineSquare<T, kSide, kLines>;
    Part square;
    each_square<Part, kItem>(src, src_at, columns, [&](auto i, auto byte, auto part) {
        const Ahead ahead(src, src_at, byte, columns * kItem, following);
        square.load(src + i * kItem, src_at);
        square.store(dst, dst_at + i, PutVector<true>(),
                     [&](std::int64_t n) { ahead(part * Part::kFetches + n); });
    });
}

template <typename T, std::size_t kSide = 16 / sizeof(T)>
void stream_squares(char* dst, const std::int64_t* dst_at, const char* src,
                    const std::int64_t* src_at, std::int64_t columns, std::int64_t lines) noexcept {
    constexpr int kPair = kVectorBytes == 16 ? 1 : 2;
    each_lines<16 / kSide, kPair>(
        src_at, columns, lines, [&](auto count, auto line, auto rows, const auto& following) {
            const auto stream =
                count == 1 ? stream_rows<T, kSide, 1> : stream_rows<T, kSide, kPair>;
            stream(dst + line * kLine, dst_at, src, rows, columns, following);
        });
}

/// Lines of rows whose lines begin anywhere, behind the line of each that was made before.
template <typename T, std::size_t kSide>
class ShiftedRows {
public:
    static constexpr std::int64_t kItem = 16 / kSide;
    static constexpr std::int64_t kColumns = kLine / kItem;
    static constexpr std::int64_t kMost = kItem < 8 ? 4 : 8;  // lines

    ShiftedRows() noexcept {
        for (std::int64_t k = 0; k < kColumns; ++k)
            made_at_[k] = k * (kMost + 1) * kLine;
    }
    void make(const char* kept, const char* src, const std::int64_t* src_at,
              std::int64_t lines) noexcept {
        for (std::int64_t k = 0; k < kColumns; ++k)
            copy_lines<false>(made_ + made_at_[k], kept + k * kLine, 1);
        using Part = LineSquare<T, kSide, 1>;
        Part square;
        for (std::int64_t line = 0; line < lines; ++line) {
            for (std::int64_t k = 0; k < kColumns; k += Part::kColumns) {
                square.load(src + k * kItem, src_at + line * kColumns);
                square.store(made_ + (line + 1) * kLine, made_at_ + k, PutVector<false>(),
                             [](std::int64_t /*n*/) {});
            }
        }
    }
    /// Row k goes to `dst`, from its byte `skipped` on; its last line is kept.
    void stream(std::int64_t k, char* dst, std::int64_t skipped, char* kept,
                std::int64_t lines) const noexcept {
        const char* const from = made_ + made_at_[k];
        copy_lines<true>(dst + skipped, from + skipped, lines);
        copy_lines<false>(kept, from + lines * kLine, 1);
    }

private:
    template <bool kStreams>
    static void copy_lines(char* dst, const char* src, std::int64_t lines) noexcept {
        for (std::int64_t byte = 0; byte < lines * kLine; byte += kVectorBytes)
            PutVector<kStreams>()(dst + byte, load_vector<Lanes>(src + byte));
    }

    alignas(kLine) char made_[static_cast<std::size_t>(kColumns * (kMost + 1) * kLine)];
    std::int64_t made_at_[static_cast<std::size_t>(kColumns)];
};

template <typename T, std::size_t kSide = 16 / sizeof(T)>
void stream_shifted(char* dst, const std::int64_t* dst_at, const std::int64_t* skipped, char* kept,
                    const char* src, const std::int64_t* src_at, std::int64_t columns,
                    std::int64_t lines) noexcept {
    using Rows = ShiftedRows<T, kSide>;
    constexpr std::int64_t kItem = Rows::kItem;
    Rows made;
    each_lines<kItem, Rows::kMost>(
        src_at, columns, lines, [&](auto count, auto line, auto rows, const auto& following) {
            std::int64_t done = 0;
            each_square<Rows, kItem>(src, rows, columns, [&](auto i, auto byte, auto /*part*/) {
                const Ahead ahead(src, rows, byte, columns * kItem, following);
                made.make(kept + i * kLine, src + i * kItem, rows, count);
                for (std::int64_t k = done - i; k < Rows::kColumns; ++k, ++done) {
                    made.stream(k, dst + line * kLine + dst_at[done], skipped[done],
                                kept + done * kLine, count);
                    for (std::int64_t n = 0; n < count; ++n)
                        ahead(k * count + n);
                }
            });
        });
}

}  // namespace
}  // namespace devview::copy
