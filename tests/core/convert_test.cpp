// Conversions on the host: runs and layouts of every kind against one number at a time.
#include "devview/convert.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/number.hpp"
#include "number_formats.hpp"

namespace devview {
namespace {

using test::bits_at;
using test::is_nan;
using test::type_of;

std::int64_t offset_of(const Layout& layout, std::int64_t number) {
    std::int64_t offset = 0;
    for (int axis = layout.ndim() - 1; axis >= 0; --axis) {
        offset += number % layout.shape()[axis] * layout.strides()[axis];
        number /= layout.shape()[axis];
    }
    return offset;
}

/// A block of items of `count` random numbers, half of them small.
std::vector<unsigned char> random_items(std::mt19937& random, const Format& format,
                                        std::int64_t count) {
    std::vector<unsigned char> block(static_cast<std::size_t>(count * format.itemsize()));
    for (unsigned char& byte : block)
        byte = static_cast<unsigned char>(random());
    for (std::int64_t number = 0; number < count; ++number) {
        if (random() % 2) continue;
        const auto value = static_cast<std::int64_t>(random() % 500) - 250;
        convert_host(block.data() + number * format.itemsize(), Layout(), format, &value, Layout(),
                     Format("q"));
    }
    return block;
}

/// Dense axes of `shape` in the order `axes` (outermost first) with `gap` items between the items.
Layout laid_out(const std::vector<std::int64_t>& shape, const std::vector<int>& axes,
                std::int64_t gap, std::int64_t itemsize) {
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t step = itemsize * (1 + gap);
    for (std::size_t k = axes.size(); k-- > 0;) {
        strides[static_cast<std::size_t>(axes[k])] = step;
        step *= shape[static_cast<std::size_t>(axes[k])];
    }
    return Layout::strided(static_cast<int>(shape.size()), shape.data(), strides.data(), nullptr,
                           itemsize);
}

void check(std::mt19937& random, const Format& to, const Format& from,
           const std::vector<std::int64_t>& shape) {
    std::vector<int> axes(shape.size());
    for (std::size_t k = 0; k < axes.size(); ++k)
        axes[k] = static_cast<int>(k);
    const auto side = [&](const Format& format) {
        if (random() % 2) std::shuffle(axes.begin(), axes.end(), random);
        return laid_out(shape, axes, random() % 3 == 0 ? 1 : 0, format.itemsize());
    };
    const Layout src_layout = side(from);
    const Layout dst_layout = side(to);
    const auto src = random_items(random, from, 2 * src_layout.size());
    const auto before = random_items(random, to, 2 * dst_layout.size());
    auto dst = before;
    convert_host(dst.data(), dst_layout, to, src.data(), src_layout, from);
    const NumberType to_type = type_of(to);
    std::vector<bool> written(dst.size());
    for (std::int64_t number = 0; number < dst_layout.size(); ++number) {
        const std::int64_t at = offset_of(dst_layout, number);
        std::fill_n(written.begin() + at, to.itemsize(), true);
        const std::uint64_t wanted =
            convert_number(to_type, type_of(from),
                           bits_at(type_of(from), src.data() + offset_of(src_layout, number)));
        const std::uint64_t found = bits_at(to_type, dst.data() + at);
        if (is_nan(to_type, wanted) && is_nan(to_type, found)) continue;
        ASSERT_EQ(found, wanted) << "item " << number;
    }
    for (std::size_t byte = 0; byte < dst.size(); ++byte) {
        ASSERT_TRUE(written[byte] || dst[byte] == before[byte]) << "byte " << byte;
    }
}

TEST(ConvertHost, EveryPairInEveryLayoutIsOneNumberAtATime) {
    std::mt19937 random(1);
    const std::vector<std::vector<std::int64_t>> shapes = {
        {}, {5000}, {1}, {40, 50}, {0}, {3, 700}, {7}, {700, 3}, {5, 6, 7}, {20, 1, 90}};
    std::size_t turn = 0;
    for (const Format& from : test::real_formats()) {
        for (const Format& to : test::real_formats()) {
            SCOPED_TRACE(from.str() + " to " + to.str());
            for (int round = 0; round < 4; ++round)
                check(random, to, from, shapes[turn++ % shapes.size()]);
            ++turn;
        }
    }
}

template <typename To, typename From>
To converted(const char* to, const char* from, From value) {
    To result{};
    convert_host(&result, Layout(), Format(to), &value, Layout(), Format(from));
    return result;
}

TEST(ConvertHost, FloatsSaturate) {
    const double infinity = std::numeric_limits<double>::infinity();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ((converted<std::int8_t>("b", "d", 127.9)), 127);
    EXPECT_EQ((converted<std::int8_t>("b", "d", -129.0)), -128);
    EXPECT_EQ((converted<std::uint8_t>("B", "d", -0.9)), 0);
    EXPECT_EQ((converted<std::int32_t>("i", "f", 2147483648.0f)), 2147483647);
    EXPECT_EQ((converted<std::int32_t>("i", "f", -2147483648.0f)), -2147483647 - 1);
    EXPECT_EQ((converted<std::int64_t>("q", "d", 0x1p63)), INT64_MAX);
    EXPECT_EQ((converted<std::int64_t>("q", "d", -infinity)), INT64_MIN);
    EXPECT_EQ((converted<std::uint64_t>("Q", "d", infinity)), UINT64_MAX);
    EXPECT_EQ((converted<std::int64_t>("q", "d", nan)), 0);
    EXPECT_EQ((converted<std::uint16_t>("H", "g", 65535.5L)), 65535);
    EXPECT_EQ((converted<std::int64_t>("q", "g", 9223372036854775807.0L)), INT64_MAX);
    EXPECT_EQ((converted<bool>("?", "d", nan)), true);
}

TEST(ConvertHost, LongDoublesAreRoundedOnce) {
    if (std::numeric_limits<long double>::digits <= 53) GTEST_SKIP() << "missing: long double";
    // Above the middle of two halves by less than a double can tell, and below it.
    const long double middle = 1 + 0x1p-11L;
    EXPECT_EQ((converted<std::uint16_t>("e", "g", middle)), 0x3c00);
    EXPECT_EQ((converted<std::uint16_t>("e", "g", middle + 0x1p-60L)), 0x3c01);
    EXPECT_EQ((converted<std::uint16_t>("e", "g", -middle - 0x1p-60L)), 0xbc01);
    EXPECT_EQ((converted<std::uint16_t>("e", "g", 3 * 0x1p-11L + 1 - 0x1p-60L)), 0x3c01);
    EXPECT_EQ((converted<std::uint8_t>("T{B:int4:}", "g", 6 + (1 - 0x1p-60L))), 6);
    EXPECT_EQ((converted<float>("f", "g", 1 + 0x1p-24L + 0x1p-60L)), 1 + 0x1p-23f);
}

TEST(ConvertHost, RefusesWhatHasNoConversion) {
    double real = 1;
    const double complex[2] = {1, 2};
    EXPECT_THROW(convert_host(&real, Layout(), Format("d"), complex, Layout(), Format("Zd")),
                 FormatError);
    const std::int64_t shape[1] = {2};
    EXPECT_THROW(convert_host(&real, Layout(), Format("d"), complex,
                              Layout::contiguous(1, shape, 8), Format("q")),
                 LayoutError);
    EXPECT_EQ(real, 1);
}

TEST(Convertible, KnowsKinds) {
    const auto casts = [](const char* from, const char* to, Casting casting) {
        return convertible(Format(from), Format(to), casting);
    };
    EXPECT_TRUE(casts("d", "e", Casting::same_kind));
    EXPECT_FALSE(casts("e", "q", Casting::same_kind));
    EXPECT_TRUE(casts("e", "q", Casting::unsafe));
    EXPECT_FALSE(casts("b", "B", Casting::same_kind));
    EXPECT_TRUE(casts("B", "b", Casting::same_kind));
    EXPECT_FALSE(casts("Zd", "d", Casting::unsafe));
    EXPECT_TRUE(casts("Zd", "?", Casting::unsafe));
    EXPECT_TRUE(casts("T{B:float8_e5m2:}", "e", Casting::same_kind));
    EXPECT_TRUE(casts("T{i:a:d:b:}", "T{q:x:e:y:}", Casting::same_kind));
    EXPECT_FALSE(casts("T{d:a:d:b:}", "T{q:x:e:y:}", Casting::same_kind));
    EXPECT_FALSE(casts("T{i:a:}", "T{q:x:e:y:}", Casting::unsafe));
    EXPECT_TRUE(casts("P", "P", Casting::same_kind));
    EXPECT_FALSE(casts("P", "Q", Casting::unsafe));
}

}  // namespace
}  // namespace devview
