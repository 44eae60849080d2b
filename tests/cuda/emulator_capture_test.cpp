// Stream capture in the emulator: what is recorded, how it is replayed, and what CUDA forbids.
#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include "cuda/emulator_fixture.hpp"
#include "devview/copy_plan.hpp"
#include "devview/layout.hpp"

namespace devview::cuda {
namespace {

constexpr std::size_t kBytes = 64;

class EmulatorCapture : public EmulatorTest {
protected:
    void SetUp() override {
        EmulatorTest::SetUp();
        a_ = device(kBytes);
        b_ = device(kBytes);
        c_ = device(kBytes);
        host_ = pinned(kBytes);
        on_ = stream();
    }
    void TearDown() override {
        for (unsigned char* block : {a_, b_, c_})
            EXPECT_EQ(r->Free(block), cudaSuccess);
        EXPECT_EQ(r->FreeHost(host_), cudaSuccess);
        EXPECT_EQ(r->StreamDestroy(on_), cudaSuccess);
        EmulatorTest::TearDown();
    }

    void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
        EXPECT_EQ(r->StreamBeginCapture(on_, mode), cudaSuccess);
    }
    /// The graph of the capture, instantiated; the caller destroys it.
    cudaGraphExec_t end() {
        cudaGraph_t graph = nullptr;
        EXPECT_EQ(r->StreamEndCapture(on_, &graph), cudaSuccess);
        cudaGraphExec_t exec = nullptr;
        EXPECT_EQ(r->GraphInstantiate(&exec, graph, 0), cudaSuccess);
        EXPECT_EQ(r->GraphDestroy(graph), cudaSuccess);
        return exec;
    }
    void replay(cudaGraphExec_t exec) {
        EXPECT_EQ(r->GraphLaunch(exec, on_), cudaSuccess);
        EXPECT_EQ(r->StreamSynchronize(on_), cudaSuccess);
    }
    cudaStreamCaptureStatus status(cudaStream_t of) const {
        cudaStreamCaptureStatus now = cudaStreamCaptureStatusNone;
        EXPECT_EQ(r->StreamIsCapturing(of, &now), cudaSuccess);
        return now;
    }
    void expect_invalid() {
        EXPECT_EQ(status(on_), cudaStreamCaptureStatusInvalidated);
        EXPECT_EQ(r->MemsetAsync(a_, 1, 1, on_), cudaErrorStreamCaptureInvalidated);
        cudaGraph_t graph = reinterpret_cast<cudaGraph_t>(1);
        EXPECT_EQ(r->StreamEndCapture(on_, &graph), cudaErrorStreamCaptureInvalidated);
        EXPECT_EQ(graph, nullptr);
        EXPECT_EQ(status(on_), cudaStreamCaptureStatusNone);
        EXPECT_EQ(r->MemsetAsync(a_, 1, 1, on_), cudaSuccess);  // the stream is good again
    }
    void expect_valid() {
        EXPECT_EQ(status(on_), cudaStreamCaptureStatusActive);
        EXPECT_EQ(r->GraphExecDestroy(end()), cudaSuccess);
    }
    void copy(void* dst, const void* src, cudaStream_t on) {
        EXPECT_EQ(r->MemcpyAsync(dst, src, kBytes, cudaMemcpyDefault, on), cudaSuccess);
    }

