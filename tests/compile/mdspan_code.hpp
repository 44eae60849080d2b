// Pairs of functions of one body: span_x on a span of devview's, plain_x without. Their machine
// code must be the same (same_code.cmake).
#pragma once

#include <devview/mdspan.hpp>

template <std::size_t rank>
using Dims = cuda::std::dextents<int, rank>;
using Strided = cuda::std::layout_stride;

template <class Span>
DEVVIEW_HD inline float sum(const Span& x) {
    float total = 0;
    for (int i = 0; i < x.extent(0); ++i)
        total += x(i);
    return total;
}

template <class In, class Out>
DEVVIEW_HD inline void blur(const In& in, const Out& out, int i) {
    for (int j = 1; j + 1 < in.extent(1); ++j)
        out(i, j) = in(i, j - 1) + 2 * in(i, j) + in(i, j + 1);
}

// A right and a strided one, dynamic and static extents.
template <template <class, class, class> class Span>
struct Spans {
    using X = Span<const float, Dims<1>, cuda::std::layout_right>;
    using In = Span<const double, Dims<2>, Strided>;
    using Out = Span<double, cuda::std::extents<int, cuda::std::dynamic_extent, 33>,
                     cuda::std::layout_right>;
};
template <class T, class E, class L>
using Plain = cuda::std::mdspan<T, E, L>;
