// Kernels of a user of device_span, and what nvcc makes of a span on the host; see
// mdspan_kernels.cu.
#pragma once

#include <cstddef>

#include <cuda/std/mdspan>

#include "devview/mdspan.hpp"
#include "devview/stream.hpp"

namespace devview::test {

template <std::size_t rank>
using Dims = ::cuda::std::dextents<int, rank>;

/// Of any layout that devview's slices make.
template <class T, std::size_t rank>
using Strided = device_span<T, Dims<rank>, ::cuda::std::layout_stride>;

// Each launches one kernel on `stream` and returns without waiting.

/// y = a * x + y
void saxpy(float a, Strided<const float, 1> x, Strided<float, 1> y, const Stream& stream);
/// out = sum of an item and its up to six neighbours
void stencil(Strided<const double, 3> in, Strided<double, 3> out, const Stream& stream);
/// out(j, i) = in(i, j)
void transpose(device_span<const short, Dims<2>> in,
               device_span<short, Dims<2>, ::cuda::std::layout_left> out, const Stream& stream);
/// Static extents, and a slice that the kernel takes by itself: sums of the rows.
void row_sums(device_span<const int, ::cuda::std::extents<int, ::cuda::std::dynamic_extent, 5>> in,
              device_span<int, Dims<1>> out, const Stream& stream);

/// What code that nvcc compiles for the host says when it touches an item; empty if nothing.
const char* touch_on_host(device_span<float, Dims<1>> span);
/// Ends in a trap: the device fails.
void read_host_span(host_span<float, Dims<1>> span, const Stream& stream);

}  // namespace devview::test
