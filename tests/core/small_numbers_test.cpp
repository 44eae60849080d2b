// Small floats and 4-bit integers: every code, and the nearest of all codes as the rule of
// rounding.
#include "devview/small_numbers.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace devview {
namespace {

struct Case {
    FloatKind kind;
    int bits;
    double largest;
    double least;
    std::uint32_t beyond;  ///< code of 1e300
    std::uint32_t nan;     ///< code of a positive NaN
};

constexpr Case kCases[] = {
    {FloatKind::ieee, 16, 65504, 0x1p-24, 0x7c00, 0x7e00},
    {FloatKind::bfloat16, 16, 0x1.fep127, 0x1p-133, 0x7f80, 0x7fc0},
    {FloatKind::float8_e3m4, 8, 15.5, 0x1p-6, 0x70, 0x78},
    {FloatKind::float8_e4m3, 8, 240, 0x1p-9, 0x78, 0x7c},
    {FloatKind::float8_e4m3b11fnuz, 8, 30, 0x1p-13, 0x80, 0x80},
    {FloatKind::float8_e4m3fn, 8, 448, 0x1p-9, 0x7f, 0x7f},
    {FloatKind::float8_e4m3fnuz, 8, 240, 0x1p-10, 0x80, 0x80},
    {FloatKind::float8_e5m2, 8, 57344, 0x1p-16, 0x7c, 0x7e},
    {FloatKind::float8_e5m2fnuz, 8, 57344, 0x1p-17, 0x80, 0x80},
    {FloatKind::float8_e8m0fnu, 8, 0x1p127, 0x1p-127, 0xff, 0xff},
    {FloatKind::float6_e2m3fn, 6, 7.5, 0.125, 0x1f, 0x20},
    {FloatKind::float6_e3m2fn, 6, 28, 0.0625, 0x1f, 0x20},
    {FloatKind::float4_e2m1fn, 4, 6, 0.5, 0x7, 0x8},
};

class SmallFloats : public testing::TestWithParam<Case> {
protected:
    SmallFloat format() const { return small_float(GetParam().kind); }
    std::uint32_t codes() const { return 1u << GetParam().bits; }
    double value(std::uint32_t code) const { return decode_float(format(), code); }

    /// Finite magnitudes in ascending order: their codes.
    std::vector<std::uint32_t> magnitudes() const {
        std::vector<std::uint32_t> result;
        const std::uint32_t sign = format().sign_bit;
        for (std::uint32_t code = 0; code < (sign == 0 ? codes() : sign); ++code) {
            if (std::isfinite(value(code))) result.push_back(code);
        }
        return result;
    }
};

TEST_P(SmallFloats, HaveTheLimitsOfTheirDefinition) {
    const auto finite = magnitudes();
    EXPECT_EQ(value(finite.back()), GetParam().largest);
    const std::uint32_t first = format().sign_bit == 0 ? finite[0] : finite[1];
    EXPECT_EQ(value(first), GetParam().least);
    for (std::size_t i = 1; i < finite.size(); ++i)
        ASSERT_LT(value(finite[i - 1]), value(finite[i]));
}

TEST_P(SmallFloats, EveryCodeSurvivesARoundTrip) {
    for (std::uint32_t code = 0; code < codes(); ++code) {
        const float decoded = decode_float(format(), code);
        if (std::isnan(decoded)) {
            EXPECT_TRUE(std::isnan(value(encode_float(format(), decoded)))) << code;
            continue;
        }
        ASSERT_EQ(encode_float(format(), decoded), code);
        ASSERT_EQ(encode_float(format(), static_cast<double>(decoded)), code);
    }
}

TEST_P(SmallFloats, BitsAboveTheFormatAreIgnored) {
    if (GetParam().bits >= 8) return;
    for (std::uint32_t code = 0; code < codes(); ++code)
        EXPECT_EQ(value(code | (0xffu & ~(codes() - 1))), value(code));
}

TEST_P(SmallFloats, SpecialValuesAreTheFormatsOwn) {
    const Case& c = GetParam();
    const double infinity = std::numeric_limits<double>::infinity();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(encode_float(format(), 1e300), c.beyond);
    EXPECT_EQ(encode_float(format(), infinity), c.beyond);
    EXPECT_EQ(encode_float(format(), static_cast<float>(infinity)), c.beyond);
    EXPECT_EQ(encode_float(format(), nan), c.nan);
    EXPECT_EQ(encode_float(format(), static_cast<float>(nan)), c.nan);
    const bool signless = format().unsigned_zero;
    EXPECT_EQ(encode_float(format(), -nan), signless ? c.nan : c.nan ^ format().sign_bit);
    EXPECT_EQ(encode_float(format(), -infinity), signless ? c.nan : c.beyond ^ format().sign_bit);
    if (format().sign_bit == 0) {
        EXPECT_EQ(encode_float(format(), 0.0), c.nan);
        EXPECT_EQ(encode_float(format(), -1.0), c.nan);
        EXPECT_EQ(encode_float(format(), 1e-300), 0u);
    } else {
        EXPECT_EQ(encode_float(format(), -0.0), signless ? 0 : format().sign_bit);
        EXPECT_EQ(encode_float(format(), -1e-300), signless ? 0 : format().sign_bit);
    }
}

/// Between two neighbours the middle decides, and at the middle the even code (of e8m0: the upper).
TEST_P(SmallFloats, RoundsToTheNearestOfAllCodes) {
    const auto finite = magnitudes();
    const double infinity = std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i < finite.size(); ++i) {
        const std::uint32_t low = finite[i - 1];
        const std::uint32_t high = finite[i];
        const double middle = (value(low) + value(high)) / 2;
        const std::uint32_t even = format().sign_bit == 0 || low % 2 != 0 ? high : low;
        ASSERT_EQ(encode_float(format(), middle), even);
        ASSERT_EQ(encode_float(format(), static_cast<float>(middle)), even);
        ASSERT_EQ(encode_float(format(), std::nextafter(middle, infinity)), high);
        ASSERT_EQ(encode_float(format(), std::nextafter(middle, -infinity)), low);
        const auto narrow = static_cast<float>(middle);
        ASSERT_EQ(encode_float(format(), std::nextafterf(narrow, INFINITY)), high);
        ASSERT_EQ(encode_float(format(), std::nextafterf(narrow, -INFINITY)), low);
        if (format().sign_bit == 0) continue;
        const std::uint32_t sign = format().unsigned_zero && even == 0 ? 0 : format().sign_bit;
        ASSERT_EQ(encode_float(format(), -middle), even | sign);
    }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, SmallFloats, testing::ValuesIn(kCases));

