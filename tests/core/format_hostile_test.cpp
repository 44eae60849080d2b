// Formats that nobody should write: refused in linear time with a position, never a crash.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/format.hpp"

namespace devview {
namespace {

std::string message_of(std::string_view spec, std::int64_t itemsize = -1) {
    try {
        if (itemsize < 0) return Format(spec).text() != nullptr ? "accepted" : "no text";
        Format::with_itemsize(spec, itemsize);
    } catch (const FormatError& error) {
        return error.what();
    }
    return "accepted";
}

std::string repeated(std::string_view text, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i)
        out += text;
    return out;
}

TEST(FormatHostile, ErrorsNameTheirPosition) {
    const std::pair<std::string, const char*> rows[] = {
        {"T{iy}", "format: position 3: unknown code 'y'"},
        {"i\x80", "format: position 1: unknown code '\\x80'"},
        {"T{i:a:", "format: position 6: missing '}' of the 'T{' at 0"},
        {"T{i:a}", "format: position 6: missing ':' after a name"},
        {"i}", "format: position 1: '}' without 'T{'"},
        {"Ti", "format: position 1: expected '{' after 'T'"},
        {"T{&}", "format: position 3: '&' without an item"},
        {"&", "format: position 1: '&' without an item"},
        {":a:i", "format: position 0: a name without an item"},
        {"3", "format: position 1: a count or sub-array without an item"},
        {"3 i", "format: position 1: a count without an item"},
        {"(3", "format: position 2: missing ')'"},
        {"(3;", "format: position 2: expected ',' or ')'"},
        {"()i", "format: position 1: expected an extent of a sub-array"},
        {"(3,)i", "format: position 3: expected an extent of a sub-array"},
        {"(-1)B", "format: position 1: expected an extent of a sub-array"},
        {"-1B", "format: position 0: unknown code '-'"},
        {"Zi", "format: position 1: expected f, d or g after 'Z'"},
        {"Z", "format: position 1: expected f, d or g after 'Z'"},
        {"X{a", "format: position 3: missing '}' of the 'X{' at 0"},
        {"<n", "format: position 1: 'n' has a native size only, under '@' or '^'"},
        {"T{i:a:d:a:}", "format: position 8: a second member named 'a'"},
        {std::string("i\0", 2), "format: position 1: NUL byte"},
        {std::string("i:a\0:", 5), "format: position 3: NUL byte"},
        {"i:a\xff:", "format: position 3: a name that is not UTF-8"},
        {"i:\xc0\x80:", "format: position 2: a name that is not UTF-8"},
        {"i:\xed\xa0\x80:", "format: position 2: a name that is not UTF-8"},
        {"10000000000000000000000i", "format: position 0: count too large, limit 140737488355327"},
        {"(2147483647,2147483647)B",
         "format: position 0: sub-array too large, limit 140737488355327 bytes"},
        {"(0,2147483647,2147483647)B",
         "format: position 0: sub-array too large, limit 140737488355327 bytes"},
        {"b140737488355327x", "format: position 1: item too large, limit 140737488355327 bytes"},
        {"b99999999i", "format: position 1: more than 65536 members and brackets"},
    };
    for (const auto& [spec, message] : rows)
        EXPECT_EQ(message_of(spec), message) << spec;
}

TEST(FormatHostile, PositionIsThatOfTheMessage) {
    try {
        const Format format("T{i:a:(3)y:b:}");
        FAIL();
    } catch (const FormatError& error) {
        EXPECT_EQ(error.position(), 9U);
    }
}

TEST(FormatHostile, DepthIsCapped) {
    EXPECT_EQ(Format(repeated("T{", 64) + "i" + repeated("}", 64)).itemsize(), 4);
    EXPECT_EQ(message_of(repeated("T{", 65) + "i" + repeated("}", 65)),
              "format: position 128: nested deeper than 64");
    EXPECT_EQ(Format(repeated("&", 64) + "i").itemsize(), 8);
    EXPECT_EQ(message_of(repeated("&", 65) + "i"), "format: position 64: nested deeper than 64");
}

std::string names(std::size_t bytes, std::size_t length) {
    std::string spec = "T{";
    for (std::size_t i = 0; spec.size() < bytes; ++i) {
        std::string name = std::to_string(i);
        name.insert(0, length - std::min(length, name.size()), 'n');
        spec.append("B:").append(name) += ':';
    }
    return spec + "}";
}

std::string worst_nested(std::size_t bytes) {
    return repeated("T{", 63) + names(bytes - 256, 16) + repeated("}", 63);
}

struct Hostile {
    const char* what;
    std::string spec;
};

TEST(FormatHostile, SameNameAmongMany) {
    for (const std::size_t bytes : {100U, 1000U, 100000U, 1000000U}) {
        std::string spec = names(bytes, 14);
        spec.pop_back();
        const std::size_t position = spec.size() + 2;
        const std::string name = spec.substr(4, 14);
        spec += "B:" + name + ":B:later:}";
        EXPECT_EQ(message_of(spec), "format: position " + std::to_string(position) +
                                        ": a second member named '" + name + "'");
    }
}

TEST(FormatHostile, PaddingInARowIsPaddingOneByOne) {
    const std::pair<const char*, const char*> rows[] = {
        {"xxx", "x x x"},
        {"bxxxi", "b x x x i"},
        {"T{bxxxi:a:xx:b:xxd:c:xxx}", "T{bx xxi:a:x x:b:x xd:c:x xx}"},
        {"T{3txx5t:a:xxh}", "T{3tx x5t:a:x xh}"},
        {"T{T{dc}:a:xxxxxxxxxh:b:}", "T{T{dc}:a:x x x x x x x x xh:b:}"},
        {"(2)xxx", "(2)x x x"},
    };
    for (const auto& [run, apart] : rows) {
        const Format format(apart);
        EXPECT_EQ(Format(run), format) << run;
        for (std::int64_t extra = 0; extra < 9; ++extra) {
            EXPECT_EQ(Format::with_itemsize(run, format.itemsize() + extra),
                      Format::with_itemsize(apart, format.itemsize() + extra))
                << run << " + " << extra;
        }
    }
    EXPECT_EQ(message_of("T{&xx}"), "accepted");
    EXPECT_EQ(Format("T{b&xxh:a:}"), Format("T{b&x xh:a:}"));
}

TEST(FormatHostile, MegabytesAreLinear) {
    constexpr std::size_t kMega = 1000000;
    const Hostile rows[] = {
        {"200000 open records", repeated("T{", 200000)},
        {"500000 open records", repeated("T{", kMega / 2)},
        {"open shapes", repeated("(", kMega)},
        {"open functions", repeated("X{", kMega / 2)},
        {"closing braces", repeated("}", kMega)},
        {"pointers", repeated("&", kMega)},
        {"axes", "(" + repeated("1,", kMega / 2) + "1)B"},
        {"digits", repeated("9", kMega) + "B"},
        {"zeros", repeated("0", kMega) + "B"},
        {"one name", "B:" + repeated("n", kMega) + ":"},
        {"short names", names(kMega, 6)},
        {"names", names(kMega, 14)},
        {"long names", names(kMega, 1000)},
        {"names at depth 64", worst_nested(kMega)},
        {"members", repeated("B", kMega)},
        {"few members and spaces", repeated("B        ", kMega / 9)},
        {"spaces", repeated(" ", kMega)},
        {"spaces before a name", "B" + repeated(" ", kMega - 4) + ":a:"},
        {"prefixes", repeated("<>", kMega / 2)},
        {"padding", repeated("x", kMega)},
        {"strings", repeated("1s", 65536)},
        {"empty arrays", repeated("0(2)i", kMega / 5)},
        {"no records", repeated("0T{}", kMega / 4)},
        {"bits", repeated("3t", kMega / 2)},
        {"NUL at the end", repeated(" ", kMega - 1) + std::string(1, '\0')},
        {"two million bytes", repeated("x", 2 * kMega)},
    };
    for (const Hostile& row : rows) {
        const std::clock_t begin = std::clock();
        const std::string message = message_of(row.spec);
        const std::clock_t middle = std::clock();
        message_of(row.spec, kMega - 7);
        const std::clock_t end = std::clock();
        const double took = 1e3 * static_cast<double>(middle - begin) / CLOCKS_PER_SEC;
        const double sized = 1e3 * static_cast<double>(end - middle) / CLOCKS_PER_SEC;
        std::printf("%-24s %8zu bytes %6.2f, with itemsize %6.2f ms  %s\n", row.what,
                    row.spec.size(), took, sized, message.substr(0, 60).c_str());
        EXPECT_LT(took + sized, 1000.0) << row.what;  // the bound of 50 ms is the benchmark's
    }
}

// Deterministic strings over the grammar's letters, with a bias to what is accepted.
class Fuzzer {
public:
    std::string next() {
        std::string spec;
        const int items = pick(8) + 1;
        for (int i = 0; i < items; ++i)
            add_item(spec, 0);
        if (pick(4) == 0) spoil(spec);
        return spec;
    }

private:
    int pick(int below) { return static_cast<int>(random_() % static_cast<std::uint32_t>(below)); }
    char letter(std::string_view letters) {
        return letters[static_cast<std::size_t>(pick(static_cast<int>(letters.size())))];
    }
    void add_item(std::string& spec, int depth);
    void spoil(std::string& spec);

