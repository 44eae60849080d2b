// Injected faults, failed devices, the call log and the ledger.
#include <functional>
#include <string>
#include <thread>

#include "cuda/emulator_fixture.hpp"
#include "devview/error.hpp"

namespace devview::cuda {
namespace {

class RuntimeFault : public EmulatorTest {
protected:
    RuntimeFault() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        return options;
    }

    static constexpr const char* kAll[] = {
#define DEVVIEW_CUDA_NAME(name, parameters) "cuda" #name,
        DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_NAME)
#undef DEVVIEW_CUDA_NAME
    };

    /// Upload, fill, download; every object it makes it drops on every path.
    cudaError_t round_trip() {
        std::vector<std::function<void()>> drops;
        const cudaError_t status = steps(drops);
        for (auto drop = drops.rbegin(); drop != drops.rend(); ++drop)
            (*drop)();
        return status;
    }

private:
    cudaError_t steps(std::vector<std::function<void()>>& drops) {
        cudaStream_t on = nullptr;
        cudaEvent_t done = nullptr;
        void* host = nullptr;
        void* block = nullptr;
        if (const auto e = r->StreamCreateWithFlags(&on, cudaStreamNonBlocking)) return e;
        drops.push_back([this, on] { until_success([&] { return r->StreamDestroy(on); }); });
        if (const auto e = r->EventCreateWithFlags(&done, 0)) return e;
        drops.push_back([this, done] { until_success([&] { return r->EventDestroy(done); }); });
        if (const auto e = r->HostAlloc(&host, 256, 0)) return e;
        drops.push_back([this, host] { until_success([&] { return r->FreeHost(host); }); });
        if (const auto e = r->MallocAsync(&block, 256, on)) return e;
        drops.push_back([this, block, on] {
            until_success([&] { return r->FreeAsync(block, on); });
            until_success([&] { return r->StreamSynchronize(on); });
        });
        if (const auto e = r->MemcpyAsync(block, host, 256, cudaMemcpyDefault, on)) return e;
        if (const auto e = r->MemsetAsync(block, 1, 10, on)) return e;
        if (const auto e = r->EventRecord(done, on)) return e;
        return r->EventSynchronize(done);
    }
    static void until_success(const std::function<cudaError_t()>& call) {
        for (int i = 0; i < 3 && call() != cudaSuccess; ++i)
            continue;
    }
};

TEST_F(RuntimeFault, EveryCallCanBeMadeToFailAtTheNthTime) {
    const cudaError_t codes[] = {cudaErrorMemoryAllocation, cudaErrorUnknown};
    for (const char* name : kAll) {
        for (const cudaError_t code : codes) {
            for (int nth = 1;; ++nth) {
                filler().clear_calls();
                filler().fail(name, nth, code);
                const cudaError_t status = round_trip();
                const bool reached = filler().count(name) >= static_cast<std::size_t>(nth);
                filler().clear_faults();
                EXPECT_TRUE(status == cudaSuccess || (reached && status == code)) << name << nth;
                expect_nothing_alive();
                DV_OK(round_trip());
                if (!reached) break;
                ASSERT_LT(nth, 10) << name;
            }
        }
    }
}

TEST_F(RuntimeFault, AFaultReturnsItsErrorOnceAndDoesNothing) {
    filler().fail("cudaMalloc", 2, cudaErrorMemoryAllocation);
    auto* first = device(10);
    void* out = this;
    EXPECT_EQ(r->Malloc(&out, 10), cudaErrorMemoryAllocation);
    EXPECT_EQ(out, this);
    EXPECT_EQ(r->GetLastError(), cudaErrorMemoryAllocation);
    expect_alive(&emulation::Objects::device_blocks, 1u);
    DV_OK(r->Malloc(&out, 10));
    DV_OK(r->Free(out));
    DV_OK(r->Free(first));
    filler().fail("cudaMalloc", 1, cudaErrorUnknown);
    filler().clear_faults();
    DV_OK(r->Free(device(1)));
}

