// Tests of memory that runs out and comes back: one drain, one trim, one retry, then the truth.
#include <functional>
#include <random>

#include "devview/cuda/pluggable.h"
#include "devview/error.hpp"
#include "emulated.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

/// The driver gives up at once: what is drained, trimmed and tried again is our doing.
class Exhausted : public Emulated {
protected:
    void SetUp() override {
        Emulated::SetUp();
        EmulatorOptions options;
        options.devices = 3;
        options.memory = kMemory;
        options.hasty = true;
        filler().need(Feature::restart);
        emulate(options);
    }
};

TEST_F(Exhausted, QueuedFreesAndIdleReservesAreWaitedForAndUsed) {
    const Stream slow = make_stream(0);
    for (const Device device : {cuda_device(0), cuda_device(2)}) {
        const Stream on = device.id == 0 ? slow : Stream{};
        set_delay(3000);
        for (int k = 0; k < 4; ++k)
            EXPECT_NO_THROW(allocate(200 * kMiB, device, on)) << to_string(device) << " " << k;
        set_delay(0);
    }
    EXPECT_GT(count("cudaMemPoolTrimTo"), 0u);
}

TEST_F(Exhausted, EveryWayToDeviceMemoryRetriesOnceAndThenTells) {
    const auto most = allocate(200 * kMiB, cuda_device(1));
    const Stream stream = make_stream(1);
    const std::function<void()> ways[] = {
        [] { allocate(100 * kMiB, cuda_device(1)); },
        [&] { allocate_zeroed(100 * kMiB, cuda_device(1), stream); },
        [] { resize(allocate(10 * kMiB, cuda_device(1)), 100 * kMiB); },
        [] { devview_torch_alloc(100 * kMiB, 1, nullptr); },
    };
    for (const auto& way : ways) {
        filler().clear_calls();
        try {
            way();
            ADD_FAILURE() << "no OutOfMemory";
        } catch (const OutOfMemory& error) {
            EXPECT_EQ(error.requested(), 100 * kMiB);
            EXPECT_GE(error.used(), 200 * kMiB);
            EXPECT_EQ(error.limit(), kMemory);
            const std::string text = error.what();
            EXPECT_NE(text.find("reserved"), std::string::npos) << text;
        }
        EXPECT_EQ(count("cudaMemPoolTrimTo"), 1u);
        EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
    }
    EXPECT_NO_THROW(allocate(100 * kMiB, cuda_device(0)));
}

/// The quota is cut to pieces; the model knows the sum of what lives.
TEST_F(Exhausted, FragmentedQuotaServesWhatTheModelSays) {
    constexpr std::size_t kQuota = 4 * kMiB;
    EmulatorOptions options;
    options.devices = 3;
    options.memory = kQuota;
    options.hasty = true;
    filler().need(Feature::restart);
    emulate(options);
    std::mt19937 random(1);
    std::vector<std::shared_ptr<Allocation>> blocks;
    std::size_t used = 0;
    int served = 0, refused = 0;
    for (int step = 0; step < 300; ++step) {
        if (!blocks.empty() && random() % 3 == 0) {
            const std::size_t at = random() % blocks.size();
            used -= blocks[at]->nbytes();
            blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
            continue;
        }
        const std::size_t nbytes = (1 + random() % 60) * kMiB / 64;
        const bool fits = used + nbytes <= kQuota;
        try {
            blocks.push_back(allocate(nbytes, cuda_device(0)));
            used += nbytes;
            ++served;
            EXPECT_TRUE(fits) << step;
        } catch (const OutOfMemory& error) {
            EXPECT_FALSE(fits) << step << ": " << error.what();
            EXPECT_EQ(error.used(), used);
            ++refused;
        }
    }
    EXPECT_GT(served, 50);
    EXPECT_GT(refused, 20);
}

TEST_F(Exhausted, PinnedMemoryThatTheSystemRefusesIsTriedOnceMore) {
    { const auto cached = allocate(1000, kPinned); }
    for (int k = 1; k <= 2; ++k)
        filler().fail("cudaHostAlloc", k, cudaErrorMemoryAllocation);
    filler().clear_calls();
    try {
        allocate(2000, kPinned);
        FAIL();
    } catch (const OutOfMemory& error) {
        EXPECT_NE(std::string(error.what()).find("; 0 cached; the system gives no more"),
                  std::string::npos)
            << error.what();
    }
    EXPECT_EQ(count("cudaFreeHost"), 1u) << "what was cached went first";
    EXPECT_EQ(count("cudaHostAlloc"), 2u);
    EXPECT_NO_THROW(allocate(2000, kPinned));
}

