// Tests of blocks of every kind: what they cost, when they go, and what happens when there are
// none.
#include <cstdlib>
#include <thread>

#include "devview/cuda/pluggable.h"
#include "devview/cuda/pointer.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "devview/ipc.hpp"
#include "emulated.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

class Memory : public Emulated {};

std::size_t live(Device device) { return memory_gauge(device).live_bytes; }

TEST_F(Memory, BlocksOfEveryKindAreCountedAndFreedWithTheirLastView) {
    for (const Device device : {kCpu, cuda_device(0), some_device(2), kPinned, kManaged}) {
        const std::size_t before = live(device);
        auto block = allocate(1000, device);
        ASSERT_NE(block->data(), nullptr);
        EXPECT_EQ(block->device(), device);
        EXPECT_EQ(block->nbytes(), 1000u);
        EXPECT_EQ(live(device), before + 1000) << to_string(device);
        View view = dense_view(std::move(block), {250});
        View part = view.slice(0, 10, 20);
        view.release();
        EXPECT_EQ(live(device), before + 1000) << to_string(device);
        part.release();
        EXPECT_EQ(live(device), before) << to_string(device);
    }
}

TEST_F(Memory, DeviceMemoryIsOneCallToMakeAndOneToFreeAfterAQuestionEach) {
    const Stream stream = make_stream(0);
    allocate(100, cuda_device(0), stream);
    filler().clear_calls();
    allocate(100, cuda_device(0), stream);
    EXPECT_EQ(filler().counts(), (std::map<std::string, std::size_t>{{"cudaGetDeviceCount", 1},
                                                                     {"cudaStreamIsCapturing", 2},
                                                                     {"cudaGetDevice", 2},
                                                                     {"cudaMallocAsync", 1},
                                                                     {"cudaFreeAsync", 1}}));
}

TEST_F(Memory, PointersBelongToTheirDevice) {
    for (int id = 0; id < device_count(); ++id) {
        const auto block = allocate(64, cuda_device(id));
        cudaPointerAttributes attributes{};
        check(runtime().PointerGetAttributes(&attributes, block->data()), "attributes");
        EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
        EXPECT_EQ(attributes.device, id);
    }
}

TEST_F(Memory, ZeroBytesMakeNoCall) {
    for (const Device device : {cuda_device(0), kPinned, kManaged}) {
        filler().clear_calls();
        {
            const auto block = allocate_zeroed(0, device);
            EXPECT_EQ(block->data(), nullptr);
            EXPECT_EQ(block->nbytes(), 0u);
        }
        EXPECT_EQ(count("cudaMallocAsync") + count("cudaHostAlloc") + count("cudaMallocManaged") +
                      count("cudaFreeAsync") + count("cudaMemsetAsync"),
                  0u);
    }
    EXPECT_NE(allocate(0, kCpu)->data(), nullptr);
}

TEST_F(Memory, ZeroedBlocksAreZero) {
    const Stream stream = make_stream(some_device(1).id);
    set_delay(2000);
    EXPECT_EQ(block_bytes(*allocate_zeroed(5000, some_device(1), stream)), Bytes(5000, 0));
    EXPECT_EQ(block_bytes(*allocate_zeroed(5000, kPinned)), Bytes(5000, 0));
    EXPECT_EQ(block_bytes(*allocate_zeroed(5000, kManaged)), Bytes(5000, 0));
    EXPECT_EQ(block_bytes(*allocate_zeroed(5000, kCpu)), Bytes(5000, 0));
}

TEST_F(Memory, WrongDevicesAndStreamsAreRefusedBeforeAnyAllocation) {
    EXPECT_THROW(allocate(8, cuda_device(3)), DeviceError);
    EXPECT_THROW(allocate(0, cuda_device(-1)), DeviceError);
    EXPECT_THROW(allocate(8, Device{DeviceType::rocm, 0}), NameError);
    if (device_count() > 1) {
        EXPECT_THROW(allocate(8, cuda_device(0), make_stream(1)), DeviceError);
    }
    EXPECT_THROW(devview_torch_alloc(-1, 0, nullptr), LayoutError);
    EXPECT_EQ(count("cudaMallocAsync"), 0u);
}

