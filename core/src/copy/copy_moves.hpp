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

/// Calls run(move) with what moves units of 1 to 32 bytes.
template <typename Run>
void with_move(std::int64_t unit, const Run& run) noexcept {
    if (unit == 1) return run(rows::Exact<std::uint8_t>{});
    if (unit == 2) return run(rows::Exact<std::uint16_t>{});
    if (unit == 4) return run(rows::Exact<std::uint32_t>{});
    if (unit == 8) return run(rows::Exact<std::uint64_t>{});
    if (unit == 16) return run(rows::Exact<rows::Bytes16>{});
    if (unit < 4) return run(rows::Pair<std::uint16_t>{unit - 2});
    if (unit < 8) return run(rows::Pair<std::uint32_t>{unit - 4});
    if (unit < 16) return run(rows::Pair<std::uint64_t>{unit - 8});
    run(rows::Pair<rows::Bytes16>{unit - 16});
}

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

/// A row of one unit: the first of it by stores, the rest by copies of ever larger pieces of it.
template <typename T>
void fill_row(char* dst, const char* src, std::int64_t extent) noexcept {
    constexpr std::int64_t kUnit = sizeof(T);
    constexpr std::int64_t kFirst = 256;
    rows::row_dense<T, 0>(dst, src, std::min(extent, kFirst / kUnit));
    const std::int64_t nbytes = extent * kUnit;
    for (std::int64_t done = kFirst; done < nbytes;) {
        const std::int64_t piece = std::min({done, rows::kBlockBytes, nbytes - done});
        std::memcpy(dst + done, dst, static_cast<std::size_t>(piece));
        done += piece;
    }
}

/// Rows of one unit each.
inline void repeat_units(const Block& block, std::int64_t unit, std::int64_t across) noexcept {
    const auto run = [&](const auto& fill) {
        for (std::int64_t i = 0; i < block.columns; ++i)
            fill(block.dst + block.dst_at[i], block.src + i * across, block.rows);
    };
    if (unit == 1) return run(fill_row<std::uint8_t>);
    if (unit == 2) return run(fill_row<std::uint16_t>);
    if (unit == 4) return run(fill_row<std::uint32_t>);
    if (unit == 8) return run(fill_row<std::uint64_t>);
    if (unit == 16) return run(fill_row<rows::Bytes16>);
    run([&](char* dst, const char* src, std::int64_t extent) {
        rows::repeat(dst, src, unit, extent);
    });
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
    if (unit == 1) return run(rows::Exact<std::uint8_t>{});
    if (unit == 2) return run(rows::Exact<std::uint16_t>{});
    if (unit == 4) return run(rows::Exact<std::uint32_t>{});
    if (unit == 8) return run(rows::Exact<std::uint64_t>{});
    if (unit == 16) return run(rows::Exact<rows::Bytes16>{});
    run(rows::Any{unit});
}

/// `across`: bytes of the source between columns.
inline void move_units(const Block& block, std::int64_t unit, std::int64_t across,
                       const Kernels& kernels) noexcept {
    constexpr std::int64_t kLongUnit = 1024;
    const auto run = [&](const auto& move) { move_block(move, block, across); };
    if (unit <= 32) return with_move(unit, run);
    if (unit >= kLongUnit) return run(rows::Any{unit});
    for (std::int64_t i = 0; i < block.columns; ++i) {
        kernels.gather_rows(block.dst + block.dst_at[i], unit, block.src + i * across, block.src_at,
                            unit, block.rows);
    }
}

}  // namespace devview::copy
