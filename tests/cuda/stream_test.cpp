// Tests of devices, streams, events and the uses of a block.
#include <thread>

#include "devview/error.hpp"
#include "emulated.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

class Streams : public Emulated {};

/// Overwrites a block on `stream` without telling anyone.
void write_silently(const View& view, int byte, const Stream& stream) {
    const DeviceGuard guard(view.device().id);
    check(runtime().MemsetAsync(view.data(), byte, static_cast<std::size_t>(view.nbytes()),
                                handle_of(stream)),
          "memset of the test");
}

int current_device() {
    int id = -1;
    check(runtime().GetDevice(&id), "get device");
    return id;
}

TEST_F(Streams, CheckNamesCallErrorAndCodeAndCleansTheSlot) {
    int count = 0;
    filler().fail("cudaGetDeviceCount", 1, cudaErrorInvalidValue);
    const cudaError_t status = runtime().GetDeviceCount(&count);
    try {
        check(status, "get device count");
        FAIL() << "no DeviceError";
    } catch (const DeviceError& error) {
        EXPECT_EQ(error.code(), 1);
        EXPECT_EQ(error.name(), "cudaErrorInvalidValue");
        EXPECT_NE(std::string(error.what()).find("get device count: cudaErrorInvalidValue (1): "),
                  std::string::npos)
            << error.what();
    }
    EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
}

TEST_F(Streams, ForeignErrorStaysInTheSlot) {
    ASSERT_NE(runtime().SetDevice(99), cudaSuccess);
    const Stream stream = make_stream(0);
    Event::record(stream).wait();
    const View view = make_view({4}, some_device(1));
    copy_to(view, kPinned);
    // A failed call of ours that has not filled the slot.
    EXPECT_THROW(check(cudaErrorInvalidValue, "test"), DeviceError);
    EXPECT_EQ(runtime().GetLastError(), cudaErrorInvalidDevice);
}

TEST_F(Streams, GuardRestoresTheDeviceAlsoWhenSomethingThrows) {
    Filler::need_devices(3);
    EXPECT_THROW(
        {
            const DeviceGuard guard(2);
            EXPECT_EQ(current_device(), 2);
            throw std::runtime_error("test");
        },
        std::runtime_error);
    EXPECT_EQ(current_device(), 0);
    filler().clear_calls();
    { const DeviceGuard guard(0); }
    EXPECT_EQ(count("cudaSetDevice"), 0u);
}

TEST_F(Streams, UnknownDevicesAreRefusedByName) {
    Filler::need_devices(3);
    EXPECT_EQ(device_count(), 3);
    EXPECT_NO_THROW(require_device(2));
    for (const int id : {3, -1}) {
        try {
            require_device(id);
            FAIL() << id;
        } catch (const DeviceError& error) {
            EXPECT_EQ(error.code(), cudaErrorInvalidDevice);
            EXPECT_NE(std::string(error.what()).find("cuda:" + std::to_string(id)),
                      std::string::npos);
        }
    }
    EXPECT_THROW(make_stream(7), DeviceError);
}

TEST_F(Streams, WithoutADriverTheMessageSaysWhatToDo) {
    filler().fail("cudaGetDeviceCount", 1, cudaErrorInsufficientDriver);
    try {
        require_device(0);
        FAIL();
    } catch (const DeviceError& error) {
        EXPECT_EQ(error.code(), cudaErrorInsufficientDriver);
        EXPECT_NE(std::string(error.what()).find("devview.emulate()"), std::string::npos);
    }
    filler().fail("cudaGetDeviceCount", 1, cudaErrorNoDevice);
    EXPECT_EQ(device_count(), 0);
}

TEST_F(Streams, StreamIsDestroyedWithItsLastCopy) {
    const Device device = some_device(1);
    Stream stream = make_stream(device.id);
    EXPECT_TRUE(stream.held());
    EXPECT_EQ(stream.device(), device);
    Stream copy = stream;
    filler().clear_calls();
    stream = Stream{};
    EXPECT_EQ(count("cudaStreamDestroy"), 0u);
    copy = Stream{};
    EXPECT_EQ(count("cudaStreamDestroy"), 1u);
}

