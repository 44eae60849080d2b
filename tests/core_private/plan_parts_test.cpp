// Plans cut into parts do what the whole does.
#include "src/copy/plan_parts.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "devview/compare.hpp"
#include "devview/convert.hpp"

namespace devview {
namespace {

using Bytes = std::vector<char>;

// Before anything asks for the limit; enough for 32 parts.
const bool kThreadsAreSet = setenv("DEVVIEW_NUM_THREADS", "8", 1) == 0;

constexpr std::int64_t kHuge = std::int64_t{1} << 40;

Bytes random_bytes(std::int64_t count, std::mt19937_64& random) {
    Bytes bytes(static_cast<std::size_t>(count));
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    return bytes;
}

/// A random box of `itemsize` items in a dense array, its axes in any order and direction.
struct Box {
    Layout layout;
    std::int64_t offset = 0;
    std::int64_t nbytes = 0;
};

Box random_box(const std::vector<std::int64_t>& shape, std::int64_t itemsize,
               std::mt19937_64& random) {
    std::vector<int> order(shape.size());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    std::vector<std::int64_t> strides(shape.size());
    Box box;
    box.nbytes = itemsize * (1 + static_cast<std::int64_t>(random() % 2));
    for (const int axis : order) {
        const auto k = static_cast<std::size_t>(axis);
        const bool back = random() % 4 == 0;
        strides[k] = back ? -box.nbytes : box.nbytes;
        if (back) box.offset += box.nbytes * (shape[k] - 1);
        box.nbytes *= shape[k] + static_cast<std::int64_t>(random() % 2);
    }
    box.layout = Layout::strided(static_cast<int>(shape.size()), shape.data(), strides.data(),
                                 nullptr, itemsize);
    return box;
}

std::vector<std::int64_t> random_shape(std::mt19937_64& random) {
    std::vector<std::int64_t> shape(1 + random() % 4);
    for (auto& extent : shape)
        extent = 1 + static_cast<std::int64_t>(random() % (shape.size() < 3 ? 300 : 12));
    return shape;
}

TEST(PlanParts, CopyWhatTheWholeCopies) {
    ASSERT_TRUE(kThreadsAreSet);
    std::mt19937_64 random(1);
    int cuts = 0;
    for (int round = 0; round < 400; ++round) {
        const auto shape = random_shape(random);
        const std::int64_t itemsize = 1 + static_cast<std::int64_t>(random() % 17);
        const Box to = random_box(shape, itemsize, random);
        const Box from = random_box(shape, itemsize, random);
        const Bytes source = random_bytes(from.nbytes, random);
        Bytes whole(static_cast<std::size_t>(to.nbytes));
        Bytes parts = whole;
        const CopyPlan plan = plan_copy(to.layout, from.layout, itemsize);
        const PlanCut cut = cut_writes(plan, kHuge, plan.unit, Cutting::bytes);
        cuts += cut.parts > 1 ? 1 : 0;
        run_host(plan, whole.data() + to.offset, source.data() + from.offset);
        std::int64_t bytes = 0;
        for (int k = cut.parts - 1; k >= 0; --k) {
            const CopyPlan part = cut.part(plan, k);
            bytes += part.count * part.unit;
            run_host(part, parts.data() + to.offset, source.data() + from.offset);
        }
        ASSERT_EQ(bytes, plan.count * plan.unit);
        ASSERT_EQ(parts, whole) << round;
    }
    EXPECT_GT(cuts, 300);
}

TEST(PlanParts, ADenseRunIsCutIntoWholePages) {
    const std::int64_t nbytes = 100'001;
    const Layout dense = Layout::vector(nbytes, 1);
    const CopyPlan plan = plan_copy(dense, dense, 1);
    const PlanCut cut = cut_writes(plan, kHuge, plan.unit, Cutting::bytes);
    ASSERT_EQ(cut.parts, 25);
    std::int64_t next = 0;
    for (int k = 0; k < cut.parts; ++k) {
        const CopyPlan part = cut.part(plan, k);
        EXPECT_EQ(part.dst_shift, next);
        EXPECT_EQ(part.dst_shift % 4096, 0);
        next += part.unit;
    }
    EXPECT_EQ(next, nbytes);
    EXPECT_EQ(cut_writes(plan, kHuge, plan.unit, Cutting::items).parts, 1);
}

TEST(PlanParts, WhatOverlapsItselfIsWrittenByOneThread) {
    const std::int64_t shape[] = {1000, 64};
    const std::int64_t windows[] = {8, 8};  // each row is the last one, one further
    const Layout to = Layout::strided(2, shape, windows, nullptr, 8);
    const Layout from = Layout::contiguous(2, shape, 8);
    const CopyPlan plan = plan_copy(to, from, 8);
    EXPECT_EQ(cut_writes(plan, kHuge, plan.unit, Cutting::bytes).parts, 1);
    const CopyPlan back = plan_copy(from, to, 8);
    EXPECT_EQ(cut_writes(back, kHuge, back.unit, Cutting::bytes).parts, 32);
}

/// Doubles in rows of a wide array, as large as threads are worth.
struct Large {
    static constexpr std::int64_t kRows = 1200;
    static constexpr std::int64_t kColumns = 700;
    std::vector<double> items;
    Layout layout;

