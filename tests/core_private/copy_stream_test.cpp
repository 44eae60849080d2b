// Copies past the caches: by which way they go, what they write, and that nothing else is touched.
#include <algorithm>
#include <array>
#include <utility>

#include <gtest/gtest.h>

#include "counting_kernels.hpp"

namespace devview {
namespace {

using copy::Kernels;
using copy::Route;
using test::calls;
using test::columns_first;
using test::copied;
using test::counting;
using test::dense;
using test::kHuge;
using test::Shape;
using test::strided;
using test::usable_kernels;

TEST(CopyStream, LargeTransposesAreStreamedFromWhereTheirLinesBegin) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            // Rows of no whole number of lines, and rows of whole lines that begin within an item.
            for (const auto& [columns, misaligned] :
                 {std::pair(1201, 0), std::pair(1203, 32), std::pair(1280, 1), std::pair(1280, 63),
                  std::pair(2048, 5)}) {
                const std::int64_t extent = columns * itemsize % 64 == 0 ? columns : columns + 64;
                if (extent * itemsize % 64 == 0 && misaligned % itemsize == 0) continue;
                for (const std::int64_t rows : {79, misaligned == 5 ? 1100 : 300}) {
                    const Kernels counting_kernels = counting(*kernels);
                    EXPECT_EQ(
                        copied(counting_kernels, dense({rows, extent}, itemsize),
                               columns_first(rows, extent, itemsize), itemsize, kHuge, misaligned),
                        Route::shifted);
                    EXPECT_GE(calls.shifted[size], 2);
                    EXPECT_GE(calls.transpose[size], 2);
                    EXPECT_EQ(calls.stream, 0);
                    EXPECT_EQ(calls.fence, 1);
                    EXPECT_EQ(calls.squares, (std::array<int, 5>{}));
                }
            }
        }
    }
}

TEST(CopyStream, TransposesOfItemsWithGapsAreStreamedByTiles) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            for (const int misaligned : {0, 1, 32, 63}) {
                const Layout from = strided({300, 1200}, {2 * itemsize, itemsize * 700}, itemsize);
                const Kernels counting_kernels = counting(*kernels);
                EXPECT_EQ(copied(counting_kernels, dense({300, 1200}, itemsize), from, itemsize,
                                 kHuge, misaligned),
                          Route::tiles);
                EXPECT_EQ(calls.transpose[size] > 0, itemsize < 16);
                EXPECT_GE(calls.stream, 300);
                EXPECT_EQ(calls.fence, 1);
            }
        }
    }
}

TEST(CopyStream, RowsThatBeginAlikeInTheirLinesAreStreamedBySquares) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            for (const int lines : {5, 6, 16}) {
                // Few columns, whole lines of the source, and more than are done at once.
                for (const std::int64_t rows :
                     {std::max<std::int64_t>(64 / itemsize, 33), std::int64_t{64}, std::int64_t{79},
                      std::int64_t{600}, std::int64_t{1100}}) {
                    for (const std::int64_t misaligned :
                         {std::int64_t{0}, itemsize, 64 - itemsize}) {
                        const std::int64_t columns = lines * 64 / itemsize;
                        const Kernels counting_kernels = counting(*kernels);
                        EXPECT_EQ(copied(counting_kernels, dense({rows, columns}, itemsize),
                                         columns_first(rows, columns, itemsize), itemsize, kHuge,
                                         static_cast<int>(misaligned)),
                                  Route::lines);
                        EXPECT_GE(calls.squares[size],
                                  std::max<std::int64_t>(1, lines / copy::kMostLines));
                        EXPECT_EQ(calls.stream, 0);
                        EXPECT_EQ(calls.fence, 1);
                        if (HasFailure()) return;
                    }
                }
            }
        }
    }
}

TEST(CopyStream, ThreeLinesOfARowAreEnoughForSquares) {
    constexpr std::size_t kRows = 79;
    constexpr std::size_t kRow = 192;  // bytes of the destination
    static char src[kRows * kRow];
    alignas(64) static char dst[64 + kRows * kRow];
    for (std::size_t k = 0; k < sizeof(src); ++k)
        src[k] = static_cast<char>(k % 251);
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::size_t itemsize = std::size_t{1} << size;
            const std::size_t columns = kRow / itemsize;
            const auto signed_size = static_cast<std::int64_t>(itemsize);
            const Layout to = dense({kRows, static_cast<std::int64_t>(columns)}, signed_size);
            const Layout from =
                columns_first(kRows, static_cast<std::int64_t>(columns), signed_size);
            for (const std::size_t head : {std::size_t{0}, itemsize}) {
                const Kernels counting_kernels = counting(*kernels);
                const Route route = copy::run_plan(plan_copy(to, from, signed_size), dst + head,
                                                   src, kHuge, counting_kernels);
                EXPECT_EQ(route == Route::lines, head == 0);
                EXPECT_EQ(calls.squares[size] > 0, head == 0);
                for (std::size_t i = 0; i < kRows; ++i) {
                    for (std::size_t j = 0; j < kRow; ++j) {
                        const std::size_t item = j / itemsize * kRows + i;
                        ASSERT_EQ(dst[head + i * kRow + j], src[item * itemsize + j % itemsize]);
                    }
                }
            }
        }
    }
}