TEST_F(Streams, HandleOfNoneAndZeroIsLegacy) {
    EXPECT_EQ(handle_of(Stream{}), cudaStreamLegacy);
    EXPECT_EQ(handle_of(Stream::raw(cuda_device(0), nullptr)), cudaStreamLegacy);
    EXPECT_EQ(handle_of(legacy_stream(2)), cudaStreamLegacy);
}

TEST_F(Streams, EventsTellWaitAndMeasure) {
    const Stream stream = make_stream(0);
    const View view = make_view({1024}, cuda_device(0));
    EXPECT_TRUE(Event{}.done());
    EXPECT_NO_THROW(Event{}.wait());
    const Event start = Event::record(stream, true);
    set_delay(20000);
    write_silently(view, 1, stream);
    const Event end = Event::record(stream, true);
    EXPECT_FALSE(end.done());
    EXPECT_FALSE(query(stream));
    end.wait();
    EXPECT_TRUE(end.done());
    EXPECT_GE(start.elapsed(end), 15.0f);
    EXPECT_THROW(static_cast<void>(Event::record(stream).elapsed(end)), DeviceError);
    synchronize(stream);
    EXPECT_TRUE(query(stream));
}

TEST_F(Streams, EventsAreReused) {
    const Stream stream = make_stream(0);
    Event::record(stream).wait();
    const std::size_t created = count("cudaEventCreateWithFlags");
    for (int k = 0; k < 20; ++k)
        Event::record(stream).wait();
    EXPECT_EQ(count("cudaEventCreateWithFlags"), created);
    EXPECT_EQ(count("cudaEventDestroy"), 0u);
}

TEST_F(Streams, EventsAreKeptUpToALimit) {
    const Stream stream = make_stream(0);
    std::vector<Event> events;
    for (int k = 0; k < 300; ++k)
        events.push_back(Event::record(stream));
    filler().clear_calls();
    events.clear();
    EXPECT_GE(count("cudaEventDestroy"), 300u - 256u);
    EXPECT_LT(count("cudaEventDestroy"), 300u) << "some are kept";
}

class Uses : public Emulated {
protected:
    /// Two streams of device 0 and a block made on the first.
    void SetUp() override {
        Emulated::SetUp();
        home_ = make_stream(0);
        other_ = make_stream(0);
    }
    void TearDown() override {
        home_ = other_ = Stream{};
        Emulated::TearDown();
    }

    Stream home_{};
    Stream other_{};
};

TEST_F(Uses, OrderedReaderSeesTheWriteOfAnotherStream) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    set_delay(20000);
    write_silently(view, 7, other_);
    view.allocation()->uses()->record(other_);
    copy(seen, view, home_);
    EXPECT_EQ(items(seen), Bytes(256, 7));
}

TEST_F(Uses, WithoutTheRecordTheReaderSeesOldBytes) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    const Bytes old = items(view);
    set_delay(20000);
    write_silently(view, 6, other_);
    write_silently(view, 7, other_);  // nobody is told: the copy overtakes both
    copy(seen, view, home_);
    wait_for_host(*seen.allocation());
    Bytes got(256);
    std::memcpy(got.data(), seen.data(), got.size());
    EXPECT_NE(got, Bytes(256, 7));
    drain();  // nor would the free wait for them
}

TEST_F(Uses, HomeNeedsNoEventAndNoWait) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    drain();
    filler().clear_calls();
    view.allocation()->uses()->record(home_);
    view.allocation()->uses()->order(home_);
    EXPECT_TRUE(filler().counts().empty());
}

TEST_F(Uses, HeldStreamsAreRememberedOnceAndRecordedAtTheRelease) {
    View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    filler().clear_calls();
    for (int k = 0; k < 5; ++k)
        view.allocation()->uses()->record(other_);
    EXPECT_EQ(count("cudaEventRecord"), 0u);
    view.release();
    EXPECT_EQ(count("cudaEventRecord"), 1u);
    EXPECT_EQ(count("cudaStreamWaitEvent"), 1u);
    EXPECT_EQ(count("cudaFreeAsync"), 1u);
}

