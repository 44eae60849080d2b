// Order of work in the runtime: within a stream, across streams, and with the legacy default
// stream.
#include <atomic>
#include <thread>

#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

constexpr std::size_t kBytes = 1000;

class RuntimeStream : public EmulatorTest {
protected:
    RuntimeStream() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        return options;
    }

    void SetUp() override {
        EmulatorTest::SetUp();
        block_ = device(kBytes);
        source_ = pinned(kBytes);
        sink_ = pinned(kBytes);
        std::memset(source_, 9, kBytes);
    }
    void TearDown() override {
        drop();
        EmulatorTest::TearDown();
    }
    void drop() {
        EXPECT_EQ(r->SetDevice(0), cudaSuccess);
        EXPECT_EQ(r->Free(block_), cudaSuccess);
        EXPECT_EQ(r->FreeHost(source_), cudaSuccess);
        EXPECT_EQ(r->FreeHost(sink_), cudaSuccess);
    }
    void start_anew(const EmulatorOptions& options) {
        drop();
        options_ = options;
        SetUp();
    }

    void write_on(cudaStream_t on) {
        EXPECT_EQ(r->MemcpyAsync(block_, source_, kBytes, cudaMemcpyHostToDevice, on), cudaSuccess);
    }
    void read_on(cudaStream_t on) {
        EXPECT_EQ(r->MemcpyAsync(sink_, block_, kBytes, cudaMemcpyDeviceToHost, on), cudaSuccess);
    }
    /// What `reader` sees of a write on `writer` that nothing but the streams' own rules orders:
    /// 9 if it waited, 1 if not.
    int seen_across(cudaStream_t writer, cudaStream_t reader) {
        EXPECT_EQ(r->MemsetAsync(block_, 1, kBytes, writer), cudaSuccess);
        EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
        filler().set_delay(20000);
        write_on(writer);
        read_on(reader);
        EXPECT_EQ(r->StreamSynchronize(reader), cudaSuccess);
        EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
        filler().set_delay(0);
        EXPECT_EQ(Bytes(sink_, sink_ + kBytes), Bytes(kBytes, sink_[0]));
        return sink_[0];
    }

    unsigned char* block_ = nullptr;
    unsigned char* source_ = nullptr;
    unsigned char* sink_ = nullptr;
};

TEST_F(RuntimeStream, RunsFirstInFirstOut) {
    const cudaStream_t on = stream();
    for (unsigned i = 0; i < 200; ++i) {
        DV_OK(r->MemsetAsync(block_, static_cast<int>(i), kBytes - i, on));
    }
    read_on(on);
    DV_OK(r->StreamSynchronize(on));
    for (std::size_t i = 0; i < kBytes; ++i) {
        ASSERT_EQ(sink_[i], i <= kBytes - 200 ? 199 : kBytes - 1 - i) << i;
    }
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeStream, AMissingWaitGivesWrongDataUnderADelay) {
    const cudaStream_t writer = stream();
    const cudaStream_t reader = stream();
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(seen_across(writer, reader), 1);
    EXPECT_EQ(seen_across(writer, writer), 9);
    DV_OK(r->StreamDestroy(writer));
    DV_OK(r->StreamDestroy(reader));
}

TEST_F(RuntimeStream, AnEventWaitGivesRightDataUnderADelay) {
    const cudaStream_t writer = stream();
    const cudaStream_t reader = stream();
    const cudaEvent_t written = event();
    filler().set_delay(20000);
    write_on(writer);
    DV_OK(r->EventRecord(written, writer));
    DV_OK(r->StreamWaitEvent(reader, written, 0));
    read_on(reader);
    DV_OK(r->StreamSynchronize(reader));
    EXPECT_EQ(Bytes(sink_, sink_ + kBytes), Bytes(kBytes, 9));
    DV_OK(r->EventDestroy(written));
    DV_OK(r->StreamDestroy(writer));
    DV_OK(r->StreamDestroy(reader));
}

TEST_F(RuntimeStream, ALazyStreamRunsOnlyAsFarAsSomebodyWaits) {
    EmulatorOptions options = options_;
    options.lazy = true;
    start_anew(options);
    const cudaStream_t writer = stream();
    const cudaStream_t reader = stream();
    DV_OK(r->MemsetAsync(block_, 1, kBytes, writer));
    DV_OK(r->StreamSynchronize(writer));
    write_on(writer);
    read_on(reader);
    DV_OK(r->StreamSynchronize(reader));
    EXPECT_EQ(sink_[0], 1);
    expect_alive(&emulation::Objects::queued, 1u);
    const cudaEvent_t written = event();
    DV_OK(r->EventRecord(written, writer));
    DV_OK(r->StreamWaitEvent(reader, written, 0));
    read_on(reader);
    DV_OK(r->StreamSynchronize(reader));
    EXPECT_EQ(sink_[0], 9);
    write_on(writer);
    while (r->StreamQuery(writer) == cudaErrorNotReady)
        std::this_thread::yield();
    r->GetLastError();
    DV_OK(r->EventDestroy(written));
    DV_OK(r->StreamDestroy(writer));
    DV_OK(r->StreamDestroy(reader));
}

