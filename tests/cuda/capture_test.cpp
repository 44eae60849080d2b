// Copies, fills and conversions on capturing streams, and what is refused there.
#include <functional>
#include <utility>

#include "cuda/capture_fixture.hpp"
#include "devview/convert.hpp"
#include "devview/cuda/arrow.hpp"
#include "devview/cuda/compare.hpp"
#include "devview/cuda/shared_stream.hpp"
#include "devview/staging.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

void copy_on(const View& dst, const View& src, const Stream& on) { copy(dst, src, on); }

TEST_F(Capture, CopiesWithinADeviceAreReplayed) {
    const auto dense = [](Shape shape) {
        return [shape] {
            return Sides{make_view(shape, cuda_device(0), 1), make_view(shape, cuda_device(0), 2)};
        };
    };
    expect_replays(dense({1000}), copy_on);
    expect_replays(
        [] {  // transposed
            const View dst = make_view({30, 40}, cuda_device(0), 1);
            const View src = make_view({40, 30}, cuda_device(0), 2);
            return Sides{dst, src.transpose()};
        },
        copy_on);
    expect_replays(
        [] {  // long rows
            const View dst = make_view({20, 100}, cuda_device(0), 1);
            const View src = make_view({20, 200}, cuda_device(0), 2);
            return Sides{dst, src.slice(1, 10, 110)};
        },
        copy_on);
    expect_replays(
        [] {  // overlapping: through memory of the graph
            const View block = make_view({100}, cuda_device(0), 1);
            return Sides{block.slice(0, 10, 90), block.slice(0, 5, 85)};
        },
        copy_on);
}

TEST_F(Capture, CopiesOfPinnedMemoryAreReplayed) {
    for (const bool to_host : {false, true}) {
        const Device dst = to_host ? kPinned : cuda_device(0);
        const Device src = to_host ? cuda_device(0) : kPinned;
        expect_replays(
            [&] {
                return Sides{make_view({1000}, dst, 1), make_view({1000}, src, 2)};
            },
            copy_on);
        expect_replays(
            [&] {  // rows
                return Sides{make_view({20, 100}, dst, 1),
                             make_view({20, 200}, src, 2).slice(1, 0, 100)};
            },
            copy_on);
        expect_replays(
            [&] {  // packed or unpacked on the device, in memory of the graph
                const View plain = make_view({40, 30}, to_host ? dst : src, 1);
                const View turned = make_view({30, 40}, to_host ? src : dst, 2).transpose();
                return to_host ? Sides{plain, turned} : Sides{turned, plain};
            },
            copy_on);
    }
}

TEST_F(Capture, CopiesBetweenDevicesAreReplayed) {
    expect_replays(
        [] {
            return Sides{make_view({1000}, cuda_device(0), 1),
                         make_view({1000}, cuda_device(1), 2)};
        },
        copy_on);
}

TEST_F(Capture, ConversionsAreReplayed) {
    const auto convert_on = [](const View& dst, const View& src, const Stream& on) {
        convert(dst, src, Casting::unsafe, on);
    };
    for (const Device from : {cuda_device(0), kPinned}) {
        expect_replays(
            [&] {
                return Sides{make_view({30, 40}, cuda_device(0), 1, Format("d")),
                             make_view({30, 40}, from, 2, Format("h"))};
            },
            convert_on);
    }
    expect_replays(
        [] {
            return Sides{make_view({64}, kPinned, 1, Format("h")),
                         make_view({64}, cuda_device(0), 2, Format("i"))};
        },
        convert_on);
}

TEST_F(Capture, FillsAreReplayed) {
    const View bytes = make_view({100}, cuda_device(0), 1);
    const View items = make_view({100}, cuda_device(0), 2);
    const View turned = make_view({10, 10}, cuda_device(0), 3).transpose().slice(0, 2, 8);
    const std::int32_t same = 0x05050505, other = 77;
    const auto work = [&] {
        fill(bytes, &same, on_);
        fill(items, &other, on_);
        fill(turned, &other, on_);
    };
    begin();
    work();
    const Graph graph(on_);
    std::vector<Bytes> before;
    for (const View* view : {&bytes, &items, &turned})
        before.push_back(block_bytes(*view->allocation()));
    work();
    std::vector<Bytes> expected;
    for (const View* view : {&bytes, &items, &turned})
        expected.push_back(block_bytes(*view->allocation()));
    for (int k = 0; k < 3; ++k) {
        std::size_t next = 0;
        for (const View* view : {&bytes, &items, &turned})
            put_block(*view->allocation(), before[next++]);
        graph.launch();
        next = 0;
        for (const View* view : {&bytes, &items, &turned})
            EXPECT_EQ(block_bytes(*view->allocation()), expected[next++]);
    }
}

TEST_F(Capture, EarlierWorkIsDoneBeforeTheCapturedOne) {
    const Stream other = make_stream(0);
    const View src = make_view({1000}, cuda_device(0), 1, Format("i"), other);
    const View dst = make_view({1000}, cuda_device(0), 2);
    const std::int32_t value = 41;
    set_delay(20000);
    fill(src, &value, other);
    begin();
    copy(dst, src, on_);
    const Graph graph(on_);
    set_delay(0);
    graph.launch();
    EXPECT_EQ(block_bytes(*dst.allocation()), block_bytes(*src.allocation()));
    EXPECT_EQ(block_bytes(*dst.allocation())[0], 41);
}

