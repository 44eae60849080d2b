// equal_host: values across formats and byte orders, layouts, and what is never equal.
#include "devview/compare.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace devview {
namespace {

template <class... T>
std::string bytes(T... values) {
    std::string text;
    (text.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
    return text;
}

bool same_items(const char* a_format, const std::string& a, const char* b_format,
                const std::string& b) {
    const Format left{std::string_view(a_format)};
    const Format right{std::string_view(b_format)};
    const bool result =
        equal_host(*left.node(), Layout(), a.data(), *right.node(), Layout(), b.data());
    EXPECT_EQ(result,
              equal_host(*right.node(), Layout(), b.data(), *left.node(), Layout(), a.data()))
        << "not symmetric: " << a_format << ", " << b_format;
    return result;
}

TEST(Compare, IntegersAreExactAcrossWidthsAndSigns) {
    EXPECT_TRUE(same_items("b", bytes<signed char>(-1), "q", bytes(-1LL)));
    EXPECT_FALSE(same_items("Q", bytes(~0ULL), "q", bytes(-1LL)));
    EXPECT_TRUE(same_items("Q", bytes(1ULL << 62), "q", bytes(1LL << 62)));
    EXPECT_TRUE(same_items("?", bytes<char>(2), "?", bytes<char>(1)));
    EXPECT_TRUE(same_items("?", bytes<char>(2), "i", bytes(1)));
    EXPECT_TRUE(same_items("P", bytes(7ULL), "B", bytes<char>(7)));
}

TEST(Compare, IntegersBesideDoublesAreNotRounded) {
    const double big = 0x1p53;
    EXPECT_FALSE(same_items("q", bytes((1LL << 53) + 1), "d", bytes(big)));
    EXPECT_TRUE(same_items("q", bytes(1LL << 53), "d", bytes(big)));
    EXPECT_FALSE(same_items("Q", bytes(~0ULL), "d", bytes(0x1p64)));
    EXPECT_FALSE(same_items("q", bytes(std::numeric_limits<long long>::max()), "d", bytes(0x1p63)));
    EXPECT_TRUE(same_items("q", bytes(std::numeric_limits<long long>::min()), "d", bytes(-0x1p63)));
    EXPECT_TRUE(same_items("Q", bytes(1ULL << 63), "d", bytes(0x1p63)));
    EXPECT_FALSE(same_items("q", bytes(1LL), "d", bytes(1.5)));
    EXPECT_FALSE(same_items("q", bytes(1LL), "d", bytes(std::nan(""))));
    EXPECT_FALSE(same_items("Q", bytes(1ULL), "d", bytes(HUGE_VAL)));
}

TEST(Compare, FloatsOfAnyKindHaveTheirPythonValue) {
    EXPECT_TRUE(same_items("f", bytes(-0.0F), "d", bytes(0.0)));
    EXPECT_FALSE(same_items("f", bytes(0.1F), "d", bytes(0.1)));
    EXPECT_FALSE(same_items("d", bytes(std::nan("")), "d", bytes(std::nan(""))));
    EXPECT_TRUE(
        same_items("g", bytes(1.0L + 0x1p-60L), "d", bytes(1.0)));  // a Python float is a double
    EXPECT_TRUE(same_items("e", bytes<std::uint16_t>(0x3e00), "f", bytes(1.5F)));
    EXPECT_TRUE(same_items(">e", bytes<std::uint16_t>(0x003e), "e", bytes<std::uint16_t>(0x3e00)));
    EXPECT_FALSE(same_items("e", bytes<std::uint16_t>(0x7e00), "e", bytes<std::uint16_t>(0x7e00)));
    EXPECT_TRUE(same_items("e", bytes<std::uint16_t>(0x8000), "e", bytes<std::uint16_t>(0)));
    const char* const fnuz = "T{B:float8_e4m3fnuz:}";
    EXPECT_FALSE(same_items(fnuz, bytes<char>(-128), fnuz, bytes<char>(-128)));
    EXPECT_TRUE(same_items(fnuz, bytes<char>(-64), "d", bytes(-1.0)));
    const char* const fp4 = "T{B:float4_e2m1fn:}";
    EXPECT_TRUE(
        same_items(fp4, bytes<char>(0x18), fp4, bytes<char>(0x00)));  // bits above are ignored
    EXPECT_TRUE(same_items("T{B:int4:}", bytes<char>(0x0f), "b", bytes<signed char>(-1)));
}

TEST(Compare, ComplexEqualsRealWhereItsImaginaryPartIsZero) {
    EXPECT_TRUE(same_items("Zf", bytes(1.0F, -0.0F), "i", bytes(1)));
    EXPECT_FALSE(same_items("Zd", bytes(1.0, 2.0), "d", bytes(1.0)));
    EXPECT_TRUE(same_items("Zd", bytes(1.0, 2.0), "Zf", bytes(1.0F, 2.0F)));
    EXPECT_FALSE(same_items("Zd", bytes(1.0, std::nan("")), "Zd", bytes(1.0, std::nan(""))));
    EXPECT_FALSE(same_items("Zd", bytes(0x1p53, 0.0), "q", bytes((1LL << 53) + 1)));
}

TEST(Compare, BitFieldsOfAnyLengthAreIntegers) {
    EXPECT_TRUE(same_items("11t", bytes<std::uint16_t>(0x0fff), "H", bytes<std::uint16_t>(0x07ff)));
    EXPECT_TRUE(same_items("100t", bytes(0ULL, 1ULL), "d", bytes(0x1p64)));
    EXPECT_FALSE(same_items("100t", bytes(1ULL, 1ULL), "d", bytes(0x1p64)));
    EXPECT_TRUE(same_items("100t", bytes(5ULL, 1ULL << 36), "65t", bytes(5ULL, 2ULL)));
    EXPECT_FALSE(same_items("100t", bytes(~0ULL, 0ULL), "q", bytes(-1LL)));
    EXPECT_TRUE(same_items("100t", bytes(~0ULL, 0ULL), "Q", bytes(~0ULL)));
    EXPECT_TRUE(same_items("T{3t:a:5t:b:}", bytes<char>(0x0a), "T{b:x:q:y:}", bytes(2LL, 1LL)));
}

TEST(Compare, StringsByBytesAndCodePoints) {
    EXPECT_TRUE(same_items("2s", "ab", "3p", std::string("\2ab")));
    EXPECT_FALSE(same_items("3s", std::string("ab\0", 3), "2s", "ab"));
    EXPECT_TRUE(same_items("c", "a", "x", "a"));
    EXPECT_TRUE(same_items("2u", bytes<char16_t>(0xd83d, 0xde00), "w", bytes<char32_t>(0x1f600)));
    EXPECT_TRUE(same_items(">u", bytes<char16_t>(0x6100), "w", bytes<char32_t>('a')));
    EXPECT_FALSE(
        same_items("w", bytes<std::uint32_t>(0x110000), "w", bytes<std::uint32_t>(0x110000)));
    EXPECT_FALSE(same_items("s", "a", "w", bytes<char32_t>('a')));
}

TEST(Compare, RecordsByPositionArraysByElements) {
    EXPECT_TRUE(same_items("T{b:a:i:b:}", bytes(1, 2), "T{q:x:B:y:}", bytes(1LL, 2LL)));
    EXPECT_FALSE(same_items("T{b:a:i:b:}", bytes(1, 2), "T{q:x:}", bytes(1LL)));
    EXPECT_TRUE(same_items("(2,2)i", bytes(1, 2, 3, 4), "(2)(2)q", bytes(1LL, 2LL, 3LL, 4LL)));
    EXPECT_FALSE(same_items("4i", bytes(1, 2, 3, 4), "(2,2)i", bytes(1, 2, 3, 4)));
    EXPECT_FALSE(same_items("T{i:a:}", bytes(1), "i", bytes(1)));
    EXPECT_TRUE(same_items("T{(0,3)i:a:b:b:}", "a", "T{(0)s:a:b:b:}", "a"));
    EXPECT_TRUE(same_items("T{(1000000000000)0t:a:b:b:}", "a", "T{(1000000000000)0t:a:b:b:}", "a"));
    EXPECT_FALSE(same_items("O", bytes(0LL), "O", bytes(0LL)));
}

TEST(Compare, ComparableTellsFromFormatsAlone) {
    const auto can = [](const char* a, const char* b) {
        return comparable(*Format(a).node(), *Format(b).node());
    };
    EXPECT_TRUE(can("i", "Zd"));
    EXPECT_FALSE(can("i", "s"));
    EXPECT_FALSE(can("2s", "3s"));
    EXPECT_TRUE(can("2s", "3p"));
    EXPECT_FALSE(can("T{i:a:}", "T{i:a:i:b:}"));
    EXPECT_FALSE(can("O", "O"));
    EXPECT_TRUE(can("T{}", "T{}"));
}

/// Every layout of `count` items, and one with an item changed, beside a dense int64 copy.
TEST(Compare, EveryLayoutFindsEveryDifference) {
    constexpr std::int64_t kShape[] = {3, 1, 5, 7};
    constexpr int kOrders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
    const Format narrow("h");
    const Format wide("q");
    std::vector<std::int64_t> dense(105);
    for (const auto& order : kOrders) {
        for (const std::int64_t sign : {1, -1}) {
            std::int64_t strides[4];
            std::int64_t stride = 2 * sign;
            for (const int axis : order) {
                strides[axis] = stride;
                stride *= kShape[axis] + (axis == 2 ? 1 : 0);  // a gap, so that nothing merges
            }
            std::vector<std::int16_t> storage(400, 99);
            char* const first = reinterpret_cast<char*>(storage.data() + (sign < 0 ? 300 : 0));
            std::size_t n = 0;
            std::vector<char*> places;
            for (std::int64_t i = 0; i < 105; ++i) {
                const std::int64_t at[] = {i / 35, 0, i / 7 % 5, i % 7};
                char* place = first;
                for (int axis = 0; axis < 4; ++axis)
                    place += at[axis] * strides[axis];
                const auto value = static_cast<std::int16_t>(i * 31);
                std::memcpy(place, &value, sizeof value);
                places.push_back(place);
                dense[n++] = value;
            }
            const Layout a = Layout::strided(4, kShape, strides, nullptr, 2);
            const Layout b = Layout::contiguous(4, kShape, 8);
            EXPECT_TRUE(equal_host(*narrow.node(), a, first, *wide.node(), b, dense.data()));
            EXPECT_TRUE(equal_host(*narrow.node(), a, first, *narrow.node(), a, first));
            for (char* const place : places) {
                *place = static_cast<char>(*place ^ 1);
                EXPECT_FALSE(equal_host(*narrow.node(), a, first, *wide.node(), b, dense.data()));
                *place = static_cast<char>(*place ^ 1);
            }
        }
    }
}

TEST(Compare, RepeatedItemsOnEitherSide) {
    const Format format("i");
    const std::int64_t shape[] = {3, 4};
    const std::int64_t rows[] = {0, 4};
    const std::int64_t columns[] = {4, 0};
    const std::vector<int> all{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4};
    const std::vector<int> same(4, 1);
    const Layout dense = Layout::contiguous(2, shape, 4);
    const Layout repeated = Layout::strided(2, shape, rows, nullptr, 4);
    const Layout crossed = Layout::strided(2, shape, columns, nullptr, 4);
    const FormatNode& node = *format.node();
    EXPECT_TRUE(equal_host(node, dense, all.data(), node, repeated, all.data()));
    EXPECT_TRUE(equal_host(node, repeated, all.data(), node, dense, all.data()));
    std::vector<int> other = all;
    other[5] = 9;
    EXPECT_FALSE(equal_host(node, dense, other.data(), node, repeated, all.data()));
    EXPECT_FALSE(equal_host(node, repeated, all.data(), node, dense, other.data()));
    EXPECT_FALSE(equal_host(node, repeated, all.data(), node, crossed, all.data()));
    EXPECT_TRUE(equal_host(node, repeated, same.data(), node, crossed, same.data()));
    std::vector<int> last(4, 1);
    last[3] = 2;
    EXPECT_FALSE(equal_host(node, repeated, last.data(), node, crossed, same.data()));
}

TEST(Compare, PointersOfSuboffsetsAreFollowed) {
    int first[] = {1, 2};
    int second[] = {3, 4};
    const void* rows[] = {first, second};
    const std::int64_t shape[] = {2, 2};
    const std::int64_t strides[] = {sizeof(void*), 4};
    const std::int64_t suboffsets[] = {0, -1};
    const Layout layout = Layout::strided(2, shape, strides, suboffsets, 4);
    const Layout dense = Layout::contiguous(2, shape, 4);
    int values[] = {1, 2, 3, 4};
    const Format format("i");
    const FormatNode& node = *format.node();
    EXPECT_TRUE(equal_host(node, layout, rows, node, dense, values));
    EXPECT_TRUE(equal_host(node, dense, values, node, layout, rows));
    second[1] = 5;
    EXPECT_FALSE(equal_host(node, layout, rows, node, dense, values));
}

TEST(Compare, ShapesCountUpToTheFirstEmptyAxis) {
    const Format format("i");
    const Format text("s");
    const std::int64_t a[] = {2, 0, 3};
    const std::int64_t b[] = {2, 0, 4};
    const std::int64_t c[] = {3, 0, 4};
    const auto layout = [](const std::int64_t* shape) { return Layout::contiguous(3, shape, 4); };
    EXPECT_TRUE(equal_host(*format.node(), layout(a), nullptr, *text.node(), layout(b), nullptr));
    EXPECT_FALSE(
        equal_host(*format.node(), layout(a), nullptr, *format.node(), layout(c), nullptr));
}

TEST(Compare, KnowsWhereBytesDecide) {
    const auto by_bytes = [](const char* a, const char* b) {
        return equal_as_bytes(*Format(std::string_view(a)).node(),
                              *Format(std::string_view(b)).node());
    };
    for (const char* spec :
         {"B", "q", ">i", "P", "c", "5s", "(3)h", "T{i:a:i:b:}", "T{q:a:2s:b:6s:c:}"})
        EXPECT_TRUE(by_bytes(spec, spec)) << spec;
    EXPECT_TRUE(by_bytes("c", "1s"));
    for (const char* spec : {"?", "f", "e", "g", "Zd", "T{b:a:i:b:}", "T{f:a:}", "(2)f", "u", "4p"})
        EXPECT_FALSE(by_bytes(spec, spec)) << spec;
    EXPECT_FALSE(by_bytes("i", "I"));
    EXPECT_FALSE(by_bytes("i", ">i"));
    EXPECT_FALSE(by_bytes("i", "q"));
    EXPECT_FALSE(by_bytes("4s", "i"));
}

}  // namespace
}  // namespace devview
