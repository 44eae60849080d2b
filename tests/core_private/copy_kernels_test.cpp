// Every kernel of every kind of CPU: what it writes, that it is picked, and that nothing else is
// touched.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "copy_model.hpp"
#include "devview/copy_plan.hpp"
#include "src/copy/copy_task.hpp"
#include "src/machine/cpu_features.hpp"

namespace devview {
namespace {

using copy::Inner;
using copy::Kernels;
using copy::Route;
using test::Block;
using test::copy_naively;
using test::dense;
using test::random_int;
using test::random_layout;
using test::random_shape;
using test::random_source;
using test::randomise;
using test::Shape;
using test::strided;

constexpr std::int64_t kHuge = std::int64_t{1} << 40;  // a copy that no cache holds

std::vector<const Kernels*> usable_kernels() {
    std::vector<const Kernels*> usable{copy::portable_kernels()};
    if (copy::avx2_kernels() != nullptr && detected_cpu_kind() >= CpuKind::avx2)
        usable.push_back(copy::avx2_kernels());
    if (copy::avx512_kernels() != nullptr && detected_cpu_kind() >= CpuKind::avx512)
        usable.push_back(copy::avx512_kernels());
    return usable;
}

// --- Kernels that count their calls.

struct Calls {
    std::array<int, 5> transpose{};
    std::array<int, 5> lines{};
    std::array<int, 5> squares{};
    std::array<int, 5> shifted{};
    int program = 0;
    int streamed_programs = 0;
    int pattern = 0;
    int stream = 0;
    int gather = 0;
    std::array<int, 5> rows{};
    int fence = 0;
};
Calls calls;
const Kernels* counted = nullptr;

template <std::size_t kSize>
void count_transpose(char* dst, const std::int64_t* dst_at, const char* src,
                     const std::int64_t* src_at, std::int64_t rows, std::int64_t columns) noexcept {
    ++calls.transpose[kSize];
    counted->transpose[kSize](dst, dst_at, src, src_at, rows, columns);
}

template <std::size_t kSize>
void count_lines(char* dst, const std::int64_t* dst_at, const char* src, const std::int64_t* src_at,
                 std::int64_t rows, std::int64_t columns) noexcept {
    ++calls.lines[kSize];
    counted->transpose_lines[kSize](dst, dst_at, src, src_at, rows, columns);
}

template <std::size_t kSize>
void count_squares(char* dst, const std::int64_t* dst_at, const char* src,
                   const std::int64_t* src_at, std::int64_t columns, std::int64_t lines) noexcept {
    ++calls.squares[kSize];
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst + dst_at[0]) % 64, 0U);
    EXPECT_GE(columns << kSize, 64);
    counted->stream_squares[kSize](dst, dst_at, src, src_at, columns, lines);
}

template <std::size_t kSize>
void count_shifted(char* dst, const std::int64_t* dst_at, const std::int64_t* skipped,
                   const char* src, const std::int64_t* src_at, std::int64_t columns,
                   std::int64_t lines) noexcept {
    ++calls.shifted[kSize];
    for (std::int64_t k = 0; k < columns; ++k)
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst + dst_at[k] + skipped[k]) % 64, 0U);
    EXPECT_LE(lines, copy::kSideBySide);
    counted->stream_shifted[kSize](dst, dst_at, skipped, src, src_at, columns, lines);
}

template <std::size_t kSize>
void count_rows(const copy::RowPlane& plane) noexcept {
    ++calls.rows[kSize];
    counted->run_rows[kSize](plane);
}

template <std::size_t... kSize>
void count_sizes(Kernels& counting, std::index_sequence<kSize...> /*sizes*/) {
    ((counting.transpose[kSize] = count_transpose<kSize>,
      counting.transpose_lines[kSize] = count_lines<kSize>,
      counting.stream_squares[kSize] = count_squares<kSize>,
      counting.stream_shifted[kSize] = count_shifted<kSize>,
      counting.run_rows[kSize] = count_rows<kSize>),
     ...);
}

