// The strided kernels on host memory against item-by-item copies.
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "cuda/cast_cases.hpp"
#include "cuda/compare_cases.hpp"
#include "cuda/kernel_cases.hpp"
#include "kernels/functors.hpp"
#include "kernels/host_kernels.hpp"
#include "kernels/transpose.hpp"
#include "kernels/walk.hpp"

namespace devview::cuda {
namespace {

class HostKernels final : public test::Kernels {
public:
    void pack(const CopyPlan& plan, test::Place dst, test::Place src, std::int64_t first,
              std::int64_t units) override {
        kernels::host_pack(plan, dst.data(), src.data(), first, units);
    }
    void unpack(const CopyPlan& plan, test::Place dst, test::Place src, std::int64_t first,
                std::int64_t units) override {
        kernels::host_unpack(plan, dst.data(), src.data(), first, units);
    }
    void copy(const CopyPlan& plan, test::Place dst, test::Place src) override {
        kernels::host_copy(plan, dst.data(), src.data());
    }
    void fill(const CopyPlan& plan, test::Place dst, const FillItem& item) override {
        kernels::host_fill(plan, dst.data(), item);
    }
    void cast(const CopyPlan& plan, test::Place dst, const NumberType& to, test::Place src,
              const NumberType& from) override {
        kernels::host_cast(plan, dst.data(), to, src.data(), from);
    }
    void byteswap(const CopyPlan& plan, test::Place dst, test::Place src, unsigned part) override {
        kernels::host_byteswap(plan, dst.data(), src.data(), part);
    }
    bool compare(const CopyPlan& plan, test::Place a, const NumberType& a_type, test::Place b,
                 const NumberType& b_type) override {
        std::uint32_t different = 0;
        kernels::host_compare(plan, a.data(), a_type, b.data(), b_type, &different);
        return different != 0;
    }
};

TEST(Kernels, MoveRandomLayoutsOfEverySmallItem) {
    HostKernels kernels;
    for (unsigned itemsize = 1; itemsize <= 32; ++itemsize) {
        SCOPED_TRACE(itemsize);
        EXPECT_NO_THROW(test::check_random(kernels, itemsize, itemsize, 100, 4000));
    }
}

TEST(Kernels, MoveRandomLayoutsOfLargeItems) {
    HostKernels kernels;
    for (const std::int64_t itemsize : test::kOddItemsizes) {
        SCOPED_TRACE(itemsize);
        const auto seed = static_cast<unsigned>(itemsize);
        EXPECT_NO_THROW(test::check_random(kernels, seed, itemsize, 50, 50000));
    }
}

TEST(Kernels, TakeUpToSixtyFourAxes) {
    HostKernels kernels;
    for (const int ndim : {6, 7, 8, 9, kMaxNdim}) {
        for (const std::int64_t unit : {1, 2, 3, 4, 8, 12, 16, 20, 24, 64, 100, 4096}) {
            SCOPED_TRACE(unit);
            EXPECT_NO_THROW(test::check_deep(kernels, ndim, unit)) << ndim << " axes";
        }
    }
}

TEST(Kernels, PackFarPastThirtyTwoBits) {
    HostKernels kernels;
    for (const std::int64_t unit : {1, 2, 4, 8, 16, 48, 7}) {
        SCOPED_TRACE(unit);
        EXPECT_NO_THROW(test::check_far(kernels, static_cast<unsigned>(unit), unit));
    }
}

TEST(Kernels, CastEveryPairOfNumbers) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_casts(kernels, 1, 4, 300));
}

TEST(Kernels, CastUpToSixtyFourAxes) {
    HostKernels kernels;
    for (const int ndim : {7, 8, 9, kMaxNdim})
        EXPECT_NO_THROW(test::check_deep_cast(kernels, ndim)) << ndim << " axes";
}

TEST(Kernels, SwapBytesOfPartsAnywhere) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_byteswaps(kernels, 1, 60, 400));
    for (const int ndim : {7, 8, kMaxNdim})
        EXPECT_NO_THROW(test::check_deep_byteswap(kernels, ndim)) << ndim << " axes";
}

