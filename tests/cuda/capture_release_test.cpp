// Releases that wait for a capture to end, and captures of others, which nothing here disturbs.
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/capture_fixture.hpp"
#include "devview/staging.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

/// A block of somebody else whose release is counted.
struct Counted {
    int releases = 0;
    Stream at{};
    static void release(void* context, Stream stream) noexcept {
        auto& self = *static_cast<Counted*>(context);
        ++self.releases;
        self.at = std::move(stream);
    }
    Allocation::Block block(const View& memory, const Stream& home) {
        Allocation::Block made;
        made.data = memory.data();
        made.nbytes = memory.allocation()->nbytes();
        made.device = memory.device();
        made.stream = home;
        made.release = release;
        made.context = this;
        return made;
    }
};

TEST_F(Capture, AFreeOnTheStreamWaitsForItsEnd) {
    const std::size_t live = memory_gauge(cuda_device(0)).live_bytes;
    auto block = allocate(1000, cuda_device(0), on_);
    drain();
    filler().clear_calls();
    begin();
    block.reset();
    EXPECT_EQ(memory_gauge(cuda_device(0)).live_bytes, live);  // counted as gone all the same
    trim();
    EXPECT_EQ(count("cudaFreeAsync"), 0u);
    expect_valid_capture();
    EXPECT_EQ(count("cudaFreeAsync"), 0u);
    trim();
    EXPECT_EQ(count("cudaFreeAsync"), 1u);
    trim();
    EXPECT_EQ(count("cudaFreeAsync"), 1u);
}

TEST_F(Capture, EachOfTheseLooksAfterWaitingReleases) {
    const View src = make_view({100}, cuda_device(1), 1), dst = make_view({100}, cuda_device(1), 2);
    const std::int32_t value = 1;
    const std::vector<std::pair<const char*, std::function<void()>>> calls = {
        {"allocate", [&] { allocate(10, cuda_device(1)); }},
        {"copy", [&] { copy(dst, src); }},
        {"fill", [&] { fill(dst, &value); }},
        {"trim", [&] { trim(); }},
        {"synchronize", [&] { synchronize(legacy_stream(1)); }},
    };
    for (const auto& [name, call] : calls) {
        SCOPED_TRACE(name);
        const View memory = make_view({100}, cuda_device(0), 1);
        Counted counted;
        auto block = adopt_device(counted.block(memory, on_));
        begin();
        block.reset();
        call();
        EXPECT_EQ(counted.releases, 0);
        expect_valid_capture();
        call();
        EXPECT_EQ(counted.releases, 1);
        EXPECT_EQ(counted.at, on_);
        call();
        EXPECT_EQ(counted.releases, 1);
    }
    // And a free of another block.
    const View memory = make_view({100}, cuda_device(0), 1);
    Counted counted;
    auto block = adopt_device(counted.block(memory, on_));
    auto other = allocate(10, cuda_device(1));
    begin();
    block.reset();
    expect_valid_capture();
    other.reset();
    EXPECT_EQ(counted.releases, 1);
}

TEST_F(Capture, AReleaseAfterAHeldUseWaitsForTheEarlierWork) {
    const Stream home = make_stream(0);
    for (const bool waiting : {false, true}) {
        const View memory = make_view({1000}, cuda_device(0), 1);
        Counted counted;
        auto block = counted.block(memory, home);
        auto owned = waiting ? adopt_waiting(std::move(block)) : adopt_device(std::move(block));
        View view = dense_view(std::move(owned), {1000});
        const std::int32_t value = 5;
        set_delay(10000);
        fill(view, &value, on_);  // runs
        begin();
        fill(view, &value, on_);  // is captured
        view.release();
        set_delay(0);
        EXPECT_EQ(counted.releases, 0) << waiting;
        expect_valid_capture();
        trim();
        EXPECT_EQ(counted.releases, 1) << waiting;
        EXPECT_EQ(counted.at, home);
        cuda::synchronize(counted.at);
        EXPECT_EQ(*static_cast<int*>(filler().peek(memory.data())), 5);
    }
}

TEST_F(Capture, AReleaseAfterARawUseNeedsNotWait) {
    const Stream home = make_stream(0);
    const View memory = make_view({1000}, cuda_device(0), 1);
    Counted counted;
    View view = dense_view(adopt_device(counted.block(memory, home)), {1000});
    const Stream raw = Stream::raw(on_.device(), on_.handle());
    const std::int32_t value = 5;
    fill(view, &value, raw);
    begin();
    fill(view, &value, raw);
    view.release();
    EXPECT_EQ(counted.releases, 1);  // the handle may be gone by the time the capture ends
    expect_valid_capture();
}

TEST_F(Capture, PinnedBlocksWaitForItsEnd) {
    auto block = allocate(1000, kPinned);
    const std::size_t live = pinned_gauge().live_bytes;
    block->uses()->record(on_);
    begin();
    block.reset();
    EXPECT_EQ(pinned_gauge().live_bytes, live);
    expect_valid_capture();
    trim();
    EXPECT_EQ(pinned_gauge().live_bytes, live - 1000);
}

