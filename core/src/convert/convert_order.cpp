// Runs that turn the bytes of numbers around.
#include <algorithm>

#include "src/convert/convert_runs.hpp"
#include "src/copy/copy_rows.hpp"

namespace devview::convert {
namespace {

std::uint16_t turned(std::uint16_t word) noexcept { return __builtin_bswap16(word); }
std::uint32_t turned(std::uint32_t word) noexcept { return __builtin_bswap32(word); }
std::uint64_t turned(std::uint64_t word) noexcept { return __builtin_bswap64(word); }

template <typename T>
struct Turn {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        constexpr std::int64_t kSize = sizeof(T);
        for (std::int64_t i = 0; i < count; ++i)
            rows::store(dst + i * kSize, turned(rows::load<T>(src + i * kSize)));
    }
};

template <std::int64_t size>
void turn_bytes(char* __restrict dst, const char* __restrict src, std::int64_t count,
                const SmallFloat&) {
    for (std::int64_t i = 0; i < count; ++i)
        std::reverse_copy(src + i * size, src + (i + 1) * size, dst + i * size);
}

}  // namespace

Run turn_run(std::int64_t size, cpu::Level level) noexcept {
    if (size == 2) return RunCompiled<Turn<std::uint16_t>>::kAll.at(level);
    if (size == 4) return RunCompiled<Turn<std::uint32_t>>::kAll.at(level);
    if (size == 8) return RunCompiled<Turn<std::uint64_t>>::kAll.at(level);
    return turn_bytes<sizeof(long double)>;
}

}  // namespace devview::convert