TEST(SmallFloats, HalfKeepsTheHighBitsOfANaN) {
    const SmallFloat half = small_float(FloatKind::ieee);
    EXPECT_EQ(encode_float(half, detail::bits_as<float>(0x7fc12345u)), 0x7e09u);
    EXPECT_EQ(encode_float(half, detail::bits_as<float>(0xff800001u)), 0xfc01u);
    EXPECT_EQ(detail::bits_as<std::uint32_t>(decode_float(half, 0xfe09)), 0xffc12000u);
}

TEST(StickyDouble, RoundsAsTheIntegerItself) {
    const SmallFloat bfloat16 = small_float(FloatKind::bfloat16);
    const std::uint64_t tie = std::uint64_t{0x101} << 55;  // 257 * 2^55: between 256 and 258
    EXPECT_EQ(encode_float(bfloat16, sticky_double(tie)), encode_float(bfloat16, 0x1p63));
    EXPECT_EQ(encode_float(bfloat16, sticky_double(tie + 1)), encode_float(bfloat16, 258 * 0x1p55));
    EXPECT_EQ(encode_float(bfloat16, sticky_double(tie - 1)), encode_float(bfloat16, 0x1p63));
    std::mt19937_64 random(1);
    for (int i = 0; i < 100000; ++i) {
        const std::uint64_t value = random() >> (random() % 64);
        const auto exact =
            static_cast<long double>(value);  // 64 bits of precision where it has them
        const auto near = static_cast<double>(value);
        if (static_cast<long double>(near) == exact) {
            ASSERT_EQ(encode_float(bfloat16, sticky_double(value)), encode_float(bfloat16, near));
        }
    }
}

TEST(Int4, IsTwosComplementInTheLowHalf) {
    for (unsigned code = 0; code < 256; ++code) {
        const int low = static_cast<int>(code % 16);
        EXPECT_EQ(decode_int4(code), low < 8 ? low : low - 16);
        EXPECT_EQ(decode_uint4(code), code % 16);
    }
    EXPECT_EQ(encode_int4(static_cast<std::uint64_t>(std::int64_t{-3})), 13u);
    EXPECT_EQ(encode_int4(16 + 5), 5u);
}

}  // namespace
}  // namespace devview
