// Every kernel of every kind of CPU: what it writes, that it is picked, and that nothing else is
// touched.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <gtest/gtest.h>

#include "counting_kernels.hpp"

namespace devview {
namespace {

using copy::Inner;
using copy::Kernels;
using copy::Route;
using test::Block;
using test::calls;
using test::columns_first;
using test::copied;
using test::copy_naively;
using test::counting;
using test::dense;
using test::inner_of;
using test::kHuge;
using test::random_int;
using test::random_layout;
using test::random_shape;
using test::random_source;
using test::randomise;
using test::Shape;
using test::strided;
using test::usable_kernels;

TEST(CopyKernels, ThoseOfTheCpuAreChosen) {
    const std::array<const char*, 4> names{"portable", "avx2", "avx512", "avx512vbmi"};
    EXPECT_STREQ(copy::kernels().name, names[static_cast<std::size_t>(cpu_kind())]);
    EXPECT_LE(cpu_kind(), detected_cpu_kind());
#if defined(__x86_64__)
    EXPECT_NE(copy::avx2_kernels(), nullptr);
    EXPECT_NE(copy::avx512_kernels(), nullptr);
    EXPECT_NE(copy::avx512vbmi_kernels(), nullptr);
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
                EXPECT_GE(calls.transpose[size] + calls.lines[size], 1)
                    << kernels->name << " " << itemsize;
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

TEST(CopyKernels, RowsThatMeetInTheCachesAreWrittenByWholeLines) {
    for (const Kernels* const kernels : usable_kernels()) {
        for (std::size_t size = 0; size < 5; ++size) {
            const std::int64_t itemsize = std::int64_t{1} << size;
            const std::int64_t of_a_line = 64 / itemsize;
            // The most that begin with their first row, lines and a rest, and more than one block.
            for (const auto& [rows, columns] :
                 {std::pair(4 * of_a_line - 1, 200), std::pair(5 * of_a_line + 1, 600),
                  std::pair(1024 + of_a_line, 200)}) {
                const Layout from = strided({columns, rows}, {itemsize, 16384}, itemsize);
                for (const int misaligned : {0, 1, 16, 60}) {
                    const Kernels counting_kernels = counting(*kernels);
                    copied(counting_kernels, dense({columns, rows}, itemsize), from, itemsize, 0,
                           misaligned);
                    EXPECT_GE(calls.lines[size], 1) << itemsize << " " << rows;
                }
                if (HasFailure()) return;
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
                        const Inner inner = inner_of(to, from, itemsize, *kernels);
                        if (inner == Inner::program) continue;
                        // One shuffle takes them from a line or two.
                        const bool in_lines =
                            kernels->piece == 64 && rows * columns * itemsize <= 128;
                        EXPECT_EQ(inner, in_lines ? Inner::pattern : Inner::narrow)
                            << itemsize << " " << rows << " " << columns;
                        const Kernels counting_kernels = counting(*kernels);
                        for (const int misaligned : {0, 5}) {
                            copied(counting_kernels, to, from, itemsize, 0, misaligned);
                            copied(counting_kernels, to, from, itemsize, kHuge, misaligned);
                        }
                        EXPECT_GE(in_lines ? calls.pattern : calls.transpose[size], 4);
                    }
                }
            }
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
                        EXPECT_EQ(calls.program + calls.picked_lines > 0, shuffles);
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

TEST(CopyKernels, ShortRowsThatGoBackwardsArePatterns) {
    for (const Kernels* const kernels : usable_kernels()) {
        if (kernels->run_pattern == nullptr) continue;
        const bool longer = kernels->piece == 64;
        for (const auto& [itemsize, extent] :
             {std::pair(1, 7), std::pair(1, 31), std::pair(2, 5), std::pair(2, 17), std::pair(3, 7),
              std::pair(6, 3), std::pair(12, 3)}) {
            // 101 and 19 of these rows are no multiple of those that a line holds.
            for (const std::int64_t rows : {19, 101}) {
                const std::int64_t row = extent * itemsize;
                const Shape shape = {4096 / rows, rows, extent};
                const Layout from = strided(
                    shape, {-rows * row * 2, row, -static_cast<std::int64_t>(itemsize)}, itemsize);
                const Layout to = dense(shape, itemsize);
                for (const int misaligned : {0, 1, 63}) {
                    const Kernels counting_kernels = counting(*kernels);
                    copied(counting_kernels, to, from, itemsize, 0, misaligned);
                    if (longer) {
                        EXPECT_GT(calls.pattern, 0) << itemsize << " " << extent << " " << rows;
                    }
                    copied(counting_kernels, to, from, itemsize, kHuge, misaligned);
                }
            }
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
