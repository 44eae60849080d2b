#include "mdspan_code.hpp"

using Ours = Spans<devview::device_span>;
using Theirs = Spans<Plain>;

extern "C" {

__global__ void span_sum(Ours::X x, float* out) { *out = sum(x); }
__global__ void plain_sum(Theirs::X x, float* out) { *out = sum(x); }

__global__ void span_blur(Ours::In in, Ours::Out out) {
    blur(in, out, static_cast<int>(threadIdx.x));
}
__global__ void plain_blur(Theirs::In in, Theirs::Out out) {
    blur(in, out, static_cast<int>(threadIdx.x));
}
}
