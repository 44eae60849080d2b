// Formats of C++ types; the oracle is the compiler: sizeof, alignof, offsetof.
#include "devview/format_of.hpp"

#include <array>
#include <atomic>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"

namespace library {

struct Pixel {
    unsigned char r, g, b, a;
};
DEVVIEW_RECORD(Pixel, r, g, b, a);

struct Sample {
    char tag;
    double values[3];
    Pixel pixels[2][4];
    std::complex<float> phase;
    char name[12];
    std::uint16_t flags;
};
DEVVIEW_RECORD(Sample, tag, values, pixels, phase, name, flags);

struct Renamed {
    int first;
    double second;
};
DEVVIEW_RECORD_AS(Renamed, (first, "Zähler"), (second, "the second"));

struct Partial {
    int shown;
    int hidden;
    short also_shown;
    short tail[3];
};
DEVVIEW_RECORD(Partial, shown, also_shown);

struct __attribute__((packed)) Packed {
    char tag;
    std::int32_t value;
    double wide;
};
DEVVIEW_RECORD(Packed, tag, value, wide);

struct HoldsPacked {
    double before;
    Packed packed[2];
    int after;
};
DEVVIEW_RECORD(HoldsPacked, before, packed, after);

// Every offset is a multiple of its alignment; only the size is not.
struct __attribute__((packed)) PackedTail {
    std::int32_t value;
    char tag;
};
DEVVIEW_RECORD(PackedTail, value, tag);

struct alignas(64) Wide {
    float x;
    alignas(16) float y;
};
DEVVIEW_RECORD(Wide, x, y);

struct Other;
struct Link {
    int value;
    Link* next;
    const Other* other;
    const Pixel* pixel;
    void* data;
    struct Undescribed* undescribed;
    int (*call)(double);
};
struct Other {
    Link* back;
    Other** others;
};
DEVVIEW_RECORD(Link, value, next, other, pixel, data, undescribed, call);
DEVVIEW_RECORD(Other, back, others);

template <class T>
struct Vec3 {
    T x, y, z;
};
template <class T>
DEVVIEW_RECORD(Vec3<T>, x, y, z);

class Outer {
public:
    struct Inner {
        std::byte bytes[3];
    };
};
DEVVIEW_RECORD(Outer::Inner, bytes);

struct half {
    std::uint16_t bits;
};
struct bfloat16 {
    std::uint16_t bits;
};
struct float8 {
    std::uint8_t bits;
};
struct big_int {
    unsigned char bytes[4];
};
struct wrong {
    int value;
};
struct unreadable {
    int value;
};

struct Foreign {
    char tag;
    half h;
    bfloat16 b;
    float8 f[2];
    big_int big;
    int after;
    half last;
};
DEVVIEW_RECORD(Foreign, tag, h, b, f, big, after, last);

template <class P>
struct Three {
    typename P::A a;
    typename P::B b;
    typename P::C c;
};
template <class P>
DEVVIEW_RECORD(Three<P>, a, b, c);

struct M64 {
    char a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6,
        c7, d0, d1, d2, d3, d4, d5, d6, d7, e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, f4, f5,
        f6, f7, g0, g1, g2, g3, g4, g5, g6, g7, h0, h1, h2, h3, h4, h5, h6, h7;
};
DEVVIEW_RECORD(M64, a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3,
               c4, c5, c6, c7, d0, d1, d2, d3, d4, d5, d6, d7, e0, e1, e2, e3, e4, e5, e6, e7, f0,
               f1, f2, f3, f4, f5, f6, f7, g0, g1, g2, g3, g4, g5, g6, g7, h0, h1, h2, h3, h4, h5,
               h6, h7);

}  // namespace library

DEVVIEW_FORMAT(library::half, "e");
DEVVIEW_FORMAT(library::bfloat16, "T{H:bfloat16:}");
DEVVIEW_FORMAT(library::float8, "T{B:float8_e5m2:}");
DEVVIEW_FORMAT(library::big_int, ">i");
DEVVIEW_FORMAT(library::wrong, "h");
DEVVIEW_FORMAT(library::unreadable, "T{i:a");