Kernels counting(const Kernels& kernels) {
    counted = &kernels;
    calls = {};
    Kernels counting = kernels;
    count_sizes(counting, std::make_index_sequence<5>());
    if (kernels.run_program != nullptr) {
        counting.run_program = [](const copy::Program& program, char* dst, const char* src,
                                  std::int64_t periods, std::int64_t ahead, bool streams) noexcept {
            ++calls.program;
            if (streams) ++calls.streamed_programs;
            counted->run_program(program, dst, src, periods, ahead, streams);
        };
    }
    if (kernels.run_pattern != nullptr) {
        counting.run_pattern = [](const copy::Program& program, char* dst, std::int64_t nbytes,
                                  const char* src, const std::int64_t* src_at,
                                  std::int64_t count) noexcept {
            ++calls.pattern;
            counted->run_pattern(program, dst, nbytes, src, src_at, count);
        };
    }
    counting.stream = [](char* dst, const char* src, std::int64_t nbytes) noexcept {
        ++calls.stream;
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst) % 64, 0U);
        EXPECT_EQ(nbytes % 64, 0);
        counted->stream(dst, src, nbytes);
    };
    counting.gather_rows = [](char* dst, std::int64_t pitch, const char* src,
                              const std::int64_t* src_at, std::int64_t nbytes,
                              std::int64_t count) noexcept {
        ++calls.gather;
        EXPECT_GE(nbytes, 16);
        counted->gather_rows(dst, pitch, src, src_at, nbytes, count);
    };
    counting.fence = []() noexcept {
        ++calls.fence;
        counted->fence();
    };
    return counting;
}

/// A copy by these kernels, checked against one memcpy per item; bytes around the destination stay.
Route copied(const Kernels& kernels, const Layout& to, const Layout& from, std::int64_t itemsize,
             std::int64_t whole, int misaligned = 0) {
    constexpr int kGuard = 128;
    std::mt19937 random(5);
    Block src(from, itemsize, misaligned % 7);
    randomise(random, src);
    Block dst(to, itemsize, misaligned);
    dst.bytes.insert(dst.bytes.begin(), kGuard, 'x');
    dst.bytes.insert(dst.bytes.end(), kGuard, 'x');
    dst.origin += kGuard;
    Block expected = dst;
    copy_naively(expected, src, itemsize);
    const CopyPlan plan = plan_copy(to, from, itemsize);
    const Route route = copy::run_plan(plan, dst.data(), src.data(), whole, kernels);
    EXPECT_EQ(dst.bytes == expected.bytes, true)
        << kernels.name << " itemsize " << itemsize << " "
        << Layout::to_string(to.ndim(), to.shape()) << " "
        << Layout::to_string(to.ndim(), to.strides()) << " from "
        << Layout::to_string(to.ndim(), from.strides());
    return route;
}

/// The source of a dense (rows, columns) that is stored by columns.
Layout columns_first(std::int64_t rows, std::int64_t columns, std::int64_t itemsize) {
    return strided({rows, columns}, {itemsize, itemsize * rows}, itemsize);
}

/// What a copy of `itemsize` is made of where the CPU shuffles bytes.
Inner inner_of(const Layout& to, const Layout& from, std::int64_t itemsize,
               const Kernels& kernels) {
    copy::Task task;
    copy::arrange_task(plan_copy(to, from, itemsize), kernels, task);
    return task.inner;
}

TEST(CopyKernels, ThoseOfTheCpuAreChosen) {
    const std::array<const char*, 3> names{"portable", "avx2", "avx512"};
    EXPECT_STREQ(copy::kernels().name, names[static_cast<std::size_t>(cpu_kind())]);
    EXPECT_LE(cpu_kind(), detected_cpu_kind());
#if defined(__x86_64__)
    EXPECT_NE(copy::avx2_kernels(), nullptr);
    EXPECT_NE(copy::avx512_kernels(), nullptr);
    EXPECT_EQ(detected_cpu_kind() >= CpuKind::avx2, __builtin_cpu_supports("avx2") != 0);
#endif
}

