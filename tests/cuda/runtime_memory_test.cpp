// Blocks of the runtime: protection, checks, limits, quarantine, and attributes of pointers.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <set>
#include <string>
#include <thread>

#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class RuntimeMemory : public EmulatorTest {
protected:
    RuntimeMemory() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        options.memory = 4 << 20;
        return options;
    }

    /// A copy out of device memory that must fail, and what is said about it. The emulator has the
    /// device fail, as after a kernel; drivers refuse a copy whose range they can look up.
    void expect_illegal_read(const void* from, std::size_t nbytes, const char* words) {
        Bytes sink(nbytes);
        Reports reports;
        const cudaError_t status =
            r->MemcpyAsync(sink.data(), from, nbytes, cudaMemcpyDeviceToHost, nullptr);
        if (status != cudaErrorInvalidValue || filler().has(Feature::restart)) {
            EXPECT_EQ(status, cudaErrorIllegalAddress);
            EXPECT_EQ(r->DeviceSynchronize(), cudaErrorIllegalAddress);
        }
        const std::string said = reports.text();
        expect_said(said, words);
        expect_said(said, emulation::failure(0).c_str());
        if (filler().has(Feature::restart)) {
            EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
        }
        filler().clear_sticky();
    }

    cudaPointerAttributes attributes(const void* pointer) {
        cudaPointerAttributes result;
        EXPECT_EQ(r->PointerGetAttributes(&result, pointer), cudaSuccess);
        return result;
    }
};

using EmulatorMemoryDeathTest = RuntimeMemory;