TEST_F(RuntimeStream, TheLegacyStreamAndBlockingStreamsWaitForEachOther) {
    const cudaStream_t blocking = stream(cudaStreamDefault);
    EXPECT_EQ(seen_across(blocking, nullptr), 9);
    EXPECT_EQ(seen_across(nullptr, blocking), 9);
    EXPECT_EQ(seen_across(cudaStreamLegacy, blocking), 9);
    EXPECT_EQ(seen_across(blocking, cudaStreamLegacy), 9);
    EXPECT_EQ(seen_across(cudaStreamLegacy, nullptr), 9);
    EXPECT_EQ(seen_across(cudaStreamPerThread, nullptr), 9);
    EXPECT_EQ(seen_across(nullptr, cudaStreamPerThread), 9);
    DV_OK(r->StreamDestroy(blocking));
}

TEST_F(RuntimeStream, TheLegacyStreamAndNonBlockingStreamsDoNot) {
    const cudaStream_t free_running = stream(cudaStreamNonBlocking);
    EXPECT_EQ(seen_across(free_running, nullptr), 1);
    EXPECT_EQ(seen_across(nullptr, free_running), 1);
    DV_OK(r->StreamDestroy(free_running));
}

TEST_F(RuntimeStream, BlockingStreamsDoNotWaitForEachOther) {
    const cudaStream_t one = stream(cudaStreamDefault);
    const cudaStream_t two = stream(cudaStreamDefault);
    EXPECT_EQ(seen_across(one, two), 1);
    EXPECT_EQ(seen_across(cudaStreamPerThread, two), 1);
    DV_OK(r->StreamDestroy(one));
    DV_OK(r->StreamDestroy(two));
}

TEST_F(RuntimeStream, SynchronisingTheLegacyStreamWaitsForBlockingStreams) {
    const cudaStream_t blocking = stream(cudaStreamDefault);
    filler().set_delay(20000);
    write_on(blocking);
    read_on(blocking);
    EXPECT_EQ(r->StreamQuery(nullptr), cudaErrorNotReady);
    DV_OK(r->StreamSynchronize(nullptr));
    EXPECT_EQ(sink_[0], 9);
    DV_OK(r->StreamQuery(nullptr));
    DV_OK(r->StreamDestroy(blocking));
}

TEST_F(RuntimeStream, EveryThreadHasADefaultStreamOfItsOwn) {
    Gate gate;
    DV_OK(r->LaunchHostFunc(cudaStreamPerThread, Gate::wait, gate.key()));
    cudaError_t other = cudaErrorUnknown;
    std::thread([&] {
        r->MemsetAsync(block_, 4, kBytes, cudaStreamPerThread);
        other = r->StreamSynchronize(cudaStreamPerThread);
    }).join();
    EXPECT_EQ(other, cudaSuccess);
    EXPECT_EQ(r->StreamQuery(cudaStreamPerThread), cudaErrorNotReady);
    gate.open();
    EXPECT_EQ(content(block_, kBytes), Bytes(kBytes, 4));
    expect_alive(&emulation::Objects::streams, 0u);
}

TEST_F(RuntimeStream, QueryTellsWhetherWorkIsLeft) {
    const cudaStream_t on = stream();
    DV_OK(r->StreamQuery(on));
    Gate gate;
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    EXPECT_EQ(r->StreamQuery(on), cudaErrorNotReady);
    EXPECT_EQ(r->GetLastError(), cudaErrorNotReady);
    expect_alive(&emulation::Objects::queued, 1u);
    gate.open();
    DV_OK(r->StreamSynchronize(on));
    DV_OK(r->StreamQuery(on));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeStream, PendingWorkOfADestroyedStreamStillRuns) {
    const cudaStream_t on = stream();
    Gate gate;
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    write_on(on);
    DV_OK(r->StreamDestroy(on));
    expect_alive(&emulation::Objects::streams, 0u);
    expect_alive(&emulation::Objects::queued, 2u);
    gate.open();
    EXPECT_EQ(content(block_, kBytes), Bytes(kBytes, 9));
}

