// Memory pools of the runtime: accounts, thresholds, kinds of memory and lifetimes.
#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class RuntimePool : public EmulatorTest {
protected:
    RuntimePool() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        options.memory = 1 << 20;
        return options;
    }
    void SetUp() override {
        EmulatorTest::SetUp();
        EXPECT_EQ(r->DeviceGetDefaultMemPool(&pool_, 0), cudaSuccess);
    }

    static cudaMemPoolProps props(int place = cudaMemLocationTypeDevice, int type = 1) {
        cudaMemPoolProps result{};
        result.allocType = static_cast<cudaMemAllocationType>(type);
        result.location.type = static_cast<cudaMemLocationType>(place);
        return result;
    }
    std::uint64_t get(cudaMemPool_t pool, cudaMemPoolAttr attribute) {
        std::uint64_t value = ~std::uint64_t{0};
        EXPECT_EQ(r->MemPoolGetAttribute(pool, attribute, &value), cudaSuccess);
        return value;
    }
    cudaError_t set(cudaMemPool_t pool, cudaMemPoolAttr attribute, std::uint64_t value) {
        return r->MemPoolSetAttribute(pool, attribute, &value);
    }

    cudaMemPool_t pool_ = nullptr;
};

TEST_F(RuntimePool, AttributesAreReadBackAndUnknownOnesRefused) {
    for (const auto attribute :
         {cudaMemPoolReuseFollowEventDependencies, cudaMemPoolReuseAllowOpportunistic,
          cudaMemPoolReuseAllowInternalDependencies}) {
        int value = -1;
        DV_OK(r->MemPoolGetAttribute(pool_, attribute, &value));
        EXPECT_EQ(value, 1) << "allowed unless forbidden, " << attribute;
        for (int wish : {0, 1}) {
            DV_OK(r->MemPoolSetAttribute(pool_, attribute, &wish));
            DV_OK(r->MemPoolGetAttribute(pool_, attribute, &value));
            EXPECT_EQ(value, wish);
        }
    }
    DV_OK(set(pool_, cudaMemPoolAttrReservedMemHigh, 0));
    EXPECT_EQ(get(pool_, cudaMemPoolAttrReservedMemHigh),
              get(pool_, cudaMemPoolAttrReservedMemCurrent));
    EXPECT_EQ(set(pool_, cudaMemPoolAttrReservedMemHigh, 1), cudaErrorInvalidValue);
    if (!filler().has(Feature::strict)) return;
    std::uint64_t value = 0;
    const auto unknown = static_cast<cudaMemPoolAttr>(0);  // they begin at 1
    EXPECT_EQ(r->MemPoolGetAttribute(pool_, unknown, &value), cudaErrorInvalidValue);
    EXPECT_EQ(r->MemPoolSetAttribute(pool_, unknown, &value), cudaErrorInvalidValue);
}

TEST_F(RuntimePool, AccountsFollowUse) {
    filler().need(Feature::restart);  // the stand-in's pools reserve nothing, a GPU's by pages
    void* a = device_async(1000, nullptr);
    void* b = device_async(500, nullptr);
    EXPECT_EQ(get(pool_, cudaMemPoolAttrUsedMemCurrent), 1500u);
    EXPECT_EQ(get(pool_, cudaMemPoolAttrReservedMemCurrent), 1500u);
    DV_OK(set(pool_, cudaMemPoolAttrReleaseThreshold, 1200));
    DV_OK(r->FreeAsync(a, nullptr));
    DV_OK(r->FreeAsync(b, nullptr));
    DV_OK(r->StreamSynchronize(nullptr));
    EXPECT_EQ(get(pool_, cudaMemPoolAttrUsedMemCurrent), 0u);
    EXPECT_EQ(get(pool_, cudaMemPoolAttrUsedMemHigh), 1500u);
    EXPECT_EQ(get(pool_, cudaMemPoolAttrReservedMemCurrent), 1200u);
    EXPECT_EQ(get(pool_, cudaMemPoolAttrReservedMemHigh), 1500u);
    std::size_t free_bytes = 0;
    std::size_t total = 0;
    DV_OK(r->MemGetInfo(&free_bytes, &total));
    EXPECT_EQ(total - free_bytes, 1200u);
    DV_OK(r->MemPoolTrimTo(pool_, 100));
    EXPECT_EQ(get(pool_, cudaMemPoolAttrReservedMemCurrent), 100u);
    EXPECT_EQ(set(pool_, cudaMemPoolAttrUsedMemHigh, 1), cudaErrorInvalidValue);
    DV_OK(set(pool_, cudaMemPoolAttrUsedMemHigh, 0));
    EXPECT_EQ(get(pool_, cudaMemPoolAttrUsedMemHigh), 0u);
    EXPECT_EQ(set(pool_, cudaMemPoolAttrUsedMemCurrent, 0), cudaErrorInvalidValue);
}