TEST_F(Capture, ManyReleasesWaitTogether) {
    std::vector<std::shared_ptr<Allocation>> blocks;
    for (int k = 0; k < 50; ++k)
        blocks.push_back(allocate(64, cuda_device(0), on_));
    drain();
    begin();
    blocks.clear();
    expect_valid_capture();
    filler().clear_calls();
    trim();
    EXPECT_EQ(count("cudaFreeAsync"), 50u);
}

TEST_F(Capture, ReleasesInAReleaseRunOnce) {
    auto inner = allocate(64, cuda_device(0), on_);
    const View memory = make_view({100}, cuda_device(0), 1);
    int releases = 0;
    Allocation::Block block;
    struct State {
        std::shared_ptr<Allocation>* inner;
        int* releases;
    } state{&inner, &releases};
    block.data = memory.data();
    block.nbytes = 400;
    block.device = cuda_device(0);
    block.stream = on_;
    block.context = &state;
    block.release = [](void* context, Stream) noexcept {
        auto& both = *static_cast<State*>(context);
        ++*both.releases;
        both.inner->reset();
        trim();
    };
    auto outer = adopt_device(std::move(block));
    begin();
    outer.reset();
    expect_valid_capture();
    trim();
    EXPECT_EQ(releases, 1);
    EXPECT_EQ(inner, nullptr);
}

TEST_F(Capture, AnotherThreadsCaptureIsNotDisturbed) {
    const View device = make_view({1000}, cuda_device(0), 1);
    const View turned = make_view({30, 40}, cuda_device(0), 1).transpose();
    const View pageable = make_view({1000}, kCpu, 2);
    const View dense = make_view({40, 30}, kCpu, 2);
    const View pinned = make_view({1000}, kPinned, 3);
    const View managed = make_view({1000}, kManaged, 3);
    const Stream other = make_stream(0);
    begin();
    std::thread([&] {
        copy(pageable, device, other);
        copy(device, pageable, other);
        copy(dense, turned, other);
        copy(pinned, device, other);
        copy(managed, device, other);
        wait_for_host(*pinned.allocation());
        Staging staging(device, true, Order::C, other);
        EXPECT_NO_THROW((void)staging.ready());
        staging.wait();
        staging.finish();
        const Event event = Event::record(other, true);
        EXPECT_NO_THROW((void)event.done());
        event.wait();
        EXPECT_NO_THROW((void)event.elapsed(event));
        synchronize(other);
        EXPECT_TRUE(query(other));
        allocate(1000, cuda_device(2));  // the first of its pool
        auto block = allocate(1000, cuda_device(0), other);
        resize(block, 2000);
        block.reset();
        allocate(1000, kPinned);
        allocate_zeroed(1000, kManaged);
        set_pinned_limit(1 * kMiB);
        EXPECT_THROW(allocate(2 * kMiB, kPinned), OutOfMemory);
        EXPECT_THROW(allocate(2 * kMemory, cuda_device(0), other), OutOfMemory);
        EXPECT_THROW(allocate(2 * kMemory, cuda_device(0)), OutOfMemory);
        trim();
    }).join();
    expect_valid_capture();
}

TEST_F(Capture, WhatMayFailAsynchronouslyDoesNotDisturbItEither) {
    auto block = allocate(1000, kPinned);
    const Stream other = make_stream(0);
    block->uses()->record(other);
    begin();
    std::thread([&] {
        filler().fail("cudaEventRecord", 1, cudaErrorUnknown);
        block.reset();
        trim();
    }).join();
    expect_valid_capture();
}

TEST_F(Capture, TheCapturingThreadMayWorkOnOtherStreams) {
    const View device = make_view({1000}, cuda_device(0), 1);
    const View pageable = make_view({1000}, kCpu, 2);
    const Stream other = make_stream(0);
    for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                            cudaStreamCaptureModeRelaxed}) {
        begin(mode);
        copy(pageable, device, other);
        copy(device, pageable, {});  // the legacy stream, which a non-blocking capture leaves alone
        allocate(1000, kPinned);
        trim();
        expect_valid_capture();
    }
}

TEST_F(Capture, AnInvalidatedCaptureIsToldByCuda) {
    const View dst = make_view({1000}, cuda_device(0), 1),
               src = make_view({1000}, cuda_device(0), 2);
    begin();
    EXPECT_EQ(runtime().StreamSynchronize(handle_of(on_)), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(runtime().GetLastError(), cudaErrorStreamCaptureUnsupported);
    EXPECT_THROW(copy(dst, src, on_), DeviceError);
    EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(runtime().StreamEndCapture(handle_of(on_), &graph),
              cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(runtime().GetLastError(), cudaErrorStreamCaptureInvalidated);
    copy(dst, src, on_);
}

TEST_F(Capture, ARestartMakesTheReleasesThatWait) {
    auto block = allocate(100, cuda_device(0), on_);
    drain();
    begin();
    block.reset();
    expect_valid_capture();
    on_ = Stream{};
    EmulatorOptions options;
    options.devices = 3;
    options.memory = kMemory;
    filler().need(Feature::restart);
    emulate(options);  // nothing of it is alive
}

}  // namespace
}  // namespace devview::testing
