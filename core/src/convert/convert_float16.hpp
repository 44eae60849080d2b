// Loops from and to 16-bit floats whose format the compiler knows; private to the core.
#pragma once

#include "src/convert/convert_runs.hpp"
#include "src/copy/copy_rows.hpp"

namespace devview::convert {

/// To float32.
template <FloatKind kind>
struct DecodeFloat16 {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        constexpr SmallFloat kFormat = small_float(kind);
        for (std::int64_t i = 0; i < count; ++i)
            rows::store(dst + 4 * i, decode_float(kFormat, rows::load<std::uint16_t>(src + 2 * i)));
    }
};

template <FloatKind kind, typename From>
struct EncodeFloat16 {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        constexpr SmallFloat kFormat = small_float(kind);
        constexpr std::int64_t kFrom = sizeof(From);
        for (std::int64_t i = 0; i < count; ++i) {
            const std::uint32_t code = encode_float(kFormat, rows::load<From>(src + i * kFrom));
            rows::store(dst + 2 * i, static_cast<std::uint16_t>(code));
        }
    }
};

}  // namespace devview::convert