TEST_F(Capture, EarlierWorkOnARawHandleIsDoneBefore) {
    const Stream owner = make_stream(0);
    const Stream raw = Stream::raw(owner.device(), owner.handle());
    const View src = make_view({1000}, cuda_device(0), 1);
    const View dst = make_view({1000}, cuda_device(0), 2);
    const std::int32_t value = 43;
    set_delay(20000);
    fill(src, &value, raw);
    begin();
    filler().clear_calls();
    copy(dst, src, on_);
    EXPECT_GE(count("cudaEventSynchronize"), 1u);
    EXPECT_EQ(count("cudaStreamWaitEvent"), 0u);
    const Graph graph(on_);
    set_delay(0);
    graph.launch();
    EXPECT_EQ(block_bytes(*dst.allocation()), block_bytes(*src.allocation()));
    EXPECT_EQ(block_bytes(*dst.allocation())[0], 43);
}

TEST_F(Capture, StreamsOfOneCaptureAreOrderedByItsEdges) {
    const Stream other = make_stream(0);
    for (const bool raw : {false, true}) {
        const Stream first = raw ? Stream::raw(on_.device(), on_.handle()) : on_;
        const Stream second = raw ? Stream::raw(other.device(), other.handle()) : other;
        const View a = make_view({1000}, cuda_device(0), 1);
        const View b = make_view({1000}, cuda_device(0), 2);
        const View c = make_view({1000}, cuda_device(0), 3);
        drain();
        begin();
        Event::record(first).order(second);  // forks
        copy(b, a, first);
        copy(c, b, second);  // knows by itself that b comes from the first
        Event::record(second).order(first);
        const Graph graph(on_);
        put_block(*a.allocation(), pattern(4000, 50));
        graph.launch();
        EXPECT_EQ(block_bytes(*c.allocation()), pattern(4000, 50)) << raw;
    }
}

TEST_F(Capture, AfterItTheViewsAreUsedAsEver) {
    const Stream other = make_stream(0);
    for (const bool raw : {false, true}) {
        const Stream stream = raw ? Stream::raw(on_.device(), on_.handle()) : on_;
        const View src = make_view({1000}, cuda_device(0), 1);
        const View dst = make_view({1000}, kPinned, 2);
        begin();
        copy(dst, src, stream);
        { const Graph graph(on_); }
        copy(dst, src, other);
        copy(dst, src, stream);
        wait_for_host(*dst.allocation());
        EXPECT_EQ(block_bytes(*dst.allocation()), pattern(4000, 1));
        EXPECT_EQ(trim(), 0u);
    }
}

TEST_F(Capture, WhatTheHostWaitsForIsRefused) {
    const View device = make_view({1000}, cuda_device(0), 1);
    const View pageable = make_view({1000}, kCpu, 2);
    const View small = make_view({1000}, cuda_device(0), 2, Format("h"));
    const View wide = make_view({10}, kPinned, 2, Format("100s"));
    const View wide_device = make_view({10}, cuda_device(0), 2, Format("100s"));
    const View bits = make_view({8}, cuda_device(0), 1, Format("B"));
    expect_refused_in_capture([&] { copy(device, pageable, on_); });
    expect_refused_in_capture([&] { copy(pageable, device, on_); });
    expect_refused_in_capture([&] { copy_to(device, kCpu, Order::C, on_); });
    expect_refused_in_capture([&] { copy_to(device, cuda_device(0), Order::C, on_); });
    expect_refused_in_capture([&] { convert(pageable, small, Casting::unsafe, on_); });
    expect_refused_in_capture([&] { convert(small, pageable, Casting::unsafe, on_); });
    expect_refused_in_capture([&] { fill(wide_device, wide.data(), on_); });
    const View there = make_view({1000}, cuda_device(0), 1, Format("i"), on_);
    expect_refused_in_capture([&] { (void)cuda::equal_on_device(there, device); });
    expect_refused_in_capture([&] { Staging(device, false, Order::C, on_); });
    expect_refused_in_capture([&] { Staging(device, true, Order::C, on_); });
    expect_refused_in_capture([&] { allocate(100, cuda_device(0), on_); });
    expect_refused_in_capture([&] { allocate_zeroed(100, cuda_device(0), on_); });
    expect_refused_in_capture([&] { synchronize(on_); });
    expect_refused_in_capture([&] { query(on_); });
    Staging(device, true, Order::C, on_).finish();  // its claim was not left behind
}

TEST_F(Capture, TheHostDoesNotWaitForCapturedUses) {
    const View device = make_view({1000}, cuda_device(0), 1);
    const View host = make_view({1000}, kPinned, 2);
    const View pageable = make_view({1000}, kCpu);
    begin();
    copy(host, device, on_);
    expect_refused([&] { wait_for_host(*host.allocation()); });
    expect_refused([&] { copy(pageable, host, {}); });
    expect_valid_capture();
    wait_for_host(*host.allocation());
}