    Large() : items(static_cast<std::size_t>(kRows * (kColumns + 4))) {
        const std::int64_t shape[] = {kColumns, kRows};
        const std::int64_t strides[] = {8, 8 * (kColumns + 4)};
        layout = Layout::strided(2, shape, strides, nullptr, 8);
        for (std::size_t k = 0; k < items.size(); ++k)
            items[k] = static_cast<double>(k) / 4;
    }
    double& at(std::int64_t row, std::int64_t column) {
        return items[static_cast<std::size_t>(row * (kColumns + 4) + column)];
    }
};

TEST(PlanParts, LargeCopiesFillsAndConversionsAreShared) {
    ASSERT_TRUE(kThreadsAreSet);
    Large source;
    const Layout dense = Layout::contiguous(2, source.layout.shape(), 8);
    const std::int64_t before = workers::counts().works;
    std::vector<double> copied(static_cast<std::size_t>(dense.size()));
    copy_host(copied.data(), dense, source.items.data(), source.layout, 8);
    EXPECT_EQ(workers::counts().works, before + 1);
    std::vector<float> made(copied.size());
    const Layout floats = Layout::contiguous(2, source.layout.shape(), 4);
    convert_host(made.data(), floats, Format("f"), source.items.data(), source.layout, Format("d"));
    EXPECT_EQ(workers::counts().works, before + 2);
    for (std::int64_t column = 0; column < Large::kColumns; ++column) {
        for (std::int64_t row = 0; row < Large::kRows; ++row) {
            const auto k = static_cast<std::size_t>(column * Large::kRows + row);
            ASSERT_EQ(copied[k], source.at(row, column));
            ASSERT_EQ(made[k], static_cast<float>(source.at(row, column)));
        }
    }
    const double seven = 7;
    fill_host(copied.data(), dense, &seven, 8);
    EXPECT_EQ(workers::counts().works, before + 3);
    EXPECT_EQ(std::count(copied.begin(), copied.end(), 7.0), dense.size());
}

TEST(PlanParts, LargeComparisonsAreSharedUnlessTheyDifferSoon) {
    ASSERT_TRUE(kThreadsAreSet);
    Large a;
    Large b;
    const FormatNode& node = *Format("d").node();
    const auto equal = [&] {
        return equal_host(node, a.layout, a.items.data(), node, b.layout, b.items.data());
    };
    const std::int64_t before = workers::counts().works;
    EXPECT_TRUE(equal());
    EXPECT_EQ(workers::counts().works, before + 1);
    for (const std::int64_t row : {std::int64_t{300}, std::int64_t{700}, Large::kRows - 1}) {
        b.at(row, Large::kColumns - 1) += 1;
        EXPECT_FALSE(equal()) << row;
        b.at(row, Large::kColumns - 1) -= 1;
    }
    EXPECT_EQ(workers::counts().works, before + 4);
    b.at(0, 0) += 1;
    EXPECT_FALSE(equal());
    EXPECT_EQ(workers::counts().works, before + 4);
}

}  // namespace
}  // namespace devview