TEST(CopyKernels, RandomLayoutsOfEveryItemsize) {
    for (const Kernels* const kernels : usable_kernels()) {
        std::mt19937 random(99);
        for (std::int64_t itemsize = 1; itemsize <= 40; ++itemsize) {
            for (int round = 0; round < 16; ++round) {
                const Shape shape = random_shape(random, round % 3 == 0 ? 8 : 1);
                const bool packs = random_int(random, 0, 3) > 0;
                const Layout to =
                    packs ? dense(shape, itemsize) : random_layout(random, shape, itemsize);
                const Layout from = random_source(random, shape, itemsize);
                copied(*kernels, to, from, itemsize, round % 2 == 0 ? 0 : kHuge,
                       random_int(random, 0, 63));
                if (HasFailure()) return;
            }
        }
    }
}

TEST(CopyKernels, TransposesOfEveryPowerOfTwoAreSquares) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            for (const auto& [rows, columns] :
                 {std::pair(16, 16), std::pair(17, 129), std::pair(200, 33), std::pair(500, 40)}) {
                const Kernels counting_kernels = counting(*kernels);
                EXPECT_EQ(copied(counting_kernels, dense({rows, columns}, itemsize),
                                 columns_first(rows, columns, itemsize), itemsize, 0),
                          Route::blocks);
                EXPECT_GE(calls.transpose[size], 1) << kernels->name << " " << itemsize;
                EXPECT_EQ(calls.stream + calls.fence + calls.program, 0);
            }
        }
    }
}

TEST(CopyKernels, RowsThatMeetInTheCachesAreReadByWholeLines) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            for (const std::int64_t rows : {16 / itemsize, 64 / itemsize, std::int64_t{67}}) {
                for (const std::int64_t columns :
                     {16 / itemsize, 64 / itemsize, std::int64_t{40}, std::int64_t{300}}) {
                    if (std::max(rows, columns) <= 32) continue;  // done before others have chosen
                    // Items of 16 bytes are moved as they are where lines do not become lines.
                    if (itemsize == 16 && std::min(rows, columns) < 4) continue;
                    const Layout from = strided({columns, rows}, {itemsize, 4096}, itemsize);
                    for (const int misaligned : {0, 3}) {
                        const Kernels counting_kernels = counting(*kernels);
                        copied(counting_kernels, dense({columns, rows}, itemsize), from, itemsize,
                               0, misaligned);
                        EXPECT_EQ(calls.lines[size] > 0, rows >= 16 / itemsize) << itemsize;
                        EXPECT_EQ(calls.transpose[size], 0);
                    }
                }
            }
        }
    }
}

TEST(CopyKernels, LargeTransposesAreStreamedFromWhereTheirLinesBegin) {
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

TEST(CopyKernels, NarrowTransposesAreSquaresInPart) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 3; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            const std::int64_t side = 16 / itemsize;
            for (const std::int64_t few : {side == 4 ? 3 : side / 2, side - 1}) {
                for (const std::int64_t many : {few, side, side + 1, std::int64_t{333}}) {
                    for (const auto& [rows, columns] :
                         {std::pair(few, many), std::pair(many, few)}) {
                        // Sides that leave room between them, so that nothing else does it.
                        const Shape shape = {4096 / (rows * columns) + 1, rows, columns};
                        const Layout to = dense(shape, itemsize);
                        const Layout from = strided(
                            shape,
                            {-rows * columns * 3 * itemsize, itemsize, itemsize * (rows + 7)},
                            itemsize);
                        if (inner_of(to, from, itemsize, *kernels) == Inner::program) continue;
                        EXPECT_EQ(inner_of(to, from, itemsize, *kernels), Inner::narrow)
                            << itemsize << " " << rows << " " << columns;
                        const Kernels counting_kernels = counting(*kernels);
                        for (const int misaligned : {0, 5}) {
                            copied(counting_kernels, to, from, itemsize, 0, misaligned);
                            copied(counting_kernels, to, from, itemsize, kHuge, misaligned);
                        }
                        EXPECT_GE(calls.transpose[size], 4);
                    }
                }
            }
        }
    }
}