TEST_F(RuntimeFault, SeveralFaultsOfOneNameCountApart) {
    filler().fail("cudaGetDevice", 1, cudaErrorUnknown);
    filler().fail("cudaGetDevice", 3, cudaErrorNoDevice);
    int device = 0;
    EXPECT_EQ(r->GetDevice(&device), cudaErrorUnknown);
    EXPECT_EQ(r->GetDevice(&device), cudaSuccess);
    EXPECT_EQ(r->GetDevice(&device), cudaErrorNoDevice);
    EXPECT_EQ(r->GetDevice(&device), cudaSuccess);
}

TEST_F(RuntimeFault, UnknownNamesAndSenselessFaultsAreRefused) {
    EXPECT_THROW(filler().fail("cudaMallok", 1, 2), NameError);
    EXPECT_THROW(filler().fail("Malloc", 1, 2), NameError);
    EXPECT_THROW((void)filler().count(""), NameError);
    EXPECT_THROW(filler().fail("cudaMalloc", 0, 2), LayoutError);
    EXPECT_THROW(filler().fail("cudaMalloc", 1, 0), LayoutError);
}

TEST_F(RuntimeFault, AnOperationFailsAsynchronouslyAndForGood) {
    auto* block = device(64);
    auto* host = pinned(64);
    filler().fail("copy", 2, cudaErrorIllegalAddress);
    DV_OK(r->MemcpyAsync(block, host, 64, cudaMemcpyDefault, nullptr));
    DV_OK(r->StreamSynchronize(nullptr));
    testing::internal::CaptureStderr();
    DV_OK(r->MemcpyAsync(block, host, 64, cudaMemcpyDefault, nullptr));
    EXPECT_EQ(r->StreamSynchronize(nullptr), cudaErrorIllegalAddress);
    expect_said(testing::internal::GetCapturedStderr(), "cuda:0: cudaMemcpyAsync");
    expect_said(emulation::failure(0), "cudaMemcpyAsync");

    void* out = nullptr;
    EXPECT_EQ(r->Malloc(&out, 8), cudaErrorIllegalAddress);
    EXPECT_EQ(r->MemsetAsync(block, 0, 64, nullptr), cudaErrorIllegalAddress);
    EXPECT_EQ(r->GetLastError(), cudaErrorIllegalAddress);
    EXPECT_EQ(r->GetLastError(), cudaErrorIllegalAddress);
    int count = 0;
    DV_OK(r->GetDeviceCount(&count));

    DV_OK(r->SetDevice(1));
    DV_OK(r->Free(device(8)));
    DV_OK(r->GetLastError());
    DV_OK(r->SetDevice(0));

    filler().clear_sticky();
    EXPECT_EQ(emulation::failure(0), "");
    DV_OK(r->MemsetAsync(block, 0, 64, nullptr));
    DV_OK(r->Free(block));
    DV_OK(r->FreeHost(host));
}

TEST_F(RuntimeFault, AFailedDeviceStillTakesItsObjectsBack) {
    const cudaStream_t on = stream();
    const cudaEvent_t e = event();
    auto* block = device(8);
    auto* pooled = device_async(8, on);
    auto* host = pinned(8);
    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    cudaMemPool_t pool = nullptr;
    DV_OK(r->MemPoolCreate(&pool, &props));
    testing::internal::CaptureStderr();
    filler().fail("memset", 1, cudaErrorIllegalAddress);
    DV_OK(r->MemsetAsync(block, 0, 8, on));
    EXPECT_EQ(r->StreamSynchronize(on), cudaErrorIllegalAddress);
    EXPECT_EQ(r->FreeAsync(pooled, on), cudaErrorIllegalAddress);
    EXPECT_EQ(r->Free(block), cudaErrorIllegalAddress);
    EXPECT_EQ(r->FreeHost(host), cudaErrorIllegalAddress);
    EXPECT_EQ(r->EventDestroy(e), cudaErrorIllegalAddress);
    EXPECT_EQ(r->MemPoolDestroy(pool), cudaErrorIllegalAddress);
    EXPECT_EQ(r->StreamDestroy(on), cudaErrorIllegalAddress);
    testing::internal::GetCapturedStderr();
}

