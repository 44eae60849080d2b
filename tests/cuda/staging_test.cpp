// Tests of stagings: what they cost, when they are ready, and what goes back.
#include "devview/staging.hpp"

#include "devview/error.hpp"
#include "emulated.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

class Stagings : public Emulated {
protected:
    static Bytes bytes_of(const Staging& staging) {
        const auto* const data = static_cast<const unsigned char*>(staging.data());
        return Bytes(data, data + staging.nbytes());
    }
};

View dense(Device device = cuda_device(0), unsigned seed = 1) {
    return make_view({6, 40}, device, seed);
}
View rows() { return make_view({6, 50}, cuda_device(0), 2).slice(1, 3, 43); }
View steps() {
    return make_view({12, 80}, cuda_device(0), 3).slice(0, {}, {}, 2).slice(1, {}, {}, -2);
}

TEST_F(Stagings, ReadOnlyStagingTakesTheFewestCalls) {
    struct Case {
        View view;
        std::size_t memcpys, pitched, kernels, temps;
    };
    for (const Case& c :
         {Case{dense(), 1, 0, 0, 0}, Case{rows(), 0, 1, 0, 0}, Case{steps(), 1, 0, 1, 1}}) {
        { Staging(c.view, false).wait(); }
        drain();
        filler().clear_calls();
        {
            Staging staging(c.view, false);
            EXPECT_EQ(count("cudaEventSynchronize"), 0u);
            staging.wait();
            EXPECT_TRUE(staging.pinned());
            EXPECT_EQ(bytes_of(staging), items(c.view));
        }
        EXPECT_EQ(count("cudaMemcpyAsync") - 1, c.memcpys) << "one is the oracle's";
        EXPECT_EQ(count("cudaMemcpy2DAsync"), c.pitched);
        EXPECT_EQ(count("cudaLaunchKernel"), c.kernels);
        EXPECT_EQ(count("cudaMallocAsync"), c.temps);
        EXPECT_EQ(count("cudaFreeAsync"), c.temps);
        EXPECT_EQ(count("cudaEventRecord"), 1u);
        EXPECT_EQ(count("cudaEventSynchronize"), 1u);
        EXPECT_EQ(count("cudaHostAlloc"), 0u) << "the cache has the block";
    }
}

TEST_F(Stagings, NoOtherSynchronisationHappens) {
    const View view = steps();
    drain();
    filler().clear_calls();
    {
        Staging staging(view, true);
        staging.wait();
        staging.finish();
    }
    EXPECT_EQ(count("cudaStreamSynchronize") + count("cudaDeviceSynchronize"), 0u);
    EXPECT_EQ(count("cudaEventSynchronize"), 1u);
}

TEST_F(Stagings, CopyIsDenseInTheOrderAskedFor) {
    for (const View& view : {dense(), rows(), steps(), steps().transpose()}) {
        for (const Order order : {Order::C, Order::F}) {
            Staging staging(view, false, order);
            staging.wait();
            EXPECT_TRUE(staging.layout().contiguous(4, order));
            const auto block = Allocation::adopt(staging.data(), staging.nbytes(), kCpu, nullptr);
            const View copy(block, staging.data(), view.format(), staging.layout(), true);
            EXPECT_EQ(items(copy), items(view));
        }
    }
}

TEST_F(Stagings, StartsAtOnceAndIsReadyLater) {
    const View view = dense();
    set_delay(20000);
    Staging staging(view, false);
    EXPECT_FALSE(staging.ready());
    staging.wait();
    EXPECT_TRUE(staging.ready());
    EXPECT_EQ(bytes_of(staging), items(view));
}

TEST_F(Stagings, SnapshotSeesWorkOnOtherStreams) {
    const View view = dense();
    const View source = dense(cuda_device(0), 9);
    set_delay(10000);
    copy(view, source, make_stream(0));
    Staging staging(view, false, Order::C, make_stream(0));
    staging.wait();
    EXPECT_EQ(bytes_of(staging), pattern(960, 9));
}

TEST_F(Stagings, WritableStagingIsWrittenBack) {
    for (const View& view : {dense(), rows(), steps()}) {
        const Bytes wanted = with_items(block_bytes(*view.allocation()), view, pattern(960, 33));
        set_delay(2000);
        {
            Staging staging(view, true);
            staging.wait();
            EXPECT_EQ(bytes_of(staging), items(view));
            const Bytes fresh = pattern(960, 33);
            std::memcpy(staging.data(), fresh.data(), fresh.size());
        }
        EXPECT_EQ(block_bytes(*view.allocation()), wanted);
        set_delay(0);
    }
}

TEST_F(Stagings, FortranStagingIsWrittenBackInPlace) {
    const View view = steps();
    const Bytes before = block_bytes(*view.allocation());
    {
        Staging staging(view, true, Order::F);
        staging.wait();
    }
    EXPECT_EQ(block_bytes(*view.allocation()), before);
}