TEST_F(RuntimeStream, StaleAndForgedHandlesAreRefused) {
    const cudaStream_t on = stream();
    DV_OK(r->StreamDestroy(on));
    const cudaStream_t bad[] = {on, reinterpret_cast<cudaStream_t>(3),
                                reinterpret_cast<cudaStream_t>(this)};
    for (const cudaStream_t handle : bad) {
        void* out = nullptr;
        cudaStreamCaptureStatus status;
        EXPECT_EQ(r->StreamDestroy(handle), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->StreamQuery(handle), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->StreamSynchronize(handle), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->StreamIsCapturing(handle, &status), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->MallocAsync(&out, 8, handle), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->FreeAsync(block_, handle), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->MemsetAsync(block_, 0, 8, handle), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->MemcpyAsync(block_, source_, 8, cudaMemcpyDefault, handle),
                  cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->LaunchHostFunc(handle, Gate::wait, nullptr), cudaErrorInvalidResourceHandle);
    }
    EXPECT_EQ(r->StreamDestroy(nullptr), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(r->StreamDestroy(cudaStreamPerThread), cudaErrorInvalidResourceHandle);
    const cudaStream_t next = stream();
    EXPECT_NE(next, on);
    DV_OK(r->StreamDestroy(next));
}

TEST_F(RuntimeStream, HandlesAreRecycledWhereAskedFor) {
    EmulatorOptions options = options_;
    options.recycle_streams = true;
    start_anew(options);
    const cudaStream_t first = stream();
    DV_OK(r->StreamDestroy(first));
    const cudaStream_t second = stream();
    EXPECT_EQ(second, first);
    write_on(second);
    DV_OK(r->StreamSynchronize(second));
    DV_OK(r->StreamDestroy(second));
}

TEST_F(RuntimeStream, CallsInAHostFunctionAreNotPermitted) {
    struct Answers {
        const Runtime* r;
        cudaError_t malloc, sync, last;
    } answers{r, cudaSuccess, cudaSuccess, cudaSuccess};
    const auto ask = [](void* context) {
        auto& a = *static_cast<Answers*>(context);
        void* out = nullptr;
        a.malloc = a.r->Malloc(&out, 1);
        a.sync = a.r->DeviceSynchronize();
        a.last = a.r->GetLastError();
    };
    DV_OK(r->LaunchHostFunc(nullptr, ask, &answers));
    DV_OK(r->StreamSynchronize(nullptr));
    EXPECT_EQ(answers.malloc, cudaErrorNotPermitted);
    EXPECT_EQ(answers.sync, cudaErrorNotPermitted);
    EXPECT_EQ(answers.last, cudaErrorNotPermitted);
    EXPECT_EQ(r->LaunchHostFunc(nullptr, nullptr, nullptr), cudaErrorInvalidValue);
}

TEST_F(RuntimeStream, OtherThreadsMayCallWhileAHostFunctionRuns) {
    Gate gate;
    DV_OK(r->LaunchHostFunc(nullptr, Gate::wait, gate.key()));
    const cudaStream_t on = stream();
    write_on(on);
    read_on(on);
    DV_OK(r->StreamSynchronize(on));
    EXPECT_EQ(sink_[0], 9);
    gate.open();
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeStream, WorkGoesToTheStreamsDevice) {
    const cudaStream_t on = stream();
    DV_OK(r->SetDevice(1));
    void* out = device_async(64, on);
    cudaPointerAttributes attributes;
    DV_OK(r->PointerGetAttributes(&attributes, out));
    EXPECT_EQ(attributes.device, 0);
    DV_OK(r->MemsetAsync(out, 5, 64, on));
    DV_OK(r->StreamSynchronize(on));
    EXPECT_EQ(static_cast<unsigned char*>(filler().peek(out))[63], 5);
    const cudaEvent_t of_one = event();
    EXPECT_EQ(r->EventRecord(of_one, on), cudaErrorInvalidResourceHandle);
    DV_OK(r->EventRecord(of_one, nullptr));
    DV_OK(r->StreamWaitEvent(on, of_one, 0));
    DV_OK(r->FreeAsync(out, on));
    DV_OK(r->EventDestroy(of_one));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeStream, FlagsAreChecked) {
    cudaStream_t out = nullptr;
    EXPECT_EQ(r->StreamCreateWithFlags(&out, 2), cudaErrorInvalidValue);
    EXPECT_EQ(r->StreamCreateWithFlags(nullptr, 0), cudaErrorInvalidValue);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
    DV_OK(r->StreamIsCapturing(nullptr, &status));
    EXPECT_EQ(status, cudaStreamCaptureStatusNone);
}

}  // namespace
}  // namespace devview::cuda