TEST_F(RuntimeFault, OnlyTheFirstFailureIsKept) {
    auto* block = device(8);
    testing::internal::CaptureStderr();
    filler().fail("memset", 1, cudaErrorLaunchFailure);
    filler().fail("copy", 1, cudaErrorIllegalAddress);
    DV_OK(r->MemsetAsync(block, 0, 8, nullptr));
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorLaunchFailure);
    EXPECT_EQ(r->MemcpyAsync(block, block, 4, cudaMemcpyDefault, nullptr), cudaErrorLaunchFailure);
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorLaunchFailure);
    testing::internal::GetCapturedStderr();
    expect_said(emulation::failure(0), "cudaMemsetAsync");
    filler().clear_sticky();
    filler().clear_faults();
    DV_OK(r->Free(block));
}

TEST_F(RuntimeFault, HostFunctionsDoNotRunOnAFailedDevice) {
    auto* block = device(8);
    int runs = 0;
    const auto count = [](void* context) { ++*static_cast<int*>(context); };
    Gate gate;
    DV_OK(r->LaunchHostFunc(nullptr, Gate::wait, gate.key()));
    filler().fail("memset", 1, cudaErrorIllegalAddress);
    DV_OK(r->MemsetAsync(block, 0, 8, nullptr));
    DV_OK(r->LaunchHostFunc(nullptr, count, &runs));
    testing::internal::CaptureStderr();
    gate.open();
    EXPECT_EQ(r->StreamSynchronize(nullptr), cudaErrorIllegalAddress);
    testing::internal::GetCapturedStderr();
    EXPECT_EQ(runs, 0);
    filler().clear_sticky();
    DV_OK(r->Free(block));
}

TEST_F(RuntimeFault, TheLogHasEveryCallInOrder) {
    filler().clear_calls();
    void* out = nullptr;
    DV_OK(r->Malloc(&out, 8));
    DV_OK(r->MemsetAsync(out, 0, 8, nullptr));
    DV_OK(r->Free(out));
    EXPECT_EQ(r->SetDevice(77), cudaErrorInvalidDevice);
    const std::vector<std::string> wanted = {"cudaMalloc", "cudaMemsetAsync", "cudaFree",
                                             "cudaSetDevice"};
    EXPECT_EQ(filler().calls(), wanted);
    EXPECT_EQ(filler().count("cudaMalloc"), 1u);
    EXPECT_EQ(filler().count("cudaHostAlloc"), 0u);
    EXPECT_EQ(filler().count("memset"), 1u);
    filler().clear_calls();
    EXPECT_TRUE(filler().calls().empty());
    EXPECT_EQ(filler().count("cudaMalloc"), 0u);
}

TEST_F(RuntimeFault, TheLedgerCountsEveryKind) {
    const cudaStream_t on = stream();
    const cudaEvent_t e = event();
    auto* block = device(100);
    auto* host = pinned(200);
    void* managed = nullptr;
    DV_OK(r->MallocManaged(&managed, 300, cudaMemAttachGlobal));
    const emulation::Objects now = filler().objects();
    EXPECT_EQ(now.device_blocks, 1u);
    EXPECT_EQ(now.device_bytes, 100u);
    EXPECT_EQ(now.pinned_blocks, 1u);
    EXPECT_EQ(now.pinned_bytes, 200u);
    EXPECT_EQ(now.managed_blocks, 1u);
    EXPECT_EQ(now.managed_bytes, 300u);
    EXPECT_EQ(now.streams, 1u);
    EXPECT_EQ(now.events, 1u);
    EXPECT_TRUE(emulation::busy());
    DV_OK(r->Free(managed));
    DV_OK(r->FreeHost(host));
    DV_OK(r->Free(block));
    DV_OK(r->EventDestroy(e));
    EXPECT_TRUE(emulation::busy());
    DV_OK(r->StreamDestroy(on));
    EXPECT_FALSE(emulation::busy());
}

}  // namespace
}  // namespace devview::cuda
