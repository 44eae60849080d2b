// The format of a C++ type, decided while the compiler runs.
#pragma once

#include <atomic>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/format_spelling.hpp"
#include "devview/record.hpp"

/// Gives a type that the language does not know a PEP 3118 spelling; in the global namespace:
/// DEVVIEW_FORMAT(__half, "e"); DEVVIEW_FORMAT(__nv_bfloat16, "T{H:bfloat16:}");
#define DEVVIEW_FORMAT(Type, spelling)                     \
    template <>                                            \
    struct devview::FormatTrait<Type> {                    \
        static constexpr std::string_view text = spelling; \
    }

namespace devview {

/// To be specialised, by DEVVIEW_FORMAT or by hand, with `static constexpr std::string_view text`:
/// one item, read under '@', of exactly sizeof(T) bytes with all padding written as 'x'.
template <class T>
struct FormatTrait {};

/// The PEP 3118 spelling of T, NUL-terminated. const and volatile do not count.
///
/// - bool '?', char 'c', signed and unsigned char 'b' 'B', short to long long 'h' to 'Q' by type
///   (not by size), float 'f', double 'd', long double 'g'; std::byte and char8_t 'B';
///   wchar_t, char16_t and char32_t 'u' or 'w' by size; an enumeration as its underlying type;
/// - std::complex and its likes (value_type, real(), imag()): 'Zf', 'Zd', 'Zg';
/// - T[N] and std::array<T, N>: "(N)", nested "(M,N)"; of characters a string: char[16] is "16s";
/// - a pointer '&' and its target; 'P' if that is void, has no format, or is a struct that holds
///   the pointer; a pointer to a function "X{}";
/// - a struct that DEVVIEW_RECORD describes: "T{...}" with names and all padding; a packed one
///   begins with '^'.
///
/// Any other type fails a static_assert.
template <class T>
DEVVIEW_LOCAL inline constexpr std::string_view format_text{detail::Spelling<T>::kText.data(),
                                                            detail::Spelling<T>::kLength};

namespace detail {

/// Reads the text, unless another thread was first, and keeps the format in `known` for ever.
/// @throws FormatError  a FormatTrait that cannot be read, or is not of `size` bytes.
DEVVIEW_CORE_API Format shared_format(std::string_view text, std::size_t size,
                                      std::atomic<const FormatNode*>& known);

}  // namespace detail

/// The format of T, spelled as format_text<T>. Scalars are looked up by their letter; any other
/// text is read once in each library that asks. Thread-safe also without thread-safe statics, and
/// of use before and after main().
/// @throws FormatError  a FormatTrait that is wrong (see there); std::bad_alloc, the first time.
template <class T>
DEVVIEW_LOCAL Format format_of() {
    constexpr char kCode = detail::scalar_code<std::remove_cv_t<T>>();
    if constexpr (kCode != 0) {
        return Format::scalar(kCode);
    } else {
        // A plain pointer: no guard, no destructor that another static object could outlive.
        static std::atomic<const FormatNode*> known{nullptr};
        const FormatNode* node = known.load(std::memory_order_acquire);
        if (node != nullptr) return Format::of_node(node);
        return detail::shared_format(format_text<T>, sizeof(T), known);
    }
}

}  // namespace devview