TEST_F(Memory, AddressesAreLookedUp) {
    const auto there = allocate(8, cuda_device(0)), pinned = allocate(8, kPinned);
    EXPECT_EQ(place_of(there->data()).device, cuda_device(0));
    EXPECT_EQ(place_of(pinned->data()).device, kPinned);
    EXPECT_EQ(place_of(this).device, Device{});
    EXPECT_THROW(require_memory_on(kCpu, there->data(), 8), BufferError);
    EXPECT_NO_THROW(require_memory_on(kCpu, this, 8));
    // Old runtimes do not know the host's memory, and say so.
    filler().fail("cudaPointerGetAttributes", 1, cudaErrorInvalidValue);
    EXPECT_EQ(place_of(this).device, Device{});
    filler().fail("cudaPointerGetAttributes", 1, cudaErrorInvalidValue);
    EXPECT_NO_THROW(require_memory_on(kCpu, this, 8));
}

TEST_F(Memory, FreeIsOrderedAfterAUseOnAnotherStream) {
    const Stream side = make_stream(0);
    View source = make_view({1 << 16}, cuda_device(0), 5, Format("B"));
    const View seen = make_view({1 << 16}, kPinned, 6, Format("B"));
    set_delay(20000);
    copy(seen, source, side);
    source.release();  // its home stream is idle; poison would show if the free did not wait
    EXPECT_EQ(live(cuda_device(0)), 0u);
    const bool ledger = filler().has(Feature::ledger);
    if (ledger) {
        EXPECT_GT(filler().objects().device_blocks, 0u);
    }
    EXPECT_EQ(items(seen), pattern(1 << 16, 5));
    if (ledger) {
        EXPECT_EQ(filler().objects().device_blocks, 0u);
    }
}

TEST_F(Memory, OutOfDeviceMemoryNamesRequestUseAndLimit) {
    Filler::need_memory(kMemory);
    const auto some = allocate(50 * kMiB, cuda_device(0));
    // Constants of the program's own kernels lie on a device, too.
    const std::size_t left = device_memory(0).free_bytes;
    EXPECT_GE(left, kMemory - 51 * kMiB);
    filler().clear_calls();
    try {
        allocate(1024 * kMiB, cuda_device(0));
        FAIL() << "no OutOfMemory";
    } catch (const OutOfMemory& error) {
        EXPECT_EQ(
            error.what(),
            "allocate: cuda:0: 1073741824 bytes requested, 52428800 used, limit 268435456; the "
            "device has " +
                std::to_string(left) + " free, its pool 52428800 in use of 52428800 reserved");
        EXPECT_EQ(error.requested(), 1024 * kMiB);
        EXPECT_EQ(error.used(), 50 * kMiB);
        EXPECT_EQ(error.limit(), kMemory);
    }
    EXPECT_EQ(count("cudaMallocAsync"), 2u) << "one trim, one retry";
    EXPECT_EQ(count("cudaMemPoolTrimTo"), 1u);
    EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
    EXPECT_NO_THROW(allocate(150 * kMiB, cuda_device(0)));
    EXPECT_NO_THROW(allocate(1, some_device(1)));
}

TEST_F(Memory, ImpossibleSizesReachNoDriver) {
    const auto huge = static_cast<std::size_t>(-1);
    for (const Device device : {kCpu, cuda_device(0), kManaged, kPinned}) {
        EXPECT_THROW(allocate(huge, device), OutOfMemory) << to_string(device);
    }
    EXPECT_EQ(count("cudaMallocAsync") + count("cudaMallocManaged") + count("cudaHostAlloc"), 0u);
}

TEST_F(Memory, QueuedFreesAreDrainedBeforeMemoryIsRefused) {
    const Stream slow = make_stream(0);
    set_delay(5000);
    for (int k = 0; k < 8; ++k) {
        // Each free is queued behind the delay; the device holds one of these blocks only.
        EXPECT_NO_THROW(allocate(200 * kMiB, cuda_device(0), k % 2 ? slow : Stream{}));
    }
}

TEST_F(Memory, FreedMemoryOfOneSizeServesAnother) {
    allocate(200 * kMiB, cuda_device(0));
    EXPECT_NO_THROW(allocate(201 * kMiB, cuda_device(0)));
}

