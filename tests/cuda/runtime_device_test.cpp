// Devices, attributes, versions, error names and the last-error slot of the runtime.
#include <string>
#include <thread>

#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class RuntimeDevice : public EmulatorTest {
protected:
    RuntimeDevice() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 3;
        options.memory = 1 << 20;
        return options;
    }
};

TEST_F(RuntimeDevice, CountsAndSelectsDevicesPerThread) {
    int count = 0;
    DV_OK(r->GetDeviceCount(&count));
    EXPECT_EQ(count, 3);
    DV_OK(r->SetDevice(2));
    int current = -1;
    std::thread([&] { r->GetDevice(&current); }).join();
    EXPECT_EQ(current, 0);
    DV_OK(r->GetDevice(&current));
    EXPECT_EQ(current, 2);
    for (const int bad : {-1, 3, 1000})
        EXPECT_EQ(r->SetDevice(bad), cudaErrorInvalidDevice);
    DV_OK(r->GetDevice(&current));
    EXPECT_EQ(current, 2);
}

TEST_F(RuntimeDevice, AnswersAttributesVersionsAndNames) {
    int value = 0;
    DV_OK(r->DeviceGetAttribute(&value, cudaDevAttrWarpSize, 0));
    EXPECT_EQ(value, 32);
    DV_OK(r->DeviceGetAttribute(&value, cudaDevAttrConcurrentManagedAccess, 0));
    EXPECT_EQ(value, 1);
    DV_OK(r->DeviceGetAttribute(&value, cudaDevAttrMemoryPoolsSupported, 2));
    EXPECT_EQ(value, 1);
    // As every device since compute capability 7.5 (CUDA C++ Programming Guide, "Compute
    // Capabilities").
    const std::pair<cudaDeviceAttr, int> common[] = {
        {cudaDevAttrMaxThreadsPerBlock, 1024}, {cudaDevAttrMaxBlockDimX, 1024},
        {cudaDevAttrMaxBlockDimZ, 64},         {cudaDevAttrMaxGridDimX, 0x7fffffff},
        {cudaDevAttrMaxGridDimY, 65535},       {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
        {cudaDevAttrUnifiedAddressing, 1},
    };
    for (const auto& [attribute, wanted] : common) {
        DV_OK(r->DeviceGetAttribute(&value, attribute, 1));
        EXPECT_EQ(value, wanted) << "attribute " << attribute;
    }
    EXPECT_EQ(r->DeviceGetAttribute(&value, cudaDevAttrWarpSize, 3), cudaErrorInvalidDevice);
    if (filler().has(Feature::strict)) {
        EXPECT_EQ(r->DeviceGetAttribute(&value, static_cast<cudaDeviceAttr>(0), 0),
                  cudaErrorInvalidValue);
    }
    DV_OK(r->RuntimeGetVersion(&value));
    EXPECT_EQ(value / 1000, 13);
    char name[256], start[4];
    DV_OK(r->DeviceName(name, sizeof name, 1));
    EXPECT_STRNE(name, "");
    DV_OK(r->DeviceName(start, 4, 1));
    EXPECT_EQ(std::string(start), std::string(name).substr(0, 3));
    EXPECT_EQ(r->DeviceName(start, 4, 7), cudaErrorInvalidDevice);
    EXPECT_EQ(r->emulated, filler().has(Feature::restart));
    if (r->emulated) {
        EXPECT_STREQ(name, "devview emulated device");
    }
}

TEST_F(RuntimeDevice, MemoryInfoFollowsAllocations) {
    std::size_t free_bytes = 0;
    std::size_t total = 0;
    DV_OK(r->MemGetInfo(&free_bytes, &total));
    Filler::need_memory(options_.memory);
    EXPECT_EQ(free_bytes, total);
    void* block = device(1000);
    DV_OK(r->MemGetInfo(&free_bytes, &total));
    EXPECT_EQ(free_bytes, total - 1000);
    DV_OK(r->SetDevice(1));
    DV_OK(r->MemGetInfo(&free_bytes, &total));
    EXPECT_EQ(free_bytes, total);
    DV_OK(r->Free(block));
}

TEST_F(RuntimeDevice, LastErrorIsKeptPerThreadUntilRead) {
    EXPECT_EQ(r->SetDevice(9), cudaErrorInvalidDevice);
    EXPECT_EQ(r->Malloc(nullptr, 1), cudaErrorInvalidValue);
    DV_OK(r->SetDevice(0));
    cudaError_t elsewhere = cudaErrorUnknown;
    std::thread([&] { elsewhere = r->GetLastError(); }).join();
    EXPECT_EQ(elsewhere, cudaSuccess);
    EXPECT_EQ(r->PeekAtLastError(), cudaErrorInvalidValue);
    EXPECT_EQ(r->GetLastError(), cudaErrorInvalidValue);
    EXPECT_EQ(r->GetLastError(), cudaSuccess);
}

TEST_F(RuntimeDevice, ErrorsHaveCudasNamesAndTexts) {
    EXPECT_STREQ(r->GetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
    EXPECT_STREQ(r->GetErrorString(cudaErrorMemoryAllocation), "out of memory");
    EXPECT_STREQ(r->GetErrorName(cudaErrorNotReady), "cudaErrorNotReady");
    EXPECT_STREQ(r->GetErrorString(cudaErrorIllegalAddress),
                 "an illegal memory access was encountered");
    EXPECT_STREQ(r->GetErrorName(cudaSuccess), "cudaSuccess");
    for (const int code : {-1, 4711, 299}) {
        EXPECT_STREQ(r->GetErrorName(static_cast<cudaError_t>(code)), "unrecognized error code");
        EXPECT_STREQ(r->GetErrorString(static_cast<cudaError_t>(code)), "unrecognized error code");
    }
}

TEST_F(RuntimeDevice, PeerAccessIsEnabledOnce) {
    filler().need(Feature::peers);
    int can = -1;
    DV_OK(r->DeviceCanAccessPeer(&can, 0, 1));
    EXPECT_EQ(can, 1);
    DV_OK(r->DeviceCanAccessPeer(&can, 1, 1));
    EXPECT_EQ(can, 0);
    EXPECT_EQ(r->DeviceCanAccessPeer(&can, 0, 3), cudaErrorInvalidDevice);
    EXPECT_EQ(r->DeviceEnablePeerAccess(0, 0), cudaErrorInvalidDevice);
    EXPECT_EQ(r->DeviceEnablePeerAccess(1, 1), cudaErrorInvalidValue);
    const cudaError_t first = r->DeviceEnablePeerAccess(1, 0);
    EXPECT_TRUE(first == cudaSuccess ||
                (first == cudaErrorPeerAccessAlreadyEnabled && !filler().has(Feature::restart)));
    EXPECT_EQ(r->DeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
}

TEST_F(RuntimeDevice, PeerAccessCanBeMissing) {
    EmulatorOptions options = options_;
    options.peer_access = false;
    options.concurrent_managed = false;
    start(options);
    int value = -1;
    DV_OK(r->DeviceCanAccessPeer(&value, 0, 1));
    EXPECT_EQ(value, 0);
    EXPECT_EQ(r->DeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessUnsupported);
    DV_OK(r->DeviceGetAttribute(&value, cudaDevAttrConcurrentManagedAccess, 0));
    EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace devview::cuda
