// Units of any size moved one by one between rows of both sides; private to the core.
#pragma once

#include <algorithm>
#include <cstring>

#include "src/copy/copy_kernels.hpp"
#include "src/copy/copy_rows.hpp"

namespace devview::copy {

using rows::Axis;

/// `columns` rows of the destination, dense, at dst + dst_at[i]; their units come from
/// src + src_at[j] and the places beside it.
struct Block {
    char* dst;
    const std::int64_t* dst_at;
    const char* src;
    const std::int64_t* src_at;
    std::int64_t rows;
    std::int64_t columns;
    const Axis* axis = nullptr;  ///< of all rows, where they are as far apart as its places
};

template <typename Move>
void move_block(const Move& move, const Block& block, std::int64_t across) noexcept {
    const std::int64_t unit = move.unit();
    if (block.axis != nullptr) {
        for (std::int64_t i = 0; i < block.columns; ++i) {
            rows::row(move, block.dst + block.dst_at[i], block.src + block.src_at[0] + i * across,
                      {block.rows, unit, block.axis->src});
        }
        return;
    }
    const std::int64_t rows = block.rows;
    const std::int64_t* const __restrict src_at = block.src_at;
    for (std::int64_t i = 0; i < block.columns; ++i) {
        char* const __restrict to = block.dst + block.dst_at[i];
        const char* const from = block.src + i * across;
        for (std::int64_t j = 0; j < rows; ++j)
            move(to + j * unit, from + src_at[j]);
    }
}

/// As above, forward in the source: each unit of all columns but the last is moved with some bytes
/// that follow it, before those of the next column end; the next unit's move writes over them.
template <typename Wide, typename Move>
void move_block_wide(const Move& move, const Block& block, std::int64_t across) noexcept {
    const std::int64_t unit = move.unit();
    const std::int64_t last = block.rows - 1;
    const std::int64_t* const __restrict src_at = block.src_at;
    for (std::int64_t i = 0; i < block.columns - 1; ++i) {
        char* const __restrict to = block.dst + block.dst_at[i];
        const char* const from = block.src + i * across;
        for (std::int64_t j = 0; j < last; ++j)
            rows::store(to + j * unit, rows::load<Wide>(from + src_at[j]));
        move(to + last * unit, from + src_at[last]);
    }
    Block rest = block;
    rest.dst_at += block.columns - 1;
    rest.src += (block.columns - 1) * across;
    rest.columns = 1;
    move_block(move, rest, across);
}

/// Packs rows of the source, `columns` units `across` bytes apart, to rows `pitch` bytes apart.
inline void stage_rows(char* dst, std::int64_t pitch, const char* src, const std::int64_t* src_at,
                       std::int64_t rows, std::int64_t columns, std::int64_t unit,
                       std::int64_t across, const Kernels& kernels) noexcept {
    const std::int64_t nbytes = columns * unit;
    if (across == unit && nbytes >= 16) {
        return kernels.gather_rows(dst, pitch, src, src_at, nbytes, rows);
    }
    const auto run = [&](const auto& move) {
        constexpr std::int64_t kAhead = 8;
        for (std::int64_t k = 0; k < rows; ++k) {
            for (std::int64_t at = 0; k + kAhead < rows && at < columns * across; at += kLine)
                __builtin_prefetch(src + src_at[k + kAhead] + at);
            rows::row(move, dst + k * pitch, src + src_at[k], {columns, unit, across});
        }
    };
    rows::with_move(unit, run);
}

/// `across`: bytes of the source between columns.
inline void move_units(const Block& block, std::int64_t unit, std::int64_t across) noexcept {
    if (across >= unit && block.columns > 1) {
        using namespace rows;
        if (unit == 3) {
            return move_block_wide<std::uint32_t>(Pair<std::uint16_t>{1}, block, across);
        }
        if (unit > 4 && unit < 8) {
            return move_block_wide<std::uint64_t>(Pair<std::uint32_t>{unit - 4}, block, across);
        }
        if (unit > 8 && unit < 16)
            return move_block_wide<Bytes16>(Pair<std::uint64_t>{unit - 8}, block, across);
    }
    rows::with_move(unit, [&](const auto& move) { move_block(move, block, across); });
}

}  // namespace devview::copy
