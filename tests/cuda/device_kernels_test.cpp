// The table's kernels on device memory, against item-by-item copies on the host.
#include <stdexcept>
#include <string>

#include "cuda/cast_cases.hpp"
#include "cuda/compare_cases.hpp"
#include "cuda/emulator_fixture.hpp"
#include "cuda/kernel_cases.hpp"
#ifdef DEVVIEW_HAS_CUDA
#include "kernels/device_kernels.hpp"
#endif

namespace devview::cuda {
namespace {

void require(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw std::runtime_error(std::string(what) + ": " + runtime().GetErrorName(status));
}

/// A block of host memory's copy on the device, at the same offset from 256 byte alignment.
class DeviceBlock {
public:
    DeviceBlock(test::Place place, cudaStream_t stream) : place_(place), stream_(stream) {
        require(runtime().MallocAsync(&data_, size() + kAlignment, stream), "cudaMallocAsync");
        require(
            runtime().MemcpyAsync(start(), place.block->data(), size(), cudaMemcpyDefault, stream),
            "to the device");
    }
    DeviceBlock(const DeviceBlock&) = delete;
    DeviceBlock& operator=(const DeviceBlock&) = delete;
    ~DeviceBlock() { runtime().FreeAsync(data_, stream_); }

    unsigned char* view() const { return start() + place_.at; }
    void fetch() const {
        require(runtime().MemcpyAsync(place_.block->data(), start(), size(), cudaMemcpyDefault,
                                      stream_),
                "from the device");
        require(runtime().StreamSynchronize(stream_), "cudaStreamSynchronize");
    }

private:
    static constexpr std::size_t kAlignment = 256;

    std::size_t size() const { return place_.block->size(); }
    unsigned char* start() const {
        const auto offset = reinterpret_cast<std::uintptr_t>(place_.block->data()) % kAlignment;
        return static_cast<unsigned char*>(data_) + offset;
    }

    test::Place place_;
    cudaStream_t stream_;
    void* data_ = nullptr;
};

class TableKernels final : public test::Kernels {
public:
    explicit TableKernels(cudaStream_t stream) : stream_(stream) {}

    void pack(const CopyPlan& plan, test::Place dst, test::Place src, std::int64_t first,
              std::int64_t units) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        require(table_.pack(plan, to.view(), from.view(), first, units, stream_), "pack");
        to.fetch();
    }
    void unpack(const CopyPlan& plan, test::Place dst, test::Place src, std::int64_t first,
                std::int64_t units) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        require(table_.unpack(plan, to.view(), from.view(), first, units, stream_), "unpack");
        to.fetch();
    }
    void copy(const CopyPlan& plan, test::Place dst, test::Place src) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        require(table_.copy(plan, to.view(), from.view(), stream_), "copy");
        to.fetch();
    }
    void fill(const CopyPlan& plan, test::Place dst, const FillItem& item) override {
        const DeviceBlock to(dst, stream_);
        require(table_.fill(plan, to.view(), item, stream_), "fill");
        to.fetch();
    }
    void cast(const CopyPlan& plan, test::Place dst, const NumberType& to_type, test::Place src,
              const NumberType& from_type) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        require(table_.cast(plan, to.view(), to_type, from.view(), from_type, stream_), "cast");
        to.fetch();
    }
    void byteswap(const CopyPlan& plan, test::Place dst, test::Place src, unsigned part) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        require(table_.byteswap(plan, to.view(), from.view(), part, stream_), "byteswap");
        to.fetch();
    }
    bool compare(const CopyPlan& plan, test::Place a, const NumberType& a_type, test::Place b,
                 const NumberType& b_type) override {
        test::Bytes flag(sizeof(std::uint32_t));
        const DeviceBlock left(a, stream_), right(b, stream_), answer({&flag, 0}, stream_);
        require(table_.compare(plan, left.view(), a_type, right.view(), b_type,
                               reinterpret_cast<std::uint32_t*>(answer.view()), stream_),
                "compare");
        answer.fetch();
        return flag != test::Bytes(sizeof(std::uint32_t));
    }

private:
    cudaStream_t stream_;
    const KernelTable& table_ = runtime().kernels;
};

/// Each test on a stream of its own and, fewer cases, on the legacy stream.
class DeviceKernels : public EmulatorTest {
protected:
    void SetUp() override {
        EmulatorTest::SetUp();
        own_ = stream();
    }
    void TearDown() override {
        EXPECT_EQ(r->StreamDestroy(own_), cudaSuccess);
        EmulatorTest::TearDown();
    }

    cudaStream_t own_ = nullptr;
};

TEST_F(DeviceKernels, MoveRandomLayoutsOfEverySmallItem) {
    TableKernels kernels(own_);
    for (unsigned itemsize = 1; itemsize <= 32; ++itemsize) {
        SCOPED_TRACE(itemsize);
        EXPECT_NO_THROW(test::check_random(kernels, itemsize, itemsize, 8, 800));
    }
}

TEST_F(DeviceKernels, MoveRandomLayoutsOfLargeItems) {
    TableKernels kernels(own_);
    for (const std::int64_t itemsize : test::kOddItemsizes) {
        SCOPED_TRACE(itemsize);
        const auto seed = static_cast<unsigned>(itemsize);
        EXPECT_NO_THROW(test::check_random(kernels, seed, itemsize, 4, 20000));
    }
}