TEST_F(Stagings, ReadOnlyAndDiscardedStagingsWriteNothing) {
    const View view = dense();
    {
        Staging staging(view, false);
        staging.wait();
        std::memset(staging.data(), 0, staging.nbytes());
    }
    Staging discarded(view, true);
    discarded.wait();
    std::memset(discarded.data(), 0, discarded.nbytes());
    discarded.discard();
    EXPECT_EQ(items(view), pattern(960, 1));
    EXPECT_NO_THROW(discarded.finish());
}

TEST_F(Stagings, PinnedBlockOfAWriteBackIsNotReusedTooEarly) {
    const View view = dense();
    const Stream stream = make_stream(0);
    Staging staging(view, true, Order::C, stream);
    staging.wait();
    const Bytes fresh = pattern(960, 44);
    std::memcpy(staging.data(), fresh.data(), fresh.size());
    set_delay(20000);
    filler().clear_calls();
    staging.finish();
    EXPECT_EQ(count("cudaEventSynchronize"), 0u) << "finish does not wait";
    const PinnedBlock other = PinnedBlock::take(960);
    std::memset(other.data(), 0xee, 960);
    EXPECT_EQ(items(view), fresh);
}

TEST_F(Stagings, FinishIsIdempotentAndGivesEverythingBack) {
    View view = dense();
    Staging staging(view, true);
    staging.wait();
    EXPECT_EQ(view.allocation()->exports(), 1);
    EXPECT_EQ(view.allocation()->views(), 1);
    staging.finish();
    staging.finish();
    EXPECT_EQ(view.allocation()->exports(), 0);
    EXPECT_EQ(staging.data(), nullptr);
    EXPECT_EQ(staging.nbytes(), 0u);
    EXPECT_EQ(pinned_gauge().live_bytes, 0u);
}

TEST_F(Stagings, StagingKeepsTheBlockAlive) {
    View view = dense();
    Staging staging(view, false);
    view.release();
    staging.wait();
    EXPECT_EQ(bytes_of(staging), pattern(960, 1));
    EXPECT_EQ(memory_gauge(cuda_device(0)).live_bytes, 960u);
    staging.finish();
    EXPECT_EQ(memory_gauge(cuda_device(0)).live_bytes, 0u);
}

TEST_F(Stagings, BlockCannotBeFreedOrResizedMeanwhile) {
    const auto block = allocate(960, cuda_device(0));
    View view = dense_view(block, {6, 40});
    Staging staging(view, false);
    view.release();
    EXPECT_THROW(block->free(), BufferError);
    EXPECT_THROW(resize(block, 10), BufferError);
    staging.finish();
    EXPECT_NO_THROW(block->free());
}

TEST_F(Stagings, OverlappingWritableStagingsAreRefused) {
    const View view = dense();
    const View top = view.slice(0, 0, 3), bottom = view.slice(0, 3, 6);
    const View even = view.slice(1, 0, {}, 2), odd = view.slice(1, 1, {}, 2);
    {
        Staging first(top, true), second(bottom, true), reader(view, false);
        try {
            Staging third(view.slice(0, 2, 4), true);
            FAIL() << "no BufferError";
        } catch (const BufferError& error) {
            EXPECT_EQ(std::string(error.what()).rfind("stage: writable staging of bytes [", 0), 0u);
            EXPECT_NE(std::string(error.what()).find(") overlaps one that lives"),
                      std::string::npos);
        }
    }
    Staging interleaved(even, true);
    EXPECT_THROW(Staging(odd, true), BufferError) << "decided by byte bounds";
    interleaved.finish();
    EXPECT_NO_THROW(Staging(odd, true));
}

TEST_F(Stagings, BadRequestsAreRefused) {
    View view = dense();
    EXPECT_THROW(Staging(view.as_readonly(), true), BufferError);
    EXPECT_NO_THROW(Staging(view.as_readonly(), false));
    if (device_count() > 1) {
        EXPECT_THROW(Staging(view, false, Order::C, make_stream(1)), DeviceError);
    }
    View gone = view;
    gone.release();
    EXPECT_THROW(Staging(gone, false), ReleasedError);
    EXPECT_EQ(view.allocation()->exports(), 0);
    const View packed = make_view({2}, some_device(0), 1, Format("B")).cast(Format("T{4t:int4:}"));
    EXPECT_THROW(Staging(packed, false), BufferError);
    EXPECT_FALSE(Staging(view, false).writable());
    EXPECT_TRUE(Staging(view, true).writable());
}

TEST_F(Stagings, HostMemoryIsNotCopied) {
    for (const Device device : {kCpu, kPinned, kManaged}) {
        const View view = dense(device).slice(1, {}, {}, 2);
        Staging staging(view, true), other(view, true);
        staging.wait();
        EXPECT_EQ(staging.data(), view.data());
        EXPECT_EQ(staging.layout(), view.layout());
        EXPECT_TRUE(staging.pinned());
    }
}

