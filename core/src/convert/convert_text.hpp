// One string item from one length or width to another; private to the core.
#pragma once

#include <cstdint>

#include "devview/format.hpp"

namespace devview::convert {

/// Cuts or pads with NULs. `from` and `to` are byte strings, or both unicode.
class TextConversion {
public:
    TextConversion(const FormatNode& to, const FormatNode& from) noexcept;
    void operator()(char* dst, const char* src) const noexcept;

private:
    struct Side {
        std::int64_t unit;   ///< bytes of a character
        std::int64_t count;  ///< characters
        bool swapped;
    };
    static Side side_of(const FormatNode& format) noexcept;
    static std::uint32_t read(const char* src, const Side& side) noexcept;
    static void write(char* dst, const Side& side, std::uint32_t character) noexcept;

    Side to_;
    Side from_;
};

}  // namespace devview::convert