TEST(CopyKernels, TransposesOfItemsWithGapsAreStreamedByTiles) {
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

TEST(CopyKernels, RowsThatBeginAlikeInTheirLinesAreStreamedBySquares) {
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
                        EXPECT_GE(calls.squares[size], lines / copy::kSideBySide);
                        EXPECT_EQ(calls.stream, 0);
                        EXPECT_EQ(calls.fence, 1);
                        if (HasFailure()) return;
                    }
                }
            }
        }
    }
}

TEST(CopyKernels, MoreAxesOfRowsThatBeginAlike) {
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

TEST(CopyKernels, LargeRecordsAreStreamedByTiles) {
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

TEST(CopyKernels, InterleavesAndGathersAreProgramsOfShuffles) {
    for (const Kernels* const kernels : usable_kernels()) {
        const bool shuffles = kernels->run_program != nullptr;
        for (const std::int64_t itemsize : {1, 2, 4}) {
            for (const std::int64_t channels : {2, 3, 4}) {
                if (channels * itemsize == 16) continue;  // squares do it
                const Layout planes = dense({channels, 5000}, itemsize);
                const Layout pixels =
                    strided({channels, 5000}, {itemsize, itemsize * channels}, itemsize);
                for (const auto& [to, from] :
                     {std::pair(planes, pixels), std::pair(pixels, planes)}) {
                    EXPECT_EQ(inner_of(to, from, itemsize, *kernels) == Inner::program, shuffles);
                    for (const std::int64_t whole : {std::int64_t{0}, kHuge}) {
                        const Kernels counting_kernels = counting(*kernels);
                        const Route route = copied(counting_kernels, to, from, itemsize, whole, 3);
                        EXPECT_EQ(calls.program > 0, shuffles);
                        EXPECT_EQ(route == Route::blocks, whole == 0);
                        EXPECT_EQ(calls.fence, whole != 0 ? 1 : 0);
                    }
                }
            }
        }
        for (const auto& [itemsize, step] : {std::pair(3, -1), std::pair(3, 2), std::pair(1, 3),
                                             std::pair(2, -3), std::pair(4, 3)}) {
            {
                const Layout from = strided({3000}, {step * itemsize}, itemsize);
                EXPECT_EQ(inner_of(dense({3000}, itemsize), from, itemsize, *kernels),
                          shuffles ? Inner::program : Inner::moves)
                    << itemsize << " " << step;
                copied(*kernels, dense({3000}, itemsize), from, itemsize, 0, 9);
                copied(*kernels, dense({3000}, itemsize), from, itemsize, kHuge, 9);
            }
        }
    }
}

TEST(CopyKernels, ProgramsGoPastTheCachesAsTheyAreMade) {
    for (const Kernels* const kernels : usable_kernels()) {
        if (kernels->run_program == nullptr) continue;
        const std::tuple<std::int64_t, std::int64_t, std::int64_t> cases[] = {
            {1, 3, 6400}, {2, 4, 3200}, {3, 2, 3200}, {12, 2, 960}, {6, -1, 1600}, {1, 3, 1632}};
        for (const auto& [itemsize, step, extent] : cases) {
            const Shape shape = {3, extent};
            const Layout to = dense(shape, itemsize);
            const Layout from =
                strided(shape, {3 * extent * step * itemsize, step * itemsize}, itemsize);
            const int finest = static_cast<int>(itemsize & -itemsize);
            for (int misaligned = 0; misaligned < 64; misaligned += finest) {
                const Kernels counting_kernels = counting(*kernels);
                EXPECT_EQ(copied(counting_kernels, to, from, itemsize, kHuge, misaligned),
                          Route::strips);
                EXPECT_GE(calls.streamed_programs, 3) << itemsize << " " << misaligned;
                EXPECT_EQ(calls.stream, 0);
                EXPECT_EQ(calls.fence, 1);
            }
        }
        // Rows that do not begin alike in their lines, and none of whose units does.
        for (const auto& [itemsize, extent, misaligned] :
             {std::tuple(3, 3210, 0), std::tuple(12, 960, 2), std::tuple(12, 960, 1)}) {
            const Layout from =
                strided({3, extent}, {7 * extent * itemsize, 2 * itemsize}, itemsize);
            const Kernels counting_kernels = counting(*kernels);
            copied(counting_kernels, dense({3, extent}, itemsize), from, itemsize, kHuge,
                   misaligned);
            EXPECT_EQ(calls.streamed_programs, 0);
            EXPECT_GT(calls.stream, 0);
        }
    }
}

TEST(CopyKernels, ShortRowsArePatternsOfShuffles) {
    for (const Kernels* const kernels : usable_kernels()) {
        const bool shuffles = kernels->run_pattern != nullptr;
        const std::pair<std::int64_t, std::int64_t> cases[] = {{1, 29}, {1, 7},  {2, 10}, {4, 4},
                                                               {3, 6},  {1, 13}, {2, 9}};
        for (const auto& [itemsize, extent] : cases) {
            for (const std::int64_t step : {2, -1}) {
                const Shape shape = {40, 140, extent};
                const Layout to = dense(shape, itemsize);
                const std::int64_t row = 3 * itemsize * extent;
                const Layout from = strided(shape, {-140 * row, row, step * itemsize}, itemsize);
                const bool tiny = itemsize * extent <= 8;
                const Inner without = itemsize == 3 || tiny ? Inner::moves : Inner::rows;
                EXPECT_EQ(inner_of(to, from, itemsize, *kernels),
                          shuffles ? Inner::pattern : without)
                    << itemsize << " " << extent << " " << step;
                const Kernels counting_kernels = counting(*kernels);
                copied(counting_kernels, to, from, itemsize, 0, 3);
                EXPECT_EQ(calls.pattern > 0, shuffles);
                EXPECT_EQ(copied(counting_kernels, to, from, itemsize, kHuge, 3), Route::pieces);
            }
        }
    }
}

TEST(CopyKernels, RowsOfFewUnitsStep) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            for (const std::int64_t step : {-2, -1, 0, 2}) {
                // Around whole vectors of each CPU, and their halves.
                for (const std::int64_t nbytes : {64, 80, 112, 128, 144, 176, 1100, 9000}) {
                    const std::int64_t extent = nbytes / itemsize;
                    const std::int64_t row = itemsize * (2 * extent + 5);
                    const Layout to =
                        strided({3, 7, extent}, {9 * nbytes, nbytes, itemsize}, itemsize);
                    const Layout from =
                        strided({3, 7, extent}, {row, -3 * row, step * itemsize}, itemsize);
                    EXPECT_EQ(inner_of(to, from, itemsize, *kernels), Inner::rows);
                    const Kernels counting_kernels = counting(*kernels);
                    for (const int misaligned : {0, 1, 16, 40}) {
                        copied(counting_kernels, to, from, itemsize, 0, misaligned);
                        copied(counting_kernels, to, from, itemsize, kHuge, misaligned);
                    }
                    EXPECT_GE(calls.rows[size], 24);
                    EXPECT_EQ(calls.program + calls.pattern, 0);
                }
            }
        }
    }
}

