// Events of the runtime: what a record, a wait, a query and a time refer to.
#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class RuntimeEvent : public EmulatorTest {
protected:
    RuntimeEvent() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        return options;
    }
    void SetUp() override {
        EmulatorTest::SetUp();
        one_ = stream();
        two_ = stream();
    }
    void TearDown() override {
        EXPECT_EQ(r->StreamDestroy(one_), cudaSuccess);
        EXPECT_EQ(r->StreamDestroy(two_), cudaSuccess);
        EmulatorTest::TearDown();
    }

    cudaStream_t one_ = nullptr;
    cudaStream_t two_ = nullptr;
};

TEST_F(RuntimeEvent, ANeverRecordedEventIsComplete) {
    const cudaEvent_t e = event();
    DV_OK(r->EventQuery(e));
    DV_OK(r->EventSynchronize(e));
    DV_OK(r->StreamWaitEvent(one_, e, 0));
    DV_OK(r->StreamQuery(one_));
    DV_OK(r->EventDestroy(e));
}

TEST_F(RuntimeEvent, QueryAndSynchronizeFollowTheRecord) {
    const cudaEvent_t e = event();
    Gate gate;
    DV_OK(r->LaunchHostFunc(one_, Gate::wait, gate.key()));
    DV_OK(r->EventRecord(e, one_));
    EXPECT_EQ(r->EventQuery(e), cudaErrorNotReady);
    gate.open();
    DV_OK(r->EventSynchronize(e));
    DV_OK(r->EventQuery(e));
    DV_OK(r->EventDestroy(e));
}

TEST_F(RuntimeEvent, AWaitIsForTheRecordOfThatMoment) {
    const cudaEvent_t e = event();
    Gate first;
    Gate second;
    DV_OK(r->LaunchHostFunc(one_, Gate::wait, first.key()));
    DV_OK(r->EventRecord(e, one_));
    DV_OK(r->StreamWaitEvent(two_, e, 0));
    DV_OK(r->LaunchHostFunc(one_, Gate::wait, second.key()));
    DV_OK(r->EventRecord(e, one_));
    EXPECT_EQ(r->StreamQuery(two_), cudaErrorNotReady);
    first.open();
    DV_OK(r->StreamSynchronize(two_));
    EXPECT_EQ(r->EventQuery(e), cudaErrorNotReady);
    second.open();
    DV_OK(r->EventSynchronize(e));
    DV_OK(r->EventDestroy(e));
}

TEST_F(RuntimeEvent, AWaitHoldsEvenIfTheEventIsDestroyed) {
    const cudaEvent_t e = event();
    Gate gate;
    DV_OK(r->LaunchHostFunc(one_, Gate::wait, gate.key()));
    DV_OK(r->EventRecord(e, one_));
    DV_OK(r->StreamWaitEvent(two_, e, 0));
    DV_OK(r->EventDestroy(e));
    EXPECT_EQ(r->StreamQuery(two_), cudaErrorNotReady);
    gate.open();
    DV_OK(r->StreamSynchronize(two_));
}

TEST_F(RuntimeEvent, ARecordOnTheLegacyStreamComesAfterBlockingStreams) {
    const cudaStream_t blocking = stream(cudaStreamDefault);
    const cudaEvent_t e = event();
    Gate gate;
    DV_OK(r->LaunchHostFunc(blocking, Gate::wait, gate.key()));
    DV_OK(r->EventRecord(e, nullptr));
    EXPECT_EQ(r->EventQuery(e), cudaErrorNotReady);
    gate.open();
    DV_OK(r->EventSynchronize(e));
    DV_OK(r->EventDestroy(e));
    DV_OK(r->StreamDestroy(blocking));
}

