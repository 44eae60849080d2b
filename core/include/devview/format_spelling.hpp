// How format_of.hpp spells a C++ type in PEP 3118 while the compiler runs. Not for direct use.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "devview/export.hpp"
#include "devview/record.hpp"

namespace devview {

template <class T>
struct FormatTrait;

namespace detail {

// --- What a type is ---

template <class T, class = void>
struct HasTrait : std::false_type {};
template <class T>
struct HasTrait<T, std::void_t<decltype(FormatTrait<T>::text)>> : std::true_type {};

template <class T, class = void>
struct IsRecord : std::false_type {};
template <class T>
struct IsRecord<T, std::void_t<decltype(devview_members_of(RecordTag<T>{}))>> : std::true_type {};

// A pair of floats by the names of its parts: std::complex, and its likes for devices.
template <class T, class = void>
struct IsComplex : std::false_type {};
template <class T>
struct IsComplex<T, std::enable_if_t<std::is_floating_point_v<typename T::value_type> &&
                                     sizeof(T) == 2 * sizeof(typename T::value_type)>>
    : std::bool_constant<
          std::is_trivially_copyable_v<T> &&
          std::is_same_v<decltype(std::declval<const T&>().real()), typename T::value_type> &&
          std::is_same_v<decltype(std::declval<const T&>().imag()), typename T::value_type>> {};

template <class T>
struct Array {
    static constexpr std::size_t kExtent = 0;
};
template <class T, std::size_t N>
struct Array<T[N]> {
    using Element = std::remove_cv_t<T>;
    static constexpr std::size_t kExtent = N;
};
template <class T, std::size_t N>
struct Array<std::array<T, N>> : Array<T[N]> {
    static_assert(sizeof(std::array<T, N>) == N * sizeof(T));
};
template <class T>
struct Array<std::array<T, 0>> : Array<T> {};

template <class T, class... Others>
inline constexpr bool kIsOneOf = (std::is_same_v<T, Others> || ...);

// struct's letter of an arithmetic type, an enumeration's underlying type or void*; 0 for others.
template <class T>
constexpr char scalar_code() {
    if constexpr (HasTrait<T>::value) return 0;
    if constexpr (std::is_enum_v<T>) return scalar_code<std::underlying_type_t<T>>();
    if constexpr (std::is_same_v<T, bool>) return '?';
    if constexpr (std::is_same_v<T, char>) return 'c';
    if constexpr (std::is_same_v<T, signed char>) return 'b';
    if constexpr (std::is_same_v<T, unsigned char>) return 'B';
    if constexpr (std::is_same_v<T, short>) return 'h';
    if constexpr (std::is_same_v<T, unsigned short>) return 'H';
    if constexpr (std::is_same_v<T, int>) return 'i';
    if constexpr (std::is_same_v<T, unsigned>) return 'I';
    if constexpr (std::is_same_v<T, long>) return 'l';
    if constexpr (std::is_same_v<T, unsigned long>) return 'L';
    if constexpr (std::is_same_v<T, long long>) return 'q';
    if constexpr (std::is_same_v<T, unsigned long long>) return 'Q';
    if constexpr (std::is_same_v<T, float>) return 'f';
    if constexpr (std::is_same_v<T, double>) return 'd';
    if constexpr (std::is_same_v<T, long double>) return 'g';
    if constexpr (kIsOneOf<T, wchar_t, char16_t, char32_t>) return sizeof(T) == 2 ? 'u' : 'w';
#ifdef __cpp_char8_t
    if constexpr (std::is_same_v<T, char8_t>) return 'B';
#endif
    if constexpr (std::is_pointer_v<T>) {
        if constexpr (std::is_void_v<std::remove_pointer_t<T>>) return 'P';
    }
    return 0;
}

// Arrays of these are strings, whose size is a count before the letter and not an axis.
template <class T>
inline constexpr char kStringCode = kIsOneOf<T, char>                          ? 's'
                                    : kIsOneOf<T, wchar_t, char16_t, char32_t> ? scalar_code<T>()
                                                                               : '\0';

template <class T>
constexpr bool has_format() {
    using U = std::remove_cv_t<T>;
    if constexpr (Array<U>::kExtent != 0) {
        return has_format<typename Array<U>::Element>();
    } else {
        return HasTrait<U>::value || IsRecord<U>::value || std::is_pointer_v<U> ||
               scalar_code<U>() != 0 || IsComplex<U>::value;
    }
}

// A pointer is opaque where its target has no format, or is a record that is being spelled.
template <class Target, class... Open>
constexpr bool is_opaque_target() {
    using U = std::remove_cv_t<Target>;
    if constexpr (kIsOneOf<U, Open...> || std::is_function_v<U>) return !std::is_function_v<U>;
    return !has_format<U>();
}

// --- What the parser makes of it under '@' ---

constexpr bool is_prefix(char c) {
    return c == '@' || c == '=' || c == '<' || c == '>' || c == '!' || c == '^';
}

constexpr std::size_t alignment_of(char code) {
    switch (code) {
        case 'h':
        case 'H':
        case 'e':
        case 'u':
            return alignof(short);
        case 'i':
        case 'I':
        case 'f':
        case 'w':
        case 'F':
            return alignof(int);
        case 'l':
        case 'L':
        case 'q':
        case 'Q':
        case 'n':
        case 'N':
        case 'd':
        case 'D':
        case 'P':
        case 'O':
        case '&':
        case 'X':
            return alignof(long long);
        case 'g':
        case 'G':
            return alignof(long double);
        default:
            return 1;
    }
}

// The largest alignment that a user's spelling can ask for; names between colons do not count.
constexpr std::size_t alignment_of(std::string_view text) {
    std::size_t alignment = 1;
    bool in_name = false;
    for (const char c : text) {
        if (c == ':') in_name = !in_name;
        if (!in_name && alignment_of(c) > alignment) alignment = alignment_of(c);
    }
    return alignment;
}

template <class T>
constexpr std::size_t format_alignment();

template <class... T>
constexpr std::size_t members_alignment(const MemberList<T...>&) {
    std::size_t alignment = 1;
    ((alignment = format_alignment<T>() > alignment ? format_alignment<T>() : alignment), ...);
    return alignment;
}

template <class T>
constexpr std::size_t format_alignment() {
    using U = std::remove_cv_t<T>;
    if constexpr (HasTrait<U>::value) {
        return alignment_of(FormatTrait<U>::text);
    } else if constexpr (IsRecord<U>::value) {
        return members_alignment(devview_members_of(RecordTag<U>{}));
    } else if constexpr (Array<U>::kExtent != 0) {
        return format_alignment<typename Array<U>::Element>();
    } else if constexpr (IsComplex<U>::value) {
        return alignof(typename U::value_type);
    } else {
        return alignof(U);
    }
}

// True if '@' puts every member where the compiler put it: not so for packed structs.
template <class T, class... Open>
constexpr bool lies_aligned();

template <class Record, class... Open, class... T>
constexpr bool members_lie_aligned(const MemberList<T...>& members) {
    std::size_t i = 0;
    const bool all =
        ((members.places[i++].offset % format_alignment<T>() == 0 && lies_aligned<T, Open...>()) &&
         ...);
    return all && sizeof(Record) % members_alignment(members) == 0;
}

template <class T, class... Open>
constexpr bool lies_aligned() {
    using U = std::remove_cv_t<T>;
    if constexpr (HasTrait<U>::value) {
        return true;
    } else if constexpr (IsRecord<U>::value) {
        return members_lie_aligned<U, U, Open...>(devview_members_of(RecordTag<U>{}));
    } else if constexpr (Array<U>::kExtent != 0) {
        return lies_aligned<typename Array<U>::Element, Open...>();
    } else if constexpr (std::is_pointer_v<U>) {
        using Target = std::remove_pointer_t<U>;
        if constexpr (std::is_function_v<Target> || is_opaque_target<Target, Open...>()) {
            return true;
        } else {
            return lies_aligned<Target, Open...>();
        }
    } else {
        return true;
    }
}

// --- The spelling ---

// Counts what is written, and keeps it if it has a place to.
struct FormatWriter {
    char* to;
    char mode;   ///< the prefix that everything of ours is written under
    char order;  ///< the prefix in force
    std::size_t length = 0;