TEST_F(DeviceKernels, RunOnTheLegacyStreamToo) {
    TableKernels kernels(nullptr);
    for (const std::int64_t itemsize : {1, 3, 4, 8, 16, 100}) {
        SCOPED_TRACE(itemsize);
        EXPECT_NO_THROW(test::check_random(kernels, 7, itemsize, 2, 800));
    }
}

TEST_F(DeviceKernels, TakeUpToSixtyFourAxes) {
    TableKernels kernels(own_);
    for (const std::int64_t unit : {1, 2, 4, 8, 16, 48, 7}) {
        SCOPED_TRACE(unit);
        for (const int ndim : {7, 8, kMaxNdim})
            EXPECT_NO_THROW(test::check_deep(kernels, ndim, unit)) << ndim << " axes";
    }
    EXPECT_NO_THROW(test::check_deep_cast(kernels, kMaxNdim));
    EXPECT_NO_THROW(test::check_deep_byteswap(kernels, kMaxNdim));
    EXPECT_NO_THROW(test::check_deep_compare(kernels, kMaxNdim));
}

TEST_F(DeviceKernels, PackFarPastThirtyTwoBits) {
    TableKernels kernels(own_);
    for (const std::int64_t unit : {1, 2, 4, 8, 16, 48, 7}) {
        SCOPED_TRACE(unit);
        EXPECT_NO_THROW(test::check_far(kernels, static_cast<unsigned>(unit), unit));
    }
}

TEST_F(DeviceKernels, CastEveryPairOfNumbers) {
    TableKernels kernels(own_);
    EXPECT_NO_THROW(test::check_casts(kernels, 2, 1, 60));
}

/// What has kernels of its own: tiles, wide rows, pairs of types, swaps and comparisons.
void check_special(test::Kernels& kernels, int scale) {
    test::check_crossings(kernels, 1, scale);
    test::check_rows_fills(kernels, 1);
    test::check_byteswaps(kernels, 1, 4 * scale, 100);
    test::check_row_casts(kernels, 1);
    test::check_compared_bytes(kernels, 1, 4 * scale);
}

TEST_F(DeviceKernels, TransposeFillSwapAndCompare) {
    TableKernels kernels(own_), on_legacy(nullptr);
    EXPECT_NO_THROW(check_special(kernels, 2));
    EXPECT_NO_THROW(check_special(on_legacy, 1));
}

TEST_F(DeviceKernels, CompareEveryPairOfNumbers) {
    TableKernels kernels(own_);
    EXPECT_NO_THROW(test::check_compares(kernels, 3, 1, 60));
}

#ifdef DEVVIEW_HAS_CUDA
class FewBlocks {
public:
    explicit FewBlocks(unsigned blocks) { kernels::limit_grid(blocks); }
    FewBlocks(const FewBlocks&) = delete;
    FewBlocks& operator=(const FewBlocks&) = delete;
    ~FewBlocks() { kernels::limit_grid(1u << 16); }
};

TEST_F(DeviceKernels, FewBlocksStrideOverAllPositionsAndTiles) {
    TableKernels kernels(own_);
    const FewBlocks blocks(2);
    std::mt19937 random(5);
    for (const std::int64_t itemsize : {1, 4, 16}) {
        SCOPED_TRACE(itemsize);
        EXPECT_NO_THROW(test::check_copy(kernels, random, {3, 1100, 2}, itemsize));
        EXPECT_NO_THROW(test::check_fill(kernels, random, {1100, 2}, itemsize));
        EXPECT_NO_THROW(test::check_crossing(kernels, random, {72, 72, 2, itemsize}));
    }
    EXPECT_NO_THROW(test::check_cast(kernels, random, {40, 30}, Format("d"), Format("h")));
    EXPECT_NO_THROW(test::check_compare_of(kernels, random, {40, 30}, Format("d"), Format("h")));
    EXPECT_NO_THROW(test::check_compare_of(kernels, random, {40, 30}, Format("i"), Format("i")));
}
#endif

TEST_F(DeviceKernels, LeaveAnothersErrorInTheSlot) {
    ASSERT_NE(r->SetDevice(1000), cudaSuccess);
    const cudaError_t foreign = r->PeekAtLastError();
    ASSERT_NE(foreign, cudaSuccess);
    TableKernels kernels(own_);
    for (const std::int64_t itemsize : {1, 4, 12, 48})
        EXPECT_NO_THROW(test::check_random(kernels, 5, itemsize, 2, 400)) << itemsize;
    EXPECT_EQ(r->GetLastError(), foreign);
    EXPECT_EQ(r->GetLastError(), cudaSuccess);
}

TEST_F(DeviceKernels, NoUnitsAreNoLaunch) {
    CopyPlan plan{};
    plan.ndim = 1;
    plan.unit = 1;
    plan.count = plan.extents[0] = 16;
    filler().clear_calls();
    DV_OK(r->kernels.pack(plan, nullptr, nullptr, 5, 0, own_));
    DV_OK(r->StreamSynchronize(own_));
}

#ifdef DEVVIEW_HAS_CUDA
TEST_F(DeviceKernels, ARefusedLaunchLeavesNoTraceInTheSlot) {
    if (r->emulated) skip("a launch of the real runtime");
    CopyPlan plan{};
    plan.ndim = 1;
    plan.unit = 1;
    plan.count = plan.extents[0] = 16;
    const FewBlocks none(0);  // such a launch is refused
    EXPECT_NE(r->kernels.pack(plan, nullptr, nullptr, 0, plan.count, own_), cudaSuccess);
    EXPECT_EQ(r->GetLastError(), cudaSuccess);
}
#endif

}  // namespace
}  // namespace devview::cuda
