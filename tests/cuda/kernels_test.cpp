// The strided kernels on host memory against item-by-item copies.
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "cuda/cast_cases.hpp"
#include "cuda/kernel_cases.hpp"
#include "kernels/functors.hpp"
#include "kernels/host_kernels.hpp"

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