TEST(CopyKernels, LongRowsGoPastTheCachesAsTheyAreMade) {
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

TEST(CopyKernels, LongUnitsAreRows) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t itemsize : {33, 34, 36, 40, 100, 1000, 6007}) {
            const Layout to = strided({5, 9}, {20 * itemsize, itemsize + 3}, itemsize);
            const Layout from = strided({5, 9}, {-40 * itemsize, 2 * itemsize}, itemsize);
            EXPECT_EQ(inner_of(to, from, itemsize, *kernels), Inner::rows);
            copied(*kernels, to, from, itemsize, 0, 3);
            copied(*kernels, dense({5, 9}, itemsize), from, itemsize, kHuge, 3);
        }
    }
}

TEST(CopyKernels, BroadcastRowsAreFilled) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t itemsize : {1, 2, 3, 4, 8, 12, 16, 24}) {
            for (const std::int64_t extent : {1, 5, 31, 32, 33, 300, 9000}) {
                const Layout to = dense({3, extent}, itemsize);
                const Layout from = strided({3, extent}, {-2 * itemsize, 0}, itemsize);
                copied(*kernels, to, from, itemsize, 0, 1);
                copied(*kernels, to, from, itemsize, kHuge, 1);
            }
        }
    }
}

TEST(CopyKernels, PartsThatAreCopiesOfOneAnotherAreMadeOnce) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t itemsize : {1, 2, 3, 8, 16}) {
            const std::int64_t part = 40 * 20 * itemsize;
            const Layout to =
                strided({4, 6, 40, 20}, {7 * part, part, 20 * itemsize, itemsize}, itemsize);
            const Layout from =
                strided({4, 6, 40, 20}, {-2 * part, 0, 3 * itemsize, 130 * itemsize}, itemsize);
            const Kernels counting_kernels = counting(*kernels);
            EXPECT_EQ(copied(counting_kernels, to, from, itemsize, 0, 3), Route::repeats);
            EXPECT_EQ(calls.rows[0], 4);
            EXPECT_EQ(copied(counting_kernels, to, from, itemsize, kHuge, 3), Route::repeats);
            EXPECT_EQ(calls.fence, 1);
        }
        // Parts too short, or too long for a near cache.
        for (const std::int64_t columns : {10, 70000}) {
            const Layout from = strided({3, 2, columns}, {0, 8 * columns, 8}, 4);
            EXPECT_NE(copied(*kernels, dense({3, 2, columns}, 4), from, 4, 0), Route::repeats);
        }
    }
}

