// Runs between the machine's own number types: one loop for each pair, which the compiler
// vectorises.
#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <utility>

#include "src/convert/convert_runs.hpp"
#include "src/convert/convert_saturate.hpp"
#include "src/convert/convert_truncate.hpp"
#include "src/copy/copy_rows.hpp"

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

/// Converts as many floats as there is a fast way for, from the first on.
template <cpu::Level level, typename To, typename From>
DEVVIEW_ALWAYS_INLINE inline std::int64_t saturate_most(char* dst, const char* src,
                                                        std::int64_t count) {
#if DEVVIEW_CPU_LEVELS
    if constexpr (level == cpu::Level::avx512) return avx512::truncate<To, From>(dst, src, count);
    if constexpr (level == cpu::Level::avx2 && avx2::kByInt32<To>) {
        return avx2::truncate<To, From>(dst, src, count);
    }
    // The compiler's own loop is as good where 32 bits do.
    if constexpr (level == cpu::Level::avx2 && std::is_same_v<From, float> && sizeof(To) == 4) {
        return 0;
    }
#endif
    saturate_run<To, From>(dst, src, count);
    return count;
}

template <typename To, typename From>
struct Cast {
    template <cpu::Level level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        using Made = std::conditional_t<std::is_same_v<To, Truth>, bool, To>;
        constexpr std::int64_t kTo = sizeof(To);
        constexpr std::int64_t kFrom = sizeof(From);
        if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
            const std::int64_t done = saturate_most<level, To, From>(dst, src, count);
            dst += done * kTo;
            src += done * kFrom;
            count -= done;
        }
        for (std::int64_t i = 0; i < count; ++i) {
            const From value = rows::load<From>(src + i * kFrom);
            store_number(dst + i * kTo, number_cast<Made>(value_of(value)));
        }
    }
};

template <typename T>
struct UnsignedOf {
    using Type = T;
};
template <typename T>
requires std::is_integral_v<T>
struct UnsignedOf<T> {
    using Type = std::make_unsigned_t<T>;
};

// Integers wrap: what they become has no sign, and what they were has one only where it is spread.
template <typename To, typename From>
struct Distinct {
    static constexpr bool kFromInteger = std::is_integral_v<From> || std::is_same_v<From, Truth>;
    static constexpr bool kToInteger = std::is_integral_v<To>;
    static constexpr bool kSpread = kToInteger && sizeof(To) > sizeof(From);
    static constexpr bool kBits = (kToInteger && !kSpread) || std::is_same_v<To, Truth>;
    using FromType = std::conditional_t<kBits, typename UnsignedOf<From>::Type, From>;
    using ToType = std::conditional_t<kFromInteger, typename UnsignedOf<To>::Type, To>;
    using Type = Cast<ToType, FromType>;
};

template <typename To, typename From>
constexpr Runs runs_of() {
    using Body = typename Distinct<To, From>::Type;
    if constexpr (std::is_same_v<To, long double> || std::is_same_v<From, long double>) {
        return {RunCompiled<Body>::portable, RunCompiled<Body>::portable,
                RunCompiled<Body>::portable};
    } else {
        return RunCompiled<Body>::kAll;
    }
}

template <std::size_t to, std::size_t... from>
constexpr std::array<Runs, kWide> runs_to(std::index_sequence<from...>) {
    return {runs_of<std::tuple_element_t<to, Wide>, std::tuple_element_t<from, Wide>>()...};
}

template <std::size_t... to>
constexpr std::array<std::array<Runs, kWide>, kWide> all_runs(std::index_sequence<to...>) {
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

/// To complex in one go: a number and a zero.
template <typename To, typename From>
struct CastSpread {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static void run(char* __restrict dst, const char* __restrict src,
                                          std::int64_t count, const SmallFloat&) {
        constexpr std::int64_t kTo = sizeof(To);
        constexpr std::int64_t kFrom = sizeof(From);
        for (std::int64_t i = 0; i < count; ++i) {
            const From value = rows::load<From>(src + i * kFrom);
            rows::store(dst + 2 * i * kTo, static_cast<To>(value_of(value)));
            rows::store(dst + (2 * i + 1) * kTo, To{});
        }
    }
};

// A long double is far from memory's speed: two steps.
constexpr std::size_t kSpread = kWide - 1;

template <typename To, std::size_t... from>
constexpr std::array<Runs, kSpread> spreads_to(std::index_sequence<from...>) {
    return {RunCompiled<CastSpread<To, std::tuple_element_t<from, Wide>>>::kAll...};
}

constexpr auto kToComplex64 = spreads_to<float>(std::make_index_sequence<kSpread>());
constexpr auto kToComplex128 = spreads_to<double>(std::make_index_sequence<kSpread>());

void spread_long(char* __restrict dst, const char* __restrict src, std::int64_t count,
                 const SmallFloat&) {
    constexpr std::int64_t kPart = sizeof(long double);
    for (std::int64_t i = 0; i < count; ++i) {
        rows::store(dst + 2 * i * kPart, rows::load<long double>(src + i * kPart));
        rows::store(dst + (2 * i + 1) * kPart, 0.0L);
    }
}

}  // namespace

Run wide_run(Number to, Number from, cpu::Level level) noexcept {
    return kRuns[static_cast<std::size_t>(to)][static_cast<std::size_t>(from)].at(level);
}

Run sticky_run(Number from) noexcept {
    if (from == Number::int64) return to_sticky<std::int64_t>;
    return from == Number::uint64 ? to_sticky<std::uint64_t> : to_sticky<long double>;
}

Run spread_run(Number to, Number from, cpu::Level level) noexcept {
    const auto index = static_cast<std::size_t>(from);
    if (to == Number::long_double) return from == to ? spread_long : nullptr;
    if (index >= kSpread || (to != Number::float32 && to != Number::float64)) return nullptr;
    return (to == Number::float32 ? kToComplex64 : kToComplex128)[index].at(level);
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