TEST(Kernels, TransposeEverySize) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_crossings(kernels, 1, 1));
}

TEST(Kernels, FillRowsThatBeginAnywhere) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_rows_fills(kernels, 1));
}

TEST(Kernels, ConvertRowsOfCommonTypes) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_row_casts(kernels, 1));
}

TEST(Kernels, ConvertEveryShortNumber) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_every_short_number(kernels));
}

TEST(Kernels, CompareAsTheHostDoes) {
    HostKernels kernels;
    EXPECT_NO_THROW(test::check_compares(kernels, 1, 6, 200));
    EXPECT_NO_THROW(test::check_special_numbers(kernels));
    EXPECT_NO_THROW(test::check_compared_bytes(kernels, 1, 20));
    for (const int ndim : {7, 8, kMaxNdim})
        EXPECT_NO_THROW(test::check_deep_compare(kernels, ndim)) << ndim << " axes";
}

/// Every position of a walk, by its pieces, is the whole walk's.
void check_pieces(const CopyPlan& plan, std::int64_t first, std::int64_t count, std::int64_t most) {
    std::vector<unsigned char> memory(1 << 16);
    const kernels::Walk walk = kernels::make_walk(plan, 1, memory.data(), memory.data());
    const auto offset_of = [](const kernels::Walk& of, std::int64_t position, int side) {
        std::int64_t offset = 0;
        for (int axis = of.ndim - 1; axis >= 0; --axis) {
            offset += position % of.extents[axis] * of.strides[side][axis];
            position /= of.extents[axis];
        }
        return offset;
    };
    std::int64_t seen = 0;
    kernels::in_pieces(walk, first, count, most,
                       [&](const kernels::Walk& piece, kernels::Index from, kernels::Index part,
                           std::int64_t done) {
                           EXPECT_EQ(done, seen);
                           std::int64_t positions = 1;
                           for (int axis = 0; axis < piece.ndim; ++axis)
                               positions *= piece.extents[axis];
                           EXPECT_LE(positions, most);
                           EXPECT_LE(std::int64_t{from} + part, positions);
                           for (std::int64_t k = 0; k < part; ++k) {
                               EXPECT_EQ(piece.dst + offset_of(piece, from + k, 0),
                                         walk.dst + offset_of(walk, first + done + k, 0));
                               EXPECT_EQ(piece.src + offset_of(piece, from + k, 1),
                                         walk.src + offset_of(walk, first + done + k, 1));
                           }
                           seen += part;
                       });
    EXPECT_EQ(seen, count);
}

TEST(Walk, PiecesAreTheWhole) {
    CopyPlan plan{};
    plan.ndim = 3;
    plan.unit = 3;
    const std::int64_t extents[3] = {4, 5, 7};
    const std::int64_t dst[3] = {1000, 150, 20}, src[3] = {7, 0, 300};
    std::copy_n(extents, 3, plan.extents);
    std::copy_n(dst, 3, plan.dst_strides);
    std::copy_n(src, 3, plan.src_strides);
    for (const std::int64_t most : {1, 2, 3, 4, 20, 21, 22, 50, 105, 210, 419, 420, 1000}) {
        SCOPED_TRACE(most);
        check_pieces(plan, 0, 420, most);
        check_pieces(plan, 1, 419, most);
        check_pieces(plan, 211, 7, most);
        check_pieces(plan, 100, 300, most);
    }
}

struct Tiled {
    bool tiled;
    int per_word;
};

Tiled tiles_of(std::int64_t rows, std::int64_t columns, std::int64_t itemsize, std::int64_t gap,
               std::int64_t offset) {
    alignas(16) static unsigned char memory[64];
    const std::int64_t shape[2] = {rows, columns};
    const std::int64_t dst[2] = {columns * itemsize + gap, itemsize};
    const std::int64_t src[2] = {itemsize, rows * itemsize + gap};
    const CopyPlan plan = plan_copy(Layout::strided(2, shape, dst, nullptr, itemsize),
                                    Layout::strided(2, shape, src, nullptr, itemsize), itemsize);
    const auto tiles = kernels::make_transpose(
        kernels::make_walk(plan, itemsize, memory + offset, memory + offset), 0, plan.count);
    return {tiles.has_value(), tiles ? tiles->per_word : 0};
}

