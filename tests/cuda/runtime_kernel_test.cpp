// Kernel launches of the table: the right bytes, checked bounds, devices and arguments.
#include <cstring>
#include <limits>
#include <string>

#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

/// Rows of `unit` bytes, `rows` of them; strides in bytes.
CopyPlan rows_plan(std::int64_t rows, std::int64_t unit, std::int64_t dst_stride,
                   std::int64_t src_stride) {
    CopyPlan plan{};
    plan.ndim = 1;
    plan.unit = unit;
    plan.count = rows;
    plan.extents[0] = rows;
    plan.dst_strides[0] = dst_stride;
    plan.src_strides[0] = src_stride;
    return plan;
}

class RuntimeKernel : public EmulatorTest {
protected:
    RuntimeKernel() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        return options;
    }
    void SetUp() override {
        EmulatorTest::SetUp();
        bytes_ = numbered(1000);
        source_ = device(1000);
        target_ = device(1000);
        EXPECT_EQ(r->MemcpyAsync(source_, bytes_.data(), 1000, cudaMemcpyHostToDevice, nullptr),
                  cudaSuccess);
        EXPECT_EQ(r->MemsetAsync(target_, 0, 1000, nullptr), cudaSuccess);
        EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
    }
    void TearDown() override {
        filler().clear_sticky();
        EXPECT_EQ(r->SetDevice(0), cudaSuccess);
        EXPECT_EQ(r->Free(source_), cudaSuccess);
        EXPECT_EQ(r->Free(target_), cudaSuccess);
        EmulatorTest::TearDown();
    }
    /// A launch that was accepted and must fail when it runs; the emulator says why.
    void expect_illegal(cudaError_t accepted, const char* words) {
        // "May also return error codes from previous, asynchronous launches": it may have run.
        EXPECT_TRUE(accepted == cudaSuccess ||
                    (accepted == cudaErrorIllegalAddress && !filler().has(Feature::restart)));
        EXPECT_EQ(r->DeviceSynchronize(), cudaErrorIllegalAddress);
        expect_said(emulation::failure(0), words);
        filler().clear_sticky();
    }

    Bytes bytes_{};
    unsigned char* source_ = nullptr;
    unsigned char* target_ = nullptr;
};

TEST_F(RuntimeKernel, PacksARunOfUnits) {
    const CopyPlan plan = rows_plan(10, 4, 4, 100);
    DV_OK(r->kernels.pack(plan, target_, source_, 3, 5, nullptr));
    const Bytes seen = content(target_, 24);
    for (std::size_t i = 0; i < 24; ++i) {
        ASSERT_EQ(seen[i], i < 20 ? bytes_[(3 + i / 4) * 100 + i % 4] : 0) << i;
    }
}

TEST_F(RuntimeKernel, UnpacksARunOfUnits) {
    const CopyPlan plan = rows_plan(10, 4, 100, 4);
    DV_OK(r->kernels.unpack(plan, target_, source_, 8, 2, nullptr));
    const Bytes seen = content(target_, 1000);
    for (std::size_t i = 0; i < 1000; ++i) {
        const bool touched = i >= 800 && i % 100 < 4;
        ASSERT_EQ(seen[i], touched ? bytes_[(i / 100 - 8) * 4 + i % 100] : 0) << i;
    }
}

TEST_F(RuntimeKernel, CopiesWithShiftsAndNegativeStrides) {
    CopyPlan plan = rows_plan(5, 2, 10, -20);
    plan.dst_shift = 1;
    plan.src_shift = 80;
    DV_OK(r->kernels.copy(plan, target_, source_, nullptr));
    const Bytes seen = content(target_, 60);
    for (std::size_t row = 0; row < 5; ++row) {
        ASSERT_EQ(seen[1 + row * 10], bytes_[80 - row * 20]) << row;
        ASSERT_EQ(seen[2 + row * 10], bytes_[81 - row * 20]) << row;
        ASSERT_EQ(seen[row * 10], 0);
    }
}

TEST_F(RuntimeKernel, FillsEveryUnit) {
    FillItem item{};
    item.nbytes = 3;
    for (int i = 0; i < 3; ++i)
        item.bytes[i] = static_cast<unsigned char>(i + 1);
    const CopyPlan plan = rows_plan(4, 3, 5, 0);
    DV_OK(r->kernels.fill(plan, target_, item, nullptr));
    const Bytes seen = content(target_, 20);
    for (std::size_t i = 0; i < 20; ++i)
        ASSERT_EQ(seen[i], i % 5 < 3 ? i % 5 + 1 : 0) << i;
}

