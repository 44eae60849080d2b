// The strided kernels on a GPU, or on a stand-in for one, against item-by-item copies; a program.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

#include "cuda/cast_cases.hpp"
#include "cuda/compare_cases.hpp"
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
    void byteswap(const CopyPlan& plan, test::Place dst, test::Place src, unsigned part) override {
        const DeviceBlock to(dst, stream_), from(src, stream_);
        check(table_.byteswap(plan, to.view(), from.view(), part, stream_), "byteswap");
        to.fetch();
    }
    bool compare(const CopyPlan& plan, test::Place a, const NumberType& a_type, test::Place b,
                 const NumberType& b_type) override {
        test::Bytes flag(sizeof(std::uint32_t));
        const DeviceBlock left(a, stream_), right(b, stream_), answer({&flag, 0}, stream_);
        check(table_.compare(plan, left.view(), a_type, right.view(), b_type,
                             reinterpret_cast<std::uint32_t*>(answer.view()), stream_),
              "compare");
        answer.fetch();
        return flag != test::Bytes(sizeof(std::uint32_t));
    }

private:
    cudaStream_t stream_;
    const KernelTable& table_ = kernels::device_kernels();
};

void check_items(test::Kernels& kernels, int scale) {
    for (unsigned itemsize = 1; itemsize <= 32; ++itemsize) {
        test::check_random(kernels, itemsize, itemsize, 4 * scale, 800);
    }
    for (const std::int64_t itemsize : test::kOddItemsizes) {
        test::check_random(kernels, static_cast<unsigned>(itemsize), itemsize, 2 * scale, 20000);
    }
}

void check_limits(test::Kernels& kernels) {
    for (const std::int64_t unit : {1, 2, 4, 8, 16, 48, 7}) {
        for (const int ndim : {7, 8, kMaxNdim})
            test::check_deep(kernels, ndim, unit);
        test::check_far(kernels, static_cast<unsigned>(unit), unit);
    }
    test::check_deep_cast(kernels, kMaxNdim);
    test::check_deep_byteswap(kernels, kMaxNdim);
    test::check_deep_compare(kernels, kMaxNdim);
}

/// What has kernels of its own: tiles, wide rows, pairs of types, swaps and comparisons.
void check_special(test::Kernels& kernels, int scale) {
    test::check_crossings(kernels, 1, scale);
    test::check_rows_fills(kernels, 1);
    test::check_byteswaps(kernels, 1, 4 * scale, 100);
    test::check_row_casts(kernels, 1);
    test::check_compared_bytes(kernels, 1, 4 * scale);
}

/// Every pair of formats; with a scale above 1, every number of 16 bits and every special one.
void check_numbers(test::Kernels& kernels, int scale) {
    test::check_casts(kernels, 2, scale, 60);
    test::check_compares(kernels, 3, scale, 60);
    if (scale == 1) return;
    test::check_every_short_number(kernels);
    test::check_special_numbers(kernels);
}

/// Few blocks that stride over all positions and tiles.
void check_strides(test::Kernels& kernels) {
    kernels::limit_grid(2);
    std::mt19937 random(5);
    for (const std::int64_t itemsize : {1, 4, 16}) {
        test::check_copy(kernels, random, {3, 1100, 2}, itemsize);
        test::check_fill(kernels, random, {1100, 2}, itemsize);
        test::check_crossing(kernels, random, {72, 72, 2, itemsize});
    }
    test::check_cast(kernels, random, {40, 30}, Format("d"), Format("h"));
    test::check_compare_of(kernels, random, {40, 30}, Format("d"), Format("h"));
    test::check_compare_of(kernels, random, {40, 30}, Format("i"), Format("i"));
    kernels::limit_grid(1u << 16);
}

/// Another's error in the thread's slot neither fails a launch nor gets lost.
void check_foreign_error(test::Kernels& kernels) {
    require(cudaSetDevice(1000) != cudaSuccess, "device 1000");
    const cudaError_t foreign = cudaPeekAtLastError();
    require(foreign != cudaSuccess, "no last error");
    test::check_crossings(kernels, 1, 1);
    require(cudaGetLastError() == foreign, "the foreign error is gone");
    require(cudaGetLastError() == cudaSuccess, "the slot is not clean");
}

/// A launch that fails leaves no trace in the slot; none is no launch.
void check_failure(cudaStream_t stream) {
    const KernelTable& table = kernels::device_kernels();
    CopyPlan plan{};
    plan.ndim = 1;
    plan.unit = 1;
    plan.count = plan.extents[0] = 16;
    kernels::limit_grid(0);  // a launch of no blocks is refused
    require(table.pack(plan, nullptr, nullptr, 0, plan.count, stream) != cudaSuccess, "no blocks");
    kernels::limit_grid(1u << 16);
    require(cudaPeekAtLastError() == cudaSuccess, "the slot is not clean");
    check(table.pack(plan, nullptr, nullptr, 5, 0, stream), "no units");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

}  // namespace
}  // namespace devview::cuda

/// device_kernels_check [SCALE]: 1 (the default) for a stand-in that interprets, more for a GPU.
int main(int argc, char** argv) {
    namespace cuda = devview::cuda;
    const int scale = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
    try {
        cudaStream_t stream = nullptr;
        cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
        cuda::DeviceKernels kernels(stream);
        cuda::check_items(kernels, scale);
        cuda::check_limits(kernels);
        cuda::check_special(kernels, scale);
        cuda::check_numbers(kernels, scale);
        cuda::check_strides(kernels);
        cuda::DeviceKernels on_legacy(nullptr);
        cuda::check_special(on_legacy, 1);
        for (cudaStream_t each : {stream, cudaStream_t{nullptr}}) {
            cuda::DeviceKernels again(each);
            cuda::check_foreign_error(again);
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
