// Copies and fills of the runtime: shapes, directions, what the host may do when, and devices.
#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class RuntimeCopy : public EmulatorTest {
protected:
    RuntimeCopy() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 3;
        return options;
    }
};

TEST_F(RuntimeCopy, EveryDirectionCarriesTheBytes) {
    const Bytes bytes = numbered(777);
    auto* a = device(777);
    auto* b = device(777);
    auto* host = pinned(777);
    Bytes back(777);
    DV_OK(r->MemcpyAsync(a, bytes.data(), 777, cudaMemcpyHostToDevice, nullptr));
    DV_OK(r->MemcpyAsync(b, a, 777, cudaMemcpyDeviceToDevice, nullptr));
    DV_OK(r->MemcpyAsync(host, b, 777, cudaMemcpyDefault, nullptr));
    DV_OK(r->MemcpyAsync(back.data(), host, 777, cudaMemcpyHostToHost, nullptr));
    EXPECT_EQ(back, bytes);
    DV_OK(r->Free(a));
    DV_OK(r->Free(b));
    DV_OK(r->FreeHost(host));
}

TEST_F(RuntimeCopy, WrongDirectionsAreRefused) {
    auto* block = device(8);
    Bytes local(8);
    EXPECT_EQ(r->MemcpyAsync(block, block, 8, cudaMemcpyHostToDevice, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->MemcpyAsync(local.data(), local.data(), 8, cudaMemcpyDeviceToHost, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->MemcpyAsync(block, local.data(), 8, cudaMemcpyDeviceToDevice, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->MemcpyAsync(block, local.data(), 8, cudaMemcpyHostToHost, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->MemcpyAsync(block, local.data(), 8, static_cast<cudaMemcpyKind>(7), nullptr),
              cudaErrorInvalidMemcpyDirection);
    EXPECT_EQ(r->MemcpyAsync(nullptr, local.data(), 8, cudaMemcpyDefault, nullptr),
              cudaErrorInvalidValue);
    EXPECT_EQ(r->MemcpyAsync(block, local.data(), ~std::size_t{0}, cudaMemcpyDefault, nullptr),
              cudaErrorInvalidValue);
    DV_OK(r->MemcpyAsync(nullptr, nullptr, 0, cudaMemcpyDefault, nullptr));
    EXPECT_EQ(content(block, 8), Bytes(8, 0xCB));
    DV_OK(r->Free(block));
}

TEST_F(RuntimeCopy, APageableSourceMayBeChangedAtOnce) {
    const cudaStream_t on = stream();
    auto* block = device(100);
    Gate gate;
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    Bytes source(100, 1);
    DV_OK(r->MemcpyAsync(block, source.data(), 100, cudaMemcpyHostToDevice, on));
    source.assign(100, 2);
    gate.open();
    EXPECT_EQ(content(block, 100), Bytes(100, 1));
    DV_OK(r->Free(block));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeCopy, APinnedSourceIsReadWhenTheCopyRuns) {
    const cudaStream_t on = stream();
    auto* block = device(100);
    auto* source = pinned(100);
    Gate gate;
    DV_OK(r->LaunchHostFunc(on, Gate::wait, gate.key()));
    std::memset(source, 1, 100);
    DV_OK(r->MemcpyAsync(block, source, 100, cudaMemcpyHostToDevice, on));
    std::memset(source, 2, 100);
    gate.open();
    EXPECT_EQ(content(block, 100), Bytes(100, 2));
    DV_OK(r->FreeHost(source));
    DV_OK(r->Free(block));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeCopy, APageableTargetIsWrittenWhenTheCallReturnsAPinnedOneLater) {
    const cudaStream_t on = stream();
    auto* block = device(100);
    auto* target = pinned(100);
    DV_OK(r->MemsetAsync(block, 8, 100, on));
    filler().set_delay(20000);
    Bytes pageable(100);
    DV_OK(r->MemcpyAsync(pageable.data(), block, 100, cudaMemcpyDeviceToHost, on));
    EXPECT_EQ(pageable, Bytes(100, 8));
    DV_OK(r->StreamSynchronize(on));
    DV_OK(r->MemcpyAsync(target, block, 100, cudaMemcpyDeviceToHost, on));
    EXPECT_EQ(r->StreamQuery(on), cudaErrorNotReady);
    DV_OK(r->StreamSynchronize(on));
    EXPECT_EQ(Bytes(target, target + 100), Bytes(100, 8));
    DV_OK(r->FreeHost(target));
    DV_OK(r->Free(block));
    DV_OK(r->StreamDestroy(on));
}

TEST_F(RuntimeCopy, RowsAreCopiedByTheirPitches) {
    const Bytes source = numbered(5 * 16);
    auto* block = device(5 * 32);
    DV_OK(r->MemsetAsync(block, 0, 5 * 32, nullptr));
    DV_OK(r->Memcpy2DAsync(block, 32, source.data(), 16, 10, 5, cudaMemcpyHostToDevice, nullptr));
    const Bytes seen = content(block, 5 * 32);
    for (std::size_t y = 0; y < 5; ++y) {
        for (std::size_t x = 0; x < 32; ++x) {
            ASSERT_EQ(seen[y * 32 + x], x < 10 ? source[y * 16 + x] : 0) << y << " " << x;
        }
    }
    Bytes back(5 * 12, 0xFF);
    DV_OK(r->Memcpy2DAsync(back.data(), 12, block, 32, 10, 5, cudaMemcpyDefault, nullptr));
    for (std::size_t y = 0; y < 5; ++y) {
        for (std::size_t x = 0; x < 12; ++x) {
            ASSERT_EQ(back[y * 12 + x], x < 10 ? source[y * 16 + x] : 0xFF);
        }
    }
    EXPECT_EQ(r->Memcpy2DAsync(block, 9, back.data(), 12, 10, 5, cudaMemcpyDefault, nullptr),
              cudaErrorInvalidPitchValue);
    EXPECT_EQ(r->Memcpy2DAsync(block, 32, back.data(), 9, 10, 5, cudaMemcpyDefault, nullptr),
              cudaErrorInvalidPitchValue);
    DV_OK(r->Memcpy2DAsync(block, 32, back.data(), 12, 10, 0, cudaMemcpyDefault, nullptr));
    DV_OK(r->Free(block));
}

TEST_F(RuntimeCopy, TheLastRowMayEndWithTheBlock) {
    auto* block = device(4 * 32 + 10);
    Bytes back(5 * 10);
    DV_OK(r->Memcpy2DAsync(back.data(), 10, block, 32, 10, 5, cudaMemcpyDefault, nullptr));
    testing::internal::CaptureStderr();
    EXPECT_EQ(r->Memcpy2DAsync(back.data(), 10, block + 1, 32, 10, 5, cudaMemcpyDefault, nullptr),
              cudaErrorIllegalAddress);
    EXPECT_NE(testing::internal::GetCapturedStderr(), "");
    filler().clear_sticky();
    DV_OK(r->Free(block));
}

TEST_F(RuntimeCopy, BoxesAreCopiedByPositionAndExtent) {
    // Source 4 slices of 5 rows of 16 bytes; the box 3 x 2 x 6 at (z 1, y 2, x 4).
    const Bytes source = numbered(4 * 5 * 16);
    auto* block = device(3 * 3 * 8);
    DV_OK(r->MemsetAsync(block, 0, 3 * 3 * 8, nullptr));
    cudaMemcpy3DParms p{};
    p.srcPtr = {const_cast<unsigned char*>(source.data()), 16, 16, 5};
    p.srcPos = {4, 2, 1};
    p.dstPtr = {block, 8, 8, 3};
    p.dstPos = {1, 1, 0};
    p.extent = {6, 2, 3};
    p.kind = cudaMemcpyHostToDevice;
    DV_OK(r->Memcpy3DAsync(&p, nullptr));
    const Bytes seen = content(block, 3 * 3 * 8);
    for (std::size_t z = 0; z < 3; ++z) {
        for (std::size_t y = 0; y < 3; ++y) {
            for (std::size_t x = 0; x < 8; ++x) {
                const bool inside = y >= 1 && x >= 1 && x < 7;
                const unsigned char wanted =
                    inside ? source[(z + 1) * 80 + (y + 1) * 16 + x + 3] : std::uint8_t{0};
                ASSERT_EQ(seen[z * 24 + y * 8 + x], wanted) << z << " " << y << " " << x;
            }
        }
    }
    cudaMemcpy3DParms bad = p;
    bad.srcArray = reinterpret_cast<cudaArray_t>(this);
    EXPECT_EQ(r->Memcpy3DAsync(&bad, nullptr), cudaErrorNotSupported);
    bad = p;
    bad.dstPtr.pitch = 6;
    EXPECT_EQ(r->Memcpy3DAsync(&bad, nullptr), cudaErrorInvalidPitchValue);
    bad = p;
    bad.dstPtr.ysize = 2;
    EXPECT_EQ(r->Memcpy3DAsync(&bad, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(r->Memcpy3DAsync(nullptr, nullptr), cudaErrorInvalidValue);
    DV_OK(r->Free(block));
}

TEST_F(RuntimeCopy, FillsAreChecked) {
    auto* block = device(100);
    auto* host = pinned(10);
    Bytes local(10);
    DV_OK(r->MemsetAsync(block + 10, 0x1FF, 20, nullptr));
    const Bytes seen = content(block, 100);
    for (std::size_t i = 0; i < 100; ++i)
        ASSERT_EQ(seen[i], i >= 10 && i < 30 ? 0xFF : 0xCB);
    DV_OK(r->MemsetAsync(host, 3, 10, nullptr));
    DV_OK(r->StreamSynchronize(nullptr));
    EXPECT_EQ(host[9], 3);
    EXPECT_EQ(r->MemsetAsync(local.data(), 3, 10, nullptr), cudaErrorInvalidValue);
    DV_OK(r->MemsetAsync(nullptr, 3, 0, nullptr));
    DV_OK(r->FreeHost(host));
    DV_OK(r->Free(block));
}

TEST_F(RuntimeCopy, PeerCopiesNeedNoAccessRight) {
    unsigned char* blocks[3];
    for (int i = 0; i < 3; ++i) {
        DV_OK(r->SetDevice(i));
        blocks[i] = device_async(64, nullptr);
        DV_OK(r->MemsetAsync(blocks[i], i, 64, nullptr));
        DV_OK(r->DeviceSynchronize());
    }
    DV_OK(r->MemcpyPeerAsync(blocks[2], 2, blocks[1], 1, 64, nullptr));
    EXPECT_EQ(content(blocks[2], 64), Bytes(64, 1));
    EXPECT_EQ(r->MemcpyPeerAsync(blocks[2], 0, blocks[1], 1, 64, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(r->MemcpyPeerAsync(blocks[2], 2, blocks[1], 3, 64, nullptr), cudaErrorInvalidDevice);
    for (auto* block : blocks)
        DV_OK(r->FreeAsync(block, nullptr));
    DV_OK(r->SetDevice(0));
}

TEST_F(RuntimeCopy, PooledMemoryOfAnotherDeviceNeedsItsPoolsAccess) {
    DV_OK(r->SetDevice(1));
    auto* far = device_async(64, nullptr);
    DV_OK(r->MemsetAsync(far, 5, 64, nullptr));
    DV_OK(r->DeviceSynchronize());
    cudaMemPool_t pool = nullptr;
    DV_OK(r->DeviceGetDefaultMemPool(&pool, 1));
    DV_OK(r->SetDevice(0));
    auto* near = device(64);
    testing::internal::CaptureStderr();
    DV_OK(r->MemcpyAsync(near, far, 64, cudaMemcpyDefault, nullptr));
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorIllegalAddress);
    expect_said(testing::internal::GetCapturedStderr(), "no peer access");
    filler().clear_sticky();
    cudaMemAccessDesc access{};
    access.location = {cudaMemLocationTypeDevice, 0};
    access.flags = cudaMemAccessFlagsProtRead;
    DV_OK(r->MemPoolSetAccess(pool, &access, 1));
    DV_OK(r->MemcpyAsync(near, far, 64, cudaMemcpyDefault, nullptr));
    EXPECT_EQ(content(near, 64), Bytes(64, 5));
    testing::internal::CaptureStderr();
    DV_OK(r->MemcpyAsync(far, near, 64, cudaMemcpyDefault, nullptr));
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorIllegalAddress);
    testing::internal::GetCapturedStderr();
    filler().clear_sticky();
    DV_OK(r->Free(near));
    DV_OK(r->Free(far));
}

}  // namespace
}  // namespace devview::cuda