TEST_F(Capture, AWritableStagingIsNotWrittenBackIntoACapture) {
    const View device = make_view({1000}, cuda_device(0), 1);
    Staging staging(device, true, Order::C, on_);
    staging.wait();
    begin();
    expect_refused([&] { staging.finish(); });
    expect_valid_capture();
}

TEST_F(Capture, ItsEventsStandForNothingThatRuns) {
    begin();
    const Event inside = Event::record(on_);
    expect_refused([&] { (void)inside.done(); }, cudaErrorCapturedEvent);
    expect_refused([&] { inside.wait(); }, cudaErrorCapturedEvent);
    const Stream other = make_stream(0);
    const Event outside = Event::record(other);
    expect_refused([&] { outside.order(on_); }, cudaErrorStreamCaptureIsolation);
    begin(other);
    const Event elsewhere = Event::record(other);
    expect_refused([&] { elsewhere.order(on_); }, cudaErrorStreamCaptureMerge);
    const Graph graph(other);
    expect_valid_capture();
}

TEST_F(Capture, NobodyElseJoinsIt) {
    const Stream other = make_stream(0);
    const View view = make_view({1000}, cuda_device(0), 1, Format("i"), on_);
    const View dst = make_view({1000}, cuda_device(0), 2);
    drain();
    begin();
    expect_refused([&] { copy(dst, view, other); }, cudaErrorStreamCaptureIsolation);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
    ASSERT_EQ(runtime().StreamIsCapturing(handle_of(other), &status), cudaSuccess);
    EXPECT_EQ(status, cudaStreamCaptureStatusNone);
    expect_valid_capture();
    copy(dst, view, other);
}

/// A stream that CuPy or another library captures, as a consumer names it.
TEST_F(Capture, AConsumerThatCapturesIsGivenWhatIsDone) {
    const View view = make_view({1000}, cuda_device(0), 1);
    const View with_stream = make_view({1000}, cuda_device(0), 1, Format("i"), on_);
    const Stream consumer = Stream::raw(on_.device(), on_.handle());
    const std::int32_t value = 47;
    set_delay(20000);
    fill(view, &value, {});
    begin();
    view.allocation()->uses()->order(consumer);
    view.allocation()->uses()->record(consumer);
    EXPECT_EQ(*static_cast<int*>(filler().peek(view.data())), 47);
    order_after(legacy_stream(0), consumer);
    EXPECT_EQ(join_shared_stream(with_stream), on_);
    set_delay(0);
    expect_valid_capture();
    wait_for_host(*view.allocation());
}

TEST_F(Capture, ArrowEventsAreNotMadeInACapture) {
    const View view = make_view({1000}, cuda_device(0), 1, Format("i"), on_);
    begin();
    ArrowDeviceArray array{};
    expect_refused([&] { export_arrow_device(view, &array); });
    EXPECT_EQ(array.array.release, nullptr);
    expect_valid_capture();
}

TEST_F(Capture, TheLegacyStreamIsLeftAloneWhileABlockingStreamCaptures) {
    cudaStream_t handle = nullptr;
    ASSERT_EQ(runtime().StreamCreateWithFlags(&handle, cudaStreamDefault), cudaSuccess);
    const Stream blocking = Stream::raw(on_.device(), handle);
    const View src = make_view({1000}, cuda_device(0), 1);  // their home is the legacy stream
    const View dst = make_view({1000}, cuda_device(0), 2);
    auto dropped = allocate(100, cuda_device(0));
    auto pinned = allocate(100, kPinned);
    pinned->uses()->record(Stream::raw(on_.device(), on_.handle()));
    const std::size_t pinned_live = pinned_gauge().live_bytes;
    const std::int32_t value = 3;
    begin(blocking);
    copy(dst, src, blocking);
    const auto refused = [](const std::function<void()>& work) {
        expect_refused(work, cudaErrorStreamCaptureImplicit);
    };
    refused([&] { copy(dst, src); });
    refused([&] { copy(dst, src, on_); });
    refused([&] { fill(dst, &value); });
    refused([&] { allocate(100, cuda_device(0)); });
    refused([&] { synchronize(Stream{}); });
    refused([&] { query(legacy_stream(0)); });
    refused([&] { Event::record(legacy_stream(0)); });
    refused([&] { Staging(dst, false); });
    filler().clear_calls();
    dropped.reset();
    pinned.reset();
    EXPECT_EQ(count("cudaFreeAsync"), 0u);
    EXPECT_EQ(pinned_gauge().live_bytes, pinned_live);
    {
        const Graph graph(blocking);
        put_block(*src.allocation(), pattern(4000, 60));
        graph.launch();
    }
    EXPECT_EQ(block_bytes(*dst.allocation()), pattern(4000, 60));
    trim();
    EXPECT_EQ(count("cudaFreeAsync"), 1u);
    EXPECT_EQ(pinned_gauge().live_bytes, pinned_live - 100);
    ASSERT_EQ(runtime().StreamDestroy(handle), cudaSuccess);
}

}  // namespace
}  // namespace devview::testing
