// How a ViewOf is written in a docstring, made while the compiler runs:
// devview.View[float32, (any, 3), cuda, C, writable]. Valid as a Python expression.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "devview/format_of.hpp"
#include "devview/view_of.hpp"

namespace devview::python::detail {

/// A string that grows while the compiler runs.
template <std::size_t Capacity>
class FixedText {
public:
    constexpr FixedText& operator+=(std::string_view text) {
        for (const char c : text)
            data_[size_++] = c;
        return *this;
    }
    constexpr FixedText& operator+=(std::int64_t number) {
        char digits[20]{};
        std::size_t count = 0;
        do {
            digits[count++] = static_cast<char>('0' + number % 10);
        } while ((number /= 10) > 0);
        while (count > 0)
            data_[size_++] = digits[--count];
        return *this;
    }
    constexpr std::size_t size() const { return size_; }
    constexpr char operator[](std::size_t i) const { return data_[i]; }

private:
    char data_[Capacity]{};
    std::size_t size_ = 0;
};

/// "int", "float", ... of a struct code; empty for others than numbers.
constexpr std::string_view number_stem(char code) {
    constexpr std::string_view kSigned = "bhilqn";
    constexpr std::string_view kUnsigned = "BHILQN";
    constexpr std::string_view kFloats = "efdg";
    if (kSigned.find(code) != kSigned.npos) return "int";
    if (kUnsigned.find(code) != kUnsigned.npos) return "uint";
    return kFloats.find(code) != kFloats.npos ? "float" : "";
}

/// item_name() of T's format where that is a number; "record" stands for all that is longer.
template <class Text, class T>
constexpr void add_item(Text& text) {
    constexpr std::string_view kFormat = format_text<T>;
    constexpr bool kComplex = kFormat.size() == 2 && kFormat[0] == 'Z';
    constexpr auto kBits = static_cast<std::int64_t>(sizeof(T) * 8);
    constexpr std::string_view kStem = kFormat.size() == 1 ? number_stem(kFormat[0])
                                       : kComplex          ? std::string_view("complex")
                                                           : std::string_view();
    if constexpr (!kStem.empty()) {
        text += kStem;
        text += kBits;
    } else if constexpr (kFormat == "?") {
        text += "bool";
    } else if constexpr (kFormat == "c") {
        text += "char";
    } else if constexpr (kFormat == "T{H:bfloat16:}") {
        text += "bfloat16";
    } else {
        text += "record";
    }
}

template <class Text, class V, class AxesOf>
constexpr void add_axes(Text& text) {
    if (V::kRank < 0) {
        text += "...";
        return;
    }
    text += "(";
    for (int i = 0; i < V::kRank; ++i) {
        if (i > 0) text += ", ";
        if (AxesOf::kExtents == nullptr || AxesOf::kExtents[i] == any) {
            text += "any";
        } else {
            text += AxesOf::kExtents[i];
        }
    }
    text += V::kRank == 1 ? ",)" : ")";
}

template <class V>
struct Signature;

template <class T, auto Rank, Place Where, Contiguity Lie>
struct Signature<ViewOf<T, Rank, Where, Lie>> {
    using V = ViewOf<T, Rank, Where, Lie>;
    using AxesOf = devview::detail::Axes<Rank>;

    static constexpr auto make() {
        FixedText<80 + 24 * static_cast<std::size_t>(V::kRank < 0 ? 0 : V::kRank)> text;
        text += "devview.View[";
        if constexpr (std::is_void_v<T>) {
            text += "Any";
        } else {
            add_item<decltype(text), std::remove_cv_t<T>>(text);
        }
        text += ", ";
        add_axes<decltype(text), V, AxesOf>(text);
        if (Where == on_cpu) text += ", cpu";
        if (Where == on_host) text += ", host";
        if (Where == on_cuda) text += ", cuda";
        if (Where == on_device) text += ", device";
        if (Lie == c_order) text += ", C";
        if (Lie == f_order) text += ", F";
        if (V::kWritable) text += ", writable";
        text += "]";
        return text;
    }
    static constexpr auto kText = make();

    template <std::size_t... I>
    static constexpr auto to_descr(std::index_sequence<I...>) {
        return pybind11::detail::descr<sizeof...(I)>(kText[I]...);
    }
    static constexpr auto descr() { return to_descr(std::make_index_sequence<kText.size()>()); }
};

}  // namespace devview::python::detail
