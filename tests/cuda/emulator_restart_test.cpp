// Choosing the emulator, starting it anew, the environment variable, forks and the end of a
// process.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "cuda/emulator_fixture.hpp"
#include "devview/error.hpp"

namespace devview::cuda {
namespace {

class EmulatorRestart : public EmulatorTest {
protected:
    [[noreturn]] static void leave(int status) {
#if defined(__SANITIZE_ADDRESS__)
        _exit(status);  // LeakSanitizer blames the child for what the parent's threads held.
#else
        std::exit(status);
#endif
    }
    static std::string refusal() {
        try {
            emulate({});
        } catch (const BufferError& error) {
            return error.what();
        }
        return "";
    }
    /// The exit status of a child that runs `body` and then leaves through exit().
    template <class Body>
    static int in_child(const Body& body) {
        const pid_t child = fork();
        if (child == 0) leave(body());
        int status = -1;
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
};

TEST_F(EmulatorRestart, TakesNewOptionsWhenNothingIsAlive) {
    EXPECT_TRUE(runtime_chosen());
    int count = 0;
    DV_OK(r->GetDeviceCount(&count));
    EXPECT_EQ(count, 1);
    EmulatorOptions options;
    options.devices = 5;
    options.memory = 12345;
    start(options);
    DV_OK(r->GetDeviceCount(&count));
    EXPECT_EQ(count, 5);
    std::size_t free_bytes = 0;
    std::size_t total = 0;
    DV_OK(r->SetDevice(4));
    DV_OK(r->MemGetInfo(&free_bytes, &total));
    EXPECT_EQ(total, 12345u);
    // The current device and the last error belong to the machine that is gone.
    EXPECT_EQ(r->SetDevice(9), cudaErrorInvalidDevice);
    start({});
    DV_OK(r->GetLastError());
    int current = -1;
    DV_OK(r->GetDevice(&current));
    EXPECT_EQ(current, 0);
    EXPECT_EQ(&runtime(), r);
}

TEST_F(EmulatorRestart, NamesWhatIsAlive) {
    void* first = device(8);
    EXPECT_EQ(refusal(), "emulate: 1 device block is alive, limit 0");
    void* second = device(8);
    const cudaStream_t on = stream();
    EXPECT_EQ(refusal(), "emulate: 2 device blocks and 1 stream are alive, limit 0");
    const cudaEvent_t e = event();
    EXPECT_EQ(refusal(), "emulate: 2 device blocks, 1 stream and 1 event are alive, limit 0");
    DV_OK(r->EventDestroy(e));
    DV_OK(r->StreamDestroy(on));
    DV_OK(r->Free(second));
    DV_OK(r->Free(first));
    EXPECT_EQ(refusal(), "");
}

TEST_F(EmulatorRestart, WaitsForWhatIsQueued) {
    void* block = device_async(8, nullptr);
    emulation::set_delay(50000);
    DV_OK(r->FreeAsync(block, nullptr));
    EXPECT_EQ(refusal(), "");
}

cudaEvent_t cached_event = nullptr;
void drop_cached_event() {
    if (cached_event) runtime().EventDestroy(cached_event);
    cached_event = nullptr;
}

TEST_F(EmulatorRestart, EmptiesCachesFirst) {
    at_restart(drop_cached_event);
    at_restart(drop_cached_event);
    cached_event = event();
    EXPECT_EQ(refusal(), "");
    EXPECT_EQ(cached_event, nullptr);
}

TEST_F(EmulatorRestart, OptionsAreChecked) {
    EmulatorOptions options;
    for (const int devices : {-1, 0, 17}) {
        options.devices = devices;
        EXPECT_THROW(emulate(options), LayoutError);
    }
    options = {};
    options.delay_us = -1;
    EXPECT_THROW(emulate(options), LayoutError);
    options = {};
    options.memory = ~std::size_t{0};
    EXPECT_THROW(emulate(options), LayoutError);
    options = {};
    options.addresses = 1;
    EXPECT_THROW(emulate(options), LayoutError);
}

TEST_F(EmulatorRestart, AddressesStayUniqueAcrossRestarts) {
    void* before = device(8);
    DV_OK(r->Free(before));
    start({});
    void* after = device(8);
    EXPECT_NE(after, before);
    DV_OK(r->Free(after));
}

TEST_F(EmulatorRestart, SixteenDevicesFitIntoTheAddressSpace) {
    EmulatorOptions options;
    options.devices = 16;
    start(options);
    void* blocks[16];
    for (int i = 0; i < 16; ++i) {
        DV_OK(r->SetDevice(i));
        blocks[i] = device(100);
        ASSERT_NE(blocks[i], nullptr) << i;
    }
    for (void* block : blocks)
        DV_OK(r->Free(block));
    start({});
}

TEST_F(EmulatorRestart, AForkedChildGetsErrorsAndExits) {
    const cudaStream_t on = stream();
    Gate gate;
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    void* block = device(8);
    const int status = in_child([&] {
        void* out = nullptr;
        if (r->Malloc(&out, 8) != cudaErrorInitializationError) return 1;
        if (r->Free(block) != cudaErrorInitializationError) return 2;
        if (r->StreamSynchronize(on) != cudaErrorInitializationError) return 3;
        if (emulation::objects().device_blocks != 0) return 4;
        try {
            emulate({});
        } catch (const DeviceError&) {
            return 42;
        }
        return 5;
    });
    EXPECT_EQ(status, 42);
    gate.open();
    DV_OK(r->Free(block));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(EmulatorRestart, AForkWhileOthersHoldTheLockDoesNotHangTheChild) {
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop.load())
            r->Free(device(8));
    });
#if defined(__SANITIZE_THREAD__)
    constexpr int kForks = 3;  // ThreadSanitizer takes a second to end a process.
#else
    constexpr int kForks = 50;
#endif
    for (int i = 0; i < kForks; ++i) {
        EXPECT_EQ(in_child([&] { return r->DeviceSynchronize() == 3 ? 42 : 1; }), 42);
    }
    stop.store(true);
    busy.join();
}

using EmulatorProcessDeathTest = testing::Test;

// In a process of its own, where nothing has been chosen yet.
void tell_devices(const char* variable) {
    setenv("DEVVIEW_EMULATE_CUDA", variable, 1);
    if (runtime_chosen()) std::exit(90);
    int count = -1;
    if (runtime().GetDeviceCount(&count) != cudaSuccess || !runtime().emulated) std::exit(91);
    void* block = nullptr;
    runtime().MallocAsync(&block, 8, nullptr);
    runtime().LaunchHostFunc(
        nullptr, [](void*) { pause(); }, nullptr);
    std::exit(count);  // With a block alive and a worker that never ends.
}

TEST(EmulatorProcessDeathTest, TheEnvironmentChoosesTheEmulatorAndExitIsClean) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(tell_devices("3"), testing::ExitedWithCode(3), "^$");
}