    std::mt19937 random_{3118};
    int name_ = 0;
};

void Fuzzer::add_item(std::string& spec, int depth) {
    if (pick(4) == 0) spec += letter("@=<>!^^@");
    if (pick(5) == 0) spec += std::to_string(pick(4));
    if (pick(6) == 0) {
        spec += "(" + std::to_string(pick(3));
        if (pick(2) == 0) spec += "," + std::to_string(pick(3));
        spec += ')';
        if (pick(5) == 0) spec += letter("@=<>^");
        if (pick(4) == 0) spec += std::to_string(pick(4));
    }
    const int what = pick(20);
    if (what < 3 && depth < 4) {
        spec += "T{";
        for (int i = pick(4); i > 0; --i)
            add_item(spec, depth + 1);
        spec += '}';
    } else if (what == 3 && depth < 4) {
        spec += '&';
        add_item(spec, depth + 4);
        return;
    } else if (what == 4) {
        spec += pick(2) == 0 ? "T{H:bfloat16:}" : "T{B:float8_e4m3fn:}";
    } else if (what == 5) {
        spec += pick(2) == 0 ? "X{}" : "X{a{b}}";
    } else if (what == 6) {
        spec += letter("Z");
        spec += letter("fdg");
    } else {
        spec += letter("?bBhHiIlLqQnNefdgFDGcspxuwtPOxxttt");
    }
    if (pick(3) == 0) spec += ":n" + std::to_string(name_++) + ":";
    if (pick(12) == 0) spec += "::";
    if (pick(8) == 0) spec += ' ';
}

void Fuzzer::spoil(std::string& spec) {
    constexpr std::string_view kAlphabet =
        "@=<>!^0123456789(),TX{}&:Z?bBhHiIlLqQnNefdgFDGcspxuwtPO yz";
    const auto at = static_cast<std::size_t>(pick(static_cast<int>(spec.size()) + 1));
    switch (pick(4)) {
        case 0:
            spec.erase(at, 1);
            break;
        case 1:
            spec.insert(at, 1, letter(kAlphabet));
            break;
        case 2:
            if (at < spec.size()) spec[at] = static_cast<char>(pick(256));
            break;
        default:
            for (int i = pick(12); i > 0; --i)
                spec += letter(kAlphabet);
    }
}

void expect_round_trip(const Format& format) {
    const std::string canonical = format.str();
    const Format again(canonical);
    ASSERT_TRUE(again == format) << format.text() << " prints " << canonical;
    ASSERT_EQ(again.str(), canonical) << format.text();
    ASSERT_EQ(again.hash(), format.hash()) << format.text();
}

void expect_parts_stand_alone(const FormatNode* node) {
    const Format part = Format::of_node(node);
    expect_round_trip(part);
    ASSERT_EQ(Format::with_itemsize(part.text(), part.itemsize()), part) << part.text();
    if (node->element != nullptr) expect_parts_stand_alone(node->element);
    for (std::int32_t i = 0; i < node->field_count; ++i) {
        expect_parts_stand_alone(node->fields[i].format);
    }
}

TEST(FormatHostile, RandomFormatsRoundTripOrAreRefused) {
    Fuzzer fuzzer;
    int accepted = 0;
    constexpr int kRuns = 100000;
    for (int run = 0; run < kRuns; ++run) {
        const std::string spec = fuzzer.next();
        try {
            const Format format(spec);
            ++accepted;
            expect_round_trip(format);
            if (run % 4 == 0) expect_parts_stand_alone(format.node());
            const Format padded = Format::with_itemsize(spec, format.itemsize() + run % 9);
            expect_round_trip(padded);
        } catch (const FormatError& error) {
            ASSERT_LE(error.position(), spec.size()) << spec;
        }
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(accepted, kRuns / 3);
}

}  // namespace
}  // namespace devview