TEST_F(RuntimePool, ReservesGiveWayToOtherAllocations) {
    filler().need(Feature::restart);
    DV_OK(set(pool_, cudaMemPoolAttrReleaseThreshold, ~std::uint64_t{0}));
    void* pooled = device_async(1 << 20, nullptr);
    DV_OK(r->FreeAsync(pooled, nullptr));
    DV_OK(r->DeviceSynchronize());
    EXPECT_EQ(get(pool_, cudaMemPoolAttrReservedMemCurrent), std::uint64_t{1} << 20);
    // Nothing has to be waited for.
    const cudaStream_t stuck = stream();
    Gate gate;
    DV_OK(r->LaunchHostFunc(stuck, Gate::wait, gate.key()));
    auto* plain = device(1 << 20);
    gate.open();
    DV_OK(r->Free(plain));
    DV_OK(r->StreamDestroy(stuck));
}

TEST_F(RuntimePool, FreeingIsOrderedOnTheStream) {
    const cudaStream_t on = stream();
    Gate gate;
    void* block = device_async(100, on);
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    DV_OK(r->FreeAsync(block, on));
    expect_alive(&emulation::Objects::device_blocks, 1u);
    if (filler().has(Feature::restart)) {
        EXPECT_NE(filler().peek(block), nullptr);  // elsewhere the allocation may still be queued
    }
    gate.open();
    DV_OK(r->StreamSynchronize(on));
    expect_alive(&emulation::Objects::device_blocks, 0u);
    EXPECT_EQ(filler().peek(block), nullptr);
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimePool, APoolOfOnesOwnHasItsOwnLimit) {
    std::size_t free_before = 0;
    std::size_t total = 0;
    DV_OK(r->SetDevice(1));
    DV_OK(r->MemGetInfo(&free_before, &total));
    DV_OK(r->SetDevice(0));
    cudaMemPoolProps wanted = props();
    wanted.location.id = 1;
    wanted.maxSize = 1000;
    cudaMemPool_t own = nullptr;
    DV_OK(r->MemPoolCreate(&own, &wanted));
    expect_alive(&emulation::Objects::pools, 1u);
    void* out = nullptr;
    EXPECT_EQ(r->MallocFromPoolAsync(&out, 1001, own, nullptr), cudaErrorMemoryAllocation);
    DV_OK(r->MallocFromPoolAsync(&out, 1000, own, nullptr));
    cudaPointerAttributes attributes;
    DV_OK(r->PointerGetAttributes(&attributes, out));
    EXPECT_EQ(attributes.device, 1);
    // Destroying it takes effect when its last block is freed.
    DV_OK(r->MemPoolDestroy(own));
    expect_alive(&emulation::Objects::pools, 0u);
    expect_alive(&emulation::Objects::device_blocks, 1u);
    DV_OK(r->FreeAsync(out, nullptr));
    DV_OK(r->DeviceSynchronize());
    DV_OK(r->SetDevice(1));
    std::size_t free_bytes = 0;
    DV_OK(r->MemGetInfo(&free_bytes, &total));
    EXPECT_EQ(free_bytes, free_before);
}

