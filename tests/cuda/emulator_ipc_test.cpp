// Tests of what the emulator refuses in the sharing of pools; the rest takes two processes.
#include <fcntl.h>
#include <unistd.h>

#include "emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class EmulatorIpc : public EmulatorTest {
protected:
    cudaMemPool_t pool(cudaMemAllocationHandleType handles = cudaMemHandleTypePosixFileDescriptor) {
        cudaMemPoolProps props{};
        props.allocType = cudaMemAllocationTypePinned;
        props.handleTypes = handles;
        props.location.type = cudaMemLocationTypeDevice;
        cudaMemPool_t out = nullptr;
        EXPECT_EQ(r->MemPoolCreate(&out, &props), cudaSuccess);
        return out;
    }
    unsigned char* from(cudaMemPool_t pool, std::size_t nbytes) {
        void* out = nullptr;
        EXPECT_EQ(r->MallocFromPoolAsync(&out, nbytes, pool, nullptr), cudaSuccess);
        return static_cast<unsigned char*>(out);
    }
    cudaError_t export_pool(cudaMemPool_t pool, int& file, unsigned flags = 0) {
        return r->MemPoolExportToShareableHandle(&file, pool, cudaMemHandleTypePosixFileDescriptor,
                                                 flags);
    }
    cudaError_t import_pool(cudaMemPool_t& out, int file) {
        return r->MemPoolImportFromShareableHandle(
            &out, reinterpret_cast<void*>(static_cast<std::intptr_t>(file)),
            cudaMemHandleTypePosixFileDescriptor, 0);
    }
};

TEST_F(EmulatorIpc, BlocksOfAShareablePoolAreAsOthers) {
    const cudaMemPool_t shared = pool();
    unsigned char* const a = from(shared, 5000);
    unsigned char* const b = from(shared, 100);
    const Bytes bytes = numbered(5000);
    DV_OK(r->MemcpyAsync(a, bytes.data(), 5000, cudaMemcpyHostToDevice, nullptr));
    DV_OK(r->MemsetAsync(b, 7, 100, nullptr));
    EXPECT_EQ(content(a, 5000), bytes);
    EXPECT_EQ(content(b, 100), Bytes(100, 7));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 4096, 0u);
    cudaPointerAttributes told{};
    DV_OK(r->PointerGetAttributes(&told, a + 4999));
    EXPECT_EQ(told.type, cudaMemoryTypeDevice);
    DV_OK(r->FreeAsync(a, nullptr));
    DV_OK(r->DeviceSynchronize());
    EXPECT_EQ(r->MemsetAsync(a, 1, 1, nullptr), cudaSuccess);
    EXPECT_EQ(r->DeviceSynchronize(), cudaErrorIllegalAddress) << "used after its free";
    emulation::clear_sticky();
    DV_OK(r->FreeAsync(b, nullptr));
    DV_OK(r->MemPoolDestroy(shared));
}

TEST_F(EmulatorIpc, OnlyShareablePoolsAreExported) {
    int file = -1;
    const cudaMemPool_t plain = pool(cudaMemHandleTypeNone), shared = pool();
    cudaMemPool_t standard = nullptr;
    DV_OK(r->DeviceGetDefaultMemPool(&standard, 0));
    EXPECT_EQ(export_pool(plain, file), cudaErrorInvalidValue);
    EXPECT_EQ(export_pool(standard, file), cudaErrorInvalidValue);
    EXPECT_EQ(export_pool(shared, file, 1), cudaErrorInvalidValue);
    EXPECT_EQ(r->MemPoolExportToShareableHandle(&file, shared, cudaMemHandleTypeWin32, 0),
              cudaErrorInvalidValue);
    DV_OK(export_pool(shared, file));
    EXPECT_NE(fcntl(file, F_GETFD) & FD_CLOEXEC, 0);
    close(file);
    cudaMemPoolPtrExportData data{};
    unsigned char* const other = from(plain, 100);
    EXPECT_EQ(r->MemPoolExportPointer(&data, other), cudaErrorInvalidValue);
    unsigned char* const ours = from(shared, 100);
    EXPECT_EQ(r->MemPoolExportPointer(&data, ours + 1), cudaErrorInvalidValue);
    DV_OK(r->MemPoolExportPointer(&data, ours));
    DV_OK(r->FreeAsync(ours, nullptr));
    EXPECT_EQ(r->MemPoolExportPointer(&data, ours), cudaErrorInvalidValue);
    DV_OK(r->FreeAsync(other, nullptr));
    for (const cudaMemPool_t done : {plain, shared})
        DV_OK(r->MemPoolDestroy(done));
}

TEST_F(EmulatorIpc, OwnPoolsAndOtherFilesAreNotImported) {
    const cudaMemPool_t shared = pool();
    int file = -1;
    DV_OK(export_pool(shared, file));
    cudaMemPool_t out = nullptr;
    EXPECT_EQ(import_pool(out, file), cudaErrorInvalidValue);
    EXPECT_EQ(r->MemPoolImportFromShareableHandle(&out, &file, cudaMemHandleTypeWin32, 0),
              cudaErrorInvalidValue);
    close(file);
    EXPECT_EQ(import_pool(out, file), cudaErrorInvalidValue);
    const int null = open("/dev/null", O_RDWR);
    EXPECT_EQ(import_pool(out, null), cudaErrorInvalidValue);
    close(null);
    EXPECT_EQ(import_pool(out, -1), cudaErrorInvalidValue);
    cudaMemPoolPtrExportData data{};
    void* pointer = nullptr;
    EXPECT_EQ(r->MemPoolImportPointer(&pointer, shared, &data), cudaErrorInvalidValue);
    DV_OK(r->MemPoolDestroy(shared));
}

TEST_F(EmulatorIpc, PoolsOfHostMemoryHaveNoHandles) {
    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;
    props.handleTypes = cudaMemHandleTypePosixFileDescriptor;
    props.location.type = cudaMemLocationTypeHost;
    cudaMemPool_t out = nullptr;
    EXPECT_EQ(r->MemPoolCreate(&out, &props), cudaErrorInvalidValue);
    props.location.type = cudaMemLocationTypeDevice;
    props.handleTypes = cudaMemHandleTypeFabric;
    EXPECT_EQ(r->MemPoolCreate(&out, &props), cudaErrorNotSupported);
}

}  // namespace
}  // namespace devview::cuda
