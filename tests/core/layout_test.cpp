// Layouts: named cases, error texts, copies and moves, and the whole int64 range.
#include "devview/layout.hpp"

#include <array>
#include <limits>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "layout_model.hpp"

namespace devview {
namespace {

using test::at;
using test::Shape;
using test::shape_of;
using test::Wide;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Layout strided(const Shape& shape, const Shape& strides, std::int64_t itemsize,
               const Shape& suboffsets = {}) {
    return Layout::strided(test::rank(shape), shape.data(), strides.data(),
                           suboffsets.empty() ? nullptr : suboffsets.data(), itemsize);
}

Layout dense(const Shape& shape, std::int64_t itemsize, Order order = Order::C) {
    return Layout::contiguous(test::rank(shape), shape.data(), itemsize, order);
}

Shape strides_of(const Layout& layout) {
    return Shape(layout.strides(), layout.strides() + layout.ndim());
}

Shape suboffsets_of(const Layout& layout) {
    if (layout.suboffsets() == nullptr) return {};
    return Shape(layout.suboffsets(), layout.suboffsets() + layout.ndim());
}

template <typename Call>
std::string error_of(const Call& call) {
    try {
        call();
    } catch (const LayoutError& error) {
        return error.what();
    }
    return "no error";
}

TEST(Layout, DefaultIsOneItem) {
    const Layout layout;
    EXPECT_EQ(layout.ndim(), 0);
    EXPECT_EQ(layout.size(), 1);
    EXPECT_EQ(layout.nbytes(8), 8);
    EXPECT_TRUE(layout.contiguous(8, Order::C));
    EXPECT_EQ(layout.bounds(8).high, 8);
    EXPECT_EQ(layout, Layout::contiguous(0, nullptr, 8));
}

TEST(Layout, ContiguousOrders) {
    EXPECT_EQ(strides_of(dense({2, 3, 4}, 8)), (Shape{96, 32, 8}));
    EXPECT_EQ(strides_of(dense({2, 3, 4}, 8, Order::F)), (Shape{8, 16, 48}));
    EXPECT_EQ(strides_of(dense({2, 0, 4}, 8)), (Shape{32, 32, 8}));
    EXPECT_EQ(dense({5}, 2), Layout::vector(5, 2));
}

TEST(Layout, ContiguousFollowsPyBufferIsContiguous) {
    const Layout ones = strided({1, 4, 1}, {kMin, 2, 7}, 2);
    EXPECT_TRUE(ones.contiguous(2, Order::C));
    EXPECT_TRUE(ones.contiguous(2, Order::F));
    const Layout empty = strided({3, 0}, {1, -50}, 2);
    EXPECT_TRUE(empty.contiguous(2, Order::C));
    EXPECT_TRUE(empty.contiguous(2, Order::F));
    EXPECT_FALSE(dense({2, 3}, 4, Order::F).contiguous(4, Order::C));
    EXPECT_FALSE(Layout::vector(3, 4).contiguous(2, Order::C));
    EXPECT_FALSE(strided({1, 1}, {8, 1}, 1, {0, -1}).contiguous(1, Order::C));
}

TEST(Layout, SuboffsetsThatAreAllNegativeAreNone) {
    EXPECT_EQ(strided({2, 2}, {2, 1}, 1, {-1, -7}).suboffsets(), nullptr);
    EXPECT_EQ(suboffsets_of(strided({2, 2}, {8, 1}, 1, {0, -7})), (Shape{0, -1}));
}

TEST(Layout, SmallLayoutsAreStoredInline) {
    const auto is_inline = [](const Layout& layout) {
        const auto* first = reinterpret_cast<const char*>(layout.shape());
        const auto* self = reinterpret_cast<const char*>(&layout);
        return std::less_equal<>()(self, first) && std::less<>()(first, self + sizeof(Layout));
    };
    EXPECT_TRUE(is_inline(dense({2, 3, 4}, 1)));
    EXPECT_TRUE(is_inline(strided({2, 3}, {8, 1}, 1, {0, -1})));
    EXPECT_FALSE(is_inline(dense({2, 3, 4, 5}, 1)));
    EXPECT_FALSE(is_inline(strided({2, 3, 4}, {8, 4, 1}, 1, {0, -1, -1})));
}

TEST(Layout, CopiesAndMovesBetweenInlineAndHeap) {
    const std::array<Layout, 4> all = {Layout(), dense({2, 3, 4}, 4), dense({2, 3, 4, 5}, 4),
                                       strided({2, 3, 4}, {8, 4, 1}, 1, {5, -1, -1})};
    for (const Layout& from : all) {
        for (const Layout& to : all) {
            Layout copied(to);
            EXPECT_EQ(copied, to);
            copied = from;
            EXPECT_EQ(copied, from);
            Layout moved(to);
            moved = std::move(copied);
            EXPECT_EQ(moved, from);
            EXPECT_EQ(copied, Layout());  // NOLINT: moved-from is 0-d
            copied = to;
            EXPECT_EQ(copied, to);
            const Layout built(std::move(copied));
            EXPECT_EQ(built, to);
            EXPECT_EQ(copied.ndim(), 0);  // NOLINT
        }
        Layout self(from);
        const Layout& alias = self;
        self = alias;
        EXPECT_EQ(self, from);
        Layout& other = self;
        self = std::move(other);
        EXPECT_EQ(self, from);
    }
    EXPECT_NE(all[1], all[2]);
    EXPECT_NE(strided({2}, {8}, 1, {0}), strided({2}, {8}, 1));
}

TEST(Layout, SliceWithSuboffsetsShiftsEarlierAxis) {
    const Layout layout = strided({3, 4, 5, 6}, {16, 8, 10, 1}, 1, {-1, 7, -1, -1});
    std::int64_t shift = -1;
    EXPECT_EQ(suboffsets_of(layout.slice(3, 2, 1, 4, shift)), (Shape{-1, 9, -1, -1}));
    EXPECT_EQ(shift, 0);
    EXPECT_EQ(suboffsets_of(layout.slice(2, 1, 2, 2, shift)), (Shape{-1, 17, -1, -1}));
    EXPECT_EQ(shift, 0);
    EXPECT_EQ(suboffsets_of(layout.slice(1, 1, 1, 2, shift)), (Shape{-1, 7, -1, -1}));
    EXPECT_EQ(shift, 8);
    EXPECT_EQ(suboffsets_of(layout.slice(0, 2, -1, 3, shift)), (Shape{-1, 7, -1, -1}));
    EXPECT_EQ(shift, 32);
    EXPECT_EQ(suboffsets_of(layout.index(2, 3, shift)), (Shape{-1, 37, -1}));
    EXPECT_EQ(shift, 0);
    EXPECT_EQ(suboffsets_of(layout.index(0, 1, shift)), (Shape{7, -1, -1}));
    EXPECT_EQ(shift, 16);
}

TEST(Layout, SliceRefusesSuboffsetThatWouldMeanNone) {
    const Layout layout = strided({2, 4}, {8, -1}, 1, {2, -1});
    std::int64_t shift = 0;
    EXPECT_EQ(suboffsets_of(layout.slice(1, 2, 1, 2, shift)), (Shape{0, -1}));
    EXPECT_EQ(error_of([&] { layout.slice(1, 3, 1, 1, shift); }),
              "slice: axis 1: shift -3, suboffset 2 of axis 0");
}

TEST(Layout, EmptySlicesDoNotShift) {
    std::int64_t shift = -1;
    const Layout none = dense({4, 5}, 8).slice(0, 4, 1, 0, shift);
    EXPECT_EQ(shift, 0);
    EXPECT_EQ(none.size(), 0);
    none.slice(1, 3, 1, 2, shift);
    EXPECT_EQ(shift, 0);
    none.index(1, 3, shift);
    EXPECT_EQ(shift, 0);
    dense({4}, 8).slice(0, kMax, kMin, 0, shift);
    EXPECT_EQ(shift, 0);
    EXPECT_EQ(none.bounds(8).low, 0);
    EXPECT_EQ(none.bounds(8).high, 0);
}

TEST(Layout, HugeStepsOverOneItemAreLegal) {
    std::int64_t shift = 0;
    const Layout layout = dense({9}, 8);
    EXPECT_EQ(strides_of(layout.slice(0, 3, kMax, 1, shift)), (Shape{8}));
    EXPECT_EQ(shift, 24);
    EXPECT_EQ(strides_of(layout.slice(0, 8, kMin, 1, shift)), (Shape{8}));
    EXPECT_EQ(strides_of(layout.slice(0, 8, 5, 1, shift)), (Shape{40}));
    EXPECT_EQ(shift, 64);
}

TEST(Layout, TransposeStaysWithinRunsOfSuboffsets) {
    const Layout layout = strided({2, 3, 4, 5}, {24, 8, 5, 1}, 1, {-1, 0, -1, -1});
    const std::array<int, 4> within = {1, 0, 3, 2};
    const Layout swapped = layout.transpose(within.data());
    EXPECT_EQ(shape_of(swapped), (Shape{3, 2, 5, 4}));
    EXPECT_EQ(suboffsets_of(swapped), (Shape{-1, 0, -1, -1}));
    const std::array<int, 4> same = {0, 1, 2, 3};
    EXPECT_EQ(layout.transpose(same.data()), layout);
    const std::array<int, 4> across = {0, 2, 1, 3};
    EXPECT_EQ(error_of([&] { layout.transpose(across.data()); }),
              "transpose: axis 2: to 1, suboffset 0 of axis 1");
}

TEST(Layout, BroadcastRepeatsWithStrideZero) {
    const Layout layout = strided({3, 1}, {8, kMin}, 4);
    const Shape shape = {2, 3, 5};
    EXPECT_EQ(strides_of(layout.broadcast_to(3, shape.data(), 4)), (Shape{0, 8, 0}));
    const Shape empty = {3, 0};
    EXPECT_EQ(layout.broadcast_to(2, empty.data(), 4).size(), 0);
    const Layout indirect = strided({1, 3}, {8, 1}, 1, {0, -1});
    EXPECT_EQ(suboffsets_of(indirect.broadcast_to(3, Shape({2, 4, 3}).data(), 1)),
              (Shape{-1, 0, -1}));
}

TEST(Layout, ReshapeKeepsSuboffsetsOnlyWithTheShape) {
    const Layout layout = strided({2, 3}, {8, 1}, 1, {0, -1});
    EXPECT_EQ(layout.reshape(2, Shape({2, 3}).data(), 1), layout);
    EXPECT_EQ(error_of([&] { layout.reshape(1, Shape({6}).data(), 1); }),
              "reshape: (2, 3) to (6,): suboffsets");
}

TEST(Layout, MakingRefusesWithNumbers) {
    const auto make = [](const Shape& shape, const Shape& strides, std::int64_t itemsize) {
        return error_of([&] { strided(shape, strides, itemsize); });
    };
    EXPECT_EQ(make(Shape(65, 1), Shape(65, 0), 1), "strided: ndim 65, limit 64");
    EXPECT_EQ(make({3, -4}, {1, 1}, 1), "strided: axis 1: extent -4, minimum 0");
    EXPECT_EQ(make({kMin}, {1}, 1),
              "strided: axis 0: extent " + std::to_string(kMin) + ", minimum 0");
    EXPECT_EQ(make({3}, {1}, -1), "strided: itemsize -1, minimum 0");
    EXPECT_EQ(make({0, 1LL << 62}, {0, 0}, 8),
              "strided: axis 1: extent 4611686018427387904, limit 1152921504606846975 "
              "(int64 bytes)");
    EXPECT_EQ(make({3, 4}, {kMin, 1}, 1),
              "strided: axis 0: stride -9223372036854775808, limit 4611686018427387901 "
              "(extent 3, int64 bytes)");
    EXPECT_EQ(error_of([] {
                  strided({2, 8}, {8, 1}, 1, {kMax, -1});
              }),
              "strided: axis 0: suboffset 9223372036854775807, limit 9223372036854775799 "
              "(int64 bytes)");
    EXPECT_EQ(error_of([] { Layout::contiguous(-1, nullptr, 1); }),
              "contiguous: ndim -1, minimum 0");
    EXPECT_EQ(error_of([] { Layout::contiguous(2, nullptr, 1); }),
              "contiguous: shape null, ndim 2");
}

TEST(Layout, ViewsRefuseWithNumbers) {
    const Layout layout = dense({3, 8}, 4);
    std::int64_t shift = 0;
    EXPECT_EQ(error_of([&] { layout.slice(2, 0, 1, 1, shift); }), "slice: axis 2: ndim 2");
    EXPECT_EQ(error_of([&] { layout.slice(-1, 0, 1, 1, shift); }), "slice: axis -1: ndim 2");
    EXPECT_EQ(error_of([&] { layout.slice(1, 0, 0, 1, shift); }), "slice: axis 1: step 0");
    EXPECT_EQ(error_of([&] { layout.slice(1, 8, 1, 1, shift); }),
              "slice: axis 1: start 8, extent 8");
    EXPECT_EQ(error_of([&] { layout.slice(1, -1, 1, 1, shift); }),
              "slice: axis 1: start -1, extent 8");
    EXPECT_EQ(error_of([&] { layout.slice(1, 2, 1, 7, shift); }),
              "slice: axis 1: last item 8, extent 8");
    EXPECT_EQ(error_of([&] { layout.slice(1, 2, -1, 4, shift); }),
              "slice: axis 1: last item -1, extent 8");
    EXPECT_EQ(error_of([&] { layout.slice(1, 2, 1, -4, shift); }),
              "slice: axis 1: extent -4, minimum 0");
    EXPECT_EQ(error_of([&] { layout.slice(1, 2, kMax, kMax, shift); }),
              "slice: axis 1: step 9223372036854775807 times 9223372036854775806, extent 8");
    EXPECT_EQ(error_of([&] { layout.index(0, 3, shift); }), "index: axis 0: index 3, extent 3");
    EXPECT_EQ(error_of([&] { layout.index(0, kMin, shift); }),
              "index: axis 0: index -9223372036854775808, extent 3");
    EXPECT_EQ(error_of([&] {
                  layout.transpose(std::array<int, 2>{1, 1}.data());
              }),
              "transpose: axis 1: given twice");
    EXPECT_EQ(error_of([&] {
                  layout.transpose(std::array<int, 2>{0, -1}.data());
              }),
              "transpose: axis -1: ndim 2");
    EXPECT_EQ(error_of([&] { layout.insert_axis(3); }), "insert_axis: axis 3: ndim 2");
    EXPECT_EQ(error_of([&] { dense(Shape(64, 1), 1).insert_axis(0); }),
              "insert_axis: ndim 65, limit 64");
    EXPECT_EQ(error_of([&] { layout.remove_axis(1); }), "remove_axis: axis 1: extent 8, needs 1");
    EXPECT_EQ(error_of([&] {
                  layout.broadcast_to(2, Shape({3, 9}).data(), 4);
              }),
              "broadcast_to: axis 1: extent 8 to 9");
    EXPECT_EQ(error_of([&] { layout.broadcast_to(1, Shape({8}).data(), 4); }),
              "broadcast_to: ndim 1, minimum 2");
    EXPECT_EQ(error_of([&] {
                  layout.broadcast_to(3, Shape({kMax / 4, 3, 8}).data(), 4);
              }),
              "broadcast_to: axis 1: extent 3, limit 1 (int64 bytes)");
    EXPECT_EQ(error_of([&] {
                  layout.reshape(2, Shape({5, 5}).data(), 4);
              }),
              "reshape: (3, 8) to (5, 5): 25 items, needs 24");
    EXPECT_EQ(error_of([&] {
                  dense({3, 8}, 4, Order::F).reshape(1, Shape({24}).data(), 4);
              }),
              "reshape: (3, 8) to (24,): strides (4, 12) need a copy");
    const Layout indirect = strided({1, 3}, {8, 1}, 1, {0, -1});
    EXPECT_EQ(error_of([&] { indirect.index(0, 0, shift); }),
              "index: axis 0: suboffset 0, needs none");
    EXPECT_EQ(error_of([&] { indirect.remove_axis(0); }),
              "remove_axis: axis 0: suboffset 0, needs none");
}

}  // namespace
}  // namespace devview
