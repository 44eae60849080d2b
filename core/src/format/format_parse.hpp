// Reads PEP 3118 and struct formats into nodes. Knows nothing of interning.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "src/format/format_nodes.hpp"

namespace devview::detail {

/// How the bytes are laid out where exporters disagree; the defaults are PEP 3118's rules.
struct FormatRules {
    enum class Align { by_prefix, always, never };

    /// Members lie at multiples of their alignment: under '@'; under '<' too, as ctypes means it
    /// before CPython 3.12; or not at all, as NumPy writes a record that lies at an odd offset.
    Align align = Align::by_prefix;
    bool pad_records = true;  ///< an aligned T{...} ends at a multiple of its alignment, as in C
    bool explicit_tails = false;  ///< 'x' behind a padded T{...} repeats its padding: NumPy
    bool wide_u = false;          ///< 'u' is a wchar_t of four bytes, as ctypes means it
};

/// @throws FormatError  with the position of the first byte that cannot be read.
std::unique_ptr<FormatRoot> parse_format(std::string_view spec, const FormatRules& rules);

/// Parses with the rules by which `spec` takes `itemsize` bytes; pads a record if none does.
/// @throws FormatError  also if the items do not fit.
std::unique_ptr<FormatRoot> parse_format_of_size(std::string_view spec, std::int64_t itemsize);

}  // namespace devview::detail
