// Tests of copies between devices: access is asked for once, used where it is known to hold, and
// never needed.
#include <thread>

#include "devview/copy.hpp"
#include "routes.hpp"
#include "src/stream/stream.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

constexpr Device d0{DeviceType::cuda, 0}, d1{DeviceType::cuda, 1}, d2{DeviceType::cuda, 2};

const Calls kOnePeer{{"cudaMemcpyPeerAsync", 1}};
const Calls kOneKernel{{"cudaLaunchKernel", 1}};
const Calls kPackedAtOneSide{{"cudaLaunchKernel", 1},
                             {"cudaMallocAsync", 1},
                             {"cudaMemcpyPeerAsync", 1},
                             {"cudaFreeAsync", 1}};
const Calls kPackedAtBoth{{"cudaLaunchKernel", 2},
                          {"cudaMallocAsync", 2},
                          {"cudaMemcpyPeerAsync", 1},
                          {"cudaFreeAsync", 2}};

View dense(Device device, unsigned seed) { return make_view({6, 8, 40}, device, seed); }
View rows(Device device, unsigned seed) {
    return make_view({48, 50}, device, seed).slice(1, 5, 45);
}
View box(Device device, unsigned seed) {
    return make_view({6, 10, 50}, device, seed).slice(1, 1, 9).slice(2, 5, 45);
}
View steps(Device device, unsigned seed) {
    return make_view({12, 16, 80}, device, seed)
        .slice(0, {}, {}, 2)
        .slice(1, {}, {}, -2)
        .slice(2, {}, {}, 2);
}

class Peers : public Routes {
protected:
    void SetUp() override {
        Routes::SetUp();
        Filler::need_devices(3);
    }

    /// What the device's memory holds now, whoever still works on it.
    static Bytes seen(const View& view) {
        const auto* const there =
            static_cast<const unsigned char*>(filler().peek(view.allocation()->data()));
        return items_in(Bytes(there, there + view.allocation()->nbytes()), view);
    }

    /// Somebody writes a whole block on a stream, late, and tells nobody.
    static void write_untold(const View& view, const View& pinned, const Stream& stream) {
        const DeviceGuard guard(stream.device().id);
        check(runtime().MemcpyAsync(view.allocation()->data(), pinned.data(),
                                    view.allocation()->nbytes(), cudaMemcpyDefault,
                                    handle_of(stream)),
              "memcpy of the test");
    }

    static std::size_t asked() {
        return count("cudaDeviceCanAccessPeer") + count("cudaDeviceEnablePeerAccess") +
               count("cudaMemPoolSetAccess");
    }
};

TEST_F(Peers, AccessIsAskedForOnceInBothDirections) {
    filler().need(Feature::restart);
    restart(true);
    const View a = dense(d0, 1), b = dense(d1, 2), c = dense(d2, 3);
    filler().clear_calls();
    copy(a, b);
    EXPECT_EQ(count("cudaDeviceCanAccessPeer"), 2u);
    EXPECT_EQ(count("cudaDeviceEnablePeerAccess"), 2u);
    EXPECT_EQ(count("cudaMemPoolSetAccess"), 2u);
    copy(b, a);
    copy(a, b);
    EXPECT_EQ(asked(), 6u);
    copy(c, a);
    EXPECT_EQ(asked(), 12u);
}

TEST_F(Peers, ThreadsMayAskAtTheSameTime) {
    restart(true);
    std::vector<View> targets, sources;
    for (unsigned k = 0; k < 8; ++k) {
        targets.push_back(rows(k % 2 ? d1 : d0, 2 * k));
        sources.push_back(rows(k % 2 ? d0 : d1, 2 * k + 1));
    }
    std::vector<std::thread> threads;
    for (std::size_t k = 0; k < 8; ++k)
        threads.emplace_back([&, k] { copy(targets[k], sources[k]); });
    for (std::thread& thread : threads)
        thread.join();
    for (std::size_t k = 0; k < 8; ++k)
        EXPECT_EQ(items(targets[k]), items(sources[k])) << k;
}

TEST_F(Peers, AccessThatSomebodyElseEnabledIsNoError) {
    filler().need(Feature::peers);
    restart(true);
    {
        const DeviceGuard guard(1);
        const cudaError_t status = runtime().DeviceEnablePeerAccess(0, 0);
        ASSERT_TRUE(status == cudaSuccess || status == cudaErrorPeerAccessAlreadyEnabled);
        runtime().GetLastError();
    }
    const View a = rows(d0, 1), b = rows(d1, 2);
    expect_route("rows", a, b, {{"cudaMemcpy2DAsync", 1}});
    EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
}

