// Runs between the machine's own number types: one loop for each pair, which the compiler
// vectorises.
#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <utility>

#include "convert_runs.hpp"
#include "convert_saturate.hpp"
#include "copy_rows.hpp"

namespace devview::convert {
namespace {

/// A byte that is any truth value, not only 0 and 1.
struct Truth {
    std::uint8_t byte;
};

template <typename From>
From value_of(From value) noexcept {
    return value;
}
std::uint8_t value_of(Truth truth) noexcept { return std::min<std::uint8_t>(truth.byte, 1); }

template <typename T>
void store_number(char* dst, T value) noexcept {
    rows::store(dst, value);
}
// The 80 bits are written as they are: through memory of 16 bytes they would wait for themselves.
void store_number(char* dst, long double value) noexcept {
    using Unaligned __attribute__((may_alias, aligned(1))) = long double;
    if constexpr (sizeof(long double) == 16) rows::store(dst + 8, std::uint64_t{0});
    *reinterpret_cast<Unaligned*>(dst) = value;
}

// In the order of Number.
using Wide = std::tuple<Truth, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                        std::uint32_t, std::int64_t, std::uint64_t, float, double, long double>;
constexpr std::size_t kWide = std::tuple_size_v<Wide>;
static_assert(kWide == static_cast<std::size_t>(Number::long_double) + 1);

template <typename To, typename From>
void cast_run(char* __restrict dst, const char* __restrict src, std::int64_t count,
              const SmallFloat&) {
    using Made = std::conditional_t<std::is_same_v<To, Truth>, bool, To>;
    constexpr std::int64_t kTo = sizeof(To);
    constexpr std::int64_t kFrom = sizeof(From);
    if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
        return saturate_run<To, From>(dst, src, count);
    }
    for (std::int64_t i = 0; i < count; ++i) {
        store_number(dst + i * kTo, number_cast<Made>(value_of(rows::load<From>(src + i * kFrom))));
    }
}

template <std::size_t to, std::size_t... from>
constexpr std::array<Run, kWide> runs_to(std::index_sequence<from...>) {
    return {cast_run<std::tuple_element_t<to, Wide>, std::tuple_element_t<from, Wide>>...};
}

template <std::size_t... to>
constexpr std::array<std::array<Run, kWide>, kWide> all_runs(std::index_sequence<to...>) {
    return {runs_to<to>(std::make_index_sequence<kWide>())...};
}

constexpr auto kRuns = all_runs(std::make_index_sequence<kWide>());

// Rounding to odd: towards zero, with a trace of what was cut off in the last bit.
double odd_double(long double value) noexcept {
    const auto nearest = static_cast<double>(value);
    if (std::isnan(nearest) || static_cast<long double>(nearest) == value) return nearest;
    auto bits = detail::bits_as<std::uint64_t>(nearest);
    if (std::fabs(static_cast<long double>(nearest)) > std::fabs(value)) --bits;
    return detail::bits_as<double>(bits | 1);
}

template <typename From>
double sticky_of(From value) noexcept {
    if constexpr (std::is_same_v<From, long double>) {
        return odd_double(value);
    } else {
        return sticky_cast(value);
    }
}

template <typename From>
void to_sticky(char* __restrict dst, const char* __restrict src, std::int64_t count,
               const SmallFloat&) {
    constexpr std::int64_t kFrom = sizeof(From);
    for (std::int64_t i = 0; i < count; ++i) {
        rows::store(dst + i * 8, sticky_of(rows::load<From>(src + i * kFrom)));
    }
}

template <typename Part>
void spread(char* __restrict dst, const char* __restrict src, std::int64_t count,
            const SmallFloat&) {
    constexpr std::int64_t kPart = sizeof(Part);
    for (std::int64_t i = 0; i < count; ++i) {
        rows::store(dst + 2 * i * kPart, rows::load<Part>(src + i * kPart));
        rows::store(dst + (2 * i + 1) * kPart, Part{});
    }
}

}  // namespace

Run wide_run(Number to, Number from) noexcept {
    return kRuns[static_cast<std::size_t>(to)][static_cast<std::size_t>(from)];
}

Run sticky_run(Number from) noexcept {
    if (from == Number::int64) return to_sticky<std::int64_t>;
    return from == Number::uint64 ? to_sticky<std::uint64_t> : to_sticky<long double>;
}

Run spread_run(std::int64_t part_size) noexcept {
    if (part_size == 4) return spread<float>;
    return part_size == 8 ? spread<double> : spread<long double>;
}

void either(char* dst, const char* src, std::int64_t count, const SmallFloat&) {
    for (std::int64_t i = 0; i < count; ++i)
        dst[i] = static_cast<char>(src[2 * i] | src[2 * i + 1]);
}

std::int64_t size_of(Number number) noexcept {
    constexpr std::int64_t kSizes[kWide] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, sizeof(long double)};
    return kSizes[static_cast<std::size_t>(number)];
}

}  // namespace devview::convert
