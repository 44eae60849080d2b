// Views: sub-views by arithmetic, checked against the addresses they must reach.
#include "devview/view.hpp"

#include <cstring>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/host_memory.hpp"

namespace devview {
namespace {

/// A 4 x 6 view of the int16s 0, 1, 2, ...
View table() {
    const auto block = allocate_host(48);
    auto* const items = static_cast<std::int16_t*>(block->data());
    std::iota(items, items + 24, std::int16_t{0});
    const std::int64_t shape[] = {4, 6};
    return view_of(items, Format("h"), Layout::contiguous(2, shape, 2), Device{}, block);
}

std::int16_t item(const View& view, std::int64_t row, std::int64_t column) {
    std::int16_t value = 0;
    std::memcpy(&value, view.index(0, row).index(0, column).data(), sizeof value);
    return value;
}

TEST(View, SliceFollowsPythonsRules) {
    const View view = table();
    const View part = view.slice(0, 1, std::nullopt).slice(1, std::nullopt, std::nullopt, 2);
    EXPECT_EQ(part.shape()[0], 3);
    EXPECT_EQ(part.shape()[1], 3);
    EXPECT_EQ(item(part, 2, 2), 22);
    const View back = view.slice(1, std::nullopt, std::nullopt, -1);
    EXPECT_EQ(item(back, 0, 0), 5);
    EXPECT_EQ(item(back, 3, 5), 18);
    EXPECT_EQ(view.slice(0, 3, 1).shape()[0], 0);
    EXPECT_EQ(view.slice(0, -100, 100).shape()[0], 4);
    EXPECT_EQ(view.slice(0, std::nullopt, std::nullopt, INT64_MIN).shape()[0], 1);
    EXPECT_THROW(view.slice(2, 0, 1), LayoutError);
    EXPECT_THROW(view.slice(0, 0, 1, 0), LayoutError);
}

TEST(View, IndexNamesAxisAndExtent) {
    const View view = table();
    EXPECT_EQ(item(view, -1, -1), 23);
    try {
        (void)view.index(1, 6);
        FAIL() << "an index out of range";
    } catch (const std::out_of_range& error) {
        EXPECT_STREQ(error.what(), "index: axis 1: index 6, extent 6");
    }
}

TEST(View, SubViewsShareOneAllocation) {
    View view = table();
    const View turned = view.transpose();
    EXPECT_EQ(turned.allocation(), view.allocation());
    EXPECT_EQ(view.allocation()->views(), 2);
    EXPECT_EQ(item(turned, 5, 3), 23);
    const View copy = turned;
    EXPECT_EQ(view.allocation()->views(), 3);
    View moved = std::move(view);
    EXPECT_EQ(moved.allocation()->views(), 3);
    moved.release();
    moved.release();
    EXPECT_TRUE(moved.released());
    EXPECT_EQ(turned.allocation()->views(), 2);
    EXPECT_THROW(moved.transpose(), ReleasedError);
    EXPECT_THROW(moved.slice(0, 0, 1), ReleasedError);
}

TEST(View, CastFromOrToBytesMakesOneAxis) {
    const View view = table();
    const View bytes = view.cast(Format());
    EXPECT_EQ(bytes.layout(), Layout::vector(view.nbytes(), 1));
    EXPECT_EQ(bytes.cast(Format("h"), 2, view.shape()).layout(), view.layout());
    EXPECT_THROW(bytes.slice(0, 0, 3).cast(Format("h")), LayoutError);
    const std::int64_t empty[] = {0, 3};
    EXPECT_THROW(bytes.slice(0, 0, 0).cast(Format("i"), 2, empty).cast(Format()), LayoutError);
    EXPECT_EQ(bytes.slice(0, 0, 0).cast(Format("i")).shape()[0], 0);
}

TEST(View, CastNeedsADenseLastAxis) {
    const View view = table();
    EXPECT_EQ(view.cast(Format("i")).shape()[1], 3);
    EXPECT_THROW(view.cast(Format("q")), LayoutError);
    EXPECT_THROW(view.slice(1, 0, 6, 2).cast(Format()), LayoutError);
    EXPECT_NO_THROW(view.slice(1, 0, 6, 2).cast(Format("H")));
    EXPECT_THROW(view.cast(Format("O")), FormatError);
    const std::int64_t shape[] = {2, 3, 2};
    EXPECT_EQ(view.cast(Format("i"), 3, shape).ndim(), 3);
    EXPECT_THROW(view.cast(Format("h"), 3, shape), LayoutError);
}

TEST(View, FieldsAreFurtherAxesWhereTheyAreArrays) {
    const auto block = allocate_host(24);
    const std::int64_t shape[] = {2};
    const Format record("T{h:a:(2)i:b:}");
    ASSERT_EQ(record.itemsize(), 12);
    const View view =
        view_of(block->data(), record, Layout::contiguous(1, shape, 12), Device{}, block);
    const View b = view.field("b");
    EXPECT_EQ(static_cast<char*>(b.data()) - static_cast<char*>(view.data()), 4);
    EXPECT_EQ(b.ndim(), 2);
    EXPECT_EQ(b.strides()[0], 12);
    EXPECT_EQ(b.strides()[1], 4);
    EXPECT_EQ(b.format(), Format("i"));
    EXPECT_THROW(view.field("c"), FormatError);
    EXPECT_THROW(table().field("a"), FormatError);
}

TEST(View, PointersOfSuboffsetsAreFollowed) {
    std::vector<std::int16_t> rows[2] = {{1, 2, 3}, {4, 5, 6}};
    void* pointers[] = {rows[0].data(), rows[1].data()};
    const std::int64_t shape[] = {2, 3};
    const std::int64_t strides[] = {sizeof(void*), 2};
    const std::int64_t suboffsets[] = {0, -1};
    const auto block = Allocation::adopt(pointers, sizeof pointers, Device{}, nullptr);
    const View view = view_of(static_cast<void*>(pointers), Format("h"),
                              Layout::strided(2, shape, strides, suboffsets, 2), Device{}, block);
    EXPECT_EQ(item(view, 1, 2), 6);
    EXPECT_EQ(item(view.slice(1, 1, 3), 1, 0), 5);
}

TEST(View, OfBytesOutsideTheAllocationIsRefused) {
    const auto block = allocate_host(16);
    char* const data = static_cast<char*>(block->data());
    const auto make = [&](char* at, std::int64_t extent, std::int64_t stride) {
        return view_of(at, Format("i"), Layout::strided(1, &extent, &stride, nullptr, 4), Device{},
                       block);
    };
    EXPECT_NO_THROW(make(data, 4, 4));
    EXPECT_NO_THROW(make(data + 12, 4, -4));
    EXPECT_NO_THROW(make(data + 16, 0, 4));
    EXPECT_THROW(make(data, 5, 4), LayoutError);
    EXPECT_THROW(make(data + 1, 4, 4), LayoutError);
    EXPECT_THROW(make(data + 8, 4, -4), LayoutError);
    EXPECT_THROW(view_of(data, Format(), Layout(), Device{DeviceType::cuda, 0}, block),
                 LayoutError);
    EXPECT_THROW(view_of(data, Format("0s"), Layout(), Device{}, block), FormatError);
    EXPECT_THROW(view_of(data, Format(), Layout(), Device{}, nullptr), LayoutError);
}

TEST(View, ReadonlyIsKeptBySubViews) {
    const View view = table().as_readonly();
    EXPECT_TRUE(view.slice(0, 0, 1).readonly());
    EXPECT_TRUE(view.transpose().cast(Format("H")).readonly());
    EXPECT_FALSE(table().readonly());
}

}  // namespace
}  // namespace devview