    constexpr void put(char c) {
        if (to != nullptr) to[length] = c;
        ++length;
    }
    constexpr void put(std::string_view text) {
        for (const char c : text)
            put(c);
    }
    constexpr void put_number(std::size_t number) {
        if (number >= 10) put_number(number / 10);
        put(static_cast<char>('0' + number % 10));
    }
    constexpr void put_padding(std::size_t bytes) {
        if (bytes > 1) put_number(bytes);
        if (bytes > 0) put('x');
    }
    /// A user's spelling, which may leave a prefix of its own in force.
    constexpr void put_foreign(std::string_view text) {
        bool in_name = false;
        for (const char c : text) {
            if (c == ':') in_name = !in_name;
            if (!in_name && is_prefix(c)) order = c;
            put(c);
        }
    }
    constexpr void restore_order() {
        if (order != mode) put(mode);
        order = mode;
    }
};

template <class T, class... Open>
constexpr void spell(FormatWriter& out);

// "(2,3)" and the element, of a string "(2)3s".
template <class T, class... Open>
constexpr void spell_array(FormatWriter& out, bool first) {
    using Element = typename Array<T>::Element;
    if constexpr (kStringCode<Element> != '\0') {
        if (!first) out.put(')');
        out.put_number(Array<T>::kExtent);
        out.put(kStringCode<Element>);
    } else {
        out.put(first ? '(' : ',');
        out.put_number(Array<T>::kExtent);
        if constexpr (Array<Element>::kExtent != 0 && !HasTrait<Element>::value) {
            spell_array<Element, Open...>(out, false);
        } else {
            out.put(')');
            spell<Element, Open...>(out);
        }
    }
}

// Padding is always written: no two readers agree on all that is implied.
template <class T, class... Open>
constexpr void spell_member(FormatWriter& out, const MemberPlace& place, std::size_t& end) {
    out.put_padding(place.offset - end);
    out.restore_order();
    spell<T, Open...>(out);
    out.put(':');
    out.put(place.name);
    out.put(':');
    end = place.offset + sizeof(T);
}

template <class... T>
constexpr bool are_in_order(const MemberList<T...>& members) {
    std::size_t end = 0;
    std::size_t i = 0;
    return (
        (members.places[i].offset >= end && (end = members.places[i++].offset + sizeof(T), true)) &&
        ...);
}

template <class... T>
constexpr bool have_names(const MemberList<T...>& members) {
    for (const MemberPlace& member : members.places) {
        if (member.name.empty()) return false;
        for (const char c : member.name) {
            if (c == ':' || c == '\0') return false;
        }
    }
    return true;
}

template <class Record, class... Open, class... T>
constexpr void spell_members(FormatWriter& out, const MemberList<T...>& members) {
    std::size_t i = 0;
    std::size_t end = 0;
    out.put("T{");
    (spell_member<T, Open...>(out, members.places[i++], end), ...);
    out.put_padding(sizeof(Record) - end);
    out.restore_order();
    out.put('}');
}

template <class T, class... Open>
constexpr void spell_record(FormatWriter& out) {
    constexpr auto kMembers = devview_members_of(RecordTag<T>{});
    static_assert(are_in_order(kMembers),
                  "DEVVIEW_RECORD: name each member once, in the order of their offsets");
    static_assert(have_names(kMembers), "DEVVIEW_RECORD_AS: an empty name, or one with ':' or NUL");
    spell_members<T, T, Open...>(out, kMembers);
}

template <class Target, class... Open>
constexpr void spell_pointer(FormatWriter& out) {
    if constexpr (std::is_function_v<Target>) {
        out.put("X{}");
    } else if constexpr (is_opaque_target<Target, Open...>()) {
        out.put('P');
    } else {
        out.put('&');
        spell<Target, Open...>(out);
    }
}

// Open: the records around it.
template <class T, class... Open>
constexpr void spell(FormatWriter& out) {
    using U = std::remove_cv_t<T>;
    if constexpr (HasTrait<U>::value) {
        out.put_foreign(FormatTrait<U>::text);
    } else if constexpr (IsRecord<U>::value) {
        spell_record<U, Open...>(out);
    } else if constexpr (Array<U>::kExtent != 0) {
        spell_array<U, Open...>(out, true);
    } else if constexpr (scalar_code<U>() != 0) {
        out.put(scalar_code<U>());
    } else if constexpr (std::is_pointer_v<U>) {
        spell_pointer<std::remove_pointer_t<U>, Open...>(out);
    } else if constexpr (IsComplex<U>::value) {
        out.put('Z');
        out.put(scalar_code<typename U::value_type>());
    } else {
        static_assert(has_format<U>(),
                      "devview: this type has no format: describe a struct by DEVVIEW_RECORD, "
                      "another type by DEVVIEW_FORMAT or a specialisation of devview::FormatTrait");
    }
}

template <class T>
constexpr std::size_t spell_whole(char* to) {
    constexpr char kMode = lies_aligned<T>() ? '@' : '^';
    FormatWriter out{to, kMode, kMode};
    if (kMode != '@') out.put(kMode);
    spell<T>(out);
    return out.length;
}

template <class T>
struct DEVVIEW_LOCAL Spelling {
    static constexpr std::size_t kLength = spell_whole<T>(nullptr);

    static constexpr std::array<char, kLength + 1> make() {
        std::array<char, kLength + 1> text{};
        spell_whole<T>(text.data());
        return text;
    }
    static constexpr std::array<char, kLength + 1> kText = make();
};

}  // namespace detail
}  // namespace devview
