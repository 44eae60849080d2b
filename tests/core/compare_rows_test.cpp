// Long rows of every number format: each difference is seen wherever it lies, NaN and zeros count
// as numbers do.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "devview/compare.hpp"
#include "devview/convert.hpp"

namespace devview {
namespace {

using Bytes = std::vector<char>;

const char* const kFormats[] = {"?",
                                "b",
                                "h",
                                "i",
                                "q",
                                "e",
                                "f",
                                "d",
                                "Zf",
                                "Zd",
                                ">h",
                                ">e",
                                ">f",
                                ">d",
                                ">q",
                                ">Zf",
                                "T{H:bfloat16:}",
                                "T{B:float8_e4m3fn:}",
                                "3s",
                                "12s"};

/// Items that lie as `layout` says, filled with 1, 0, 1, 1 and so on.
struct Items {
    Format format;
    Layout layout;
    Bytes bytes;
    std::int64_t offset = 0;

    char* first() { return bytes.data() + offset; }
    char* at(std::int64_t row, std::int64_t column) {
        return first() + row * layout.strides()[0] + column * layout.strides()[1];
    }
};

constexpr std::int64_t kRows = 37;
constexpr std::int64_t kColumns = 131;

enum class Lie { dense, apart, crosswise, backwards };

Items items_of(const char* format, Lie lie) {
    Items items{Format(format), {}, {}, 0};
    const std::int64_t size = items.format.itemsize();
    const std::int64_t shape[] = {kRows, kColumns};
    std::int64_t strides[] = {kColumns * size, size};
    if (lie == Lie::apart)
        std::transform(strides, strides + 2, strides, [](auto s) { return 2 * s; });
    if (lie == Lie::crosswise) {
        strides[0] = size;
        strides[1] = kRows * size;
    }
    if (lie == Lie::backwards) {
        items.offset = (kRows * kColumns - 1) * size;
        strides[0] = -strides[0];
        strides[1] = -strides[1];
    }
    items.layout = Layout::strided(2, shape, strides, nullptr, size);
    items.bytes.resize(static_cast<std::size_t>(2 * kRows * kColumns * size), '\x2a');
    return items;
}

void put(char* to, const Format& format, double value) {
    const Format number("d");
    if (format.kind() == Kind::bytes) {
        std::memset(to, static_cast<int>(value), static_cast<std::size_t>(format.itemsize()));
        return;
    }
    convert_host(to, Layout(), format, &value, Layout(), number);
}

bool equal(Items& a, Items& b) {
    return equal_host(*a.format.node(), a.layout, a.first(), *b.format.node(), b.layout, b.first());
}

TEST(CompareRows, EveryDifferenceIsSeenInEveryLayout) {
    std::mt19937 random(1);
    for (const char* format : kFormats) {
        for (const Lie lie : {Lie::dense, Lie::apart, Lie::crosswise, Lie::backwards}) {
            Items a = items_of(format, Lie::dense);
            Items b = items_of(format, lie);
            for (std::int64_t k = 0; k < kRows * kColumns; ++k) {
                put(a.at(k / kColumns, k % kColumns), a.format, k % 3 != 0);
                put(b.at(k / kColumns, k % kColumns), b.format, k % 3 != 0);
            }
            ASSERT_TRUE(equal(a, b)) << format << static_cast<int>(lie);
            ASSERT_TRUE(equal(b, a)) << format << static_cast<int>(lie);
            for (int round = 0; round < 40; ++round) {
                const auto k = static_cast<std::int64_t>(random() % (kRows * kColumns));
                char* const place = b.at(k / kColumns, k % kColumns);
                put(place, b.format, k % 3 == 0);
                ASSERT_FALSE(equal(a, b)) << format << static_cast<int>(lie) << " at " << k;
                ASSERT_FALSE(equal(b, a)) << format << static_cast<int>(lie) << " at " << k;
                put(place, b.format, k % 3 != 0);
            }
            ASSERT_TRUE(equal(a, b));
        }
    }
}

TEST(CompareRows, FloatsCompareAsNumbers) {
    for (const char* format :
         {"e", "f", "d", "Zf", "Zd", ">e", ">f", ">d", ">Zd", "T{H:bfloat16:}"}) {
        for (const Lie lie : {Lie::dense, Lie::apart, Lie::crosswise}) {
            Items a = items_of(format, Lie::dense);
            Items b = items_of(format, lie);
            for (std::int64_t k = 0; k < kRows * kColumns; ++k) {
                put(a.at(k / kColumns, k % kColumns), a.format, k % 2 == 0 ? 0.0 : -0.0);
                put(b.at(k / kColumns, k % kColumns), b.format, k % 3 == 0 ? 0.0 : -0.0);
            }
            ASSERT_TRUE(equal(a, b)) << format;
            put(a.at(20, 77), a.format, std::nan(""));
            put(b.at(20, 77), b.format, std::nan(""));
            ASSERT_FALSE(equal(a, b)) << format;
            ASSERT_FALSE(equal(b, b)) << format;
        }
    }
}

TEST(CompareRows, TheImaginaryPartCounts) {
    for (const Lie lie : {Lie::dense, Lie::apart, Lie::crosswise}) {
        Items a = items_of("Zf", Lie::dense);
        Items b = items_of("Zf", lie);
        for (std::int64_t k = 0; k < kRows * kColumns; ++k) {
            put(a.at(k / kColumns, k % kColumns), a.format, 1);
            put(b.at(k / kColumns, k % kColumns), b.format, 1);
        }
        ASSERT_TRUE(equal(a, b));
        const float one = 1;
        std::memcpy(b.at(36, 130) + sizeof one, &one, sizeof one);
        ASSERT_FALSE(equal(a, b));
    }
}

}  // namespace
}  // namespace devview
