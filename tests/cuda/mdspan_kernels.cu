#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

#include "cuda/mdspan_kernels.hpp"

namespace devview::test {

namespace {

constexpr int kThreads = 64;

template <class T>
__global__ void saxpy_kernel(T a, Strided<const T, 1> x, Strided<T, 1> y) {
    const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
    if (i < x.extent(0)) y(i) = a * x(i) + y(i);
}

__global__ void stencil_kernel(Strided<const double, 3> in, Strided<double, 3> out) {
    int at = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
    if (at >= static_cast<int>(in.size())) return;
    int index[3];
    for (int axis = 2; axis >= 0; --axis) {
        index[axis] = at % in.extent(axis);
        at /= in.extent(axis);
    }
    const int i = index[0];
    const int j = index[1];
    const int k = index[2];
    double sum = in(i, j, k);
    if (i > 0) sum += in(i - 1, j, k);
    if (i + 1 < in.extent(0)) sum += in(i + 1, j, k);
    if (j > 0) sum += in(i, j - 1, k);
    if (j + 1 < in.extent(1)) sum += in(i, j + 1, k);
    if (k > 0) sum += in(i, j, k - 1);
    if (k + 1 < in.extent(2)) sum += in(i, j, k + 1);
    out(i, j, k) = sum;
}

template <class In, class Out>
__global__ void transpose_kernel(In in, Out out) {
    const int i = static_cast<int>(blockIdx.x);
    for (int j = static_cast<int>(threadIdx.x); j < in.extent(1); j += kThreads)
        out(j, i) = in(i, j);
}

template <class In>
__global__ void row_sums_kernel(In in, device_span<int, Dims<1>> out) {
    const int i = static_cast<int>(threadIdx.x);
    if (i >= in.extent(0)) return;
    const auto row = ::cuda::std::submdspan(in, i, ::cuda::std::full_extent);
    static_assert(decltype(row)::static_extent(0) == 5);
    int sum = 0;
    for (int j = 0; j < row.extent(0); ++j)
        sum += row(j);
    out(i) = sum;
}

__global__ void read_host_span_kernel(host_span<float, Dims<1>> span) { span(0) = 1; }

int blocks(std::size_t count) { return static_cast<int>((count + kThreads - 1) / kThreads); }

cudaStream_t handle(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle()); }

void launched() {
    const cudaError_t status = cudaGetLastError();
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

}  // namespace

void saxpy(float a, Strided<const float, 1> x, Strided<float, 1> y, const Stream& stream) {
    if (x.empty()) return;
    saxpy_kernel<float><<<blocks(x.size()), kThreads, 0, handle(stream)>>>(a, x, y);
    launched();
}

void stencil(Strided<const double, 3> in, Strided<double, 3> out, const Stream& stream) {
    if (in.empty()) return;
    stencil_kernel<<<blocks(in.size()), kThreads, 0, handle(stream)>>>(in, out);
    launched();
}

void transpose(device_span<const short, Dims<2>> in,
               device_span<short, Dims<2>, ::cuda::std::layout_left> out, const Stream& stream) {
    if (in.empty()) return;
    transpose_kernel<<<in.extent(0), kThreads, 0, handle(stream)>>>(in, out);
    launched();
}

void row_sums(device_span<const int, ::cuda::std::extents<int, ::cuda::std::dynamic_extent, 5>> in,
              device_span<int, Dims<1>> out, const Stream& stream) {
    row_sums_kernel<<<1, kThreads, 0, handle(stream)>>>(in, out);
    launched();
}

const char* touch_on_host(device_span<float, Dims<1>> span) {
    static std::string said;
    said.clear();
    try {
        span(0) = 1;
    } catch (const BufferError& error) {
        said = error.what();
    }
    return said.c_str();
}

void read_host_span(host_span<float, Dims<1>> span, const Stream& stream) {
    read_host_span_kernel<<<1, 1, 0, handle(stream)>>>(span);
    launched();
}

}  // namespace devview::test