TEST_F(Memory, ResizeKeepsTheContent) {
    for (const Device device : {kCpu, some_device(1), kPinned, kManaged}) {
        const auto block = allocate(300, device);
        Bytes content = pattern(300, 9);
        put_block(*block, content);
        resize(block, 500);
        EXPECT_EQ(block->nbytes(), 500u);
        EXPECT_EQ(live(device), 500u) << to_string(device);
        Bytes grown = block_bytes(*block);
        grown.resize(300);
        EXPECT_EQ(grown, content) << to_string(device);
        resize(block, 100);
        content.resize(100);
        EXPECT_EQ(block_bytes(*block), content) << to_string(device);
        resize(block, 0);
        resize(block, 10);
        EXPECT_EQ(live(device), 10u) << to_string(device);
    }
}

TEST_F(Memory, ResizeWaitsForWorkOnOtherStreams) {
    const Stream side = make_stream(0);
    const auto block = allocate(1024, cuda_device(0));
    const View source = make_view({1024}, cuda_device(0), 3, Format("B"));
    set_delay(10000);
    {
        const View view = dense_view(block, {1024}, Format("B"));
        copy(view, source, side);
    }
    resize(block, 2048);
    Bytes grown = block_bytes(*block);
    grown.resize(1024);
    EXPECT_EQ(grown, pattern(1024, 3));
}

TEST_F(Memory, ResizeIsRefusedWhileViewedAndForForeignMemory) {
    const auto block = allocate(64, cuda_device(0));
    View view = dense_view(block, {16});
    filler().clear_calls();
    EXPECT_THROW(resize(block, 128), BufferError);
    EXPECT_EQ(count("cudaMallocAsync"), 0u);
    view.release();
    EXPECT_NO_THROW(resize(block, 128));
    char foreign[8];
    const auto other = Allocation::adopt(foreign, 8, kCpu, nullptr);
    EXPECT_THROW(resize(other, 16), BufferError);
}

TEST_F(Memory, ResizeThatFailsChangesNothing) {
    const auto block = allocate(1000, cuda_device(0));
    const Bytes content = pattern(1000, 4);
    put_block(*block, content);
    void* const data = block->data();
    EXPECT_THROW(resize(block, 1024 * kMiB), OutOfMemory);
    EXPECT_EQ(block->data(), data);
    EXPECT_EQ(block_bytes(*block), content);
}

TEST_F(Memory, AdoptedDeviceMemoryIsReleasedOnceAfterItsUses) {
    static int releases;
    static Stream last;
    releases = 0;
    const Stream producer = make_stream(0);
    const auto owner = allocate(4096, cuda_device(0), producer);
    Allocation::Block block;
    block.data = owner->data();
    block.nbytes = 4096;
    block.device = cuda_device(0);
    block.stream = producer;
    block.release = [](void*, Stream stream) noexcept {
        ++releases;
        last = std::move(stream);
    };
    View view = dense_view(adopt_device(std::move(block)), {1024});
    const View seen = make_view({1024}, kPinned);
    set_delay(20000);
    copy(seen, view, make_stream(0));
    view.release();
    EXPECT_EQ(releases, 1);
    EXPECT_EQ(last, producer);
    if (filler().has(Feature::delays)) {
        EXPECT_FALSE(query(last)) << "the stream waits for the copy";
    }
    synchronize(last);
    last = Stream{};
}

TEST_F(Memory, DeviceMemoryTellsTotalAndFree) {
    Filler::need_memory(kMemory);
    const Device device = some_device(1);
    EXPECT_EQ(device_memory(device.id).total_bytes, kMemory);
    const auto block = allocate(10 * kMiB, device);
    EXPECT_LE(device_memory(device.id).free_bytes, kMemory - 10 * kMiB);
    EXPECT_THROW(device_memory(5), DeviceError);
}

TEST_F(Memory, ManagedWithoutConcurrentAccessSynchronisesTheDevice) {
    EmulatorOptions options;
    options.devices = 3;
    options.memory = kMemory;
    options.concurrent_managed = false;
    start(options);
    const View managed = make_view({64}, kManaged);
    filler().clear_calls();
    wait_for_host(*managed.allocation());
    EXPECT_EQ(count("cudaDeviceSynchronize"), 3u);
}

/// The driver goes while blocks, streams and events live; returns the calls made afterwards.
std::size_t calls_after_the_driver_went() {
    filler().start({});
    Stream stream = make_stream(0), other = make_stream(0);
    auto block = allocate(100, cuda_device(0), stream);
    auto second = allocate(100, cuda_device(0), stream);
    auto pinned = allocate(100, kPinned);
    auto shared = filler().has(Feature::ipc) ? allocate_shareable(100, cuda_device(0)) : nullptr;
    block->uses()->record(other);
    Event event = Event::record(stream);
    filler().fail("cudaFreeAsync", 1, cudaErrorCudartUnloading);
    second.reset();
    filler().clear_calls();
    block.reset();
    pinned.reset();
    shared.reset();
    event = Event{};
    stream = other = Stream{};
    trim();
    return filler().counts().size() + release_errors();
}

