// Blocks of a plane: what lies dense and native is converted in place, the rest through buffers.
#include "convert_plane.hpp"

#include <algorithm>

namespace devview::convert {
namespace {

using rows::Axis;

template <typename T>
T reversed(T value) noexcept {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <typename T>
void swap_all(char* data, std::int64_t nbytes) noexcept {
    for (std::int64_t at = 0; at < nbytes; at += static_cast<std::int64_t>(sizeof(T)))
        rows::store(data + at, reversed(rows::load<T>(data + at)));
}

void swap_bytes(char* data, std::int64_t nbytes, std::int64_t size) noexcept {
    if (size == 2) return swap_all<std::uint16_t>(data, nbytes);
    if (size == 4) return swap_all<std::uint32_t>(data, nbytes);
    if (size == 8) return swap_all<std::uint64_t>(data, nbytes);
    for (std::int64_t at = 0; size > 0 && at < nbytes; at += size)
        std::reverse(data + at, data + at + size);
}

template <typename T>
void gather(char* dense, const char* src, Axis along, Axis other, bool crosswise) noexcept {
    constexpr std::int64_t kUnit = sizeof(T);
    const Axis across{other.extent, along.extent * kUnit, other.src};
    const Axis row{along.extent, kUnit, along.src};
    if (crosswise) return rows::plane_of_tiles<T>(dense, src, row, across);
    rows::plane_of_rows(rows::Exact<T>{}, dense, src, row, across);
}

void gather(char* dense, const char* src, Axis along, Axis other, std::int64_t size,
            bool crosswise) noexcept {
    switch (size) {
        case 1:
            return gather<std::uint8_t>(dense, src, along, other, crosswise);
        case 2:
            return gather<std::uint16_t>(dense, src, along, other, crosswise);
        case 4:
            return gather<std::uint32_t>(dense, src, along, other, crosswise);
        case 8:
            return gather<std::uint64_t>(dense, src, along, other, crosswise);
        case 16:
            return gather<rows::Bytes16>(dense, src, along, other, crosswise);
        default:
            return rows::plane_of_rows(rows::Any{size}, dense, src, {along.extent, size, along.src},
                                       {other.extent, along.extent * size, other.src});
    }
}

template <typename Move>
void scatter(const Move& move, char* dst, const char* dense, Axis along, Axis other) noexcept {
    const std::int64_t unit = move.unit();
    rows::plane_of_rows(move, dst, dense, {along.extent, along.dst, unit},
                        {other.extent, other.dst, along.extent * unit});
}

void scatter(char* dst, const char* dense, Axis along, Axis other, std::int64_t size) noexcept {
    switch (size) {
        case 1:
            return scatter(rows::Exact<std::uint8_t>{}, dst, dense, along, other);
        case 2:
            return scatter(rows::Exact<std::uint16_t>{}, dst, dense, along, other);
        case 4:
            return scatter(rows::Exact<std::uint32_t>{}, dst, dense, along, other);
        case 8:
            return scatter(rows::Exact<std::uint64_t>{}, dst, dense, along, other);
        case 16:
            return scatter(rows::Exact<rows::Bytes16>{}, dst, dense, along, other);
        default:
            return scatter(rows::Any{size}, dst, dense, along, other);
    }
}

/// The extents of blocks; more items than the conversion's buffers hold only where none are used.
struct Blocks {
    std::int64_t along;
    std::int64_t other;
};

bool dense_source(const NumberConversion& conversion, const rows::Walk& walk) noexcept {
    return walk.along.src == conversion.src_size() && conversion.src_swap() == 0;
}

bool dense_target(const NumberConversion& conversion, const rows::Walk& walk) noexcept {
    return walk.along.dst == conversion.dst_size() && conversion.dst_swap() == 0;
}

Blocks choose_blocks(const NumberConversion& conversion, const rows::Walk& walk) noexcept {
    constexpr std::int64_t kShortRow = 64;
    constexpr std::int64_t kTileSide = 32;
    const std::int64_t most = conversion.block();
    if (walk.pattern == rows::Pattern::kTiles) {
        const std::int64_t other = std::min(walk.other.extent, std::min(kTileSide, most));
        return {std::min(walk.along.extent, most / other), other};
    }
    if (walk.pattern == rows::Pattern::kBlocks) {
        const std::int64_t other = std::min(walk.other.extent, rows::kShort);
        return {std::min(walk.along.extent, most / other), other};
    }
    if (walk.along.extent >= kShortRow && dense_source(conversion, walk) &&
        dense_target(conversion, walk)) {
        return {walk.along.extent, 1};
    }
    const std::int64_t along = std::min(walk.along.extent, most);
    return {along, std::min(walk.other.extent, most / along)};
}

void convert_block(const NumberConversion& conversion, const rows::Walk& walk, Axis along,
                   Axis other, char* dst, const char* src) noexcept {
    alignas(64) char gathered[NumberConversion::kBlockBytes];
    alignas(64) char made[NumberConversion::kBlockBytes];
    const std::int64_t count = along.extent * other.extent;
    const bool dense = other.extent == 1 && walk.along.dst == conversion.dst_size();
    char* to = dense ? dst : made;
    const char* from = src;
    if (other.extent > 1 || !dense_source(conversion, walk)) {
        char* const place = conversion.identity() ? to : gathered;
        gather(place, src, along, other, conversion.src_size(),
               walk.pattern == rows::Pattern::kTiles);
        swap_bytes(place, count * conversion.src_size(), conversion.src_swap());
        from = place;
    }
    if (from != to) conversion.run(to, from, count);
    swap_bytes(to, count * conversion.dst_size(), conversion.dst_swap());
    if (!dense) scatter(dst, made, along, other, conversion.dst_size());
}

}  // namespace

void convert_plane(const NumberConversion& conversion, const rows::Walk& walk, char* dst,
                   const char* src) noexcept {
    const Blocks blocks = choose_blocks(conversion, walk);
    for (std::int64_t i = 0; i < walk.along.extent; i += blocks.along) {
        const Axis along{std::min(blocks.along, walk.along.extent - i), walk.along.dst,
                         walk.along.src};
        for (std::int64_t k = 0; k < walk.other.extent; k += blocks.other) {
            const Axis other{std::min(blocks.other, walk.other.extent - k), walk.other.dst,
                             walk.other.src};
            convert_block(conversion, walk, along, other, dst + i * along.dst + k * other.dst,
                          src + i * along.src + k * other.src);
        }
    }
}

}  // namespace devview::convert
