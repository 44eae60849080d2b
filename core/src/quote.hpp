// Quotes foreign text for error messages: short, printable ASCII only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace devview::detail {

/// `text` in single quotes; bytes outside printable ASCII as \xNN, at most 40 of them, then "...".
inline std::string quote(std::string_view text) {
    constexpr std::size_t kShown = 40;
    constexpr char kHex[] = "0123456789abcdef";
    std::string out = "'";
    for (const char c : text.substr(0, kShown)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            out += c;
        } else {
            out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    out += text.size() > kShown ? "...'" : "'";
    return out;
}

}  // namespace devview::detail
