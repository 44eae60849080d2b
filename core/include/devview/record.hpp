// DEVVIEW_RECORD: which members of a C++ struct its format has. Names and offsets only; what they
// make in PEP 3118 is format_of.hpp's.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

/// Describes a struct: DEVVIEW_RECORD(Pixel, r, g, b, a), in the namespace of the struct, before
/// its format is asked for. 1 to 64 members in the order of their offsets; those left out are
/// padding. The struct must be of standard layout and trivially copyable. A struct template:
/// `template <class T> DEVVIEW_RECORD(Vec3<T>, x, y, z)`.
#define DEVVIEW_RECORD(Type, ...) DEVVIEW_RECORD_BY(DEVVIEW_MEMBER, Type, __VA_ARGS__)

/// The same with other names: DEVVIEW_RECORD_AS(Pixel, (r, "red"), (g, "green")). A name is UTF-8
/// without ':' and NUL.
#define DEVVIEW_RECORD_AS(Type, ...) DEVVIEW_RECORD_BY(DEVVIEW_MEMBER_AS, Type, __VA_ARGS__)

namespace devview {

/// By its template argument, finds what DEVVIEW_RECORD has defined beside a struct.
template <class T>
struct RecordTag {};

namespace detail {

struct MemberPlace {
    std::string_view name;
    std::size_t offset;
};

template <class T>
struct Member {
    MemberPlace place;
};

template <class... T>
struct MemberList {
    MemberPlace places[sizeof...(T)];
};

template <class... T>
constexpr MemberList<T...> list_members(Member<T>... members) {
    return {{members.place...}};
}

}  // namespace detail
}  // namespace devview

// clang-format off
#define DEVVIEW_RECORD_BY(member, Type, ...)                                                   \
    inline constexpr auto devview_members_of(::devview::RecordTag<Type>) {                     \
        static_assert(std::is_standard_layout_v<Type> && std::is_trivially_copyable_v<Type>,   \
                      "DEVVIEW_RECORD: not of standard layout, or not trivially copyable");    \
        return ::devview::detail::list_members(                                                \
            DEVVIEW_EACH(member, Type, __VA_ARGS__));                                          \
    }                                                                                          \
    static_assert(true, "a semicolon follows DEVVIEW_RECORD(...)")

#define DEVVIEW_MEMBER(Type, member) DEVVIEW_MEMBER_NAMED(Type, member, #member)
#define DEVVIEW_MEMBER_AS(Type, pair) DEVVIEW_MEMBER_NAMED(Type, DEVVIEW_STRIP pair)
#define DEVVIEW_MEMBER_NAMED(...) DEVVIEW_MEMBER_OF(__VA_ARGS__)
#define DEVVIEW_MEMBER_OF(Type, member, name) \
    ::devview::detail::Member<decltype(Type::member)>{{name, offsetof(Type, member)}}
#define DEVVIEW_STRIP(member, name) member, name

// m(t, x) for each x that follows: C++17 has no __VA_OPT__ to end a recursion with.
#define DEVVIEW_EACH(m, t, ...) \
    DEVVIEW_JOIN(DEVVIEW_EACH_, DEVVIEW_COUNT(__VA_ARGS__))(m, t, __VA_ARGS__)
#define DEVVIEW_JOIN(a, b) DEVVIEW_JOIN_EXPANDED(a, b)
#define DEVVIEW_JOIN_EXPANDED(a, b) a##b
#define DEVVIEW_COUNT(...) DEVVIEW_COUNT_OF(__VA_ARGS__, 64, 63, 62, 61, 60, 59, 58, 57, \
    56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, \
    35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, \
    14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define DEVVIEW_COUNT_OF(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, \
    _16, _17, _18, _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, \
    _33, _34, _35, _36, _37, _38, _39, _40, _41, _42, _43, _44, _45, _46, _47, _48, _49, \
    _50, _51, _52, _53, _54, _55, _56, _57, _58, _59, _60, _61, _62, _63, _64, n, ...) n

