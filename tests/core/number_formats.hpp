// Formats of every kind of number that a conversion knows, and what a number's bytes say.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "devview/format.hpp"
#include "devview/number.hpp"

namespace devview::test {

inline std::vector<Format> number_formats() {
    std::vector<Format> formats;
    for (const char* spec : {"?",
                             "b",
                             "B",
                             "h",
                             "H",
                             "i",
                             "I",
                             "q",
                             "Q",
                             "e",
                             "f",
                             "d",
                             "Zf",
                             "Zd",
                             ">H",
                             ">i",
                             ">q",
                             ">e",
                             ">f",
                             ">d",
                             ">Zf",
                             ">Zd",
                             "T{H:bfloat16:}",
                             "T{B:float8_e4m3fn:}",
                             "T{B:float8_e5m2fnuz:}",
                             "T{B:float8_e8m0fnu:}",
                             "T{B:float6_e2m3fn:}",
                             "T{B:float4_e2m1fn:}",
                             "T{B:int4:}",
                             "T{B:uint4:}"}) {
        formats.emplace_back(spec);
    }
    return formats;
}

inline NumberType type_of(const Format& format) { return number_type(*format.node()); }

inline std::vector<Format> real_formats() {
    std::vector<Format> formats;
    for (const Format& format : number_formats())
        if (!type_of(format).is_complex) formats.push_back(format);
    return formats;
}

/// The bits of a number, of a complex one: of the part that begins there.
inline std::uint64_t bits_at(const NumberType& type, const unsigned char* part) {
    std::uint64_t bits = 0;
    for (unsigned byte = 0; byte < type.part_size; ++byte) {
        const unsigned at = type.swapped ? type.part_size - 1u - byte : byte;
        bits |= std::uint64_t{part[at]} << 8 * byte;
    }
    return bits;
}

inline bool is_nan(const NumberType& type, std::uint64_t bits) {
    const NumberType wide{Number::float64, FloatKind::ieee, 8, false, false};
    return std::isnan(devview::detail::bits_as<double>(convert_number(wide, type, bits)));
}

}  // namespace devview::test