TEST_F(EmulatorMemoryDeathTest, HostAccessToDeviceMemoryDies) {
    volatile unsigned char* block = device(16);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    EXPECT_DEATH((void)*block, "SEGV");
    EXPECT_DEATH(*block = 1, "SEGV");
#else
    EXPECT_EXIT((void)*block, testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(*block = 1, testing::KilledBySignal(SIGSEGV), "");
#endif
    DV_OK(r->Free(const_cast<unsigned char*>(block)));
}

TEST_F(EmulatorMemoryDeathTest, FreedPinnedMemoryDies) {
    volatile unsigned char* block = pinned(16);
    *block = 3;
    DV_OK(r->FreeHost(const_cast<unsigned char*>(block)));
    EXPECT_DEATH((void)*block, "");
}

TEST_F(RuntimeMemory, NewMemoryHoldsThePattern) {
    auto* block = device(3000);
    EXPECT_EQ(content(block, 3000), Bytes(3000, 0xCB));
    DV_OK(r->Free(block));
    EXPECT_EQ(filler().peek(block), nullptr);
}

TEST_F(RuntimeMemory, BlocksAreAlignedAndApart) {
    std::set<std::uintptr_t> begins;
    std::vector<void*> blocks;
    for (std::size_t nbytes : {1u, 511u, 512u, 513u, 70000u}) {
        blocks.push_back(device(nbytes));
        const auto begin = reinterpret_cast<std::uintptr_t>(blocks.back());
        EXPECT_EQ(begin % 256, 0u);  // as CUDA's programming guide promises
        EXPECT_EQ(filler().peek(static_cast<char*>(blocks.back()) + nbytes), nullptr);
        begins.insert(begin);
    }
    EXPECT_EQ(begins.size(), 5u);
    for (void* block : blocks)
        DV_OK(r->Free(block));
}

TEST_F(RuntimeMemory, FreedAddressesAreNotReused) {
    filler().need(Feature::recovery);
    std::set<void*> seen;
    for (int i = 0; i < 1000; ++i) {
        void* block = device(100);
        EXPECT_TRUE(seen.insert(block).second);
        DV_OK(r->Free(block));
    }
}

TEST_F(RuntimeMemory, AddressesAreReusedOnceAllAreUsed) {
    filler().need(Feature::restart);
    EmulatorOptions options = options_;
    options.addresses = 1 << 20;
    start(options);
    void* kept = device(1000);
    std::set<void*> seen;
    bool reused = false;
    for (int i = 0; i < 300; ++i) {
        void* block = device(10000);
        ASSERT_NE(block, nullptr);
        EXPECT_NE(block, kept);
        reused = !seen.insert(block).second || reused;
        EXPECT_EQ(content(block, 10000), Bytes(10000, 0xCB));
        DV_OK(r->Free(block));
    }
    EXPECT_TRUE(reused);
    EXPECT_GT(seen.size(), 90u);
    void* too_much = nullptr;
    EXPECT_EQ(r->Malloc(&too_much, 1 << 20), cudaErrorMemoryAllocation);
    // Gaps that are too small are passed over.
    std::vector<void*> blocks;
    for (void* block = nullptr; r->Malloc(&block, 100000) == cudaSuccess;)
        blocks.push_back(block);
    (void)r->GetLastError();
    ASSERT_GE(blocks.size(), 6u);
    for (std::size_t k = 0; k < blocks.size(); k += 2)
        DV_OK(r->Free(blocks[k]));
    EXPECT_EQ(r->Malloc(&too_much, 300000), cudaErrorMemoryAllocation);
    (void)r->GetLastError();
    for (std::size_t k = 1; k < blocks.size(); k += 2)
        DV_OK(r->Free(blocks[k]));
    DV_OK(r->Malloc(&too_much, 300000));
    DV_OK(r->Free(too_much));
    DV_OK(r->Free(kept));
    start(options_);
}

TEST_F(RuntimeMemory, ZeroAndAbsurdSizes) {
    void* out = this;
    DV_OK(r->Malloc(&out, 0));
    EXPECT_EQ(out, nullptr);
    DV_OK(r->Free(nullptr));
    DV_OK(r->FreeHost(nullptr));
    for (const std::size_t nbytes :
         {~std::size_t{0}, ~std::size_t{0} - 511, std::size_t{1} << 62}) {
        EXPECT_EQ(r->Malloc(&out, nbytes), cudaErrorMemoryAllocation);
        EXPECT_EQ(r->MallocAsync(&out, nbytes, nullptr), cudaErrorMemoryAllocation);
        EXPECT_EQ(r->HostAlloc(&out, nbytes, 0), cudaErrorMemoryAllocation);
        EXPECT_EQ(r->MallocManaged(&out, nbytes, cudaMemAttachGlobal), cudaErrorMemoryAllocation);
    }
    EXPECT_EQ(r->MallocAsync(&out, 0, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(r->MallocManaged(&out, 0, cudaMemAttachGlobal), cudaErrorInvalidValue);
    if (filler().has(Feature::strict)) {
        EXPECT_EQ(r->MallocManaged(&out, 1, 0), cudaErrorInvalidValue);
    }
    EXPECT_EQ(r->HostAlloc(&out, 1, 8), cudaErrorInvalidValue);
}

TEST_F(RuntimeMemory, TheLimitHoldsPerDeviceAndASmallerRequestWorks) {
    Filler::need_memory(options_.memory);
    const std::size_t limit = options_.memory;
    void* first = device(limit - 1000);
    void* out = nullptr;
    EXPECT_EQ(r->Malloc(&out, 1001), cudaErrorMemoryAllocation);
    EXPECT_EQ(r->MallocAsync(&out, 1001, nullptr), cudaErrorMemoryAllocation);
    EXPECT_EQ(out, nullptr);
    void* second = device(1000);
    DV_OK(r->SetDevice(1));
    void* other = device(limit);
    DV_OK(r->Free(other));
    DV_OK(r->Free(first));
    DV_OK(r->Free(second));
}

TEST_F(RuntimeMemory, QueuedFreesMakeRoom) {
    Filler::need_memory(options_.memory);
    const cudaStream_t on = stream();
    filler().set_delay(20000);
    void* first = device_async(options_.memory, on);
    DV_OK(r->FreeAsync(first, on));
    void* second = device_async(options_.memory, on);
    EXPECT_NE(second, nullptr);
    DV_OK(r->FreeAsync(second, on));
    DV_OK(r->StreamSynchronize(on));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeMemory, ReadingPastTheEndIsIllegalAndSticky) {
    auto* block = device(100);
    expect_illegal_read(block, 101, "end of the block of 100 bytes");
    expect_illegal_read(block + 99, 2, "block of 100 bytes");
    expect_illegal_read(block + 100, 1, "in no block");
    expect_illegal_read(block - 1, 1, "in no block");
    Bytes sink(100);
    DV_OK(r->MemcpyAsync(sink.data(), block, 100, cudaMemcpyDeviceToHost, nullptr));
    DV_OK(r->Free(block));
}

TEST_F(RuntimeMemory, UseAfterFreeIsIllegal) {
    auto* block = device(5000);
    DV_OK(r->Free(block));
    expect_illegal_read(block + 17, 1, "freed block of 5000 bytes");
    auto* later = device_async(600, nullptr);
    DV_OK(r->FreeAsync(later, nullptr));
    expect_illegal_read(later, 600, "freed block of 600 bytes");
}

TEST_F(RuntimeMemory, UseBeforeTheAllocationIsIllegalOnAnotherStream) {
    const cudaStream_t maker = stream();
    const cudaStream_t user = stream();
    Gate gate;
    DV_OK(r->LaunchHostFunc(maker, Gate::wait, gate.key()));
    auto* block = device_async(100, maker);
    testing::internal::CaptureStderr();
    DV_OK(r->MemsetAsync(block, 1, 100, user));
    EXPECT_EQ(r->StreamSynchronize(user), cudaErrorIllegalAddress);
    expect_said(testing::internal::GetCapturedStderr(), "before the stream-ordered allocation");
    filler().clear_sticky();
    gate.open();
    DV_OK(r->StreamSynchronize(maker));
    DV_OK(r->MemsetAsync(block, 1, 100, user));
    DV_OK(r->StreamSynchronize(user));
    EXPECT_EQ(content(block, 100), Bytes(100, 1));
    DV_OK(r->FreeAsync(block, user));
    DV_OK(r->StreamDestroy(maker));
    DV_OK(r->StreamDestroy(user));
}

TEST_F(RuntimeMemory, FreesOfWhatIsNoBlockAreRefused) {
    auto* plain = device(100);
    auto* pooled = device_async(100, nullptr);
    auto* host = pinned(100);
    int local = 0;
    const Reports said;
    EXPECT_EQ(r->Free(plain + 1), cudaErrorInvalidValue);
    EXPECT_EQ(r->Free(host), cudaErrorInvalidValue);
    EXPECT_EQ(r->Free(&local), cudaErrorInvalidValue);
    EXPECT_EQ(r->FreeHost(plain), cudaErrorInvalidValue);
    EXPECT_EQ(r->FreeHost(host + 1), cudaErrorInvalidValue);
    EXPECT_EQ(r->FreeAsync(pooled + 1, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(r->FreeAsync(nullptr, nullptr), cudaErrorInvalidValue);
    DV_OK(r->FreeAsync(pooled, nullptr));
    EXPECT_EQ(r->FreeAsync(pooled, nullptr), cudaErrorInvalidValue);
    DV_OK(r->DeviceSynchronize());
    EXPECT_EQ(r->FreeAsync(pooled, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(r->Free(pooled), cudaErrorInvalidValue);
    DV_OK(r->Free(plain));
    EXPECT_EQ(r->Free(plain), cudaErrorInvalidValue);
    DV_OK(r->FreeHost(host));
    EXPECT_EQ(r->FreeHost(host), cudaErrorInvalidValue);
}

TEST_F(RuntimeMemory, FreeWaitsForTheDeviceAndTakesPooledBlocks) {
    filler().need(Feature::free_waits);
    const cudaStream_t on = stream();
    auto* block = device_async(64, on);
    auto* host = pinned(64);
    filler().set_delay(20000);
    DV_OK(r->MemsetAsync(block, 7, 64, on));
    DV_OK(r->MemcpyAsync(host, block, 64, cudaMemcpyDeviceToHost, on));
    DV_OK(r->Free(block));
    EXPECT_EQ(Bytes(host, host + 64), Bytes(64, 7));
    DV_OK(r->FreeHost(host));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeMemory, PinnedMemoryFreedUnderAQueuedCopyIsNoticed) {
    filler().need(Feature::restart);  // elsewhere cudaFreeHost waits for what is queued
    const cudaStream_t on = stream();
    auto* block = device(64);
    auto* host = pinned(64);
    Gate gate;
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    DV_OK(r->MemcpyAsync(block, host, 64, cudaMemcpyHostToDevice, on));
    DV_OK(r->FreeHost(host));
    testing::internal::CaptureStderr();
    gate.open();
    EXPECT_EQ(r->StreamSynchronize(on), cudaErrorIllegalAddress);
    expect_said(testing::internal::GetCapturedStderr(), "pinned");
    filler().clear_sticky();
    DV_OK(r->StreamDestroy(on));
    DV_OK(r->Free(block));
}

TEST_F(RuntimeMemory, HostPagesStayWhileAnOperationTouchesThem) {
    filler().need(Feature::restart);  // the emulator's promise: elsewhere it is undefined
    constexpr std::size_t nbytes = 8 << 20;
    const cudaStream_t on = stream();  // Of device 0: the frees below wait for device 1 only.
    DV_OK(r->SetDevice(1));
    testing::internal::CaptureStderr();
    for (int i = 0; i < 10; ++i) {
        auto* host = pinned(nbytes);
        void* managed = nullptr;
        DV_OK(r->MallocManaged(&managed, nbytes, cudaMemAttachGlobal));
        DV_OK(r->MemcpyAsync(managed, host, nbytes, cudaMemcpyDefault, on));
        std::this_thread::sleep_for(std::chrono::microseconds(200 * i));
        DV_OK(i % 2 ? r->FreeHost(host) : r->Free(managed));
        DV_OK(i % 2 ? r->Free(managed) : r->FreeHost(host));
        // Freed in time or not: an error is right, a crash is not.
        const cudaError_t status = r->StreamSynchronize(on);
        EXPECT_TRUE(status == cudaSuccess || status == cudaErrorIllegalAddress);
        filler().clear_sticky();
    }
    testing::internal::GetCapturedStderr();
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeMemory, AttributesOfEveryKindOfPointer) {
    DV_OK(r->SetDevice(1));
    auto* block = device(100);
    auto* host = pinned(100);
    void* managed = nullptr;
    DV_OK(r->MallocManaged(&managed, 100, cudaMemAttachGlobal));
    int local = 0;

    EXPECT_EQ(attributes(block + 99).type, cudaMemoryTypeDevice);
    EXPECT_EQ(attributes(block + 99).device, 1);
    EXPECT_EQ(attributes(block + 99).devicePointer, block + 99);
    EXPECT_EQ(attributes(block).hostPointer, nullptr);
    EXPECT_EQ(attributes(block + 100).type, cudaMemoryTypeUnregistered);
    EXPECT_EQ(attributes(host + 1).type, cudaMemoryTypeHost);
    EXPECT_EQ(attributes(host + 1).hostPointer, host + 1);
    EXPECT_EQ(attributes(host + 1).devicePointer, host + 1);
    EXPECT_EQ(attributes(managed).type, cudaMemoryTypeManaged);
    EXPECT_EQ(attributes(&local).type, cudaMemoryTypeUnregistered);
    EXPECT_EQ(attributes(&local).devicePointer, nullptr);
    EXPECT_EQ(attributes(nullptr).type, cudaMemoryTypeUnregistered);
    DV_OK(r->Free(managed));
    DV_OK(r->FreeHost(host));
    DV_OK(r->Free(block));
    EXPECT_EQ(attributes(block).type, cudaMemoryTypeUnregistered);
    DV_OK(r->SetDevice(0));
}

TEST_F(RuntimeMemory, ManagedMemoryIsEverybodys) {
    void* out = nullptr;
    DV_OK(r->MallocManaged(&out, 256, cudaMemAttachGlobal));
    auto* managed = static_cast<unsigned char*>(out);
    std::memset(managed, 3, 256);
    auto* block = device(256);
    DV_OK(r->MemcpyAsync(block, managed, 256, cudaMemcpyDefault, nullptr));
    DV_OK(r->MemsetAsync(managed, 4, 256, nullptr));
    DV_OK(r->DeviceSynchronize());
    EXPECT_EQ(content(block, 256), Bytes(256, 3));
    EXPECT_EQ(Bytes(managed, managed + 256), Bytes(256, 4));
    expect_alive(&emulation::Objects::managed_bytes, 256u);
    DV_OK(r->Free(managed));
    DV_OK(r->Free(block));
}

}  // namespace
}  // namespace devview::cuda
