// Arithmetic on int64 that tells about overflow instead of wrapping; private to the core.
#pragma once

#include <cstdint>
#include <limits>

namespace devview::checked {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

/// `out` = a + b. False, and `out` unspecified, if that is no int64.
[[nodiscard]] inline bool add(std::int64_t a, std::int64_t b, std::int64_t& out) noexcept {
    return !__builtin_add_overflow(a, b, &out);
}

/// `out` = a * b. False, and `out` unspecified, if that is no int64.
[[nodiscard]] inline bool mul(std::int64_t a, std::int64_t b, std::int64_t& out) noexcept {
    return !__builtin_mul_overflow(a, b, &out);
}

/// |a|: unsigned, since |INT64_MIN| is no int64.
[[nodiscard]] inline std::uint64_t magnitude(std::int64_t a) noexcept {
    return a < 0 ? 0 - static_cast<std::uint64_t>(a) : static_cast<std::uint64_t>(a);
}

}  // namespace devview::checked