TEST(CopyKernels, RoutesOfLargeCopies) {
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

TEST(CopyKernels, LongRunsThatFollowEachOtherOnEitherSide) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (const std::int64_t run : {256, 257, 300, 319, 1024, 4096, 5000}) {
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

// A block with a page behind it, and one before it, that nobody may touch.
class Fenced {
public:
    explicit Fenced(std::size_t nbytes)
        : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
          room_((nbytes + page_ - 1) / page_ * page_),
          map_(static_cast<char*>(mmap(nullptr, room_ + 2 * page_, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        mprotect(map_, page_, PROT_NONE);
        mprotect(map_ + page_ + room_, page_, PROT_NONE);
    }
    Fenced(const Fenced&) = delete;
    Fenced& operator=(const Fenced&) = delete;
    ~Fenced() { munmap(map_, room_ + 2 * page_); }
    char* first() { return map_ + page_; }
    char* last(std::size_t nbytes) { return map_ + page_ + room_ - nbytes; }

private:
    std::size_t page_;
    std::size_t room_;
    char* map_;
};

TEST(CopyKernels, NothingOutsideTheItemsIsRead) {
    Fenced memory(1 << 20);
    std::mt19937 random(17);
    for (const Kernels* const kernels : usable_kernels()) {
        for (int round = 0; round < 900; ++round) {
            const std::int64_t itemsize = random_int(random, 1, 16);
            const Shape shape = {random_int(random, 1, 90), random_int(random, 1, 90)};
            const Layout from = random_source(random, shape, itemsize);
            const ByteBounds bounds = from.bounds(itemsize);
            const auto nbytes = static_cast<std::size_t>(bounds.high - bounds.low);
            char* const start = round % 2 == 0 ? memory.first() : memory.last(nbytes);
            Block src(from, itemsize, 0);
            randomise(random, src);
            std::memcpy(start, src.bytes.data(), nbytes);
            Block dst(dense(shape, itemsize), itemsize, 0);
            Block expected = dst;
            copy_naively(expected, src, itemsize);
            copy::run_plan(plan_copy(dst.layout, from, itemsize), dst.data(), start - bounds.low,
                           round % 3 == 0 ? kHuge : 0, *kernels);
            ASSERT_EQ(dst.bytes, expected.bytes) << kernels->name << " round " << round;
        }
    }
}

}  // namespace
}  // namespace devview