TEST(EmulatorProcessDeathTest, TheEnvironmentIsChecked) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto ask = [](const char* text) {
        setenv("DEVVIEW_EMULATE_CUDA", text, 1);
        try {
            runtime();
        } catch (const LayoutError& error) {
            std::exit(std::string(error.what()).find(text) == std::string::npos ? 1 : 42);
        }
        std::exit(0);
    };
    EXPECT_EXIT(ask("two"), testing::ExitedWithCode(42), "");
    EXPECT_EXIT(ask("17"), testing::ExitedWithCode(42), "");
    EXPECT_EXIT(ask("-1"), testing::ExitedWithCode(42), "");
}

TEST(EmulatorProcessDeathTest, WithoutADeviceTheRealRuntimeGivesWay) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto switch_over = [] {
        unsetenv("DEVVIEW_EMULATE_CUDA");
        const Runtime& real = runtime();
        int count = 0;
        const bool has_device = real.GetDeviceCount(&count) == cudaSuccess && count > 0;
        try {
            emulate({});
        } catch (const DeviceError&) {
            std::exit(has_device && !runtime().emulated ? 42 : 1);
        }
        std::exit(!has_device && !real.emulated && runtime().emulated ? 42 : 2);
    };
    EXPECT_EXIT(switch_over(), testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace devview::cuda