TEST_F(Exhausted, ManagedMemoryIsTriedOnceMore) {
    for (const char* name : {"cudaMallocFromPoolAsync", "cudaMallocManaged"}) {
        trim();  // no pool
        filler().clear_calls();
        filler().fail(name, 1, cudaErrorMemoryAllocation);
        if (name[10] == 'M') filler().fail("cudaMemPoolCreate", 1, cudaErrorNotSupported);
        EXPECT_NO_THROW(allocate(1000, kManaged)) << name;
        EXPECT_EQ(count(name), 2u);
        EXPECT_EQ(count("cudaDeviceSynchronize"), 0u) << "somebody may capture";
        trim();
        filler().clear_faults();
        filler().fail(name, 1, cudaErrorMemoryAllocation);
        filler().fail(name, 2, cudaErrorMemoryAllocation);
        if (name[10] == 'M') filler().fail("cudaMemPoolCreate", 1, cudaErrorNotSupported);
        EXPECT_THROW(allocate(1000, kManaged), OutOfMemory) << name;
        filler().clear_faults();
        EXPECT_NO_THROW(allocate(1000, kManaged)) << name;
        EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess);
        drain();
    }
}

TEST_F(Exhausted, TrimServesEveryDevice) {
    for (int id = 0; id < 3; ++id)
        allocate(50 * kMiB, cuda_device(id));
    drain();
    for (int id = 0; id < 3; ++id)
        EXPECT_LE(device_memory(id).free_bytes, kMemory - 50 * kMiB) << id;
    trim();
    for (int id = 0; id < 3; ++id)
        EXPECT_EQ(device_memory(id).free_bytes, kMemory) << id;
}

// --- Managed memory ---

class Managed : public Emulated {
protected:
    void SetUp() override {
        Emulated::SetUp();
        filler().need(Feature::restart);  // a driver with such a pool that is not in use yet
    }
};

TEST_F(Managed, BlocksComeFromAPoolInStreamOrder) {
    filler().clear_calls();
    allocate(1000, kManaged);
    EXPECT_EQ(count("cudaMallocFromPoolAsync"), 1u);
    EXPECT_EQ(count("cudaFreeAsync"), 1u);
    EXPECT_EQ(count("cudaMallocManaged"), 0u);
    EXPECT_EQ(count("cudaMemPoolSetAccess"), 1u) << "three devices";
    EXPECT_EQ(filler().objects().pools, 1u);
    trim();
    EXPECT_EQ(filler().objects().pools, 0u);
}

TEST_F(Managed, HostWaitsForTheAllocation) {
    set_delay(20000);
    const auto block = allocate_zeroed(1 << 16, kManaged);  // a fault if it did not wait
    EXPECT_EQ(static_cast<const unsigned char*>(block->data())[100], 0);
    const View other = dense_view(allocate(1 << 16, kManaged), {1 << 14});
    const View source = make_view({1 << 14}, cuda_device(1), 3);
    copy(other, source);
    wait_for_host(*other.allocation());
    EXPECT_EQ(std::memcmp(other.data(), pattern(1 << 16, 3).data(), 1 << 16), 0);
}

TEST_F(Managed, FreesComeAfterEveryStreamThatUsedTheBlock) {
    const Stream one = make_stream(1), two = make_stream(2);
    const View seen = make_view({1 << 14}, kPinned, 1),
               target = make_view({1 << 14}, cuda_device(2));
    View source = make_view({1 << 14}, kManaged, 9);
    drain();
    set_delay(20000);
    copy(seen, source, one);
    copy(target, source, two);
    filler().clear_calls();
    source.release();
    EXPECT_EQ(count("cudaEventSynchronize") + count("cudaStreamSynchronize"), 0u);
    EXPECT_GT(filler().objects().managed_blocks, 0u);
    drain();
    EXPECT_EQ(filler().objects().managed_blocks, 0u);
    EXPECT_EQ(items(seen), pattern(1 << 16, 9));
    EXPECT_EQ(items(target), pattern(1 << 16, 9));
}

TEST_F(Managed, WithoutAPoolCudaMallocManagedServes) {
    const std::pair<const char*, cudaError_t> refusals[] = {
        {"cudaMemPoolCreate", cudaErrorNotSupported},
        {"cudaMemPoolCreate", cudaErrorInvalidValue},
        {"cudaMemPoolSetAccess", cudaErrorInvalidDevice},
        {"cudaMallocFromPoolAsync", cudaErrorNotSupported},
    };
    for (const auto& [name, code] : refusals) {
        EmulatorOptions options;
        options.devices = 3;
        options.memory = kMemory;
        trim();
        filler().need(Feature::restart);
        emulate(options);
        filler().fail(name, 1, code);
        for (int k = 0; k < 2; ++k) {
            const auto block = allocate_zeroed(1000, kManaged);
            EXPECT_EQ(static_cast<const char*>(block->data())[999], 0);
        }
        EXPECT_EQ(count("cudaMallocManaged"), 2u) << name;
        EXPECT_EQ(count("cudaMemPoolCreate"), 1u) << name << ": asked once";
        EXPECT_EQ(filler().objects().pools, 0u) << name;
        EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess) << name;
    }
}

TEST_F(Managed, WithoutConcurrentAccessThereIsNoPool) {
    EmulatorOptions options;
    options.devices = 3;
    options.memory = kMemory;
    options.concurrent_managed = false;
    filler().need(Feature::restart);
    emulate(options);
    allocate(100, kManaged);
    EXPECT_EQ(count("cudaMallocManaged"), 1u);
    EXPECT_EQ(count("cudaMemPoolCreate"), 0u);
}

}  // namespace
}  // namespace devview::testing