TEST_F(Peers, RoutesWithAccess) {
    filler().need(Feature::peers);
    restart(true);
    for (const Stream& stream : {Stream{}, make_stream(1), make_stream(2)}) {
        expect_route("dense", dense(d2, 1), dense(d1, 2), kOnePeer, stream);
        expect_route("rows", rows(d2, 1), rows(d1, 2), {{"cudaMemcpy2DAsync", 1}}, stream);
        expect_route("box", dense(d2, 1), box(d1, 2), {{"cudaMemcpy3DAsync", 1}}, stream);
        expect_route("gathered", dense(d2, 1), steps(d1, 2), kOneKernel, stream);
        expect_route("into rows", box(d2, 1), steps(d1, 2), kOneKernel, stream);
        expect_route("scattered", steps(d2, 1), dense(d1, 2), kPackedAtOneSide, stream);
        expect_route("strided", steps(d2, 1), steps(d1, 2), kPackedAtBoth, stream);
    }
}

TEST_F(Peers, RoutesWithoutAccess) {
    restart(false);
    for (const Stream& stream : {Stream{}, make_stream(1), make_stream(2)}) {
        expect_route("dense", dense(d2, 1), dense(d1, 2), kOnePeer, stream);
        expect_route("rows", rows(d2, 1), rows(d1, 2),
                     {{"cudaMemcpy2DAsync", 2},
                      {"cudaMallocAsync", 2},
                      {"cudaMemcpyPeerAsync", 1},
                      {"cudaFreeAsync", 2}},
                     stream);
        expect_route("box", dense(d2, 1), box(d1, 2),
                     {{"cudaMemcpy3DAsync", 1},
                      {"cudaMallocAsync", 1},
                      {"cudaMemcpyPeerAsync", 1},
                      {"cudaFreeAsync", 1}},
                     stream);
        expect_route("gathered", dense(d2, 1), steps(d1, 2), kPackedAtOneSide, stream);
        expect_route("strided", steps(d2, 1), steps(d1, 2), kPackedAtBoth, stream);
    }
    EXPECT_EQ(count("cudaDeviceEnablePeerAccess") + count("cudaMemPoolSetAccess"), 0u);
}

/// A view of memory from a pool of somebody else's, to which no peer has access.
class ForeignPool {
public:
    ForeignPool() {
        cudaMemPoolProps props{};
        props.allocType = cudaMemAllocationTypePinned;
        props.location.type = cudaMemLocationTypeDevice;
        props.location.id = 1;
        check(runtime().MemPoolCreate(&pool_, &props), "pool of the test");
    }
    ~ForeignPool() { EXPECT_EQ(runtime().MemPoolDestroy(pool_), cudaSuccess); }
    ForeignPool(const ForeignPool&) = delete;
    ForeignPool& operator=(const ForeignPool&) = delete;

    View make(const Shape& shape, unsigned seed) const {
        std::size_t nbytes = 4;
        for (const std::int64_t extent : shape)
            nbytes *= static_cast<std::size_t>(extent);
        const DeviceGuard guard(1);
        Allocation::Block block;
        check(runtime().MallocFromPoolAsync(&block.data, nbytes, pool_, cudaStreamLegacy),
              "memory of the test");
        block.nbytes = nbytes;
        block.device = d1;
        block.stream = legacy_stream(1);
        block.context = block.data;
        block.release = [](void* data, Stream stream) noexcept {
            const DeviceGuard inner(1);
            EXPECT_EQ(runtime().FreeAsync(data, handle_of(stream)), cudaSuccess);
        };
        const View view = dense_view(adopt_device(std::move(block)), shape);
        put_block(*view.allocation(), pattern(nbytes, seed));
        return view;
    }

private:
    cudaMemPool_t pool_ = nullptr;
};

