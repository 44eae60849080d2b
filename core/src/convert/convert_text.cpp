// Strings by characters: bytes, UCS-2 and UCS-4 of any byte order.
#include "src/convert/convert_text.hpp"

#include <algorithm>
#include <cstring>

#include "src/copy/copy_rows.hpp"

namespace devview::convert {
namespace {

constexpr std::uint32_t kReplacement = 0xfffd;  // Unicode 15, section 23.8

}  // namespace

TextConversion::TextConversion(const FormatNode& to, const FormatNode& from) noexcept
    : to_(side_of(to)), from_(side_of(from)) {}

TextConversion::Side TextConversion::side_of(const FormatNode& format) noexcept {
    const std::int64_t unit = format.kind != Kind::unicode ? 1 : format.code == 'w' ? 4 : 2;
    return {unit, format.itemsize / unit, format.byteorder != ByteOrder::native};
}

std::uint32_t TextConversion::read(const char* src, const Side& side) noexcept {
    if (side.unit == 2) {
        const auto code = rows::load<std::uint16_t>(src);
        return side.swapped ? __builtin_bswap16(code) : code;
    }
    const auto code = rows::load<std::uint32_t>(src);
    return side.swapped ? __builtin_bswap32(code) : code;
}

void TextConversion::write(char* dst, const Side& side, std::uint32_t character) noexcept {
    if (side.unit == 2) {
        const auto code = static_cast<std::uint16_t>(character > 0xffff ? kReplacement : character);
        return rows::store(dst, side.swapped ? __builtin_bswap16(code) : code);
    }
    rows::store(dst, side.swapped ? __builtin_bswap32(character) : character);
}

void TextConversion::operator()(char* dst, const char* src) const noexcept {
    const std::int64_t common = std::min(to_.count, from_.count);
    if (to_.unit == 1) {
        std::memcpy(dst, src, static_cast<std::size_t>(common));
    } else {
        for (std::int64_t k = 0; k < common; ++k)
            write(dst + k * to_.unit, to_, read(src + k * from_.unit, from_));
    }
    std::memset(dst + common * to_.unit, 0,
                static_cast<std::size_t>((to_.count - common) * to_.unit));
}

}  // namespace devview::convert
