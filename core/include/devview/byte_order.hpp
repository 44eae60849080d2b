// Numbers at any address, in the host's byte order or the other one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace devview {

namespace detail {

template <std::size_t size>
using WordOf = std::conditional_t<
    size == 1, std::uint8_t,
    std::conditional_t<size == 2, std::uint16_t,
                       std::conditional_t<size == 4, std::uint32_t, std::uint64_t>>>;

inline std::uint8_t turned(std::uint8_t word) noexcept { return word; }
inline std::uint16_t turned(std::uint16_t word) noexcept { return __builtin_bswap16(word); }
inline std::uint32_t turned(std::uint32_t word) noexcept { return __builtin_bswap32(word); }
inline std::uint64_t turned(std::uint64_t word) noexcept { return __builtin_bswap64(word); }

}  // namespace detail

/// The number at `from`; `swapped`: in the order that is not the host's.
template <typename T, bool swapped = false>
T load_number(const char* from) noexcept {
    static_assert(sizeof(T) <= 8, "a number of one word");
    detail::WordOf<sizeof(T)> word;
    std::memcpy(&word, from, sizeof word);
    if (swapped) word = detail::turned(word);
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

template <typename T, bool swapped = false>
void store_number(char* to, T value) noexcept {
    static_assert(sizeof(T) <= 8, "a number of one word");
    detail::WordOf<sizeof(T)> word;
    std::memcpy(&word, &value, sizeof word);
    if (swapped) word = detail::turned(word);
    std::memcpy(to, &word, sizeof word);
}

}  // namespace devview
