// Bit fields ('t'): up to 64 bits that start anywhere in a byte, lowest bit first (as ctypes on a
// little-endian host). Longer fields are the readers' business, byte by byte.
#pragma once

#include <cstdint>

namespace devview {

/// Bytes that hold `bits` bits from bit `bit_offset` (0..7) of the first one on.
constexpr std::int64_t bit_bytes(std::int64_t bits, std::int32_t bit_offset) noexcept {
    return (bits + bit_offset + 7) / 8;
}

/// Eight bits of a field of `bits` bits, from bit 8 * `octet` of the field on; 0 beyond its end.
inline unsigned read_octet(const char* data, std::int64_t bits, std::int32_t bit_offset,
                           std::int64_t octet) noexcept {
    const std::int64_t left = bits - 8 * octet;
    if (left <= 0) return 0;
    const auto* const at = reinterpret_cast<const unsigned char*>(data) + octet;
    unsigned value = at[0] >> bit_offset;
    if (left + bit_offset > 8 && bit_offset != 0) value |= unsigned{at[1]} << (8 - bit_offset);
    return left < 8 ? value & ((1u << left) - 1) : value & 0xff;
}

/// The value of a field of at most 64 bits.
inline std::uint64_t read_bits(const char* data, std::int64_t bits,
                               std::int32_t bit_offset) noexcept {
    std::uint64_t value = 0;
    for (std::int64_t octet = 0; 8 * octet < bits; ++octet) {
        value |= std::uint64_t{read_octet(data, bits, bit_offset, octet)} << (8 * octet);
    }
    return value;
}

/// Writes eight bits of a field, those of them that it has; the bits of its neighbours stay.
inline void write_octet(char* data, std::int64_t bits, std::int32_t bit_offset, std::int64_t octet,
                        unsigned value) noexcept {
    const std::int64_t left = bits - 8 * octet;
    if (left <= 0) return;
    auto* const at = reinterpret_cast<unsigned char*>(data) + octet;
    const unsigned mask = (left < 8 ? (1u << left) - 1 : 0xffu) << bit_offset;
    const unsigned moved = (value << bit_offset) & mask;
    at[0] = static_cast<unsigned char>((at[0] & ~mask) | moved);
    if ((mask >> 8) != 0) {
        at[1] = static_cast<unsigned char>((at[1] & ~(mask >> 8)) | (moved >> 8));
    }
}

}  // namespace devview