TEST(Transpose, TilesWhatCrosses) {
    for (const std::int64_t itemsize : {4, 8, 16}) {
        EXPECT_TRUE(tiles_of(64, 64, itemsize, 0, 0).tiled);
        EXPECT_EQ(tiles_of(64, 64, itemsize, 0, 0).per_word, 1);
        EXPECT_TRUE(tiles_of(9, 33, itemsize, itemsize, 0).tiled);
    }
    EXPECT_FALSE(tiles_of(7, 64, 4, 0, 0).tiled) << "too short a side";
    EXPECT_FALSE(tiles_of(64, 7, 4, 0, 0).tiled) << "too short a side";
    EXPECT_EQ(tiles_of(64, 64, 1, 0, 0).per_word, 4);
    EXPECT_EQ(tiles_of(64, 64, 2, 0, 0).per_word, 2);
    EXPECT_EQ(tiles_of(64, 64, 1, 2, 0).per_word, 1) << "lines not aligned";
    EXPECT_EQ(tiles_of(64, 64, 1, 0, 2).per_word, 1) << "memory not aligned";
    EXPECT_EQ(tiles_of(65, 64, 1, 3, 0).per_word, 1) << "no whole words";
}

TEST(Transpose, LeavesWhatRunsAlike) {
    const std::int64_t shape[2] = {64, 64};
    const std::int64_t dst[2] = {256, 4}, same[2] = {1024, 8}, still[2] = {0, 256};
    const Layout to = Layout::strided(2, shape, dst, nullptr, 4);
    for (const auto* src : {same, still}) {
        const CopyPlan plan = plan_copy(to, Layout::strided(2, shape, src, nullptr, 4), 4);
        const kernels::Walk walk = kernels::make_walk(plan, 4, nullptr, nullptr);
        EXPECT_FALSE(kernels::make_transpose(walk, 0, plan.count).has_value());
    }
}

TEST(Kernels, TouchNothingForNoUnits) {
    CopyPlan empty{};
    empty.unit = 4;
    CopyPlan plan{};
    plan.unit = 4;
    plan.count = 1;
    kernels::host_copy(empty, nullptr, nullptr);
    kernels::host_fill(empty, nullptr, FillItem{4, {}});
    kernels::host_pack(plan, nullptr, nullptr, 0, 0);
    kernels::host_unpack(plan, nullptr, nullptr, 1, 0);
}

template <typename Index>
void expect_division(Index divisor, Index dividend) {
    const auto divider = kernels::Divider<Index>::of(divisor);
    EXPECT_EQ(divider.quotient(dividend), dividend / divisor) << dividend << " / " << divisor;
}

template <typename Index>
void check_divisions(unsigned seed) {
    const Index most = static_cast<Index>(~Index{0}) >> 1;
    std::mt19937_64 random(seed);
    for (int round = 0; round < 20000; ++round) {
        const auto divisor = static_cast<Index>((random() >> random() % 64) & most);
        const auto dividend = static_cast<Index>((random() >> random() % 64) & most);
        if (divisor == 0) continue;
        expect_division<Index>(divisor, dividend);
        expect_division<Index>(divisor, most);
        const auto multiple = static_cast<Index>(most / divisor * divisor);
        expect_division<Index>(divisor, multiple);
        expect_division<Index>(divisor, static_cast<Index>(multiple - 1));
    }
    expect_division<Index>(1, most);
    expect_division<Index>(most, most);
    expect_division<Index>(most, most - 1);
}

TEST(Divider, DividesExactlyBelowHalfOfItsRange) {
    check_divisions<std::uint32_t>(1);
    check_divisions<std::uint64_t>(2);
}

}  // namespace
}  // namespace devview::cuda