TEST_F(Stagings, PinnedViewsAreWaitedFor) {
    const View device = dense();
    const View pinned = dense(kPinned, 5);
    set_delay(20000);
    copy(pinned, device, make_stream(0));
    Staging staging(pinned, false);
    staging.wait();
    EXPECT_EQ(bytes_of(staging), pattern(960, 1));
}

TEST_F(Stagings, EmptyViewsHaveAnAddressAndMakeNoCopy) {
    const View view = make_view({0, 4}, cuda_device(0));
    filler().clear_calls();
    Staging staging(view, true);
    staging.wait();
    EXPECT_NE(staging.data(), nullptr);
    EXPECT_EQ(staging.nbytes(), 0u);
    EXPECT_TRUE(staging.ready());
    staging.finish();
    EXPECT_EQ(count("cudaMemcpyAsync") + count("cudaEventRecord"), 0u);
}

TEST_F(Stagings, WhatDoesNotFitUnderTheLimitIsPageable) {
    constexpr std::int64_t kBytes = 1 << 20;
    set_pinned_limit(256 << 10);
    trim();
    const View view = make_view({kBytes / 4, 4}, cuda_device(0), 1, Format("B")).slice(1, 0, 3);
    const Bytes wanted = items(view);
    {
        Staging staging(view, true);
        EXPECT_FALSE(staging.pinned());
        EXPECT_TRUE(staging.ready());
        EXPECT_EQ(bytes_of(staging), wanted);
        std::memset(staging.data(), 3, staging.nbytes());
    }
    EXPECT_EQ(items(view), Bytes(wanted.size(), 3));
    expect_peak(256 << 10);
    EXPECT_EQ(memory_gauge(kCpu).live_bytes, 0u);
}

TEST_F(Stagings, RefusedPinnedMemoryMakesItPageable) {
    const View view = dense();
    trim();
    for (int n = 1; n <= 8; ++n)
        filler().fail("cudaHostAlloc", n, cudaErrorMemoryAllocation);
    Staging staging(view, false);
    EXPECT_FALSE(staging.pinned());
    EXPECT_EQ(bytes_of(staging), pattern(960, 1));
}

TEST_F(Stagings, FailedWriteBackGivesEverythingBackAndThrows) {
    const View view = dense();
    Staging staging(view, true);
    staging.wait();
    filler().fail("cudaMemcpyAsync", 1, cudaErrorInvalidValue);
    EXPECT_THROW(staging.finish(), DeviceError);
    EXPECT_EQ(pinned_gauge().live_bytes, 0u);
    EXPECT_EQ(view.allocation()->exports(), 0);
    EXPECT_NO_THROW(staging.finish());
    EXPECT_NO_THROW(Staging(view, true)) << "the claim is gone";
}

TEST_F(Stagings, FailedWriteBackInADestructorIsReportedOnce) {
    set_release_error_handler([](const char*) noexcept {});
    const View view = dense();
    {
        Staging staging(view, true);
        staging.wait();
        filler().fail("cudaMemcpyAsync", 1, cudaErrorInvalidValue);
    }
    EXPECT_EQ(release_errors(), failed_releases_ + 1);
    failed_releases_ = release_errors();
    set_release_error_handler(nullptr);
    EXPECT_EQ(items(view), pattern(960, 1));
}

TEST_F(Stagings, RawStreamIsNotTouchedByTheWriteBack) {
    const View view = dense();
    Stream foreign = make_stream(0);
    set_delay(5000);
    Staging staging(view, true, Order::C, Stream::raw(cuda_device(0), foreign.handle()));
    foreign = Stream{};
    staging.wait();
    std::memset(staging.data(), 1, staging.nbytes());
    EXPECT_NO_THROW(staging.finish());
    EXPECT_EQ(items(view), Bytes(960, 1));
}

TEST_F(Stagings, FailedDeviceIsToldByWaitAndNothingIsLost) {
    set_release_error_handler([](const char*) noexcept {});
    void* block = nullptr;
    {
        const View view = steps();
        block = view.allocation()->data();
        filler().fail("kernel", 1, cudaErrorIllegalAddress);
        set_delay(20000);
        Staging staging(view, false);
        set_delay(0);
        EXPECT_THROW(staging.wait(), DeviceError);
        EXPECT_THROW(Staging(view, false).wait(), DeviceError);
    }
    EXPECT_LE(release_errors(), failed_releases_ + 1) << "told once";
    failed_releases_ = release_errors();
    filler().clear_sticky();
    filler().recover(block);
    set_release_error_handler(nullptr);
}

}  // namespace
}  // namespace devview::testing