TEST(DriverGone, ReleasesAreAbandonedInSilence) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(std::exit(static_cast<int>(calls_after_the_driver_went())),
                ::testing::ExitedWithCode(0), "^$");
}

class Pinned : public Emulated {};

TEST_F(Pinned, OtherErrorsOfTheDriverAreNotTakenForExhaustion) {
    filler().fail("cudaHostAlloc", 1, cudaErrorUnknown);
    filler().fail("cudaHostAlloc", 2, cudaErrorUnknown);
    EXPECT_THROW((void)allocate(12345, kPinned), DeviceError);
}

TEST_F(Pinned, BlockWhoseWaitFailsIsFreedOnceTheDeviceIsDone) {
    filler().need(Feature::order);
    View host = make_view({1000}, kPinned);
    const View there = make_view({1000}, cuda_device(0));
    const Stream on = make_stream(0);
    set_delay(20000);
    copy(there, host, on);
    host.release();
    filler().clear_calls();
    filler().fail("cudaEventSynchronize", 1, cudaErrorNotYetImplemented);
    trim();
    EXPECT_EQ(count("cudaDeviceSynchronize"), 1u);
    EXPECT_EQ(count("cudaFreeHost"), 1u);
    failed_releases_ = release_errors();
}

TEST_F(Pinned, BlocksAreReusedByExactSize) {
    void* data = nullptr;
    {
        const PinnedBlock block = PinnedBlock::take(1000);
        data = block.data();
        ASSERT_NE(data, nullptr);
        EXPECT_EQ(pinned_gauge().live_bytes, 1000u);
    }
    EXPECT_EQ(pinned_gauge().live_bytes, 0u);
    EXPECT_EQ(pinned_gauge().cached_bytes, 1000u);
    const PinnedBlock other = PinnedBlock::take(1001);
    EXPECT_NE(other.data(), data);
    const PinnedBlock again = PinnedBlock::take(1000);
    EXPECT_EQ(again.data(), data);
    EXPECT_EQ(count("cudaHostAlloc"), 2u);
    expect_peak(2001, 2001);
}

TEST_F(Pinned, LimitBoundsLiveAndCachedExactly) {
    set_pinned_limit(1000);
    PinnedBlock most = PinnedBlock::take(900);
    ASSERT_TRUE(most);
    EXPECT_FALSE(PinnedBlock::take(101));
    const PinnedBlock rest = PinnedBlock::take(100);
    EXPECT_TRUE(rest);
    EXPECT_FALSE(PinnedBlock::take(1));
    most = PinnedBlock{};
    const PinnedBlock smaller = PinnedBlock::take(500);
    EXPECT_TRUE(smaller) << "the cached block makes room";
    EXPECT_EQ(pinned_gauge().cached_bytes, 0u);
    expect_peak(1000, 1000);
    expect_pinned(600);
}

TEST_F(Pinned, BlocksThatCannotFitEvictNothing) {
    set_pinned_limit(1000);
    PinnedBlock::take(400);
    EXPECT_FALSE(PinnedBlock::take(1001));
    EXPECT_EQ(pinned_gauge().cached_bytes, 400u);
}

TEST_F(Pinned, OldestIdleBlockIsEvictedFirst) {
    set_pinned_limit(1000);
    {
        const PinnedBlock a = PinnedBlock::take(300), b = PinnedBlock::take(301);
        PinnedBlock::take(302);
    }
    // Back in this order: 302, 301, 300.
    const PinnedBlock block = PinnedBlock::take(200);
    EXPECT_EQ(pinned_gauge().cached_bytes, 601u);
    filler().clear_calls();
    const PinnedBlock kept = PinnedBlock::take(301);
    EXPECT_EQ(count("cudaHostAlloc"), 0u);
}