TEST_F(RuntimeEvent, ElapsedTimeIsMeasuredBetweenRecords) {
    const cudaEvent_t begin = event();
    const cudaEvent_t end = event();
    auto* block = device(8);
    float milliseconds = -1;
    EXPECT_EQ(r->EventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
    filler().set_delay(20000);
    DV_OK(r->EventRecord(begin, one_));
    DV_OK(r->MemsetAsync(block, 0, 8, one_));
    DV_OK(r->EventRecord(end, one_));
    EXPECT_EQ(r->EventElapsedTime(&milliseconds, begin, end), cudaErrorNotReady);
    DV_OK(r->EventSynchronize(end));
    DV_OK(r->EventElapsedTime(&milliseconds, begin, end));
    EXPECT_GE(milliseconds, 19.0f);
    EXPECT_LT(milliseconds, 2000.0f);
    DV_OK(r->EventElapsedTime(&milliseconds, end, begin));
    EXPECT_LE(milliseconds, -19.0f);
    DV_OK(r->Free(block));
    DV_OK(r->EventDestroy(begin));
    DV_OK(r->EventDestroy(end));
}

TEST_F(RuntimeEvent, EventsWithoutTimingHaveNoTime) {
    const cudaEvent_t timed = event();
    const cudaEvent_t untimed = event(cudaEventDisableTiming | cudaEventBlockingSync);
    DV_OK(r->EventRecord(timed, one_));
    DV_OK(r->EventRecord(untimed, one_));
    DV_OK(r->EventSynchronize(untimed));
    float milliseconds = 0;
    EXPECT_EQ(r->EventElapsedTime(&milliseconds, timed, untimed), cudaErrorInvalidResourceHandle);
    DV_OK(r->EventDestroy(timed));
    DV_OK(r->EventDestroy(untimed));
}

TEST_F(RuntimeEvent, StaleAndForgedHandlesAreRefused) {
    const cudaEvent_t stale = event();
    DV_OK(r->EventDestroy(stale));
    const cudaEvent_t forged = reinterpret_cast<cudaEvent_t>(one_);
    for (const cudaEvent_t e : {stale, forged, cudaEvent_t{nullptr}}) {
        EXPECT_EQ(r->EventRecord(e, one_), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->EventQuery(e), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->EventSynchronize(e), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->EventDestroy(e), cudaErrorInvalidResourceHandle);
        EXPECT_EQ(r->StreamWaitEvent(one_, e, 0), cudaErrorInvalidResourceHandle);
    }
}

TEST_F(RuntimeEvent, FlagsAreChecked) {
    cudaEvent_t out = nullptr;
    EXPECT_EQ(r->EventCreateWithFlags(&out, 8), cudaErrorInvalidValue);
    EXPECT_EQ(r->EventCreateWithFlags(&out, cudaEventInterprocess), cudaErrorInvalidValue);
    EXPECT_EQ(r->EventCreateWithFlags(nullptr, 0), cudaErrorInvalidValue);
    const cudaEvent_t e = event();
    EXPECT_EQ(r->StreamWaitEvent(one_, e, 2), cudaErrorInvalidValue);
    DV_OK(r->EventDestroy(e));
}

TEST_F(RuntimeEvent, DevicesWaitForEachOthersEvents) {
    auto* block = device(64);
    auto* host = pinned(64);
    DV_OK(r->SetDevice(1));
    const cudaStream_t far = stream();
    DV_OK(r->SetDevice(0));
    const cudaEvent_t e = event();
    filler().set_delay(20000);
    DV_OK(r->MemsetAsync(block, 6, 64, one_));
    DV_OK(r->EventRecord(e, one_));
    DV_OK(r->StreamWaitEvent(far, e, 0));
    DV_OK(r->MemcpyAsync(host, block, 64, cudaMemcpyDeviceToHost, far));
    DV_OK(r->StreamSynchronize(far));
    EXPECT_EQ(Bytes(host, host + 64), Bytes(64, 6));
    DV_OK(r->EventDestroy(e));
    DV_OK(r->StreamDestroy(far));
    DV_OK(r->FreeHost(host));
    DV_OK(r->Free(block));
}

}  // namespace
}  // namespace devview::cuda
