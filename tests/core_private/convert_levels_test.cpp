// Every step of a conversion gives the same bits at every level of the CPU.
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "devview/format.hpp"
#include "number_formats.hpp"
#include "src/convert/convert_runs.hpp"

namespace devview::convert {
namespace {

using Bytes = std::vector<char>;

// Long enough for blocks, whole vectors and a rest of each.
constexpr std::int64_t kCount = 3 * 512 + 256 + 64 + 21;

template <typename Float>
void put_floats(Bytes& bytes, std::mt19937_64& random) {
    constexpr double kSpecial[] = {0.0,     -0.0,       0.5,    -1,      127.5,   255.9,
                                   256,     32768,      65504,  65519.9, 65520,   0x1p31,
                                   -0x1p31, 0x1p31 - 1, 0x1p32, 0x1p63,  -0x1p63, 0x1p64,
                                   0x1p-24, 0x1p-25,    1e300,  -1e300};
    for (std::size_t at = 0; at + sizeof(Float) <= bytes.size(); at += sizeof(Float)) {
        if (random() % 2 == 0) continue;  // any bits: NaNs of all kinds among them
        const auto value = static_cast<Float>(kSpecial[random() % std::size(kSpecial)]);
        std::memcpy(bytes.data() + at, &value, sizeof value);
    }
}

/// Items of `format`; `calm`: without NaNs and what is out of range, so that fast loops finish.
Bytes items_of(const Format& format, bool calm, std::mt19937_64& random) {
    Bytes bytes(static_cast<std::size_t>(kCount * format.itemsize()));
    for (char& byte : bytes)
        byte = static_cast<char>(calm ? random() % 64 : random());
    if (calm) return bytes;
    const std::string text = format.text();
    if (text == "f" || text == "Zf") put_floats<float>(bytes, random);
    if (text == "d" || text == "Zd") put_floats<double>(bytes, random);
    return bytes;
}

Bytes converted(const Format& to, const Format& from, const Bytes& items, cpu::Level level) {
    const NumberConversion conversion(test::type_of(to), test::type_of(from), level);
    Bytes made(static_cast<std::size_t>(kCount * to.itemsize()));
    if (conversion.identity()) return {};
    conversion.run(made.data(), items.data(), kCount);
    return made;
}

void every_pair_at(cpu::Level level) {
    if (cpu_kind() < level) GTEST_SKIP() << "this CPU has no such instructions";
    std::mt19937_64 random(1);
    const std::vector<Format> formats = test::number_formats();
    for (const Format& from : formats) {
        for (const Format& to : formats) {
            if (from.kind() == Kind::complex_floating && to.kind() != Kind::complex_floating)
                continue;
            for (const bool calm : {true, false}) {
                const Bytes items = items_of(from, calm, random);
                ASSERT_EQ(converted(to, from, items, level),
                          converted(to, from, items, cpu::Level::portable))
                    << from.str() << " to " << to.str() << (calm ? ", calm" : "");
            }
        }
    }
}

TEST(ConvertLevels, Avx2GivesTheBitsOfPlainLoops) { every_pair_at(cpu::Level::avx2); }

TEST(ConvertLevels, Avx512GivesTheBitsOfPlainLoops) { every_pair_at(cpu::Level::avx512); }

}  // namespace
}  // namespace devview::convert
