// The tiled transpose through shared memory; moves what StridedCopy moves.
#pragma once

#include <type_traits>

#include "kernels/launch.cuh"

namespace devview::cuda::kernels {

constexpr int kTileRows = 8;  ///< of threads; each has kTileWords / kTileRows words

/// words[m] holds items m, 0..n-1 of row m; afterwards items of column m.
template <int n>
__device__ void transpose_words(std::uint32_t (&words)[n]) {
    if constexpr (n == 2) {
        const std::uint32_t low = __byte_perm(words[0], words[1], 0x5410);
        words[1] = __byte_perm(words[0], words[1], 0x7632);
        words[0] = low;
    } else if constexpr (n == 4) {
        const std::uint32_t a = __byte_perm(words[0], words[1], 0x5140);  // 00 10 01 11
        const std::uint32_t b = __byte_perm(words[0], words[1], 0x7362);
        const std::uint32_t c = __byte_perm(words[2], words[3], 0x5140);
        const std::uint32_t d = __byte_perm(words[2], words[3], 0x7362);
        words[0] = __byte_perm(a, c, 0x5410);
        words[1] = __byte_perm(a, c, 0x7632);
        words[2] = __byte_perm(b, d, 0x5410);
        words[3] = __byte_perm(b, d, 0x7632);
    }
}

/// `Unit` moves at once: an item, or `n` items that are a word of 4 bytes. A tile is kTileWords
/// units by n times as many rows.
///
/// Shared memory has a plane for each item of a word, and one cell more in a row than a tile: a
/// warp's cells lie in 32 different banks both when it fills a column and when it reads a row.
template <typename Unit, int n>
__global__ void __launch_bounds__(kTileWords* kTileRows) transpose_tiles(const Transpose tiles) {
    // Cells of at least a bank's width, or neighbours would share one.
    using Cell = std::conditional_t<(sizeof(Unit) < 4), std::uint32_t, Unit>;
    constexpr std::int64_t kSide = std::int64_t{kTileWords} * n;
    constexpr int kRounds = kTileWords / kTileRows;
    __shared__ Cell cells[n][kTileWords][kTileWords + 1];
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    for (Index tile = blockIdx.x; tile < tiles.tiles; tile += gridDim.x) {
        const Index others = tiles.along[0].quotient(tile);
        const Index rest = tiles.along[1].quotient(others);
        std::int64_t offsets[3];
        tiles.rest.locate(rest, offsets);
        const std::int64_t d0 = std::int64_t{tile - others * tiles.along[0].divisor} * kSide;
        const std::int64_t s0 = std::int64_t{others - rest * tiles.along[1].divisor} * kSide;
        const auto inside = [&](std::int64_t d, std::int64_t s) {
            const std::int64_t position =
                offsets[2] + d * tiles.position_strides[0] + s * tiles.position_strides[1];
            return d < tiles.extents[0] && s < tiles.extents[1] && position >= tiles.low &&
                   position < tiles.high;
        };
        {
            const std::int64_t s = s0 + x * n;
            const unsigned char* const src = tiles.src + offsets[1] + s * tiles.src_strides[1];
            Unit words[kRounds][n];
            DEVVIEW_UNROLL
            for (int round = 0; round < kRounds; ++round) {
                DEVVIEW_UNROLL
                for (int m = 0; m < n; ++m) {
                    const std::int64_t d = d0 + (y + round * kTileRows) * n + m;
                    if (inside(d, s)) {
                        words[round][m] = load_unit<Unit>(src + d * tiles.src_strides[0]);
                    }
                }
            }
            DEVVIEW_UNROLL
            for (int round = 0; round < kRounds; ++round) {
                if constexpr (n > 1) transpose_words<n>(words[round]);
                DEVVIEW_UNROLL
                for (int m = 0; m < n; ++m)
                    cells[m][x][y + round * kTileRows] = words[round][m];
            }
        }
        __syncthreads();
        const std::int64_t d = d0 + x * n;
        unsigned char* const dst = tiles.dst + offsets[0] + d * tiles.dst_strides[0];
        DEVVIEW_UNROLL
        for (int round = 0; round < kRounds; ++round) {
            DEVVIEW_UNROLL
            for (int m = 0; m < n; ++m) {
                const int column = y + round * kTileRows;
                const std::int64_t s = s0 + column * n + m;
                if (inside(d, s)) {
                    store_unit(dst + s * tiles.dst_strides[1],
                               static_cast<Unit>(cells[m][column][x]));
                }
            }
        }
        __syncthreads();
    }
}

inline bool StreamEach::transpose(const Transpose& tiles) const {
    const auto run = [&](auto kernel) {
        void* arguments[] = {const_cast<Transpose*>(&tiles)};
        launch(reinterpret_cast<const void*>(kernel), tiles.tiles, dim3(kTileWords, kTileRows),
               arguments);
        return true;
    };
    if (tiles.per_word == 4) return run(&transpose_tiles<std::uint32_t, 4>);
    if (tiles.per_word == 2) return run(&transpose_tiles<std::uint32_t, 2>);
    switch (tiles.width) {
        case 1:
            return run(&transpose_tiles<std::uint8_t, 1>);
        case 2:
            return run(&transpose_tiles<std::uint16_t, 1>);
        case 4:
            return run(&transpose_tiles<std::uint32_t, 1>);
        case 8:
            return run(&transpose_tiles<std::uint64_t, 1>);
        default:
            return run(&transpose_tiles<Unit16, 1>);
    }
}

}  // namespace devview::cuda::kernels