TEST(CopyStream, MoreAxesOfRowsThatBeginAlike) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            const std::int64_t row = 320 / itemsize;
            const Shape shape = {7, 70, row};
            const Layout whole = dense(shape, itemsize);
            const std::int64_t pad = 64;
            const std::int64_t nbytes = row * itemsize;
            // Rows that adjoin; with a gap behind each; and with a gap behind each plane.
            const Layout apart =
                strided(shape, {70 * (nbytes + pad), nbytes + pad, itemsize}, itemsize);
            const Layout planes = strided(shape, {70 * nbytes + pad, nbytes, itemsize}, itemsize);
            // The axes of the source, its innermost first: (0, 2, 1), (2, 1, 0), (2, 0, 1).
            const std::int64_t side = 70 * itemsize;
            const Layout sources[] = {strided(shape, {side * row, itemsize, side}, itemsize),
                                      strided(shape, {itemsize, 7 * itemsize, 7 * side}, itemsize),
                                      strided(shape, {side, itemsize, 7 * side}, itemsize),
                                      strided(shape, {-side * row, -itemsize, -side}, itemsize)};
            for (const Layout& to : {whole, apart, planes}) {
                for (const Layout& from : sources) {
                    for (const std::int64_t misaligned : {std::int64_t{0}, itemsize * 3 % 64}) {
                        const Kernels counting_kernels = counting(*kernels);
                        const Route route = copied(counting_kernels, to, from, itemsize, kHuge,
                                                   static_cast<int>(misaligned));
                        EXPECT_EQ(route == Route::lines, calls.squares[size] > 0);
                        EXPECT_TRUE(&from != sources || route == Route::lines) << itemsize;
                    }
                }
            }
        }
    }
}

TEST(CopyStream, LargeRecordsAreStreamedByTiles) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t itemsize : {3, 5, 6, 12, 24, 32}) {
            const Kernels counting_kernels = counting(*kernels);
            EXPECT_EQ(copied(counting_kernels, dense({120, 700}, itemsize),
                             columns_first(120, 700, itemsize), itemsize, kHuge, 5),
                      Route::tiles);
            EXPECT_GE(calls.stream, 120);
            EXPECT_EQ(calls.transpose, (std::array<int, 5>{}));
        }
    }
}

TEST(CopyStream, ProgramsGoPastTheCachesAsTheyAreMade) {
    for (const Kernels* const kernels : usable_kernels()) {
        if (kernels->run_program == nullptr) continue;
        const std::tuple<std::int64_t, std::int64_t, std::int64_t> cases[] = {
            {1, 3, 6400}, {2, 4, 3200}, {3, 2, 3200}, {12, 2, 960}, {6, -1, 1600},
            {1, 3, 1632}, {3, 2, 3210}, {1, 5, 1025}, {7, 3, 700},  {1, 7, 1100},
            {2, 6, 1001}, {1, 6, 1030}, {3, -5, 1024}};
        for (const auto& [itemsize, step, extent] : cases) {
            const Shape shape = {3, extent};
            const Layout to = dense(shape, itemsize);
            const Layout from =
                strided(shape, {3 * extent * step * itemsize, step * itemsize}, itemsize);
            const int finest = static_cast<int>(itemsize & -itemsize);
            for (int misaligned = 0; misaligned < 64; misaligned += finest) {
                const Kernels counting_kernels = counting(*kernels);
                EXPECT_EQ(copied(counting_kernels, to, from, itemsize, kHuge, misaligned),
                          Route::picks);
                EXPECT_GE(calls.picked_lines, 3 * (extent * itemsize - 1024) / 64)
                    << itemsize << " " << step << " " << misaligned;
                EXPECT_EQ(calls.stream, 0);
                EXPECT_EQ(calls.fence, 1);
            }
        }
        // None of the rows' units begins a line.
        for (const int misaligned : {2, 1, 62}) {
            const Layout from = strided({3, 960}, {7 * 960 * 12, 24}, 12);
            const Kernels counting_kernels = counting(*kernels);
            copied(counting_kernels, dense({3, 960}, 12), from, 12, kHuge, misaligned);
            EXPECT_EQ(calls.picked_lines, 0);
            EXPECT_GT(calls.stream, 0);
        }
    }
}

