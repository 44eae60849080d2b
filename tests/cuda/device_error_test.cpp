// Tests of what becomes of the runtime's errors: their text, the last-error slot, the current
// device, and devices that have failed for good.
#include <functional>
#include <map>

#include "devview/error.hpp"
#include "operations.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

class DeviceErrors : public Emulated {};

std::string message_of(const std::function<void()>& call, int code) {
    try {
        call();
    } catch (const DeviceError& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        EXPECT_EQ(error.name(), runtime().GetErrorName(static_cast<cudaError_t>(code)));
        return error.what();
    }
    ADD_FAILURE() << "no DeviceError";
    return {};
}

TEST_F(DeviceErrors, WithoutAUsableDriverTheMessageTellsWhatToDo) {
    const std::pair<cudaError_t, const char*> causes[] = {
        {cudaErrorInsufficientDriver, "the driver is for CUDA 13.0; devview needs one for CUDA"},
        {cudaErrorNoDevice, "CUDA_VISIBLE_DEVICES"},
        {cudaErrorStubLibrary, "\"stubs\" folder"},
        {cudaErrorInitializationError, "nvidia-smi"},
        {cudaErrorSystemDriverMismatch, "reboot"},
        {cudaErrorCompatNotSupportedOnDevice, "compatibility package"},
        {cudaErrorSystemNotReady, "fabricmanager"},
        {cudaErrorDevicesUnavailable, "compute mode"},
        {cudaErrorNotSupported, "no CUDA device: "},
    };
    for (const auto& [code, words] : causes) {
        filler().fail("cudaGetDeviceCount", 1, code);
        const std::string text = message_of([] { allocate(8, cuda_device(0)); }, code);
        EXPECT_NE(text.find(words), std::string::npos) << text;
        EXPECT_NE(text.find("devview.emulate()"), std::string::npos) << text;
        EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess) << text;
        filler().fail("cudaGetDeviceCount", 1, code);
        EXPECT_EQ(device_count(), 0);
        EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess) << text;
    }
}

TEST_F(DeviceErrors, WithoutADriverItsVersionIsZero) {
    filler().fail("cudaGetDeviceCount", 1, cudaErrorInsufficientDriver);
    filler().fail("cudaDriverGetVersion", 1, cudaErrorInsufficientDriver);
    const std::string text = message_of([] { require_device(0); }, cudaErrorInsufficientDriver);
    EXPECT_NE(text.find("no NVIDIA driver was found"), std::string::npos) << text;
    EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
}

TEST_F(DeviceErrors, RuntimeTellsOfItself) {
    filler().need(Feature::restart);
    const RuntimeInfo info = runtime_info();
    EXPECT_TRUE(info.emulated);
    EXPECT_EQ(info.driver_version, 13000);
    EXPECT_EQ(info.runtime_version, 13000);
    EXPECT_EQ(info.devices, std::vector<std::string>(3, "devview emulated device"));
}

/// A process of its own: the runtime goes, then somebody wants memory.
[[noreturn]] void use_while_unloading() {
    filler().need(Feature::restart);
    emulate(EmulatorOptions{});
    filler().fail("cudaGetDeviceCount", 1, cudaErrorCudartUnloading);
    try {
        require_device(0);
    } catch (const DeviceError& error) {
        std::fprintf(stderr, "%d %s", error.code(), error.what());
    }
    std::exit(device_count());
}

TEST(DriverGone, UseSaysThatTheProcessIsExiting) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        use_while_unloading(), ::testing::ExitedWithCode(0),
        "^4 device: no CUDA device: the process is exiting [(]cudaErrorCudartUnloading[)]$");
}

// --- Devices that have failed for good ---

