// Layouts over the whole int64 range: refused or exact, never wrapped; run with UBSan.
#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/layout.hpp"
#include "layout_model.hpp"

namespace devview {
namespace {

using test::at;
using test::random_int;
using test::Shape;
using test::Wide;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::int64_t extreme(std::mt19937& random) {
    const int bits = random_int(random, 0, 63);
    const auto power = static_cast<std::int64_t>(std::uint64_t{1} << bits);
    switch (random_int(random, 0, 5)) {
        case 0:
            return random_int(random, -4, 4);
        case 1:
            return power;
        case 2:
            return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(power));
        case 3:
            return kMax / random_int(random, 1, 5) - random_int(random, 0, 2);
        case 4:
            return kMin / random_int(random, 1, 5) + random_int(random, 0, 2);
        default:
            return static_cast<std::int64_t>(static_cast<std::uint64_t>(power) - 1);
    }
}

// Bytes of all items, and from the lowest to the highest; zeros are taken as ones.
bool fits_int64(const Shape& shape, const Shape& strides, std::int64_t itemsize) {
    Wide bytes = std::max<std::int64_t>(itemsize, 1);
    Wide reach = itemsize;
    for (std::size_t k = 0; k < shape.size(); ++k) {
        if (shape[k] < 0) return false;
        if (shape[k] == 0) continue;
        const Wide stride = strides[k];
        bytes *= shape[k];
        reach += (stride < 0 ? -stride : stride) * (shape[k] - 1);
        if (bytes > kMax || reach > kMax) return false;
    }
    return itemsize >= 0;
}

// Every view of a valid layout is a valid layout, and its shift is exact.
void expect_closed(std::mt19937& random, const Layout& layout, std::int64_t itemsize) {
    for (int axis = 0; axis < layout.ndim(); ++axis) {
        const std::int64_t extent = layout.shape()[axis];
        std::int64_t shift = 0;
        const Layout back =
            extent == 0 ? layout : layout.slice(axis, extent - 1, -1, extent, shift);
        const Wide last = Wide{layout.strides()[axis]} * (extent - 1);
        EXPECT_TRUE(layout.size() == 0 || shift == last);
        EXPECT_NO_THROW(
            Layout::strided(back.ndim(), back.shape(), back.strides(), nullptr, itemsize));
        if (extent > 0) layout.index(axis, extent - 1, shift);
        const std::int64_t start = extreme(random);
        const std::int64_t step = extreme(random);
        const std::int64_t count = extreme(random);
        const Wide end = start + Wide{step} * (Wide{count} - 1);
        const bool legal =
            step != 0 &&
            (count == 0 || (count > 0 && start >= 0 && start < extent && end >= 0 && end < extent));
        try {
            const Layout part = layout.slice(axis, start, step, count, shift);
            EXPECT_TRUE(legal);
            EXPECT_TRUE(part.size() == 0 || shift == Wide{layout.strides()[axis]} * start);
            EXPECT_NO_THROW(
                Layout::strided(part.ndim(), part.shape(), part.strides(), nullptr, itemsize));
        } catch (const LayoutError&) {
            EXPECT_FALSE(legal);
        }
    }
}

TEST(LayoutExtremes, StridesAreRefusedOrExact) {
    std::mt19937 random(99);
    int valid = 0;
    for (int round = 0; round < 200000; ++round) {
        const int ndim = random_int(random, 1, 4);
        Shape shape;
        Shape strides;
        for (int k = 0; k < ndim; ++k) {
            const bool small = random_int(random, 0, 2) > 0;
            shape.push_back(small ? random_int(random, 0, 3) : extreme(random));
            strides.push_back(extreme(random));
        }
        const std::int64_t itemsize = round % 8 == 0 ? extreme(random) : 4;
        const bool fits = fits_int64(shape, strides, itemsize);
        Layout layout;
        try {
            layout = Layout::strided(ndim, shape.data(), strides.data(), nullptr, itemsize);
        } catch (const LayoutError&) {
            ASSERT_FALSE(fits) << Layout::to_string(ndim, shape.data()) << " strides "
                               << Layout::to_string(ndim, strides.data());
            continue;
        }
        ASSERT_TRUE(fits) << Layout::to_string(ndim, shape.data()) << " strides "
                          << Layout::to_string(ndim, strides.data());
        ++valid;
        Wide low = 0;
        Wide high = 0;
        for (int k = 0; k < ndim; ++k) {
            const Wide last = Wide{strides[at(k)]} * (shape[at(k)] - 1);
            (last < 0 ? low : high) += last;
        }
        const ByteBounds bounds = layout.bounds(itemsize);
        const bool empty = layout.size() == 0;
        ASSERT_TRUE(bounds.low == (empty ? 0 : low));
        ASSERT_TRUE(bounds.high == (empty ? 0 : high + itemsize));
        layout.contiguous(extreme(random), Order::C);
        expect_closed(random, layout, itemsize);
        try {
            const std::int64_t items[] = {layout.size(), 1};
            layout.reshape(2, items, itemsize);
        } catch (const LayoutError&) {
        }
    }
    EXPECT_GT(valid, 10000);
}

TEST(LayoutExtremes, SuboffsetsAreRefusedOrValid) {
    std::mt19937 random(5);
    int valid = 0;
    for (int round = 0; round < 100000; ++round) {
        const Shape shape = {2, random_int(random, 1, 3), random_int(random, 1, 3)};
        const Shape strides = {8, extreme(random), extreme(random)};
        const Shape suboffsets = {extreme(random), extreme(random), -1};
        try {
            const Layout layout =
                Layout::strided(3, shape.data(), strides.data(), suboffsets.data(), 1);
            ++valid;
            std::int64_t shift = 0;
            for (int axis = 0; axis < 3; ++axis) {
                const std::int64_t last = layout.shape()[axis] - 1;
                const Layout back = layout.slice(axis, last, -1, last + 1, shift);
                EXPECT_NO_THROW(
                    Layout::strided(3, back.shape(), back.strides(), back.suboffsets(), 1));
            }
        } catch (const LayoutError&) {
        }
    }
    EXPECT_GT(valid, 1000);
}

}  // namespace
}  // namespace devview