#define DEVVIEW_EACH_1(m, t, x) m(t, x)
#define DEVVIEW_EACH_2(m, t, x, ...) m(t, x), DEVVIEW_EACH_1(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_3(m, t, x, ...) m(t, x), DEVVIEW_EACH_2(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_4(m, t, x, ...) m(t, x), DEVVIEW_EACH_3(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_5(m, t, x, ...) m(t, x), DEVVIEW_EACH_4(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_6(m, t, x, ...) m(t, x), DEVVIEW_EACH_5(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_7(m, t, x, ...) m(t, x), DEVVIEW_EACH_6(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_8(m, t, x, ...) m(t, x), DEVVIEW_EACH_7(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_9(m, t, x, ...) m(t, x), DEVVIEW_EACH_8(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_10(m, t, x, ...) m(t, x), DEVVIEW_EACH_9(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_11(m, t, x, ...) m(t, x), DEVVIEW_EACH_10(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_12(m, t, x, ...) m(t, x), DEVVIEW_EACH_11(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_13(m, t, x, ...) m(t, x), DEVVIEW_EACH_12(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_14(m, t, x, ...) m(t, x), DEVVIEW_EACH_13(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_15(m, t, x, ...) m(t, x), DEVVIEW_EACH_14(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_16(m, t, x, ...) m(t, x), DEVVIEW_EACH_15(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_17(m, t, x, ...) m(t, x), DEVVIEW_EACH_16(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_18(m, t, x, ...) m(t, x), DEVVIEW_EACH_17(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_19(m, t, x, ...) m(t, x), DEVVIEW_EACH_18(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_20(m, t, x, ...) m(t, x), DEVVIEW_EACH_19(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_21(m, t, x, ...) m(t, x), DEVVIEW_EACH_20(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_22(m, t, x, ...) m(t, x), DEVVIEW_EACH_21(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_23(m, t, x, ...) m(t, x), DEVVIEW_EACH_22(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_24(m, t, x, ...) m(t, x), DEVVIEW_EACH_23(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_25(m, t, x, ...) m(t, x), DEVVIEW_EACH_24(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_26(m, t, x, ...) m(t, x), DEVVIEW_EACH_25(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_27(m, t, x, ...) m(t, x), DEVVIEW_EACH_26(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_28(m, t, x, ...) m(t, x), DEVVIEW_EACH_27(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_29(m, t, x, ...) m(t, x), DEVVIEW_EACH_28(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_30(m, t, x, ...) m(t, x), DEVVIEW_EACH_29(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_31(m, t, x, ...) m(t, x), DEVVIEW_EACH_30(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_32(m, t, x, ...) m(t, x), DEVVIEW_EACH_31(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_33(m, t, x, ...) m(t, x), DEVVIEW_EACH_32(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_34(m, t, x, ...) m(t, x), DEVVIEW_EACH_33(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_35(m, t, x, ...) m(t, x), DEVVIEW_EACH_34(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_36(m, t, x, ...) m(t, x), DEVVIEW_EACH_35(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_37(m, t, x, ...) m(t, x), DEVVIEW_EACH_36(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_38(m, t, x, ...) m(t, x), DEVVIEW_EACH_37(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_39(m, t, x, ...) m(t, x), DEVVIEW_EACH_38(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_40(m, t, x, ...) m(t, x), DEVVIEW_EACH_39(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_41(m, t, x, ...) m(t, x), DEVVIEW_EACH_40(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_42(m, t, x, ...) m(t, x), DEVVIEW_EACH_41(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_43(m, t, x, ...) m(t, x), DEVVIEW_EACH_42(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_44(m, t, x, ...) m(t, x), DEVVIEW_EACH_43(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_45(m, t, x, ...) m(t, x), DEVVIEW_EACH_44(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_46(m, t, x, ...) m(t, x), DEVVIEW_EACH_45(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_47(m, t, x, ...) m(t, x), DEVVIEW_EACH_46(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_48(m, t, x, ...) m(t, x), DEVVIEW_EACH_47(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_49(m, t, x, ...) m(t, x), DEVVIEW_EACH_48(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_50(m, t, x, ...) m(t, x), DEVVIEW_EACH_49(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_51(m, t, x, ...) m(t, x), DEVVIEW_EACH_50(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_52(m, t, x, ...) m(t, x), DEVVIEW_EACH_51(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_53(m, t, x, ...) m(t, x), DEVVIEW_EACH_52(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_54(m, t, x, ...) m(t, x), DEVVIEW_EACH_53(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_55(m, t, x, ...) m(t, x), DEVVIEW_EACH_54(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_56(m, t, x, ...) m(t, x), DEVVIEW_EACH_55(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_57(m, t, x, ...) m(t, x), DEVVIEW_EACH_56(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_58(m, t, x, ...) m(t, x), DEVVIEW_EACH_57(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_59(m, t, x, ...) m(t, x), DEVVIEW_EACH_58(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_60(m, t, x, ...) m(t, x), DEVVIEW_EACH_59(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_61(m, t, x, ...) m(t, x), DEVVIEW_EACH_60(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_62(m, t, x, ...) m(t, x), DEVVIEW_EACH_61(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_63(m, t, x, ...) m(t, x), DEVVIEW_EACH_62(m, t, __VA_ARGS__)
#define DEVVIEW_EACH_64(m, t, x, ...) m(t, x), DEVVIEW_EACH_63(m, t, __VA_ARGS__)
// clang-format on