TEST_F(Peers, MemoryOfUnknownPoolsIsNotReachedDirectly) {
    filler().need(Feature::peers);
    restart(true);
    copy(dense(d0, 1), dense(d1, 2));  // access between the two is granted
    const ForeignPool pool;
    const View foreign = pool.make({48, 50}, 3).slice(1, 5, 45);
    const View strided = make_view({96, 80}, d0, 4).slice(0, {}, {}, 2).slice(1, {}, {}, -2);
    const Calls staged{{"cudaMemcpy2DAsync", 2},
                       {"cudaMallocAsync", 2},
                       {"cudaMemcpyPeerAsync", 1},
                       {"cudaFreeAsync", 2}};
    const Calls packed{{"cudaLaunchKernel", 1},
                       {"cudaMemcpy2DAsync", 1},
                       {"cudaMallocAsync", 2},
                       {"cudaMemcpyPeerAsync", 1},
                       {"cudaFreeAsync", 2}};
    const Stream here = make_stream(0), there = make_stream(1);
    expect_route("by the peer's engine", foreign, rows(d0, 2), staged, here);
    expect_route("by its own engine", foreign, rows(d0, 2), {{"cudaMemcpy2DAsync", 1}}, there);
    expect_route("by the peer's kernel", foreign, strided, packed, here);
    expect_route("read by the peer", rows(d0, 2), foreign, kOneKernel, here);
    expect_route("by its own kernel", make_view({48, 40}, d0, 6), foreign.slice(0, {}, {}, -1),
                 kOneKernel, here);
}

TEST_F(Peers, KernelsWaitForBothDevicesAndAreWaitedFor) {
    for (const bool lazy : {false, true}) {
        restart(true, lazy);
        for (const int home : {1, 2}) {
            const Stream at_source = make_stream(1), at_target = make_stream(2);
            const Stream& chosen = home == 1 ? at_source : at_target;
            const View host = make_view({6, 8, 40}, kPinned, 1),
                       back = make_view({6, 8, 40}, kPinned, 5);
            const View source = steps(d1, 2), target = dense(d2, 3);
            const Bytes wanted = items(host);
            filler().clear_calls();
            set_delay(5000);
            copy(source, host, at_source);
            copy(target, host, at_target);
            copy(target, source, chosen);
            copy(back, target, at_target);
            copy(source, back, at_source);  // after the kernel has read it
            EXPECT_EQ(items(back), wanted) << home << lazy;
            EXPECT_EQ(items(source), wanted) << home << lazy;
            set_delay(0);
        }
    }
}

TEST_F(Peers, KernelOfAnotherDeviceKeepsToTheStreamGiven) {
    restart(true);
    filler().need(Feature::peek);
    const Stream at_target = make_stream(2);
    const View source = steps(d1, 2), target = dense(d2, 3);
    const View host = make_view({12, 16, 80}, kPinned, 7);
    copy(target, source, at_target);
    set_delay(10000);
    write_untold(source, host, at_target);
    copy(target, source, at_target);
    synchronize(at_target);  // the target is complete, for whoever looks at it
    const Bytes got = seen(target);
    EXPECT_EQ(got, items_in(block_bytes(*host.allocation()), source));
}

TEST_F(Peers, HandlesThatNobodyHoldsAreNotWorkedOn) {
    // Of a raw handle it is not known how long it lives: the other side's stream, or the legacy
    // one.
    const Stream held = make_stream(0), loose = make_stream(1);
    const Stream raw = Stream::raw(loose.device(), loose.handle());
    const View target = make_view({100}, d1, 2).with_stream(raw);
    for (const Stream& from : {held, Stream::raw(held.device(), held.handle())}) {
        const View source = make_view({100}, d0, 1).with_stream(from);
        copy(target, source);
        drain();
        EXPECT_EQ(items(target), items(source));
    }
}

TEST_F(Peers, NothingIsAskedWhileCapturing) {
    filler().need(Feature::restart);
    restart(true);
    const View a = rows(d0, 1), b = rows(d1, 2);
    filler().clear_calls();
    filler().fail("cudaStreamIsCapturing", 1, cudaErrorStreamCaptureImplicit);
    copy(a, b);
    EXPECT_EQ(count("cudaDeviceEnablePeerAccess"), 1u) << "only the second direction";
    copy(a, b);
    EXPECT_EQ(count("cudaDeviceEnablePeerAccess"), 2u);
    EXPECT_EQ(items(a), items(b));
}

class RefusingDriver : public Peers {
protected:
    static void refuse(int error = cudaErrorNotSupported) {
        filler().clear_calls();
        filler().fail("cudaMemcpyPeerAsync", 1, error);
    }
};

