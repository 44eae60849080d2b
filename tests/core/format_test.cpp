// Formats: what each code means, equality, canonical spelling, interning.
#include "devview/format.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"

namespace devview {
namespace {

const FormatField& field(const Format& format, int i) { return format.node()->fields[i]; }

TEST(Format, DefaultIsUnsignedBytes) {
    const Format format;
    EXPECT_EQ(format.kind(), Kind::unsigned_integer);
    EXPECT_EQ(format.code(), 'B');
    EXPECT_EQ(format.itemsize(), 1);
    EXPECT_STREQ(format.text(), "B");
    EXPECT_TRUE(format.node()->immortal);
    EXPECT_TRUE(format == Format("B"));
}

TEST(Format, ScalarsHaveTheirKinds) {
    const std::pair<const char*, Kind> rows[] = {
        {"?", Kind::boolean},
        {"b", Kind::integer},
        {"L", Kind::unsigned_integer},
        {"n", Kind::integer},
        {"N", Kind::unsigned_integer},
        {"e", Kind::floating},
        {"g", Kind::floating},
        {"Zf", Kind::complex_floating},
        {"D", Kind::complex_floating},
        {"c", Kind::character},
        {"5s", Kind::bytes},
        {"5p", Kind::pascal},
        {"3u", Kind::unicode},
        {"3w", Kind::unicode},
        {"P", Kind::pointer},
        {"&i", Kind::pointer},
        {"X{i->d}", Kind::function},
        {"O", Kind::object},
        {"3t", Kind::bits},
        {"5x", Kind::opaque},
        {"T{i}", Kind::record},
        {"ii", Kind::record},
        {"3i", Kind::array},
        {"(2,3)i", Kind::array},
    };
    for (const auto& [spec, kind] : rows)
        EXPECT_EQ(Format(spec).kind(), kind) << spec;
}

TEST(Format, SizesOfStringsCountTheirCharacters) {
    EXPECT_EQ(Format("5s").itemsize(), 5);
    EXPECT_EQ(Format("5w").itemsize(), 20);
    EXPECT_EQ(Format("5u").itemsize(), 10);
    EXPECT_EQ(Format("0s").itemsize(), 0);
    EXPECT_EQ(Format("11t").itemsize(), 2);
    EXPECT_EQ(Format("11t").node()->bits, 11);
}

TEST(Format, StandardSizesUnderOtherPrefixes) {
    EXPECT_EQ(Format("l").itemsize(), 8);
    EXPECT_EQ(Format("^l").itemsize(), 8);
    for (const char* spec : {"=l", "<l", ">L", "!L"})
        EXPECT_EQ(Format(spec).itemsize(), 4) << spec;
    EXPECT_EQ(Format("<l").code(), 'i');
    EXPECT_EQ(Format("<P").itemsize(), 8);
    EXPECT_EQ(Format("<O").itemsize(), 8);
    EXPECT_EQ(Format("<g").itemsize(), 16);
    EXPECT_EQ(Format("<Zd").itemsize(), 16);
    EXPECT_EQ(Format(">i").byteorder(), ByteOrder::big);
    EXPECT_EQ(Format("<i").byteorder(), ByteOrder::native);
    EXPECT_EQ(Format(">b").byteorder(), ByteOrder::native);
}

TEST(Format, CountsAreArraysAloneAndMembersInARow) {
    EXPECT_EQ(Format("3i").node()->shape[0], 3);
    EXPECT_EQ(Format("h3i").node()->field_count, 4);
    EXPECT_EQ(Format("3ih").node()->field_count, 4);
    EXPECT_EQ(Format("T{3i}").node()->field_count, 3);
    const Format named("T{h:a:3i:b:}");
    ASSERT_EQ(named.node()->field_count, 2);
    EXPECT_EQ(field(named, 1).format->kind, Kind::array);
    EXPECT_EQ(field(named, 1).offset, 4);
    EXPECT_EQ(Format("1i").kind(), Kind::integer);
    const Format nested("(2)3i");
    ASSERT_EQ(nested.node()->ndim, 2);
    EXPECT_EQ(nested.node()->shape[1], 3);
    EXPECT_EQ(Format("( 2 , 3 ) <i").itemsize(), 24);
}

TEST(Format, RecordsAreLaidOutAsInC) {
    const Format format("T{i:ival:\n T{H:sval: B:bval: B:cval:}:sub:\n (16,4)d:data:}");
    ASSERT_EQ(format.node()->field_count, 3);
    EXPECT_STREQ(field(format, 1).name, "sub");
    EXPECT_EQ(field(format, 1).offset, 4);
    EXPECT_EQ(field(format, 2).offset, 8);
    EXPECT_EQ(format.itemsize(), 8 + 16 * 4 * 8);
    EXPECT_EQ(format.alignment(), 8);
    EXPECT_EQ(Format("T{ib}").itemsize(), 8);
    EXPECT_EQ(Format("ib").itemsize(), 5);
    EXPECT_EQ(Format("T{<ib}").itemsize(), 5);
}

TEST(Format, PrefixesOutliveTheRecordThatHoldsThem) {
    const Format format("T{b:a:T{<i:b:}:s:h:c:}");
    EXPECT_EQ(field(format, 1).offset, 1);
    EXPECT_EQ(field(format, 2).offset, 5);
}

TEST(Format, BitsShareTheirBytes) {
    const Format format("T{3t:a:7t:b:B:c:2t:d:}");
    EXPECT_EQ(field(format, 1).offset, 0);
    EXPECT_EQ(field(format, 1).bit_offset, 3);
    EXPECT_EQ(field(format, 2).offset, 2);
    EXPECT_EQ(field(format, 3).offset, 3);
    EXPECT_EQ(format.itemsize(), 4);
    EXPECT_THROW(Format("(2)3t"), FormatError);
}

TEST(Format, ItemsizeOfTheExporterIsTrusted) {
    const Format ctypes_bug = Format::with_itemsize("T{<B:a:<I:b:}", 8);
    EXPECT_EQ(field(ctypes_bug, 1).offset, 4);
    EXPECT_EQ(field(Format::with_itemsize("T{<B:a:<I:b:}", 5), 1).offset, 1);
    EXPECT_EQ(field(Format::with_itemsize("T{<B:a:<I:b:}", 9), 1).offset, 1);
    EXPECT_EQ(Format::with_itemsize("T{ib}", 5).itemsize(), 5);
    EXPECT_EQ(Format::with_itemsize("ib", 8).itemsize(), 8);
    EXPECT_EQ(Format::with_itemsize("<u", 4).code(), 'w');
    EXPECT_EQ(field(Format::with_itemsize("T{<u:a:<i:b:}", 8), 1).offset, 4);
    EXPECT_THROW(Format::with_itemsize("T{<i:a:<i:b:}", 4), FormatError);
    EXPECT_THROW(Format::with_itemsize("i", 8), FormatError);
    EXPECT_THROW(Format::with_itemsize("B", 5), FormatError);
    EXPECT_THROW(Format::with_itemsize("(3)i", 16), FormatError);
    EXPECT_THROW(Format::with_itemsize("T{i}", -1), FormatError);
}

TEST(Format, TailsThatNumpyRepeatsAreCountedOnce) {
    EXPECT_EQ(field(Format::with_itemsize("T{T{i:a:b:b:}:s:xxxb:c:}", 12), 1).offset, 8);
    EXPECT_EQ(field(Format::with_itemsize("T{(2)T{i:a:b:b:}:s:xxxxxxb:c:}", 20), 1).offset, 16);
    EXPECT_EQ(field(Format("T{T{i:a:b:b:}:s:xxxb:c:}"), 1).offset, 11);
}

TEST(Format, SmallFloatsByDlpackCode) {
    for (int code = 7; code <= 17; ++code) {
        const auto bits = static_cast<std::uint8_t>(code < 15 ? 8 : code < 17 ? 6 : 4);
        const Format format = Format::from_dlpack(static_cast<std::uint8_t>(code), bits);
        EXPECT_EQ(format.kind(), Kind::floating);
        EXPECT_EQ(static_cast<int>(format.node()->float_kind), code);
        EXPECT_EQ(format.node()->bits, bits);
        EXPECT_EQ(format.itemsize(), 1);
        EXPECT_TRUE(Format(format.text()) == format);
    }
    const Format bfloat16 = Format::from_dlpack(4, 16);
    EXPECT_STREQ(bfloat16.text(), "T{H:bfloat16:}");
    EXPECT_EQ(bfloat16.itemsize(), 2);
    EXPECT_EQ(Format("T{<H:bfloat16:}"), bfloat16);
    EXPECT_EQ(Format("T{>H:bfloat16:}").byteorder(), ByteOrder::big);
    EXPECT_EQ(Format("T{h:bfloat16:}").kind(), Kind::record);
    EXPECT_EQ(Format::from_dlpack(0, 4).str(), "T{B:int4:}");
    EXPECT_EQ(Format::from_dlpack(1, 4).node()->bits, 4);
    EXPECT_EQ(Format("T{T{H:bfloat16:}:x:T{B:float8_e5m2:}:y:}").itemsize(), 4);
}

TEST(Format, OtherDlpackTypes) {
    EXPECT_EQ(Format::from_dlpack(0, 64), Format("l"));
    EXPECT_EQ(Format::from_dlpack(2, 16), Format("e"));
    EXPECT_EQ(Format::from_dlpack(5, 128), Format("D"));
    EXPECT_EQ(Format::from_dlpack(6, 8), Format("?"));
    EXPECT_THROW(Format::from_dlpack(2, 128), FormatError);
    EXPECT_THROW(Format::from_dlpack(3, 64), FormatError);
    EXPECT_THROW(Format::from_dlpack(16, 8), FormatError);
    EXPECT_THROW(Format::from_dlpack(99, 8), FormatError);
    EXPECT_THROW(Format::from_dlpack(2, 32, 4), FormatError);
}

TEST(Format, EqualByMeaning) {
    const std::vector<std::vector<const char*>> classes = {
        {"i", "@i", "<i", "=i", " <i ", "1i", "<l"},
        {"l", "q", "<q", "n"},
        {">i", "!i", ">l"},
        {"B", ">B"},
        {"b"},
        {"c"},
        {"?"},
        {"3i", "(3)i", "<3i"},
        {"(1)i"},
        {"iii", "T{3i}", "T{iii}"},
        {"T{i:a:i:b:}", "T{<i:a:i:b:}", "T{=l:a:l:b:}", "i:a:i:b:"},
        {"T{i:a:i:c:}"},
        {"T{i:a:}"},
        {"T{b:a:i:b:}", "T{b:a:3x=i:b:}"},
        {"T{<b:a:i:b:}", "T{^b:a:i:b:}"},
        {"Zd", "D", "<Zd"},
        {"2u"},
        {"1w", "w"},
        {"P", "<P", "<z", "<Z"},
        {"&i", "&<l"},
        {"&&i"},
        {"X{}", "<X{}"},
        {"X{i}"},
        {"T{H:bfloat16:}", "=T{H:bfloat16:}"},
        {"H"},
        {"5s"},
        {"5p"},
        {"5x", "<5x"},
    };
    for (std::size_t i = 0; i < classes.size(); ++i) {
        const Format first(classes[i][0]);
        for (std::size_t k = 0; k < classes.size(); ++k) {
            for (const char* spec : classes[k]) {
                EXPECT_EQ(Format(spec) == first, i == k) << spec << " and " << first.text();
                EXPECT_EQ(Format(spec).str() == first.str(), i == k) << spec;
                EXPECT_EQ(Format(spec).hash() == first.hash(), i == k) << spec;
            }
        }
    }
}

TEST(Format, PaddingAtTheEndCounts) {
    EXPECT_NE(Format("ib"), Format("T{ib}"));
    EXPECT_EQ(Format("ib3x"), Format("T{ib}"));
    EXPECT_EQ(Format::with_itemsize("ib", 8), Format("T{ib}"));
}

TEST(Format, CanonicalSpelling) {
    const std::pair<const char*, const char*> rows[] = {
        {"l", "q"},
        {"<l", "i"},
        {"N", "Q"},
        {"!d", ">d"},
        {"D", "Zd"},
        {"1s", "s"},
        {"3i", "(3)i"},
        {">3i", ">(3)i"},
        {"bi", "T{bi}"},
        {"ib", "^T{ib}"},
        {"T{<b:a:<i:b:}", "^T{b:a:i:b:}"},
        {"T{b:a:3x<i:b:}", "T{b:a:i:b:}"},
        {"T{>h:a:^i:b:}", "^T{>h:a:^i:b:}"},
        {"T{>i:a:@i:b:}", "T{>i:a:@i:b:}"},
        {"T{i5x}", "T{i8x}"},
        {"xi", "T{4xi}"},
        {"h3i", "T{hiii}"},
        {"T{4x:pad:}", "T{4x:pad:}"},
        {"T{3t0x5t}", "T{3t0x5t}"},
        {"&>i", "&>i"},
        {" X{a{b}c} ", "X{a{b}c}"},
        {"<z", "P"},
        {"", "T{}"},
        {"T{>H:bfloat16:}", ">T{H:bfloat16:}"},
    };
    for (const auto& [spec, canonical] : rows)
        EXPECT_EQ(Format(spec).str(), canonical) << spec;
}

TEST(Format, PartsKeepTheWholeAlive) {
    Format part;
    {
        const Format whole("T{>i:a:T{d:b:(2)h:c:}:s:}");
        part = Format::of_node(field(whole, 1).format);
    }
    EXPECT_STREQ(part.text(), ">T{d:b:(2)h:c:}");
    EXPECT_EQ(Format(part.text()), part);
    EXPECT_STREQ(field(part, 1).format->text, ">(2)h");
    EXPECT_STREQ(field(part, 1).format->element->text, ">h");
}

TEST(Format, OneNodePerSpelling) {
    const Format a("T{i:x:d:y:}");
    EXPECT_EQ(Format("T{i:x:d:y:}").node(), a.node());
    EXPECT_EQ(Format::with_itemsize("T{i:x:d:y:}", 16).node(), a.node());
    EXPECT_NE(Format::with_itemsize("T{i:x:d:y:}", 24).node(), a.node());
    EXPECT_EQ(Format::with_itemsize("T{i:x:d:y:}", 24), Format("T{i:x:d:y:8x}"));
    EXPECT_EQ(Format("i").node(), Format::scalar('i').node());
    EXPECT_STREQ(Format(" < i").text(), " < i");
    EXPECT_STREQ(Format("F").text(), "F");
}

TEST(Format, CopiesAndMoves) {
    Format a("T{i:x:}");
    Format b = a;
    const Format c = std::move(a);
    EXPECT_EQ(b, c);
    b = Format("T{q:z:}");
    EXPECT_NE(b, c);
}

TEST(Format, ScalarRefusesWhatIsNone) {
    for (const char code : {'T', 'X', '&', 'Z', '<', 'y', '\0', '\xff'}) {
        EXPECT_THROW(Format::scalar(code), FormatError);
    }
    EXPECT_STREQ(Format::scalar('D').text(), "Zd");
}

TEST(Format, NativeScalarsAreThoseOfMemoryview) {
    for (const char* spec : {"B", "i", "@i", "<i", "?", "c", "n", "P", "e", "l"}) {
        EXPECT_TRUE(Format(spec).native_scalar()) << spec;
    }
    for (const char* spec :
         {">i", "g", "Zd", "s", "w", "O", "3i", "T{i}", "T{H:bfloat16:}", "&i"}) {
        EXPECT_FALSE(Format(spec).native_scalar()) << spec;
    }
}

TEST(Format, ObjectsAreFoundAtAnyDepth) {
    for (const char* spec : {"O", "T{i:a:O:b:}", "(3)T{T{(2)O:x:}:y:}"}) {
        EXPECT_TRUE(Format(spec).has_objects()) << spec;
    }
    for (const char* spec : {"i", "&O", "P", "T{i:O:}", "X{O}"}) {
        EXPECT_FALSE(Format(spec).has_objects()) << spec;
    }
}

TEST(Format, ThreadsShareOneTable) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < 5000; ++i) {
                const Format a("T{i:x:d:shared" + std::to_string(i % 7) + ":}");
                const Format b = Format::of_node(field(a, 1).format);
                ASSERT_EQ(a.itemsize(), 16);
                ASSERT_EQ(b.itemsize(), 8);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
}

}  // namespace
}  // namespace devview