TEST(CopyStream, ChannelsAreTakenApartSideBySide) {
    for (const Kernels* const kernels : usable_kernels()) {
        if (kernels->run_program == nullptr) continue;
        for (const std::int64_t itemsize : {1, 2, 4}) {
            for (const std::int64_t channels : {2, 3, 4, 5}) {
                const std::int64_t pixels = 2003;
                if (channels * itemsize >= 16) continue;
                const Shape shape = {2, channels, pixels};
                const std::int64_t row = (pixels + 9) * channels * itemsize;
                const Layout from = strided(shape, {row, itemsize, channels * itemsize}, itemsize);
                const Layout back =
                    strided(shape, {row, -itemsize, -channels * itemsize}, itemsize);
                for (int misaligned = 0; misaligned < 64; misaligned += 5) {
                    for (const Layout& source : {from, back}) {
                        const Kernels counting_kernels = counting(*kernels);
                        EXPECT_EQ(copied(counting_kernels, dense(shape, itemsize), source, itemsize,
                                         kHuge, misaligned * static_cast<int>(itemsize)),
                                  Route::picks);
                        EXPECT_GE(calls.picked_lines,
                                  2 * channels * (pixels * itemsize - 512) / 64);
                    }
                }
            }
        }
    }
}

TEST(CopyStream, LongRowsGoPastTheCachesAsTheyAreMade) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t itemsize : {1, 2, 4, 8, 16}) {
            const std::int64_t extent = 5000 / itemsize;
            const Layout to = dense({6, extent}, itemsize);
            const Layout from =
                strided({6, extent}, {-9 * extent * itemsize, 2 * itemsize}, itemsize);
            const Kernels counting_kernels = counting(*kernels);
            EXPECT_EQ(copied(counting_kernels, to, from, itemsize, kHuge, 0), Route::rows);
            EXPECT_EQ(calls.stream, 0);
            EXPECT_EQ(calls.fence, 1);
            // Lines do not begin with a unit.
            EXPECT_EQ(copied(counting_kernels, to, from, itemsize, kHuge, 1),
                      itemsize == 1 ? Route::rows : Route::pieces);
            EXPECT_EQ(calls.stream > 0, itemsize != 1);
        }
    }
}

TEST(CopyStream, RoutesOfLargeCopies) {
    for (const Kernels* const kernels : usable_kernels()) {
        const auto route = [&](const Layout& to, const Layout& from, std::int64_t whole) {
            return copied(*kernels, to, from, 4, whole, 12);
        };
        const Layout rows = strided({40, 1500}, {8000, 4}, 4);
        const Layout step = strided({40, 1500}, {16000, 8}, 4);
        const Layout short_rows = strided({4000, 10}, {80, 4}, 4);
        EXPECT_EQ(route(dense({40, 1500}, 4), dense({40, 1500}, 4), 0), Route::dense);
        EXPECT_EQ(route(dense({40, 1500}, 4), dense({40, 1500}, 4), kHuge), Route::rows);
        EXPECT_EQ(route(dense({40, 1500}, 4), rows, 0), Route::blocks);
        EXPECT_EQ(route(dense({40, 1500}, 4), rows, kHuge), Route::rows);
        EXPECT_EQ(route(dense({40, 1500}, 4), step, kHuge), Route::rows);
        EXPECT_EQ(route(dense({4000, 10}, 4), short_rows, kHuge), Route::pieces);
        EXPECT_EQ(route(step, dense({40, 1500}, 4), kHuge), Route::walk);
        EXPECT_EQ(route(dense({10}, 4), dense({10}, 4), kHuge), Route::blocks);
        EXPECT_EQ(route(dense({10, 0}, 4), dense({10, 0}, 4), kHuge), Route::none);
    }
}

TEST(CopyStream, LongRunsThatFollowEachOtherOnEitherSide) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t run : {320, 321, 333, 383, 1024, 4096, 5000}) {
            const Shape shape = {2, 3, 7, run};
            const Layout to = dense(shape, 1);
            const Layout gaps = strided(shape, {24 * (run + 5), 8 * (run + 5), run + 5, 1}, 1);
            for (const Layout& from : {strided(shape, {run * 21, run, run * 3, 1}, 1),
                                       strided(shape, {run, 2 * run, run * 6, 1}, 1),
                                       strided(shape, {-run * 21, -run, -run * 3, 1}, 1),
                                       strided(shape, {3 * run, -run, run * 6, 1}, 1)}) {
                for (const int misaligned : {0, 1, 63}) {
                    const Kernels counting_kernels = counting(*kernels);
                    EXPECT_EQ(copied(counting_kernels, to, from, 1, kHuge, misaligned),
                              Route::runs);
                    EXPECT_GE(calls.stream, 2 * 3 * 7);
                    EXPECT_EQ(calls.fence, 1);
                    EXPECT_EQ(copied(*kernels, gaps, from, 1, kHuge, misaligned) == Route::runs,
                              run >= 1024);
                }
            }
        }
    }
}

}  // namespace
}  // namespace devview
