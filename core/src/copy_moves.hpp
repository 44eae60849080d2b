// Units of any size moved one by one between rows of both sides; private to the core.
#pragma once

#include "copy_kernels.hpp"
#include "copy_rows.hpp"

namespace devview::copy {

/// `columns` rows of the destination, dense, at dst + dst_at[i]; their units come from
/// src + src_at[j] and the places beside it.
struct Block {
    char* dst;
    const std::int64_t* dst_at;
    const char* src;
    const std::int64_t* src_at;
    std::int64_t rows;
    std::int64_t columns;
};

template <typename Move>
void move_block(const Move& move, const Block& block, std::int64_t across) noexcept {
    const std::int64_t unit = move.unit();
    const std::int64_t rows = block.rows;
    const std::int64_t* const __restrict src_at = block.src_at;
    for (std::int64_t i = 0; i < block.columns; ++i) {
        char* const __restrict to = block.dst + block.dst_at[i];
        const char* const from = block.src + i * across;
        for (std::int64_t j = 0; j < rows; ++j)
            move(to + j * unit, from + src_at[j]);
    }
}

/// Rows of one unit each.
inline void repeat_units(const Block& block, std::int64_t unit, std::int64_t across) noexcept {
    const auto run = [&](const auto& fill) {
        for (std::int64_t i = 0; i < block.columns; ++i)
            fill(block.dst + block.dst_at[i], block.src + i * across, block.rows);
    };
    if (unit == 1) return run(rows::row_dense<std::uint8_t, 0>);
    if (unit == 2) return run(rows::row_dense<std::uint16_t, 0>);
    if (unit == 4) return run(rows::row_dense<std::uint32_t, 0>);
    if (unit == 8) return run(rows::row_dense<std::uint64_t, 0>);
    if (unit == 16) return run(rows::row_dense<rows::Bytes16, 0>);
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
        for (std::int64_t k = 0; k < rows; ++k)
            rows::row(move, dst + k * pitch, src + src_at[k], {columns, unit, across});
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
    if (unit == 1) return run(rows::Exact<std::uint8_t>{});
    if (unit == 2) return run(rows::Exact<std::uint16_t>{});
    if (unit == 4) return run(rows::Exact<std::uint32_t>{});
    if (unit == 8) return run(rows::Exact<std::uint64_t>{});
    if (unit == 16) return run(rows::Exact<rows::Bytes16>{});
    if (unit < 4) return run(rows::Pair<std::uint16_t>{unit - 2});
    if (unit < 8) return run(rows::Pair<std::uint32_t>{unit - 4});
    if (unit < 16) return run(rows::Pair<std::uint64_t>{unit - 8});
    if (unit <= 32) return run(rows::Pair<rows::Bytes16>{unit - 16});
    if (unit >= kLongUnit) return run(rows::Any{unit});
    for (std::int64_t i = 0; i < block.columns; ++i) {
        kernels.gather_rows(block.dst + block.dst_at[i], unit, block.src + i * across, block.src_at,
                            unit, block.rows);
    }
}

}  // namespace devview::copy