TEST_F(RuntimePool, ManagedAndPinnedPoolsGiveHostMemoryOnceTheAllocationHasRun) {
    for (const bool managed : {true, false}) {
        const cudaMemPoolProps wanted =
            managed ? props(cudaMemLocationTypeDevice, 2) : props(cudaMemLocationTypeHost, 1);
        cudaMemPool_t own = nullptr;
        DV_OK(r->MemPoolCreate(&own, &wanted));
        void* out = nullptr;
        DV_OK(r->MallocFromPoolAsync(&out, 100, own, nullptr));
        DV_OK(r->StreamSynchronize(nullptr));
        std::memset(out, 4, 100);
        cudaPointerAttributes attributes;
        DV_OK(r->PointerGetAttributes(&attributes, out));
        EXPECT_EQ(attributes.type, managed ? cudaMemoryTypeManaged : cudaMemoryTypeHost);
        DV_OK(r->FreeAsync(out, nullptr));
        DV_OK(r->DeviceSynchronize());
        DV_OK(r->MemPoolDestroy(own));
    }
}

TEST_F(RuntimePool, StaleForgedAndDefaultHandlesAreRefused) {
    const cudaMemPoolProps wanted = props();
    cudaMemPool_t own = nullptr;
    DV_OK(r->MemPoolCreate(&own, &wanted));
    DV_OK(r->MemPoolDestroy(own));
    void* out = nullptr;
    for (const cudaMemPool_t bad : {own, cudaMemPool_t{nullptr}}) {
        EXPECT_EQ(r->MemPoolDestroy(bad), cudaErrorInvalidValue);
        EXPECT_EQ(r->MemPoolTrimTo(bad, 0), cudaErrorInvalidValue);
        EXPECT_EQ(set(bad, cudaMemPoolAttrReleaseThreshold, 0), cudaErrorInvalidValue);
        EXPECT_EQ(r->MallocFromPoolAsync(&out, 8, bad, nullptr), cudaErrorInvalidValue);
    }
    EXPECT_EQ(r->MemPoolDestroy(pool_), cudaErrorInvalidValue);
    EXPECT_EQ(r->DeviceGetDefaultMemPool(&own, 100), cudaErrorInvalidDevice);
}

TEST_F(RuntimePool, PropertiesAreChecked) {
    cudaMemPool_t own = nullptr;
    cudaMemPoolProps wanted = props();
    wanted.location.id = 100;
    const cudaError_t nowhere = r->MemPoolCreate(&own, &wanted);
    EXPECT_TRUE(nowhere == cudaErrorInvalidValue ||
                (nowhere == cudaErrorInvalidDevice && !filler().has(Feature::restart)));
    wanted = props(cudaMemLocationTypeDevice, 0);
    EXPECT_EQ(r->MemPoolCreate(&own, &wanted), cudaErrorInvalidValue);
    wanted = props();
    wanted.handleTypes = cudaMemHandleTypeFabric;
    EXPECT_EQ(r->MemPoolCreate(&own, &wanted), cudaErrorNotSupported);
    EXPECT_EQ(r->MemPoolCreate(&own, nullptr), cudaErrorInvalidValue);
}

TEST_F(RuntimePool, AccessIsGivenToDevicesOnly) {
    filler().need(Feature::strict);
    cudaMemAccessDesc access{};
    access.location = {cudaMemLocationTypeDevice, 0};
    access.flags = cudaMemAccessFlagsProtNone;
    EXPECT_EQ(r->MemPoolSetAccess(pool_, &access, 1), cudaErrorInvalidDevice);
    access.location.id = 100;
    EXPECT_EQ(r->MemPoolSetAccess(pool_, &access, 1), cudaErrorInvalidDevice);
    access.location = {cudaMemLocationTypeHost, 0};
    EXPECT_EQ(r->MemPoolSetAccess(pool_, &access, 1), cudaErrorInvalidValue);
    DV_OK(r->MemPoolSetAccess(pool_, nullptr, 0));
}

}  // namespace
}  // namespace devview::cuda