TEST_F(RefusingDriver, BytesGoThroughPinnedChunksWithoutAWait) {
    set_pinned_limit(4 * kMiB);
    const View source = make_view({11 << 20}, d0, 1, Format("B"));
    for (const int home : {0, 1}) {
        for (const int error :
             {cudaErrorNotSupported, cudaErrorPeerAccessUnsupported, cudaErrorNotPermitted}) {
            const View target = make_view({11 << 20}, d1, 2, Format("B"));
            const Stream stream = make_stream(home);
            refuse(error);
            copy(target, source, stream);
            Calls calls = moves();
            EXPECT_EQ(calls["cudaMemcpyPeerAsync"], 1u);
            EXPECT_EQ(calls["cudaMemcpyAsync"], 2u * 6) << "two chunks of 2 MiB, used in turn";
            EXPECT_EQ(calls["cudaEventSynchronize"] + calls["cudaStreamSynchronize"] +
                          calls["cudaDeviceSynchronize"],
                      0u);
            EXPECT_EQ(items(target), items(source)) << home << " " << error;
            expect_peak(4 * kMiB);
            filler().clear_faults();
        }
    }
}

TEST_F(RefusingDriver, CopyThatBreaksOffWaitsForItsChunks) {
    const View source = make_view({11 << 20}, d0, 1, Format("B"));
    const View target = make_view({11 << 20}, d1, 2, Format("B"));
    refuse(cudaErrorNotSupported);
    filler().fail("cudaMemcpyAsync", 5, cudaErrorNotYetImplemented);
    filler().clear_calls();
    EXPECT_THROW(copy(target, source), DeviceError);
    EXPECT_GE(count("cudaStreamSynchronize"), 2u);
}

TEST_F(RefusingDriver, CopyKeepsToTheStreamGiven) {
    filler().need(Feature::peek);
    for (const int home : {0, 1}) {
        const Stream stream = make_stream(home);
        const View source = dense(d0, 1), target = dense(d1, 2),
                   host = dense(kPinned, home ? 4 : 3);
        refuse();
        set_delay(10000);
        write_untold(source, host, stream);
        copy(target, source, stream);
        synchronize(stream);
        const Bytes got = seen(target);
        EXPECT_EQ(got, items(host)) << home;
        set_delay(0);
        filler().clear_faults();
    }
}

TEST_F(RefusingDriver, SourceIsNotWrittenBeforeItIsRead) {
    for (const bool lazy : {false, true}) {
        restart(true, lazy);
        set_pinned_limit(256 << 10);
        const View source = make_view({1 << 20}, d0, 1, Format("B"));
        const View target = make_view({1 << 20}, d1, 2, Format("B"));
        const Bytes wanted = items(source);
        refuse();
        set_delay(2000);
        copy(target, source, make_stream(1));
        fill(source, "\1", make_stream(0));
        EXPECT_EQ(items(target), wanted) << lazy;
        set_delay(0);
        filler().clear_faults();
    }
}

TEST_F(RefusingDriver, ChunksAreNotReusedTooEarly) {
    set_pinned_limit(256 << 10);
    trim();
    const View source = make_view({256 << 10}, d0, 1, Format("B"));
    const View target = make_view({256 << 10}, d1, 2, Format("B"));
    refuse();
    set_delay(20000);
    copy(target, source, make_stream(1));
    EXPECT_EQ(count("cudaHostAlloc"), 2u);
    synchronize(legacy_stream(0));  // the chunks are full, and not all are emptied
    const PinnedBlock chunks[] = {PinnedBlock::take(128 << 10), PinnedBlock::take(128 << 10)};
    EXPECT_EQ(count("cudaHostAlloc"), 2u) << "the test was to get the very chunks";
    for (const PinnedBlock& chunk : chunks)
        std::memset(chunk.data(), 0xee, chunk.nbytes());
    EXPECT_EQ(items(target), items(source));
}

TEST_F(RefusingDriver, StridedCopiesStillWork) {
    for (const View& target : {steps(d1, 3), dense(d1, 4)}) {
        const View source = box(d0, 2);
        refuse();
        const Bytes wanted = with_items(block_bytes(*target.allocation()), target, items(source));
        copy(target, source);
        EXPECT_EQ(block_bytes(*target.allocation()), wanted);
    }
}

TEST_F(RefusingDriver, WithoutPinnedMemoryItIsAnError) {
    set_pinned_limit(0);
    const View a = dense(d0, 1), b = dense(d1, 2);
    const Bytes before = items(a);
    refuse();
    try {
        copy(a, b);
        FAIL();
    } catch (const OutOfMemory& error) {
        EXPECT_NE(std::string(error.what()).find("pinned"), std::string::npos) << error.what();
    }
    EXPECT_EQ(items(a), before);
}

}  // namespace
}  // namespace devview::testing