TEST_F(Uses, RawHandlesAreRecordedAtEachUseAndNeverTouchedLater) {
    View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    Stream foreign = make_stream(0);
    const Stream raw = Stream::raw(cuda_device(0), foreign.handle());
    set_delay(10000);
    write_silently(view, 7, raw);
    view.allocation()->uses()->record(raw);
    filler().clear_calls();
    view.allocation()->uses()->record(raw);
    EXPECT_EQ(count("cudaEventRecord"), 1u);
    foreign = Stream{};  // destroyed, with its work still to be done
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    copy(seen, view, home_);
    EXPECT_EQ(items(seen), Bytes(256, 7));
    view.release();
}

TEST_F(Uses, RecycledHandleDoesNotHideTheOlderUse) {
    EmulatorOptions options;
    options.devices = 3;
    options.memory = kMemory;
    options.recycle_streams = true;
    home_ = other_ = Stream{};
    start(options);
    home_ = make_stream(0);
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    Stream first = make_stream(0);
    void* const handle = first.handle();
    set_delay(20000);
    for (int byte = 4; byte < 8; ++byte)
        write_silently(view, byte, first);
    view.allocation()->uses()->record(Stream::raw(cuda_device(0), handle));
    first = Stream{};
    Stream second = make_stream(0);
    ASSERT_EQ(second.handle(), handle) << "the emulator was to recycle it";
    view.allocation()->uses()->record(Stream::raw(cuda_device(0), handle));
    copy(seen, view, home_);
    EXPECT_EQ(items(seen), Bytes(256, 7));
}

TEST_F(Uses, RawHomeIsGivenBackOnTheLegacyStream) {
    Stream foreign = make_stream(0);
    View view = make_view({256}, cuda_device(0), 1, Format("B"),
                          Stream::raw(cuda_device(0), foreign.handle()));
    set_delay(10000);
    write_silently(view, 7, foreign);
    view.allocation()->uses()->record(Stream::raw(cuda_device(0), foreign.handle()));
    foreign = Stream{};
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    copy(seen, view);
    EXPECT_EQ(items(seen), Bytes(256, 7));
    view.release();
}

TEST_F(Uses, PerThreadStreamOfAnotherThreadIsKeptApart) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    const Stream per_thread = Stream::raw(cuda_device(0), cudaStreamPerThread);
    set_delay(20000);
    std::thread([&] {
        write_silently(view, 6, per_thread);
        write_silently(view, 7, per_thread);
        view.allocation()->uses()->record(per_thread);
    }).join();
    view.allocation()->uses()->record(per_thread);
    copy(seen, view, home_);
    EXPECT_EQ(items(seen), Bytes(256, 7));
}

TEST_F(Uses, WaitIsForAllAndForgetsWhatIsDone) {
    const View view = make_view({256}, kPinned, 1, Format("B"));
    const View source = make_view({256}, cuda_device(0), 3, Format("B"), home_);
    const View far = make_view({256}, some_device(1), 4, Format("B"));
    set_delay(5000);
    copy(view, source, other_);
    copy(far, view, make_stream(far.device().id));
    filler().clear_calls();
    wait_for_host(*view.allocation());
    EXPECT_GT(count("cudaEventSynchronize"), 0u);
    filler().clear_calls();
    wait_for_host(*view.allocation());
    EXPECT_TRUE(filler().counts().empty());
    EXPECT_EQ(items(far), pattern(256, 3));
}

TEST_F(Uses, ManyThreadsRecordAndOrder) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    Stream foreign = make_stream(0);
    const Stream raw = Stream::raw(cuda_device(0), foreign.handle());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            const Stream own = make_stream(0);
            for (int k = 0; k < 50; ++k) {
                StreamUses& uses = *view.allocation()->uses();
                uses.order(own);
                uses.record(t % 2 ? own : raw);
                if (k % 16 == 0) uses.wait();
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    view.allocation()->uses()->wait();
}

TEST_F(Uses, JoinOutlivesFailuresOfEvents) {
    for (const char* call : {"cudaEventRecord", "cudaStreamWaitEvent", "cudaGetDevice",
                             "cudaEventCreateWithFlags", "cudaFreeAsync"}) {
        const Level before = Level::now();
        View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
        view.allocation()->uses()->record(other_);
        filler().fail(call, 1, cudaErrorInvalidValue);
        view.release();
        filler().clear_faults();
        expect_same(Level::now(), before, call);
    }
}

}  // namespace
}  // namespace devview::testing