/// Makes device `id` fail by a kernel that somebody else launched.
void break_device(int id) {
    filler().need(Feature::restart);  // where a failed device gives back what it had
    const DeviceGuard guard(id);
    void* victim = nullptr;
    check(runtime().Malloc(&victim, 64), "malloc of another");
    filler().fail("memset", 1, cudaErrorIllegalAddress);
    check(runtime().MemsetAsync(victim, 0, 4, cudaStreamLegacy), "memset of another");
    EXPECT_EQ(runtime().DeviceSynchronize(), cudaErrorIllegalAddress);
    EXPECT_EQ(runtime().Free(victim), cudaErrorIllegalAddress);
    (void)runtime().GetLastError();
}

TEST_F(DeviceErrors, StickyErrorTellsWhereItWasFirstSeen) {
    Filler::need_devices(3);
    const Stream stream = make_stream(1);
    break_device(1);
    filler().clear_calls();
    for (int attempt = 0; attempt < 2; ++attempt) {
        try {
            synchronize(stream);
            FAIL();
        } catch (const DeviceError& error) {
            EXPECT_EQ(error.code(), cudaErrorIllegalAddress);
            EXPECT_TRUE(error.sticky());
            EXPECT_EQ(error.first_seen(), "stream synchronize on cuda:1");
        }
    }
    try {
        allocate(8, cuda_device(1));
        FAIL();
    } catch (const DeviceError& error) {
        EXPECT_EQ(error.first_seen(), "stream synchronize on cuda:1");
        EXPECT_NE(std::string(error.what()).find("first seen at: stream synchronize on cuda:1"),
                  std::string::npos);
    }
    EXPECT_EQ(count("cudaMallocAsync"), 0u) << "no work begins on a failed device";
    EXPECT_NO_THROW(allocate(8, cuda_device(0)));
    EXPECT_NO_THROW(make_stream(2));
    EXPECT_THROW(make_stream(1), DeviceError);
}

TEST_F(DeviceErrors, OneOffErrorsAreNotSticky) {
    for (const cudaError_t code : {cudaErrorIllegalAddress, cudaErrorInvalidValue}) {
        filler().fail("cudaMallocAsync", 1, code);
        try {
            allocate(8, cuda_device(1));
            FAIL();
        } catch (const DeviceError& error) {
            EXPECT_FALSE(error.sticky()) << error.what();
            EXPECT_EQ(error.first_seen(), "");
        }
        EXPECT_NO_THROW(allocate(8, cuda_device(1)));
    }
}

TEST_F(DeviceErrors, DropsOnAFailedDeviceAreToldOnce) {
    Filler::need_devices(3);
    std::vector<View> views;
    for (int k = 0; k < 5; ++k) {
        views.push_back(make_view({16}, cuda_device(2), 1, Format("i"), make_stream(2)));
    }
    break_device(2);
    const std::uint64_t before = release_errors();
    views.clear();
    EXPECT_EQ(release_errors() - before, 1u) << "nothing else has told of the failure";
    failed_releases_ = release_errors();
    EXPECT_THROW(synchronize(legacy_stream(2)), DeviceError);
    filler().clear_sticky();
    EXPECT_NO_THROW(allocate(8, cuda_device(2)));
    views.push_back(make_view({16}, cuda_device(2)));
    break_device(2);
    EXPECT_THROW(synchronize(legacy_stream(2)), DeviceError);
    views.clear();
    EXPECT_EQ(release_errors(), failed_releases_) << "the exception has told of it";
}

TEST_F(DeviceErrors, DeviceThatWorksAgainIsUsedAgain) {
    Filler::need_devices(2);
    break_device(1);
    EXPECT_THROW(synchronize(legacy_stream(1)), DeviceError);
    EXPECT_THROW(allocate(8, cuda_device(1)), DeviceError);
    filler().clear_sticky();
    EXPECT_NO_THROW(allocate(8, cuda_device(1)));
    break_device(1);
    try {
        device_memory(1);
        FAIL();
    } catch (const DeviceError& error) {
        EXPECT_EQ(error.first_seen(), "memory info on cuda:1") << "the old failure is forgotten";
    }
    failed_releases_ = release_errors();
}

// --- Every call of every operation fails once ---