NumberType type_of(const char* spec) { return number_type(*Format(spec).node()); }

TEST_F(RuntimeKernel, CastsItemsOfTheirOwnSizes) {
    const CopyPlan plan = rows_plan(4, 1, 16, 3);
    DV_OK(r->kernels.cast(plan, target_, type_of("Zd"), source_, type_of("B"), nullptr));
    const Bytes seen = content(target_, 64);
    for (std::size_t k = 0; k < 4; ++k) {
        double parts[2];
        std::memcpy(parts, seen.data() + 16 * k, sizeof parts);
        EXPECT_EQ(parts[0], bytes_[3 * k]);
        EXPECT_EQ(parts[1], 0);
    }
}

TEST_F(RuntimeKernel, ACastReachesAsFarAsItsItems) {
    testing::internal::CaptureStderr();
    const CopyPlan plan = rows_plan(10, 1, 8, 100);
    const NumberType byte = type_of("B"), wide = type_of("d"), complex = type_of("Zd");
    DV_OK(r->kernels.cast(plan, target_ + 920, wide, source_ + 99, byte, nullptr));
    DV_OK(r->DeviceSynchronize());
    expect_illegal(r->kernels.cast(plan, target_ + 921, wide, source_, byte, nullptr), "writes");
    expect_illegal(r->kernels.cast(plan, target_, byte, source_ + 85, complex, nullptr), "reads");
    testing::internal::GetCapturedStderr();
}

TEST_F(RuntimeKernel, ACastOfWhatItDoesNotKnowIsRefused) {
    filler().need(Feature::restart);  // a check of the emulator's: devview makes no such plan
    const CopyPlan plan = rows_plan(2, 1, 16, 16);
    for (const char* spec : {"g", "Zg", "4s", "P"}) {
        EXPECT_EQ(r->kernels.cast(plan, target_, type_of("d"), source_, type_of(spec), nullptr),
                  cudaErrorInvalidValue);
        EXPECT_EQ(r->kernels.cast(plan, target_, type_of(spec), source_, type_of("d"), nullptr),
                  cudaErrorInvalidValue);
    }
    EXPECT_EQ(r->kernels.cast(plan, nullptr, type_of("d"), source_, type_of("f"), nullptr),
              cudaErrorInvalidValue);
}

TEST_F(RuntimeKernel, SwapsTheBytesOfParts) {
    const CopyPlan plan = rows_plan(4, 4, 5, 7);
    DV_OK(r->kernels.byteswap(plan, target_, source_, 2, nullptr));
    const Bytes seen = content(target_, 20);
    for (std::size_t i = 0; i < 20; ++i)
        ASSERT_EQ(seen[i], i % 5 < 4 ? bytes_[i / 5 * 7 + ((i % 5) ^ 1)] : 0) << i;
    if (!filler().has(Feature::restart)) return;  // checks of the emulator's
    for (const unsigned part : {0u, 1u, 3u, 8u, 32u}) {
        EXPECT_EQ(r->kernels.byteswap(plan, target_, source_, part, nullptr),
                  cudaErrorInvalidValue);
    }
    EXPECT_EQ(r->kernels.byteswap(plan, target_, nullptr, 2, nullptr), cudaErrorInvalidValue);
}