TEST_F(Pinned, LoweredLimitFreesWhatIsCached) {
    const PinnedBlock live_block = PinnedBlock::take(700);
    PinnedBlock::take(500);
    set_pinned_limit(800);
    EXPECT_EQ(pinned_gauge().cached_bytes, 0u);
    set_pinned_limit(100);
    EXPECT_EQ(pinned_gauge().live_bytes, 700u);
    EXPECT_FALSE(PinnedBlock::take(1));
}

TEST_F(Pinned, BlockThatComesBackAboveALoweredLimitIsFreed) {
    PinnedBlock block = PinnedBlock::take(700);
    set_pinned_limit(100);
    block = PinnedBlock{};
    EXPECT_EQ(pinned_gauge().cached_bytes, 0u);
    expect_pinned(0);
}

TEST_F(Pinned, BusyBlockIsNotHandedOutWhileThereIsRoom) {
    const Stream stream = make_stream(0);
    const View device = make_view({1000}, cuda_device(0), 1, Format("B"));
    set_delay(20000);
    PinnedBlock busy = PinnedBlock::take(1000);
    void* const data = busy.data();
    check(
        runtime().MemcpyAsync(data, device.data(), 1000, cudaMemcpyDeviceToHost, handle_of(stream)),
        "memcpy");
    busy.busy_until(Event::record(stream));
    busy = PinnedBlock{};
    filler().clear_calls();
    const PinnedBlock fresh = PinnedBlock::take(1000);
    EXPECT_NE(fresh.data(), data);
    EXPECT_EQ(count("cudaEventSynchronize"), 0u);
    set_pinned_limit(2000);
    const PinnedBlock waited = PinnedBlock::take(1000);
    EXPECT_EQ(waited.data(), data);
    EXPECT_EQ(count("cudaEventSynchronize"), 1u) << "no room: the busy one is waited for";
    drain();
}

TEST_F(Pinned, TrimFreesWhatIsCachedAndTellsHowMuch) {
    PinnedBlock::take(1000);
    PinnedBlock::take(2000);
    const PinnedBlock live_block = PinnedBlock::take(500);
    EXPECT_EQ(trim(), 3000u);
    EXPECT_EQ(trim(), 0u);
    expect_pinned(500);
}

TEST_F(Pinned, AllocationOverTheLimitIsOutOfMemory) {
    set_pinned_limit(4096);
    const auto some = allocate(1000, kPinned);
    try {
        allocate(4000, kPinned);
        FAIL();
    } catch (const OutOfMemory& error) {
        EXPECT_STREQ(error.what(),
                     "allocate: pinned: 4000 bytes requested, 1000 used, limit 4096; 0 cached");
        EXPECT_EQ(error.limit(), 4096u);
    }
    EXPECT_NO_THROW(allocate(3096, kPinned));
}

TEST_F(Pinned, RefusalOfTheDriverIsEmptyAndCountsNothing) {
    filler().fail("cudaHostAlloc", 1, cudaErrorMemoryAllocation);
    EXPECT_TRUE(PinnedBlock::take(1000)) << "tried again after a trim";
    trim();
    filler().fail("cudaHostAlloc", 1, cudaErrorMemoryAllocation);
    filler().fail("cudaHostAlloc", 2, cudaErrorMemoryAllocation);
    EXPECT_FALSE(PinnedBlock::take(1000));
    EXPECT_EQ(pinned_gauge().live_bytes, 0u);
    EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
}

TEST_F(Pinned, FreedPinnedMemoryIsNotReusedBeforeTheDeviceIsDone) {
    const Stream stream = make_stream(0);
    const View device = make_view({4096}, cuda_device(0), 1, Format("B"));
    View source = make_view({4096}, kPinned, 2, Format("B"));
    set_delay(20000);
    copy(device, source, stream);
    source.release();
    const View next = dense_view(allocate(4096, kPinned), {4096}, Format("B"));
    std::memset(next.data(), 0xee, 4096);
    EXPECT_EQ(items(device), pattern(4096, 2));
}

TEST_F(Pinned, ManyThreadsStayUnderTheLimit) {
    set_pinned_limit(10000);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([t] {
            for (int k = 0; k < 200; ++k) {
                const auto nbytes = static_cast<std::size_t>(500 + 100 * ((k + t) % 20));
                const PinnedBlock block = PinnedBlock::take(nbytes);
                if (block) std::memset(block.data(), t, nbytes);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(pinned_gauge().live_bytes, 0u);
    expect_peak(10000);
    expect_pinned(pinned_gauge().cached_bytes);
}

}  // namespace
}  // namespace devview::testing