/// Names of the calls that `operation` makes, each as often as it is made.
std::vector<std::string> calls_of(const Operation& operation) {
    filler().clear_calls();
    operation.run();
    std::vector<std::string> names = filler().calls();
    drain();
    names.erase(std::remove_if(names.begin(), names.end(),
                               [](const std::string& name) {
                                   return name.find("LastError") != std::string::npos;
                               }),
                names.end());
    return names;
}

int current_device_now() {
    int device = -1;
    EXPECT_EQ(runtime().GetDevice(&device), cudaSuccess);
    return device;
}

/// Puts an error into the last-error slot that no call of ours returns.
void leave_foreign_error() {
    EXPECT_EQ(runtime().MemsetAsync(nullptr, 0, 1, reinterpret_cast<cudaStream_t>(77)),
              cudaErrorInvalidResourceHandle);
    EXPECT_EQ(runtime().PeekAtLastError(), cudaErrorInvalidResourceHandle);
}

class EveryCallFails : public Emulated {
protected:
    void SetUp() override {
        Emulated::SetUp();
        filler().need(Feature::order);
    }
    /// Runs `operation` with the nth call of `name` failing; whatever happens, device and slot are
    /// as they must be.
    void run_failing(const Operation& operation, const std::string& name, int nth, bool foreign) {
        const std::string where = std::string(operation.name) + ": " + name + " " +
                                  std::to_string(nth) + (foreign ? ", foreign error" : "");
        ASSERT_EQ(runtime().SetDevice(2), cudaSuccess);
        if (foreign) leave_foreign_error();
        filler().fail(name, nth, cudaErrorNotYetImplemented);
        try {
            operation.run();
        } catch (const Error&) {
        }
        filler().clear_faults();
        EXPECT_EQ(current_device_now(), 2) << where;
        const cudaError_t slot = runtime().GetLastError();
        // The runtime keeps one error: a failed call of ours takes the foreign one's place.
        EXPECT_TRUE(slot == cudaSuccess || (foreign && slot == cudaErrorInvalidResourceHandle))
            << where << ": " << slot;
        ASSERT_EQ(runtime().SetDevice(0), cudaSuccess);
        drain();
        failed_releases_ = release_errors();
    }

    void sweep(bool foreign) {
        for (const Operation& operation : operations()) {
            operation.run();  // pools and caches are made
            drain();
            const Level before = Level::now();
            std::map<std::string, int> seen;
            for (const std::string& name : calls_of(operation))
                run_failing(operation, name, ++seen[name], foreign);
            expect_same(Level::now(), before, operation.name);
        }
    }
};

TEST_F(EveryCallFails, DeviceAndSlotAreTheCallersAgain) { sweep(false); }

TEST_F(EveryCallFails, WithAForeignErrorInTheSlot) { sweep(true); }

TEST_F(EveryCallFails, WithoutAFailureAForeignErrorStays) {
    for (const Operation& operation : operations()) {
        operation.run();
        drain();
        leave_foreign_error();
        filler().clear_calls();
        operation.run();
        const cudaError_t slot = runtime().GetLastError();
        // An answer of "not ready" is a failed call for the runtime, and takes the slot.
        const bool asked = count("cudaEventQuery") + count("cudaStreamQuery") > 0;
        EXPECT_TRUE(slot == cudaErrorInvalidResourceHandle || (asked && slot == cudaSuccess))
            << operation.name << ": " << slot;
        drain();
    }
}

TEST_F(EveryCallFails, SetDeviceThatFailsHalfwayIsUndone) {
    filler().need(Feature::restart);  // counts of calls that were made to fail
    ASSERT_EQ(runtime().SetDevice(2), cudaSuccess);
    filler().fail("cudaSetDevice", 1, cudaErrorMemoryAllocation);
    EXPECT_THROW(DeviceGuard guard(1), DeviceError);
    EXPECT_EQ(current_device_now(), 2);
    EXPECT_EQ(count("cudaSetDevice"), 3u) << "ours, the one that failed, and the way back";
    ASSERT_EQ(runtime().SetDevice(0), cudaSuccess);
}

}  // namespace
}  // namespace devview::testing