TEST_F(RuntimeKernel, ComparesAndSetsAFlag) {
    const NumberType bytes = type_of("4s"), byte = type_of("B"), wide = type_of("d");
    DV_OK(r->MemcpyAsync(target_, source_, 900, cudaMemcpyDeviceToDevice, nullptr));
    DV_OK(r->MemsetAsync(target_ + 900, 0, 100, nullptr));
    auto* const flag = reinterpret_cast<std::uint32_t*>(target_ + 960);
    const CopyPlan plan = rows_plan(9, 100, 100, 100);
    DV_OK(r->kernels.compare(plan, source_, bytes, target_, bytes, flag, nullptr));
    EXPECT_EQ(content(target_ + 960, 4), Bytes(4, 0));
    DV_OK(r->kernels.compare(plan, source_, bytes, target_ + 1, bytes, flag, nullptr));
    EXPECT_EQ(content(target_ + 960, 4), (Bytes{1, 0, 0, 0}));
    DV_OK(r->kernels.compare(plan, source_, bytes, target_, bytes, flag, nullptr));
    EXPECT_EQ(content(target_ + 960, 4), (Bytes{1, 0, 0, 0})) << "only the caller clears it";
    if (!filler().has(Feature::restart)) return;  // checks of the emulator's
    EXPECT_EQ(r->kernels.compare(plan, source_, bytes, target_, byte, flag, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->kernels.compare(plan, source_, wide, target_, type_of("g"), flag, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->kernels.compare(plan, source_, bytes, target_, bytes, nullptr, nullptr),
              cudaErrorInvalidValue);
}

TEST_F(RuntimeKernel, AComparisonReachesAsFarAsItsItems) {
    testing::internal::CaptureStderr();
    const NumberType byte = type_of("B"), wide = type_of("d");
    auto* const flag = reinterpret_cast<std::uint32_t*>(target_ + 992);
    const CopyPlan plan = rows_plan(10, 1, 1, 100);
    const auto compare = [&](const unsigned char* a, const unsigned char* b, std::uint32_t* to) {
        return r->kernels.compare(plan, a, byte, b, wide, to, nullptr);
    };
    DV_OK(compare(source_ + 990, source_ + 92, flag));
    DV_OK(r->DeviceSynchronize());
    expect_illegal(compare(source_ + 991, source_, flag), "reads");
    expect_illegal(compare(source_, source_ + 93, flag), "reads");
    expect_illegal(compare(source_, source_, reinterpret_cast<std::uint32_t*>(target_ + 1000)),
                   "writes");
    testing::internal::GetCapturedStderr();
}

TEST_F(RuntimeKernel, EveryByteOfThePlanMustBeInTheBlock) {
    testing::internal::CaptureStderr();
    const CopyPlan fits = rows_plan(10, 10, 10, 110);
    EXPECT_EQ(r->kernels.pack(fits, target_, source_, 0, 10, nullptr), cudaSuccess);
    EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
    const CopyPlan too_far = rows_plan(10, 11, 11, 110);
    expect_illegal(r->kernels.pack(too_far, target_, source_, 0, 10, nullptr), "reads 1001");
    const CopyPlan before = rows_plan(2, 8, 8, -8);
    expect_illegal(r->kernels.copy(before, target_, source_, nullptr), "in no block");
    const CopyPlan dense = rows_plan(10, 10, 10, 10);
    expect_illegal(r->kernels.pack(dense, target_ + 901, source_, 0, 10, nullptr), "writes");
    DV_OK(r->kernels.pack(dense, target_ + 901, source_, 0, 9, nullptr));
    EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
    testing::internal::GetCapturedStderr();
}

TEST_F(RuntimeKernel, PageableMemoryIsIllegalPinnedAndManagedAreNot) {
    const CopyPlan plan = rows_plan(10, 10, 10, 10);
    auto* host = pinned(100);
    void* managed = nullptr;
    DV_OK(r->MallocManaged(&managed, 100, cudaMemAttachGlobal));
    DV_OK(r->kernels.copy(plan, host, source_, nullptr));
    DV_OK(r->kernels.copy(plan, managed, host, nullptr));
    DV_OK(r->StreamSynchronize(nullptr));
    EXPECT_EQ(std::memcmp(managed, bytes_.data(), 100), 0);
    Bytes local(100);
    testing::internal::CaptureStderr();
    expect_illegal(r->kernels.copy(plan, local.data(), source_, nullptr), "pageable");
    testing::internal::GetCapturedStderr();
    DV_OK(r->Free(managed));
    DV_OK(r->FreeHost(host));
}

TEST_F(RuntimeKernel, AnotherDevicesMemoryNeedsPeerAccess) {
    const CopyPlan plan = rows_plan(10, 10, 10, 10);
    DV_OK(r->SetDevice(1));
    auto* far = device(100);
    DV_OK(r->SetDevice(0));
    // Of a machine that is not new, another test may have enabled it already.
    if (filler().has(Feature::restart) || !filler().has(Feature::peers)) {
        const Reports said;
        expect_illegal(r->kernels.copy(plan, far, source_, nullptr), "no peer access");
    }
    if (filler().has(Feature::peers)) {
        const cudaError_t enabled = r->DeviceEnablePeerAccess(1, 0);
        EXPECT_TRUE(enabled == cudaSuccess || !filler().has(Feature::restart));
        DV_OK(r->kernels.copy(plan, far, source_, nullptr));
        EXPECT_EQ(content(far, 100), Bytes(bytes_.begin(), bytes_.begin() + 100));
    }
    DV_OK(r->Free(far));
}

TEST_F(RuntimeKernel, SenselessArgumentsAreRefused) {
    filler().need(Feature::restart);  // a check of the emulator's: devview makes no such plan
    const CopyPlan good = rows_plan(10, 10, 10, 10);
    const auto pack = [&](const CopyPlan& plan, std::int64_t first, std::int64_t units) {
        return r->kernels.pack(plan, target_, source_, first, units, nullptr);
    };
    EXPECT_EQ(pack(good, -1, 1), cudaErrorInvalidValue);
    EXPECT_EQ(pack(good, 0, 11), cudaErrorInvalidValue);
    EXPECT_EQ(pack(good, 10, 1), cudaErrorInvalidValue);
    EXPECT_EQ(pack(good, 1, std::numeric_limits<std::int64_t>::max()), cudaErrorInvalidValue);
    CopyPlan bad = good;
    bad.count = 11;
    EXPECT_EQ(pack(bad, 0, 1), cudaErrorInvalidValue);
    bad = good;
    bad.ndim = kMaxNdim + 1;
    EXPECT_EQ(pack(bad, 0, 1), cudaErrorInvalidValue);
    bad = good;
    bad.unit = 0;
    EXPECT_EQ(pack(bad, 0, 1), cudaErrorInvalidValue);
    bad = good;
    bad.src_strides[0] = std::numeric_limits<std::int64_t>::max() / 2;
    EXPECT_EQ(pack(bad, 0, 1), cudaErrorInvalidValue);
    EXPECT_EQ(r->kernels.copy(good, nullptr, source_, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(r->kernels.unpack(good, target_, nullptr, 0, 1, nullptr), cudaErrorInvalidValue);
    FillItem item{};
    item.nbytes = 9;
    EXPECT_EQ(r->kernels.fill(good, target_, item, nullptr), cudaErrorInvalidValue);
    item.nbytes = static_cast<int>(good.unit);
    EXPECT_EQ(r->kernels.fill(good, nullptr, item, nullptr), cudaErrorInvalidValue);
    DV_OK(pack(good, 10, 0));
    DV_OK(pack(CopyPlan{0, 1, 0, 0, 0, {}, {}, {}}, 0, 0));
    EXPECT_EQ(content(target_, 1000), Bytes(1000, 0));
}

TEST_F(RuntimeKernel, TheStreamsDeviceMustBeCurrent) {
    const CopyPlan plan = rows_plan(10, 10, 10, 10);
    const cudaStream_t on = stream();
    DV_OK(r->SetDevice(1));
    EXPECT_EQ(r->kernels.copy(plan, target_, source_, on), cudaErrorInvalidResourceHandle);
    DV_OK(r->SetDevice(0));
    DV_OK(r->kernels.copy(plan, target_, source_, on));
    DV_OK(r->StreamDestroy(on));
    EXPECT_EQ(r->kernels.copy(plan, target_, source_, on), cudaErrorInvalidResourceHandle);
    DV_OK(r->DeviceSynchronize());
}

TEST_F(RuntimeKernel, LaunchesAreLoggedAndCanFail) {
    const CopyPlan plan = rows_plan(10, 10, 10, 10);
    filler().clear_calls();
    DV_OK(r->kernels.copy(plan, target_, source_, nullptr));
    EXPECT_EQ(filler().count("cudaLaunchKernel"), 1u);
    filler().fail("cudaLaunchKernel", 1, cudaErrorLaunchOutOfResources);
    EXPECT_EQ(r->kernels.copy(plan, target_, source_, nullptr), cudaErrorLaunchOutOfResources);
    DV_OK(r->DeviceSynchronize());
    filler().fail("kernel", 1, cudaErrorLaunchFailure);
    testing::internal::CaptureStderr();
    const cudaError_t launched = r->kernels.copy(plan, target_, source_, nullptr);
    EXPECT_TRUE(launched == cudaSuccess ||
                (launched == cudaErrorLaunchFailure && !filler().has(Feature::restart)));
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorLaunchFailure);
    testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace devview::cuda
