// What typed code wants of a view: each refusal, and strides in items against positions in bytes.
#include "devview/item_layout.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/host_memory.hpp"

namespace devview {
namespace {

using Numbers = std::vector<std::int64_t>;

/// A view of untouched memory that says it is on `device`.
View view_on(Device device, const char* format, const Numbers& shape, const Numbers& strides,
             std::uintptr_t address = 4096, bool readonly = false) {
    auto allocation = Allocation::adopt(reinterpret_cast<void*>(address), 0, device, nullptr);
    const Format item(format);
    Layout layout = Layout::strided(static_cast<int>(shape.size()), shape.data(), strides.data(),
                                    nullptr, item.itemsize());
    return View(std::move(allocation), reinterpret_cast<void*>(address), item, std::move(layout),
                readonly);
}

View floats(const Numbers& shape, const Numbers& strides) {
    return view_on(Device{}, "f", shape, strides);
}

/// Of floats, for the host, with every number that an int64 counts.
struct Wish {
    Numbers extents;
    ItemStrides strides = ItemStrides::c_contiguous;
    ItemReader reader = ItemReader::host;
    bool writable = false;
    std::uint64_t index_max = INT64_MAX;
    Format format{"f"};
    std::size_t alignment = 4;
};

Numbers items(const View& view, const Wish& wish, std::int64_t* offset = nullptr) {
    Numbers strides(wish.extents.size() + 1, -99);
    const ItemRequest request{"typed",
                              "x",
                              wish.format,
                              wish.alignment,
                              wish.writable,
                              wish.reader,
                              wish.strides,
                              wish.index_max,
                              static_cast<int>(wish.extents.size()),
                              wish.extents.data()};
    const std::int64_t first = item_layout(view, request, strides.data());
    if (offset != nullptr) *offset = first;
    EXPECT_EQ(strides.back(), -99) << "written past the last axis";
    strides.pop_back();
    return strides;
}

template <class Error>
std::string refusal(const View& view, const Wish& wish) {
    try {
        items(view, wish);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

TEST(ItemLayout, CountsItemsNotBytes) {
    EXPECT_EQ(items(floats({3, 4}, {16, 4}), {{-1, -1}}), (Numbers{4, 1}));
    EXPECT_EQ(items(floats({3, 4}, {4, 12}), {{3, -1}, ItemStrides::f_contiguous}),
              (Numbers{1, 3}));
    EXPECT_EQ(items(floats({3, 4}, {64, 8}), {{-1, -1}, ItemStrides::unique}), (Numbers{16, 2}));
    EXPECT_EQ(items(floats({}, {}), {{}}), Numbers{});
}

TEST(ItemLayout, ShiftsToTheLowestItemOfNegativeStrides) {
    std::int64_t offset = 0;
    EXPECT_EQ(items(floats({3, 4}, {-16, 4}), {{-1, -1}, ItemStrides::arbitrary}, &offset),
              (Numbers{-4, 1}));
    EXPECT_EQ(offset, 8);
    EXPECT_EQ(items(floats({3, 4}, {0, 4}), {{-1, -1}, ItemStrides::arbitrary}, &offset),
              (Numbers{0, 1}));
    EXPECT_EQ(offset, 0);
}

TEST(ItemLayout, AxesOfOneItemAndEmptyViewsHaveAnyStride) {
    EXPECT_EQ(items(floats({1, 4}, {-7, 4}), {{-1, -1}}), (Numbers{4, 1}));
    EXPECT_EQ(items(floats({3, 1}, {8, 3}), {{-1, -1}, ItemStrides::unique}), (Numbers{2, 1}));
    EXPECT_EQ(items(floats({0, 4}, {-3, 7}), {{-1, -1}}), (Numbers{4, 1}));
    EXPECT_EQ(items(floats({0, 4}, {-3, 7}), {{-1, -1}, ItemStrides::f_contiguous}),
              (Numbers{1, 1}));
    // Nothing is there to be misaligned.
    EXPECT_EQ(items(view_on(Device{}, "f", {0}, {4}, 4097), {{-1}}), Numbers{1});
}

TEST(ItemLayout, RefusesAnotherFormat) {
    const View view = floats({4}, {4});
    EXPECT_EQ(refusal<FormatError>(view, {{-1}, {}, {}, false, INT64_MAX, Format("d"), 8}),
              "typed: x: format 'f', wanted 'd'");
    EXPECT_EQ(refusal<FormatError>(view_on(Device{}, ">f", {4}, {4}), {{-1}}),
              "typed: x: format '>f', wanted 'f'");
    // The same numbers in other words.
    EXPECT_EQ(refusal<FormatError>(view_on(Device{}, "<f", {4}, {4}), {{-1}}), "accepted");
    EXPECT_EQ(refusal<FormatError>(view_on(Device{}, "i", {4}, {4}), {{-1}}),
              "typed: x: format 'i', wanted 'f'");
}

TEST(ItemLayout, RefusesPackedItems) {
    const Format packed = Format::from_dlpack(0, 4).packed();
    const std::int64_t shape[] = {4};
    auto allocation = Allocation::adopt(reinterpret_cast<void*>(64), 2, Device{}, nullptr);
    const View view(allocation, allocation->data(), packed, Layout::contiguous(1, shape, 1), false);
    const std::string said =
        refusal<FormatError>(view, {{-1}, {}, {}, false, INT64_MAX, Format("b"), 1});
    EXPECT_NE(said.find("packed, 4 bits to an item, wanted 'b'"), std::string::npos) << said;
    const std::string padded =
        refusal<FormatError>(view, {{-1}, {}, {}, false, INT64_MAX, packed.padded(), 1});
    EXPECT_NE(padded.find("packed, 4 bits to an item"), std::string::npos) << padded;
}

TEST(ItemLayout, RefusesAnotherRankOrExtent) {
    const View view = floats({3, 4}, {16, 4});
    EXPECT_EQ(refusal<LayoutError>(view, {{-1}}), "typed: x: shape (3, 4), wanted 1 axis");
    EXPECT_EQ(refusal<LayoutError>(view, {{}}), "typed: x: shape (3, 4), wanted 0 axes");
    EXPECT_EQ(refusal<LayoutError>(view, {{3, 5}}), "typed: x: axis 1: extent 4, wanted 5");
    EXPECT_EQ(refusal<LayoutError>(view, {{3, 4}}), "accepted");
}

TEST(ItemLayout, RefusesMemoryThatTheReaderDoesNotReach) {
    const Device cuda{DeviceType::cuda, 1};
    EXPECT_EQ(refusal<BufferError>(view_on(cuda, "f", {4}, {4}), {{-1}}),
              "typed: x: memory on cuda:1, wanted what the host reaches (cpu, pinned, managed)");
    Wish kernel{{-1}};
    kernel.reader = ItemReader::cuda_device;
    EXPECT_EQ(refusal<BufferError>(floats({4}, {4}), kernel),
              "typed: x: memory on cpu, wanted what a CUDA device reaches (cuda, pinned, managed)");
    EXPECT_NE(refusal<BufferError>(view_on(Device{DeviceType::rocm, 0}, "f", {4}, {4}), kernel),
              "accepted");
    for (const DeviceType both : {DeviceType::cuda_host, DeviceType::cuda_managed}) {
        EXPECT_EQ(refusal<BufferError>(view_on(Device{both, 0}, "f", {4}, {4}), {{-1}}),
                  "accepted");
        EXPECT_EQ(refusal<BufferError>(view_on(Device{both, 0}, "f", {4}, {4}), kernel),
                  "accepted");
    }
}

TEST(ItemLayout, RefusesReadOnlyMemoryToWriters) {
    const View view = view_on(Device{}, "f", {4}, {4}, 4096, true);
    Wish writer{{-1}};
    writer.writable = true;
    EXPECT_EQ(refusal<BufferError>(view, writer),
              "typed: x: read-only, wanted writable (const items take both)");
    EXPECT_EQ(refusal<BufferError>(view, {{-1}}), "accepted");
}

TEST(ItemLayout, RefusesMisalignedItems) {
    EXPECT_EQ(refusal<LayoutError>(view_on(Device{}, "f", {4}, {4}, 0x1002), {{-1}}),
              "typed: x: address 0x1002, wanted a multiple of 4");
    EXPECT_EQ(refusal<LayoutError>(floats({4}, {6}), {{-1}, ItemStrides::arbitrary}),
              "typed: x: axis 0: stride 6 bytes, wanted a multiple of the itemsize 4");
}

TEST(ItemLayout, RefusesSuboffsets) {
    const std::int64_t shape[] = {4, 4};
    const std::int64_t strides[] = {8, 4};
    const std::int64_t suboffsets[] = {12, -1};
    auto allocation = Allocation::adopt(reinterpret_cast<void*>(64), 0, Device{}, nullptr);
    const View view(allocation, allocation->data(), Format("f"),
                    Layout::strided(2, shape, strides, suboffsets, 4), false);
    EXPECT_EQ(refusal<LayoutError>(view, {{-1, -1}, ItemStrides::arbitrary}),
              "typed: x: axis 0: suboffset 12, wanted no pointers to follow");
}

TEST(ItemLayout, RefusesOtherOrders) {
    EXPECT_EQ(refusal<LayoutError>(floats({3, 4}, {4, 12}), {{-1, -1}}),
              "typed: x: strides (4, 12) bytes of shape (3, 4), wanted C-contiguous, (16, 4)");
    EXPECT_EQ(refusal<LayoutError>(floats({3, 4}, {16, 4}), {{-1, -1}, ItemStrides::f_contiguous}),
              "typed: x: strides (16, 4) bytes of shape (3, 4), wanted F-contiguous, (4, 12)");
}

TEST(ItemLayout, RefusesSharedPlaces) {
    const Wish unique{{-1, -1}, ItemStrides::unique};
    EXPECT_EQ(refusal<LayoutError>(floats({3, 4}, {-16, 4}), unique),
              "typed: x: axis 0: stride -16 bytes, wanted a positive one (layout_stride; copy the "
              "view, or use a layout that takes any stride)");
    EXPECT_NE(refusal<LayoutError>(floats({3, 4}, {0, 4}), unique), "accepted");
    EXPECT_EQ(refusal<LayoutError>(floats({3, 4}, {4, 4}), unique),
              "typed: x: strides (4, 4) bytes of shape (3, 4) may meet in one place, wanted a "
              "place for each item");
}

TEST(ItemLayout, TakesSlicesThatStepOverTheEndOfAnAxis) {
    // v[:, ::3] of five columns: 5 items to a row, 2 x 3 would be 6.
    EXPECT_EQ(items(floats({4, 2}, {20, 12}), {{-1, -1}, ItemStrides::unique}), (Numbers{5, 3}));
    EXPECT_NE(refusal<LayoutError>(floats({4, 2}, {12, 12}), {{-1, -1}, ItemStrides::unique}),
              "accepted");
}

TEST(ItemLayout, RefusesWhatTheIndexTypeCannotCount) {
    Wish small{{-1, -1}, ItemStrides::unique};
    small.index_max = 127;
    EXPECT_EQ(refusal<LayoutError>(floats({128, 1}, {4, 4}), small),
              "typed: x: axis 0: extent 128, the index type ends at 127");
    EXPECT_EQ(refusal<LayoutError>(floats({2, 2}, {800, 4}), small),
              "typed: x: axis 0: stride of 200 items, the index type ends at 127");
    EXPECT_EQ(refusal<LayoutError>(floats({12, 11}, {44, 4}), small),
              "typed: x: shape (12, 11) reaches over 132 items, the index type ends at 127");
    EXPECT_EQ(refusal<LayoutError>(floats({2, 63}, {256, 4}), small), "accepted");  // 127
    EXPECT_NE(refusal<LayoutError>(floats({2, 64}, {256, 4}), small), "accepted");  // 128
    small.strides = ItemStrides::arbitrary;  // counted from the lowest item
    EXPECT_EQ(refusal<LayoutError>(floats({2, 63}, {-256, 4}), small), "accepted");
    EXPECT_NE(refusal<LayoutError>(floats({2, 64}, {-256, 4}), small), "accepted");
    EXPECT_EQ(refusal<LayoutError>(view_on(Device{}, "B", {INT64_MAX}, {1}),
                                   {{-1}, {}, {}, false, UINT64_MAX, Format("B"), 1}),
              "accepted");
}

TEST(ItemLayout, RefusesReleasedViews) {
    View view = floats({4}, {4});
    view.release();
    EXPECT_EQ(refusal<ReleasedError>(view, {{-1}}), "typed: x: the view was released");
}

/// True if in some order of the axes each steps past what the ones before it reach.
bool nested_in_some_order(const Numbers& shape, const Numbers& strides) {
    std::vector<std::size_t> order(shape.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (std::any_of(strides.begin(), strides.end(), [](std::int64_t s) { return s <= 0; })) {
        return false;
    }
    do {
        bool nested = true;
        std::int64_t reach = 0;
        for (const std::size_t axis : order) {
            nested &= strides[axis] > reach || shape[axis] == 1;
            reach += strides[axis] * (shape[axis] - 1);
        }
        if (nested) return true;
    } while (std::next_permutation(order.begin(), order.end()));
    return false;
}

/// Item positions in bytes from data(), in C order.
Numbers positions(const Numbers& shape, const Numbers& strides) {
    Numbers out{0};
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        Numbers next;
        for (const std::int64_t at : out) {
            for (std::int64_t i = 0; i < shape[axis]; ++i)
                next.push_back(at + i * strides[axis]);
        }
        out = std::move(next);
    }
    return out;
}

TEST(ItemLayout, RandomLayoutsReachTheSameItems) {
    std::mt19937 random(7);
    int accepted = 0;
    int refused = 0;
    for (int round = 0; round < 20000; ++round) {
        Numbers shape(random() % 4);
        Numbers strides(shape.size());
        for (std::size_t axis = 0; axis < shape.size(); ++axis) {
            shape[axis] = static_cast<std::int64_t>(random() % 5);
            strides[axis] = 4 * (static_cast<std::int64_t>(random() % 24) - 4);
        }
        const View view = floats(shape, strides);
        const Numbers wanted = positions(shape, strides);
        std::int64_t offset = 0;
        Wish wish{Numbers(shape.size(), -1), ItemStrides::arbitrary};
        const Numbers found = items(view, wish, &offset);
        Numbers bytes = found;
        for (std::int64_t& stride : bytes)
            stride *= 4;
        EXPECT_EQ(positions(shape, bytes), wanted);
        EXPECT_EQ(-4 * offset,
                  wanted.empty() ? 0 : *std::min_element(wanted.begin(), wanted.end()));

        wish.strides = ItemStrides::unique;
        if (refusal<LayoutError>(view, wish) != "accepted") {
            ++refused;
            EXPECT_FALSE(nested_in_some_order(shape, found));
            continue;
        }
        ++accepted;
        EXPECT_TRUE(wanted.empty() || nested_in_some_order(shape, found));
        EXPECT_EQ(std::set<std::int64_t>(wanted.begin(), wanted.end()).size(), wanted.size());
    }
    EXPECT_GT(accepted, 3000);
    EXPECT_GT(refused, 3000);
}

}  // namespace
}  // namespace devview