    unsigned char *a_ = nullptr, *b_ = nullptr, *c_ = nullptr, *host_ = nullptr;
    cudaStream_t on_ = nullptr;
};

TEST_F(EmulatorCapture, NothingRunsUntilTheGraphIsLaunched) {
    DV_OK(r->MemsetAsync(a_, 5, kBytes, on_));
    DV_OK(r->MemsetAsync(b_, 6, kBytes, on_));
    DV_OK(r->StreamSynchronize(on_));
    begin();
    copy(b_, a_, on_);
    EXPECT_EQ(emulation::objects().queued, 0u);
    EXPECT_EQ(status(on_), cudaStreamCaptureStatusActive);
    const cudaGraphExec_t exec = end();
    EXPECT_EQ(status(on_), cudaStreamCaptureStatusNone);
    EXPECT_EQ(content(b_, kBytes), Bytes(kBytes, 6));
    for (const int value : {9, 17, 33}) {
        DV_OK(r->MemsetAsync(a_, value, kBytes, on_));
        replay(exec);
        EXPECT_EQ(content(b_, kBytes), Bytes(kBytes, static_cast<unsigned char>(value)));
    }
    EXPECT_EQ(emulation::objects().graphs, 1u);
    DV_OK(r->GraphExecDestroy(exec));
}

TEST_F(EmulatorCapture, EveryKindOfWorkIsANode) {
    std::atomic<int> ran{0};
    begin();
    for (std::size_t i = 0; i < kBytes; ++i)
        host_[i] = 1;
    copy(a_, host_, on_);
    DV_OK(r->MemsetAsync(a_, 2, 16, on_));
    DV_OK(r->Memcpy2DAsync(b_, 8, a_, 16, 8, 4, cudaMemcpyDeviceToDevice, on_));
    cudaMemcpy3DParms box{};
    box.srcPtr = {b_, 8, 8, 4};
    box.dstPtr = {b_ + 32, 8, 8, 4};
    box.extent = {8, 4, 1};
    box.kind = cudaMemcpyDeviceToDevice;
    DV_OK(r->Memcpy3DAsync(&box, on_));
    DV_OK(r->MemcpyPeerAsync(c_, 0, b_, 0, kBytes, on_));
    const std::int64_t extents[] = {4};
    const std::int64_t steps[] = {16};
    const Layout rows = Layout::strided(1, extents, steps, nullptr, 1);
    FillItem item{1, {7}};
    CopyPlan plan = plan_copy(rows, rows, 1);
    DV_OK(r->kernels.fill(plan, c_, item, on_));
    DV_OK(r->LaunchHostFunc(
        on_, [](void* count) { ++*static_cast<std::atomic<int>*>(count); }, &ran));
    const cudaGraphExec_t exec = end();
    EXPECT_EQ(ran, 0);
    replay(exec);
    replay(exec);
    EXPECT_EQ(ran, 2);
    Bytes expected(kBytes, 1);  // rows of 8 bytes, the first of 2
    std::fill_n(expected.begin(), 8, static_cast<unsigned char>(2));
    std::copy_n(expected.begin(), 32, expected.begin() + 32);
    for (std::size_t i = 0; i < kBytes; i += 16)
        expected[i] = 7;
    EXPECT_EQ(content(c_, kBytes), expected);
    DV_OK(r->GraphExecDestroy(exec));
}

TEST_F(EmulatorCapture, AForkedStreamJoinsAndIsReplayedByItsEdgesAlone) {
    const cudaStream_t other = stream();
    const cudaEvent_t forked = event(cudaEventDisableTiming), joined = event();
    DV_OK(r->MemsetAsync(b_, 3, kBytes, on_));
    begin();
    DV_OK(r->MemsetAsync(a_, 8, kBytes, on_));
    DV_OK(r->EventRecord(forked, on_));
    DV_OK(r->StreamWaitEvent(other, forked, cudaEventWaitDefault));
    EXPECT_EQ(status(other), cudaStreamCaptureStatusActive);
    copy(b_, a_, other);
    DV_OK(r->EventRecord(joined, other));
    DV_OK(r->StreamWaitEvent(on_, joined, cudaEventWaitDefault));
    copy(c_, b_, on_);
    const cudaGraphExec_t exec = end();
    EXPECT_EQ(status(other), cudaStreamCaptureStatusNone);
    replay(exec);
    EXPECT_EQ(content(c_, kBytes), Bytes(kBytes, 8));
    DV_OK(r->GraphExecDestroy(exec));
    // Without the edge, what was captured later is replayed earlier.
    DV_OK(r->MemsetAsync(b_, 3, kBytes, on_));
    begin();
    DV_OK(r->EventRecord(forked, on_));
    DV_OK(r->StreamWaitEvent(other, forked, cudaEventWaitDefault));
    DV_OK(r->MemsetAsync(b_, 4, kBytes, other));
    copy(c_, b_, on_);
    DV_OK(r->EventRecord(joined, other));
    DV_OK(r->StreamWaitEvent(on_, joined, cudaEventWaitDefault));
    const cudaGraphExec_t loose = end();
    replay(loose);
    EXPECT_EQ(content(c_, kBytes), Bytes(kBytes, 3));
    DV_OK(r->GraphExecDestroy(loose));
    DV_OK(r->EventDestroy(forked));
    DV_OK(r->EventDestroy(joined));
    DV_OK(r->StreamDestroy(other));
}

TEST_F(EmulatorCapture, MemoryOfACaptureBelongsToItsGraph) {
    DV_OK(r->MemsetAsync(a_, 4, kBytes, on_));
    begin();
    unsigned char* temp = device_async(kBytes, on_);
    copy(temp, a_, on_);
    copy(b_, temp, on_);
    DV_OK(r->FreeAsync(temp, on_));
    const cudaGraphExec_t exec = end();
    EXPECT_EQ(emulation::objects().device_blocks, 4u);
    replay(exec);
    replay(exec);
    EXPECT_EQ(content(b_, kBytes), Bytes(kBytes, 4));
    DV_OK(r->GraphExecDestroy(exec));
    DV_OK(r->DeviceSynchronize());
    EXPECT_EQ(emulation::objects().device_blocks, 3u);
}

TEST_F(EmulatorCapture, AGraphThatRunsMayBeDestroyed) {
    DV_OK(r->MemsetAsync(a_, 4, kBytes, on_));
    begin();
    unsigned char* temp = device_async(kBytes, on_);
    copy(temp, a_, on_);
    copy(b_, temp, on_);
    DV_OK(r->FreeAsync(temp, on_));
    const cudaGraphExec_t exec = end();
    emulation::set_delay(5000);
    DV_OK(r->GraphLaunch(exec, on_));
    DV_OK(r->GraphExecDestroy(exec));
    EXPECT_EQ(content(b_, kBytes), Bytes(kBytes, 4));
    EXPECT_EQ(emulation::objects().device_blocks, 3u);
}

TEST_F(EmulatorCapture, BlocksFromOutsideAreNotFreedInside) {
    unsigned char* outside = device_async(kBytes, on_);
    begin();
    EXPECT_EQ(r->FreeAsync(outside, on_), cudaErrorInvalidValue);
    expect_invalid();
    DV_OK(r->FreeAsync(outside, on_));
}

TEST_F(EmulatorCapture, UnsafeCallsInvalidateACaptureOfTheirThread) {
    using Calls = std::vector<std::pair<const char*, std::function<cudaError_t()>>>;
    void* out = nullptr;
    float ms = 0;
    cudaMemPool_t pool = nullptr;
    std::uint64_t value = 0;
    const cudaStream_t idle = stream();
    const cudaEvent_t known = event();
    DV_OK(r->EventRecord(known, idle));
    cudaMemPool_t theirs = nullptr;
    DV_OK(r->DeviceGetDefaultMemPool(&theirs, 0));
    const Calls calls = {
        {"Malloc", [&] { return r->Malloc(&out, 8); }},
        {"MallocManaged", [&] { return r->MallocManaged(&out, 8, cudaMemAttachGlobal); }},
        {"HostAlloc", [&] { return r->HostAlloc(&out, 8, 0); }},
        {"Free", [&] { return r->Free(a_); }},
        {"FreeHost", [&] { return r->FreeHost(host_); }},
        {"EventQuery", [&] { return r->EventQuery(known); }},
        {"EventSynchronize", [&] { return r->EventSynchronize(known); }},
        {"EventElapsedTime", [&] { return r->EventElapsedTime(&ms, known, known); }},
        {"StreamQuery", [&] { return r->StreamQuery(idle); }},
        {"StreamSynchronize", [&] { return r->StreamSynchronize(idle); }},
        {"DeviceGetDefaultMemPool", [&] { return r->DeviceGetDefaultMemPool(&pool, 0); }},
        {"MemPoolTrimTo", [&] { return r->MemPoolTrimTo(theirs, 0); }},
        {"MemPoolGetAttribute",
         [&] { return r->MemPoolGetAttribute(theirs, cudaMemPoolAttrReleaseThreshold, &value); }},
    };
    for (const auto& [name, call] : calls) {
        SCOPED_TRACE(name);
        begin(cudaStreamCaptureModeThreadLocal);
        EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
        EXPECT_EQ(r->GetLastError(), cudaErrorStreamCaptureUnsupported);
        expect_invalid();
    }
    DV_OK(r->EventDestroy(known));
    DV_OK(r->StreamDestroy(idle));
}

TEST_F(EmulatorCapture, TheRelaxedModeAllowsThem) {
    begin();
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    DV_OK(r->ThreadExchangeStreamCaptureMode(&mode));
    EXPECT_EQ(mode, cudaStreamCaptureModeGlobal);
    void* out = nullptr;
    DV_OK(r->HostAlloc(&out, 8, 0));
    DV_OK(r->FreeHost(out));
    DV_OK(r->ThreadExchangeStreamCaptureMode(&mode));
    EXPECT_EQ(mode, cudaStreamCaptureModeRelaxed);
    expect_valid();
    begin(cudaStreamCaptureModeRelaxed);
    DV_OK(r->HostAlloc(&out, 8, 0));
    DV_OK(r->FreeHost(out));
    expect_valid();
    mode = static_cast<cudaStreamCaptureMode>(3);
    EXPECT_EQ(r->ThreadExchangeStreamCaptureMode(&mode), cudaErrorInvalidValue);
}

TEST_F(EmulatorCapture, OtherThreadsBreakAGlobalCaptureOnly) {
    const auto allocate_elsewhere = [&](cudaStreamCaptureMode mode) {
        cudaError_t status = cudaSuccess;
        std::thread([&] {
            EXPECT_EQ(r->ThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
            void* out = nullptr;
            status = r->HostAlloc(&out, 8, 0);
            if (status == cudaSuccess) {
                EXPECT_EQ(r->FreeHost(out), cudaSuccess);
            }
        }).join();
        return status;
    };
    begin(cudaStreamCaptureModeThreadLocal);
    EXPECT_EQ(allocate_elsewhere(cudaStreamCaptureModeGlobal), cudaSuccess);
    expect_valid();
    begin();
    EXPECT_EQ(allocate_elsewhere(cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(allocate_elsewhere(cudaStreamCaptureModeRelaxed), cudaSuccess);
    EXPECT_EQ(allocate_elsewhere(cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
    expect_invalid();
}

TEST_F(EmulatorCapture, WaitingForWhatIsCapturedIsRefusedInAnyMode) {
    const cudaEvent_t inside = event();
    begin(cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(r->StreamSynchronize(on_), cudaErrorStreamCaptureUnsupported);
    expect_invalid();
    begin(cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(r->StreamQuery(on_), cudaErrorStreamCaptureUnsupported);
    expect_invalid();
    begin(cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    expect_invalid();
    begin(cudaStreamCaptureModeRelaxed);
    DV_OK(r->EventRecord(inside, on_));
    EXPECT_EQ(r->EventQuery(inside), cudaErrorCapturedEvent);
    expect_invalid();
    EXPECT_EQ(r->EventSynchronize(inside), cudaErrorCapturedEvent);  // it still is
    DV_OK(r->EventRecord(inside, on_));
    DV_OK(r->EventSynchronize(inside));
    DV_OK(r->EventDestroy(inside));
}

TEST_F(EmulatorCapture, DependenciesDoNotCrossItsBoundary) {
    const cudaStream_t other = stream();
    const cudaEvent_t outside = event();
    EXPECT_EQ(r->StreamBeginCapture(on_, static_cast<cudaStreamCaptureMode>(3)),
              cudaErrorInvalidValue);
    begin();  // an event that nobody has recorded
    EXPECT_EQ(r->StreamWaitEvent(on_, outside, cudaEventWaitDefault),
              cudaErrorStreamCaptureIsolation);
    expect_invalid();
    DV_OK(r->EventRecord(outside, other));
    begin();
    EXPECT_EQ(r->StreamWaitEvent(on_, outside, cudaEventWaitDefault),
              cudaErrorStreamCaptureIsolation);
    expect_invalid();
    // Two captures cannot be merged.
    DV_OK(r->StreamBeginCapture(other, cudaStreamCaptureModeRelaxed));
    DV_OK(r->EventRecord(outside, other));
    begin();
    EXPECT_EQ(r->StreamWaitEvent(on_, outside, cudaEventWaitDefault), cudaErrorStreamCaptureMerge);
    expect_invalid();
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(r->StreamEndCapture(other, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(r->StreamWaitEvent(on_, outside, cudaEventWaitDefault), cudaErrorCapturedEvent);
    DV_OK(r->EventDestroy(outside));
    DV_OK(r->StreamDestroy(other));
}

TEST_F(EmulatorCapture, PageableMemoryIsRefused) {
    Bytes pageable(kBytes);
    begin();
    EXPECT_EQ(r->MemcpyAsync(a_, pageable.data(), kBytes, cudaMemcpyDefault, on_),
              cudaErrorStreamCaptureUnsupported);
    expect_invalid();
    begin();
    EXPECT_EQ(r->MemcpyAsync(pageable.data(), a_, kBytes, cudaMemcpyDefault, on_),
              cudaErrorStreamCaptureUnsupported);
    expect_invalid();
}

TEST_F(EmulatorCapture, TheLegacyStreamIsShutWhileABlockingOneCaptures) {
    EXPECT_EQ(r->StreamBeginCapture(cudaStreamLegacy, cudaStreamCaptureModeGlobal),
              cudaErrorStreamCaptureUnsupported);
    begin();
    DV_OK(r->MemsetAsync(a_, 1, kBytes, cudaStreamLegacy));  // a non-blocking one does not
    expect_valid();
    DV_OK(r->StreamDestroy(on_));
    on_ = stream(cudaStreamDefault);
    begin(cudaStreamCaptureModeRelaxed);
    cudaStreamCaptureStatus now = cudaStreamCaptureStatusNone;
    EXPECT_EQ(r->StreamIsCapturing(cudaStreamLegacy, &now), cudaErrorStreamCaptureImplicit);
    EXPECT_EQ(status(on_), cudaStreamCaptureStatusActive);
    EXPECT_EQ(r->MemsetAsync(a_, 1, kBytes, cudaStreamLegacy), cudaErrorStreamCaptureImplicit);
    expect_invalid();
    begin(cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(r->StreamSynchronize(cudaStreamLegacy), cudaErrorStreamCaptureImplicit);
    expect_invalid();
    const cudaEvent_t inside = event();
    begin();
    DV_OK(r->EventRecord(inside, on_));
    EXPECT_EQ(r->StreamWaitEvent(cudaStreamLegacy, inside, 0), cudaErrorStreamCaptureImplicit);
    expect_invalid();
    DV_OK(r->EventDestroy(inside));
}

TEST_F(EmulatorCapture, EndsWhereItBegan) {
    const cudaStream_t other = stream();
    const cudaEvent_t forked = event();
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(r->StreamEndCapture(on_, &graph), cudaErrorIllegalState);
    begin();
    EXPECT_EQ(r->StreamBeginCapture(on_, cudaStreamCaptureModeGlobal), cudaErrorIllegalState);
    DV_OK(r->EventRecord(forked, on_));
    DV_OK(r->StreamWaitEvent(other, forked, cudaEventWaitDefault));
    EXPECT_EQ(r->StreamEndCapture(other, &graph), cudaErrorStreamCaptureUnmatched);
    std::thread([&] {
        EXPECT_EQ(r->StreamEndCapture(on_, &graph), cudaErrorStreamCaptureWrongThread);
    }).join();
    DV_OK(r->MemsetAsync(a_, 1, kBytes, other));
    EXPECT_EQ(r->StreamEndCapture(on_, &graph), cudaErrorStreamCaptureUnjoined);
    EXPECT_EQ(status(other), cudaStreamCaptureStatusNone);
    begin(cudaStreamCaptureModeRelaxed);
    std::thread([&] { EXPECT_EQ(r->StreamEndCapture(on_, &graph), cudaSuccess); }).join();
    DV_OK(r->GraphDestroy(graph));
    EXPECT_EQ(r->GraphDestroy(graph), cudaErrorInvalidValue);
    DV_OK(r->EventDestroy(forked));
    DV_OK(r->StreamDestroy(other));
}

TEST_F(EmulatorCapture, ADestroyedStreamTakesItsCaptureAlong) {
    const cudaStream_t other = stream();
    DV_OK(r->StreamBeginCapture(other, cudaStreamCaptureModeGlobal));
    device_async(kBytes, other);
    DV_OK(r->StreamDestroy(other));
    EXPECT_EQ(emulation::objects().device_blocks, 3u);
    void* out = nullptr;
    DV_OK(r->HostAlloc(&out, 8, 0));  // nothing captures any more
    DV_OK(r->FreeHost(out));
}

TEST_F(EmulatorCapture, ItsIdIsTheSameForEveryStreamOfIt) {
    const cudaStream_t other = stream();
    const cudaEvent_t forked = event();
    const auto id_of = [&](cudaStream_t of) {
        cudaStreamCaptureStatus now = cudaStreamCaptureStatusNone;
        unsigned long long id = 0;
#if CUDART_VERSION >= 13000
        EXPECT_EQ(r->StreamGetCaptureInfo(of, &now, &id, nullptr, nullptr, nullptr, nullptr),
                  cudaSuccess);
#else
        EXPECT_EQ(r->StreamGetCaptureInfo(of, &now, &id, nullptr, nullptr, nullptr), cudaSuccess);
#endif
        return id;
    };
    EXPECT_EQ(id_of(on_), 0u);
    begin();
    const unsigned long long first = id_of(on_);
    DV_OK(r->EventRecord(forked, on_));
    DV_OK(r->StreamWaitEvent(other, forked, cudaEventWaitDefault));
    EXPECT_NE(first, 0u);
    EXPECT_EQ(id_of(other), first);
    expect_valid();
    begin();
    EXPECT_NE(id_of(on_), first);
    expect_valid();
    DV_OK(r->EventDestroy(forked));
    DV_OK(r->StreamDestroy(other));
}

TEST_F(EmulatorCapture, ReplaysFailAsWorkDoes) {
    begin();
    copy(b_, a_, on_);
    emulation::clear_calls();
    const cudaGraphExec_t exec = end();
    emulation::fail("copy", 2, cudaErrorIllegalAddress);
    replay(exec);
    DV_OK(r->GraphLaunch(exec, on_));
    EXPECT_EQ(r->StreamSynchronize(on_), cudaErrorIllegalAddress);
    emulation::clear_sticky();
    emulation::fail("cudaGraphLaunch", 1, cudaErrorUnknown);
    EXPECT_EQ(r->GraphLaunch(exec, on_), cudaErrorUnknown);
    EXPECT_EQ(emulation::count("cudaGraphLaunch"), 3u);
    EXPECT_EQ(emulation::count("cudaStreamEndCapture"), 1u);
    DV_OK(r->GraphExecDestroy(exec));
}

TEST_F(EmulatorCapture, LazyStreamsReplayWhenAsked) {
    begin();
    DV_OK(r->MemsetAsync(a_, 6, kBytes, on_));
    copy(b_, a_, on_);
    EXPECT_EQ(r->GraphExecDestroy(end()), cudaSuccess);
    TearDown();
    options_.lazy = true;
    SetUp();
    DV_OK(r->MemsetAsync(b_, 1, kBytes, on_));
    DV_OK(r->StreamSynchronize(on_));
    begin();
    DV_OK(r->MemsetAsync(b_, 6, kBytes, on_));
    const cudaGraphExec_t exec = end();
    DV_OK(r->GraphLaunch(exec, on_));
    EXPECT_EQ(*static_cast<unsigned char*>(emulation::peek(b_)), 1);
    DV_OK(r->StreamSynchronize(on_));
    EXPECT_EQ(*static_cast<unsigned char*>(emulation::peek(b_)), 6);
    DV_OK(r->GraphExecDestroy(exec));
}

}  // namespace
}  // namespace devview::cuda