namespace devview {
namespace {

using namespace library;

// Known while compiling.
static_assert(format_text<Pixel> == "T{B:r:B:g:B:b:B:a:}");
static_assert(format_text<Pixel>.data()[format_text<Pixel>.size()] == '\0');

const FormatField& field(const Format& format, int i) { return format.node()->fields[i]; }

/// The size is the compiler's, also for a reader that is told it.
template <class T>
Format checked() {
    const Format format = format_of<T>();
    const std::string_view text = format_text<T>;
    EXPECT_EQ(format.text(), text);
    EXPECT_EQ(static_cast<std::size_t>(format.itemsize()), sizeof(T)) << text;
    EXPECT_EQ(format, Format(text)) << text;
    EXPECT_EQ(format, Format(format.str())) << text;
    EXPECT_EQ(format, Format::with_itemsize(text, static_cast<std::int64_t>(sizeof(T)))) << text;
    return format;
}

template <class T>
void expect_scalar(char code) {
    const Format format = checked<T>();
    EXPECT_EQ(format.code(), code);
    EXPECT_EQ(static_cast<std::size_t>(format.alignment()), alignof(T));
    EXPECT_EQ(format.node(), Format::scalar(code).node());
    EXPECT_EQ(format_of<const T>().node(), format.node());
    EXPECT_EQ(format_of<volatile T>().node(), format.node());
    EXPECT_EQ(format_text<const volatile T>, format_text<T>);
}

enum class Color : unsigned short { red };
enum Plain { one };

TEST(FormatOf, ScalarsHaveTheLettersOfStruct) {
    expect_scalar<bool>('?');
    expect_scalar<char>('c');
    expect_scalar<signed char>('b');
    expect_scalar<unsigned char>('B');
    expect_scalar<short>('h');
    expect_scalar<unsigned short>('H');
    expect_scalar<int>('i');
    expect_scalar<unsigned>('I');
    expect_scalar<long>('l');
    expect_scalar<unsigned long>('L');
    expect_scalar<long long>('q');
    expect_scalar<unsigned long long>('Q');
    expect_scalar<float>('f');
    expect_scalar<double>('d');
    expect_scalar<long double>('g');
    expect_scalar<void*>('P');
    expect_scalar<const void*>('P');
    expect_scalar<std::byte>('B');
    expect_scalar<char8_t>('B');
    expect_scalar<char16_t>('u');
    expect_scalar<char32_t>('w');
    expect_scalar<wchar_t>(sizeof(wchar_t) == 4 ? 'w' : 'u');
    expect_scalar<Color>('H');
    expect_scalar<Plain>(std::is_signed_v<std::underlying_type_t<Plain>> ? 'i' : 'I');
}

TEST(FormatOf, ComplexNumbers) {
    EXPECT_EQ(checked<std::complex<float>>(), Format("Zf"));
    EXPECT_EQ(checked<std::complex<double>>(), Format("Zd"));
    EXPECT_EQ(checked<const std::complex<long double>>(), Format("Zg"));
}

TEST(FormatOf, ArraysAreSubArrays) {
    EXPECT_EQ(format_text<int[3]>, "(3)i");
    EXPECT_EQ(format_text<const int[2][3]>, "(2,3)i");
    EXPECT_EQ((format_text<std::array<const double, 4>>), "(4)d");
    EXPECT_EQ((format_text<std::array<std::array<float, 2>, 5>[3]>), "(3,5,2)f");
    EXPECT_EQ(format_text<char[16]>, "16s");
    EXPECT_EQ(format_text<char[3][8]>, "(3)8s");
    EXPECT_EQ(format_text<char16_t[5]>, "5u");
    EXPECT_EQ(format_text<unsigned char[5]>, "(5)B");
    EXPECT_EQ(format_text<half[2][2]>, "(2,2)e");
    checked<std::array<std::array<float, 2>, 5>[3]>();
    checked<char[3][8]>();
    checked<const char32_t[7]>();
    checked<Pixel[3][2]>();
}

TEST(FormatOf, Pointers) {
    EXPECT_EQ(format_text<int*>, "&i");
    EXPECT_EQ(format_text<const char* const*>, "&&c");
    EXPECT_EQ(format_text<int(*)[3]>, "&(3)i");
    EXPECT_EQ(format_text<Pixel*>, "&T{B:r:B:g:B:b:B:a:}");
    EXPECT_EQ(format_text<std::string*>, "P");
    EXPECT_EQ(format_text<void (*)()>, "X{}");
    EXPECT_EQ(format_text<void (**)(int) noexcept>, "&X{}");
    checked<int(*)[3]>();
    checked<void (**)(int)>();
}

TEST(FormatOf, RecursivePointersEnd) {
    EXPECT_EQ(format_text<Link>,
              "T{i:value:4xP:next:&T{P:back:&P:others:}:other:&T{B:r:B:g:B:b:B:a:}:pixel:"
              "P:data:P:undescribed:X{}:call:}");
    checked<Link>();
    checked<Other>();
}

TEST(FormatOf, RecordsHaveTheCompilersOffsets) {
    const Format format = checked<Sample>();
    EXPECT_EQ(static_cast<std::size_t>(format.alignment()), alignof(Sample));
    const std::size_t offsets[] = {offsetof(Sample, tag),    offsetof(Sample, values),
                                   offsetof(Sample, pixels), offsetof(Sample, phase),
                                   offsetof(Sample, name),   offsetof(Sample, flags)};
    ASSERT_EQ(format.node()->field_count, 6);
    for (int i = 0; i < 6; ++i)
        EXPECT_EQ(static_cast<std::size_t>(field(format, i).offset), offsets[i]);
    EXPECT_STREQ(field(format, 2).name, "pixels");
    EXPECT_EQ(field(format, 2).format->ndim, 2);
    EXPECT_EQ(field(format, 4).format->kind, Kind::bytes);
    EXPECT_EQ(Format("T{c:tag:(3)d:values:(2,4)T{B:r:B:g:B:b:B:a:}:pixels:Zf:phase:12s:name:"
                     "H:flags:}"),
              format);
}

TEST(FormatOf, NamesAndPaddingAsTold) {
    EXPECT_EQ(format_text<Renamed>, "T{i:Zähler:4xd:the second:}");
    EXPECT_EQ(format_text<Partial>, "T{i:shown:4xh:also_shown:6x}");
    EXPECT_EQ(format_text<Outer::Inner>, "T{(3)B:bytes:}");
    checked<Renamed>();
    EXPECT_EQ(checked<Partial>().node()->field_count, 2);
    EXPECT_EQ(checked<M64>().node()->field_count, 64);
}

TEST(FormatOf, UnusualAlignment) {
    EXPECT_EQ(format_text<Packed>, "^T{c:tag:i:value:d:wide:}");
    const Format packed = checked<Packed[3]>();
    EXPECT_EQ(packed.node()->element->fields[2].offset, 5);
    const Format holder = checked<HoldsPacked>();
    EXPECT_EQ(field(holder, 2).offset, static_cast<std::int64_t>(offsetof(HoldsPacked, after)));
    EXPECT_EQ(checked<PackedTail>().itemsize(), 5);
    EXPECT_EQ(checked<PackedTail*>().node()->element->itemsize, 5);
    const Format wide = checked<Wide[2]>();
    EXPECT_EQ(wide.node()->element->fields[1].offset, 16);
}

TEST(FormatOf, StructTemplates) {
    EXPECT_EQ(format_text<Vec3<double>>, "T{d:x:d:y:d:z:}");
    EXPECT_EQ(format_text<Vec3<Vec3<half>>[2]>,
              "(2)T{T{e:x:e:y:e:z:}:x:T{e:x:e:y:e:z:}:y:T{e:x:e:y:e:z:}:z:}");
    checked<Vec3<Vec3<half>>[2]>();
}

TEST(FormatOf, TypesByTrait) {
    EXPECT_EQ(checked<half>(), Format("e"));
    EXPECT_EQ(checked<const bfloat16>(), Format::from_dlpack(4, 16));
    EXPECT_EQ(checked<float8[4]>(), Format("(4)T{B:float8_e5m2:}"));
    EXPECT_EQ(checked<big_int>().byteorder(), ByteOrder::big);
    EXPECT_EQ(format_text<Foreign>,
              "T{c:tag:xe:h:T{H:bfloat16:}:b:(2)T{B:float8_e5m2:}:f:>i:big:@i:after:e:last:2x}");
    const Format foreign = checked<Foreign>();
    EXPECT_EQ(field(foreign, 5).format->byteorder, ByteOrder::native);
    EXPECT_EQ(field(foreign, 5).offset, static_cast<std::int64_t>(offsetof(Foreign, after)));
    EXPECT_EQ(field(foreign, 6).offset, static_cast<std::int64_t>(offsetof(Foreign, last)));
}

std::string message_of(Format (*ask)()) {
    try {
        ask();
    } catch (const FormatError& error) {
        return error.what();
    }
    return "accepted";
}

TEST(FormatOf, WrongTraitsAreRefusedEveryTime) {
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(message_of(&format_of<wrong>), "format_of: 'h': itemsize 2, size of the type 4");
        EXPECT_EQ(message_of(&format_of<unreadable>),
                  "format: position 5: missing ':' after a name");
    }
}

TEST(FormatOf, OneDescriptorForAllCallsAndThreads) {
    std::vector<const FormatNode*> nodes(8);
    std::vector<std::thread> threads;
    for (const FormatNode*& node : nodes)
        threads.emplace_back([&node] {
            for (int i = 0; i < 1000; ++i)
                node = format_of<Vec3<long>>().node();
        });
    for (std::thread& thread : threads)
        thread.join();
    for (const FormatNode* node : nodes)
        EXPECT_EQ(node, nodes[0]);
    EXPECT_EQ(Format("T{l:x:l:y:l:z:}").node(), nodes[0]);
}

// --- Every combination of three members ---

using Members = std::tuple<char, short, double, float[3], long double, Vec3<char>>;
constexpr std::size_t kMembers = std::tuple_size_v<Members>;

template <std::size_t I>
struct Choice {
    using A = std::tuple_element_t<I % kMembers, Members>;
    using B = std::tuple_element_t<I / kMembers % kMembers, Members>;
    using C = std::tuple_element_t<I / kMembers / kMembers, Members>;
};

template <std::size_t I>
void expect_compilers_layout() {
    using Record = Three<Choice<I>>;
    const Format format = checked<Record>();
    EXPECT_EQ(static_cast<std::size_t>(format.alignment()), alignof(Record)) << format.text();
    EXPECT_EQ(static_cast<std::size_t>(field(format, 1).offset), offsetof(Record, b));
    EXPECT_EQ(static_cast<std::size_t>(field(format, 2).offset), offsetof(Record, c));
}

template <std::size_t... I>
void expect_compilers_layouts(std::index_sequence<I...>) {
    (expect_compilers_layout<I>(), ...);
}

TEST(FormatOf, AllTriplesHaveTheCompilersLayout) {
    expect_compilers_layouts(std::make_index_sequence<kMembers * kMembers * kMembers>{});
}

}  // namespace
}  // namespace devview
