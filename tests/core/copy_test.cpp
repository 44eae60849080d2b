// Host copies and their plans, against one memcpy per item.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "copy_model.hpp"
#include "devview/copy_plan.hpp"
#include "devview/error.hpp"

namespace devview {
namespace {

using test::Block;
using test::copy_naively;
using test::count_up;
using test::dense;
using test::random_int;
using test::random_itemsize;
using test::random_layout;
using test::random_shape;
using test::random_source;
using test::randomise;
using test::rank;
using test::Shape;
using test::strided;

Shape extents_of(const CopyPlan& plan) { return Shape(plan.extents, plan.extents + plan.ndim); }
Shape dst_of(const CopyPlan& plan) { return Shape(plan.dst_strides, plan.dst_strides + plan.ndim); }
Shape src_of(const CopyPlan& plan) { return Shape(plan.src_strides, plan.src_strides + plan.ndim); }

template <typename Call>
std::string error_of(const Call& call) {
    try {
        call();
    } catch (const LayoutError& error) {
        return error.what();
    }
    return "no error";
}

// --- Plans

TEST(CopyPlan, DenseCopiesAreOneUnit) {
    const CopyPlan plan = plan_copy(dense({2, 1, 3, 4}, 4), dense({2, 1, 3, 4}, 4), 4);
    EXPECT_TRUE(plan.contiguous());
    EXPECT_EQ(plan.unit, 96);
    EXPECT_EQ(plan.count, 1);
    const Layout columns = strided({3, 4}, {4, 12}, 4);
    EXPECT_EQ(plan_copy(columns, columns, 4).unit, 48);
}

TEST(CopyPlan, RowsWithPitchAreOneAxis) {
    const CopyPlan plan = plan_copy(dense({2, 3, 4}, 2), strided({2, 3, 4}, {60, 20, 2}, 2), 2);
    EXPECT_TRUE(plan.pitched());
    EXPECT_EQ(plan.unit, 8);
    EXPECT_EQ(plan.count, 6);
    EXPECT_EQ(extents_of(plan), (Shape{6}));
    EXPECT_EQ(dst_of(plan), (Shape{8}));
    EXPECT_EQ(src_of(plan), (Shape{20}));
}

TEST(CopyPlan, DestinationOrdersAndFlipsAxes) {
    const CopyPlan plan =
        plan_copy(strided({4, 5, 3}, {2, -60, 10}, 2), strided({4, 5, 3}, {30, 6, 2}, 2), 2);
    EXPECT_EQ(extents_of(plan), (Shape{5, 3, 4}));
    EXPECT_EQ(dst_of(plan), (Shape{60, 10, 2}));
    EXPECT_EQ(src_of(plan), (Shape{-6, 2, 30}));
    EXPECT_EQ(plan.dst_shift, -240);
    EXPECT_EQ(plan.src_shift, 24);
    EXPECT_EQ(plan.count, 60);
}

TEST(CopyPlan, WithoutReorderAxesAndDirectionsStay) {
    const CopyPlan plan =
        plan_copy(strided({4, 5, 3}, {2, -60, 10}, 2), strided({4, 5, 3}, {30, 6, 2}, 2), 2, false);
    EXPECT_EQ(extents_of(plan), (Shape{4, 5, 3}));
    EXPECT_EQ(dst_of(plan), (Shape{2, -60, 10}));
    EXPECT_EQ(src_of(plan), (Shape{30, 6, 2}));
    EXPECT_EQ(plan.dst_shift, 0);
    EXPECT_EQ(plan.src_shift, 0);
}

TEST(CopyPlan, UnitsAreDenseOnBothSides) {
    const CopyPlan plan = plan_copy(dense({8}, 4), strided({8}, {8}, 4), 4);
    EXPECT_EQ(plan.unit, 4);
    EXPECT_EQ(plan.count, 8);
    EXPECT_EQ(plan_copy(strided({8}, {8}, 4), dense({8}, 4), 4).unit, 4);
    const CopyPlan both = plan_copy(strided({8}, {8}, 4), strided({8}, {8}, 4), 4);
    EXPECT_EQ(both.unit, 4);
    EXPECT_FALSE(both.contiguous());
    const CopyPlan reversed = plan_copy(strided({8}, {-4}, 4), strided({8}, {-4}, 4), 4);
    EXPECT_EQ(reversed.unit, 32);
    EXPECT_EQ(reversed.dst_shift, -28);
}

TEST(CopyPlan, BroadcastSourceKeepsStrideZero) {
    const CopyPlan plan = plan_copy(dense({3, 4, 5}, 2), strided({3, 4, 5}, {0, 0, 2}, 2), 2);
    EXPECT_EQ(plan.unit, 10);
    EXPECT_EQ(extents_of(plan), (Shape{12}));
    EXPECT_EQ(src_of(plan), (Shape{0}));
    EXPECT_FALSE(plan.pitched());
}

TEST(CopyPlan, StandingDestinationTakesLastItem) {
    const CopyPlan plan = plan_copy(strided({3, 4}, {0, 2}, 2), dense({3, 4}, 2), 2);
    EXPECT_EQ(plan.count * plan.unit, 8);
    EXPECT_EQ(plan.src_shift, 16);
}

TEST(CopyPlan, EmptyCopiesDoNothing) {
    EXPECT_EQ(plan_copy(dense({3, 0}, 2), dense({3, 0}, 2), 2).count, 0);
    EXPECT_EQ(plan_copy(dense({3}, 0), dense({3}, 0), 0).count, 0);
    copy_host(nullptr, dense({3, 0}, 2), nullptr, dense({3, 0}, 2), 2);
    fill_host(nullptr, dense({0}, 2), "ab", 2);
}

TEST(CopyPlan, ExtremeStridesDoNotWrap) {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    const Layout far = strided({2, 2}, {kMax / 2, -(kMax / 2)}, 1);
    const CopyPlan plan = plan_copy(far, far, 1);
    EXPECT_EQ(plan.dst_shift, -(kMax / 2));
    EXPECT_EQ(plan.count, 4);
    const Layout thrice = strided({2, 3}, {1, kMax / 3}, 1);
    EXPECT_EQ(plan_copy(thrice, thrice, 1).count * plan_copy(thrice, thrice, 1).unit, 6);
}

TEST(CopyPlan, RefusesWithNumbers) {
    EXPECT_EQ(error_of([] {
                  plan_copy(dense({3, 4}, 1), dense({4, 3}, 1), 1);
              }),
              "copy: shape (4, 3) to (3, 4)");
    EXPECT_EQ(error_of([] {
                  plan_copy(dense({3}, 1), dense({3, 1}, 1), 1);
              }),
              "copy: shape (3, 1) to (3,)");
    EXPECT_EQ(error_of([] { plan_copy(dense({2}, 1), strided({2}, {8}, 1, {0}), 1); }),
              "copy: source has suboffsets");
    EXPECT_EQ(error_of([] { plan_copy(strided({2}, {8}, 1, {0}), dense({2}, 1), 1); }),
              "copy: destination has suboffsets");
    EXPECT_EQ(error_of([] { copy_host(nullptr, dense({2}, 1), nullptr, dense({3}, 1), 1); }),
              "copy: shape (3,) to (2,)");
    EXPECT_EQ(
        error_of([] { copy_host(nullptr, dense({2}, 1), nullptr, strided({3}, {8}, 1, {0}), 1); }),
        "copy: shape (3,) to (2,)");
    EXPECT_EQ(error_of([] { plan_copy(dense({1LL << 40}, 1), dense({1LL << 40}, 1), 1LL << 30); }),
              "copy: axis 0: extent 1099511627776, limit 8589934591 (int64 bytes)");
}

// --- Copies

TEST(CopyHost, RandomLayoutsMatchOneMemcpyPerItem) {
    std::mt19937 random(4711);
    for (int round = 0; round < 6000; ++round) {
        const Shape shape = random_shape(random, round);
        const std::int64_t itemsize = random_itemsize(random);
        Block dst(random_layout(random, shape, itemsize), itemsize, random_int(random, 0, 7));
        Block src(random_source(random, shape, itemsize), itemsize, random_int(random, 0, 7));
        randomise(random, dst);
        randomise(random, src);
        Block expected = dst;
        copy_naively(expected, src, itemsize);
        const bool reorder = round % 3 != 0;
        run_host(plan_copy(dst.layout, src.layout, itemsize, reorder), dst.data(), src.data());
        const int ndim = dst.layout.ndim();
        ASSERT_EQ(dst.bytes, expected.bytes)
            << "round " << round << " itemsize " << itemsize << " "
            << Layout::to_string(ndim, shape.data()) << " to "
            << Layout::to_string(ndim, dst.layout.strides()) << " from "
            << Layout::to_string(ndim, src.layout.strides());
    }
}

TEST(CopyHost, StandingDestinationKeepsLastItemInOrder) {
    std::mt19937 random(12);
    for (int round = 0; round < 500; ++round) {
        const Shape shape = {random_int(random, 1, 20), random_int(random, 1, 20),
                             random_int(random, 1, 4)};
        const Shape strides = {random_int(random, 0, 1) * 80 * 8, random_int(random, 0, 1) * -4 * 8,
                               random_int(random, 0, 1) * 8};
        Block dst(strided(shape, strides, 8), 8, 1);
        Block src(random_source(random, shape, 8), 8, 3);
        randomise(random, src);
        Block expected = dst;
        copy_naively(expected, src, 8);
        copy_host(dst.data(), dst.layout, src.data(), src.layout, 8);
        ASSERT_EQ(dst.bytes, expected.bytes) << "round " << round;
    }
}

TEST(CopyHost, FillWritesEveryItemAndNoGap) {
    std::mt19937 random(31);
    for (int round = 0; round < 3000; ++round) {
        const std::int64_t itemsize = random_itemsize(random);
        const Shape shape = random_shape(random, round);
        Block dst(random_layout(random, shape, itemsize), itemsize, random_int(random, 0, 7));
        Block item(Layout(), itemsize, random_int(random, 0, 7));
        randomise(random, item);
        randomise(random, dst);
        Block expected = dst;
        item.layout = item.layout.broadcast_to(rank(shape), shape.data(), itemsize);
        copy_naively(expected, item, itemsize);
        fill_host(dst.data(), dst.layout, item.data(), itemsize);
        ASSERT_EQ(dst.bytes, expected.bytes) << "round " << round << " itemsize " << itemsize;
    }
}

TEST(CopyHost, LongFillsOfOddSizes) {
    for (const std::int64_t itemsize : {1, 3, 7, 16, 24, 100, 9000}) {
        Block dst(dense({5000}, itemsize), itemsize, 1);
        Block item(Layout(), itemsize, 0);
        count_up(item.bytes, 1);
        fill_host(dst.data(), dst.layout, item.data(), itemsize);
        for (std::int64_t k = 0; k < 5000; ++k) {
            ASSERT_EQ(std::memcmp(dst.data() + k * itemsize, item.data(),
                                  static_cast<std::size_t>(itemsize)),
                      0);
        }
    }
}

// 3 pointers to blocks of 4 x 5 items, in no order, items from byte 6 on.
struct Indirect {
    static constexpr std::int64_t kItemsize = 3;
    std::vector<std::vector<char>> blocks{4, std::vector<char>(6 + 4 * 5 * kItemsize)};
    std::vector<char*> table{blocks[2].data(), blocks[0].data(), blocks[1].data()};
    Layout layout = strided({3, 4, 5}, {8, 5 * kItemsize, kItemsize}, kItemsize, {6, -1, -1});
    char* data() { return reinterpret_cast<char*>(table.data()); }
    char* item(std::int64_t i, std::int64_t j, std::int64_t k) {
        return table[static_cast<std::size_t>(i)] + 6 + (j * 5 + k) * kItemsize;
    }
};

TEST(CopyHost, FollowsPointersOfTheSource) {
    Indirect from;
    for (auto& block : from.blocks)
        std::iota(block.begin(), block.end(), block.data()[0]);
    for (std::size_t k = 0; k < from.blocks.size(); ++k)
        from.blocks[k][7] = static_cast<char>(k);
    std::vector<char> to(180);
    copy_host(to.data(), dense({3, 4, 5}, 3), from.data(), from.layout, 3);
    const char* next = to.data();
    test::for_each_index({3, 4, 5}, [&](const Shape& at) {
        EXPECT_EQ(std::memcmp(next, from.item(at[0], at[1], at[2]), 3), 0);
        next += 3;
    });
}

TEST(CopyHost, FollowsPointersOfBothSidesInSlices) {
    Indirect from;
    Indirect to;
    for (std::size_t k = 0; k < from.blocks.size(); ++k) {
        count_up(from.blocks[k], 40 * k);
    }
    std::int64_t shift = 0;
    const Layout reversed = from.layout.slice(2, 4, -1, 5, shift).slice(1, 1, 2, 2, shift);
    const Layout forward = to.layout.slice(1, 0, 1, 2, shift);
    copy_host(to.data(), forward, from.data(), reversed, 3);
    test::for_each_index({3, 2, 5}, [&](const Shape& at) {
        EXPECT_EQ(std::memcmp(to.item(at[0], at[1], at[2]),
                              from.item(at[0], 1 + 2 * at[1], 4 - at[2]), 3),
                  0);
    });
    EXPECT_EQ(to.item(0, 2, 0)[0], 0);
    EXPECT_EQ(to.blocks[3], std::vector<char>(66));
}

TEST(CopyHost, FillFollowsPointers) {
    Indirect to;
    fill_host(to.data(), to.layout, "abc", 3);
    test::for_each_index({3, 4, 5}, [&](const Shape& at) {
        EXPECT_EQ(std::memcmp(to.item(at[0], at[1], at[2]), "abc", 3), 0);
    });
    EXPECT_EQ(to.blocks[0][5], 0);
}

TEST(CopyHost, EmptyLayoutsFollowNoPointer) {
    const Layout empty = strided({3, 0}, {8, 1}, 1, {0, -1});
    copy_host(nullptr, empty, nullptr, empty, 1);
    fill_host(nullptr, empty, "a", 1);
}

TEST(PlanPairs, CountsWhatEitherSideRepeats) {
    const std::int64_t shape[3] = {2, 3, 5};
    const std::int64_t still[3] = {0, 20, 4}, moves[3] = {60, 20, 4}, none[3] = {0, 0, 4};
    const auto layout = [&](const std::int64_t* strides) {
        return Layout::strided(3, shape, strides, nullptr, 4);
    };
    for (const auto& [a, b] : {std::pair(still, moves), std::pair(moves, still)}) {
        const CopyPlan plan = plan_pairs(layout(a), layout(b), 4);
        EXPECT_EQ(plan.count * plan.unit, 120);
        EXPECT_EQ(plan.ndim, 1);
        EXPECT_EQ(plan.unit, 60);
    }
    const CopyPlan both = plan_pairs(layout(still), layout(none), 4);
    EXPECT_EQ(both.count * both.unit, 60) << "what neither side moves on counts once";
    const CopyPlan items = plan_pairs(layout(moves), layout(moves), 0);
    EXPECT_EQ(items.count, 30);
    EXPECT_EQ(items.unit, 1);
}

}  // namespace
}  // namespace devview
