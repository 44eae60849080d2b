// The strided kernels on a GPU, or on a stand-in for one, against item-by-item copies; a program.
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

#include "cuda/cast_cases.hpp"
#include "cuda/kernel_cases.hpp"
#include "kernels/device_kernels.hpp"

namespace devview::cuda {
namespace {

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorName(status));
}

void require(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(what);
}

/// A block of host memory's copy on the device, at the same offset from 256 byte alignment.
class DeviceBlock {
public:
    explicit DeviceBlock(test::Place place, cudaStream_t stream) : place_(place), stream_(stream) {
        check(cudaMallocAsync(&data_, size() + kAlignment, stream), "cudaMallocAsync");
        check(cudaMemcpyAsync(start(), place.block->data(), size(), cudaMemcpyDefault, stream),
              "to the device");
    }
    DeviceBlock(const DeviceBlock&) = delete;
    DeviceBlock& operator=(const DeviceBlock&) = delete;
    ~DeviceBlock() { cudaFreeAsync(data_, stream_); }

    unsigned char* view() const { return start() + place_.at; }
    void fetch() const {
        check(cudaMemcpyAsync(place_.block->data(), start(), size(), cudaMemcpyDefault, stream_),
              "from the device");
        check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    }

private:
    static constexpr std::size_t kAlignment = 256;

    std::size_t size() const { return place_.block->size(); }
    unsigned char* start() const {
        const auto offset = reinterpret_cast<std::uintptr_t>(place_.block->data()) % kAlignment;
        return static_cast<unsigned char*>(data_) + offset;
    }

    test::Place place_;
    cudaStream_t stream_;
    void* data_ = nullptr;
};

class DeviceKernels final : public test::Kernels {
public:
    explicit DeviceKernels(cudaStream_t stream) : stream_(stream) {}

    void pack(const CopyPlan& plan, test::Place dst, test::Place src, std::int64_t first,
              std::int64_t units) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        check(table_.pack(plan, to.view(), from.view(), first, units, stream_), "pack");
        to.fetch();
    }
    void unpack(const CopyPlan& plan, test::Place dst, test::Place src, std::int64_t first,
                std::int64_t units) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        check(table_.unpack(plan, to.view(), from.view(), first, units, stream_), "unpack");
        to.fetch();
    }
    void copy(const CopyPlan& plan, test::Place dst, test::Place src) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        check(table_.copy(plan, to.view(), from.view(), stream_), "copy");
        to.fetch();
    }
    void fill(const CopyPlan& plan, test::Place dst, const FillItem& item) override {
        const DeviceBlock to(dst, stream_);
        check(table_.fill(plan, to.view(), item, stream_), "fill");
        to.fetch();
    }
    void cast(const CopyPlan& plan, test::Place dst, const NumberType& to_type, test::Place src,
              const NumberType& from_type) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        check(table_.cast(plan, to.view(), to_type, from.view(), from_type, stream_), "cast");
        to.fetch();
    }

private:
    cudaStream_t stream_;
    const KernelTable& table_ = kernels::device_kernels();
};

void check_items(test::Kernels& kernels) {
    for (unsigned itemsize = 1; itemsize <= 32; ++itemsize) {
        test::check_random(kernels, itemsize, itemsize, 8, 800);
    }
    for (const std::int64_t itemsize : test::kOddItemsizes) {
        test::check_random(kernels, static_cast<unsigned>(itemsize), itemsize, 4, 20000);
    }
}

void check_limits(test::Kernels& kernels) {
    for (const std::int64_t unit : {1, 2, 4, 8, 16, 48, 7}) {
        for (const int ndim : {7, 8, kMaxNdim})
            test::check_deep(kernels, ndim, unit);
        test::check_far(kernels, static_cast<unsigned>(unit), unit);
    }
}

/// Another's error in the thread's slot neither fails a launch nor gets lost.
void check_foreign_error(test::Kernels& kernels) {
    require(cudaSetDevice(1000) != cudaSuccess, "device 1000");
    const cudaError_t foreign = cudaPeekAtLastError();
    require(foreign != cudaSuccess, "no last error");
    check_items(kernels);
    require(cudaGetLastError() == foreign, "the foreign error is gone");
    require(cudaGetLastError() == cudaSuccess, "the slot is not clean");
}

/// A launch of more blocks than a grid has fails without a trace in the slot; none is no launch.
void check_failure(cudaStream_t stream) {
    const KernelTable& table = kernels::device_kernels();
    CopyPlan plan{};
    plan.ndim = 1;
    plan.unit = 1;
    plan.count = plan.extents[0] = std::int64_t{1} << 41;
    require(table.pack(plan, nullptr, nullptr, 0, plan.count, stream) != cudaSuccess, "2^41 units");
    require(cudaPeekAtLastError() == cudaSuccess, "the slot is not clean");
    check(table.pack(plan, nullptr, nullptr, 5, 0, stream), "no units");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

}  // namespace
}  // namespace devview::cuda

int main() {
    namespace cuda = devview::cuda;
    try {
        cudaStream_t stream = nullptr;
        cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
        for (cudaStream_t each : {stream, cudaStream_t{nullptr}}) {
            cuda::DeviceKernels kernels(each);
            cuda::check_items(kernels);
            cuda::check_limits(kernels);
            cuda::test::check_casts(kernels, 2, 1, 60);
            cuda::test::check_deep_cast(kernels, devview::kMaxNdim);
            cuda::check_foreign_error(kernels);
            cuda::check_failure(each);
        }
        cuda::check(cudaStreamDestroy(stream), "cudaStreamDestroy");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "device_kernels_check: %s\n", error.what());
        return 1;
    }
    std::puts("device_kernels_check: all kernels agree");
    return 0;
}
