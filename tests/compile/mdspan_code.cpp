#include "mdspan_code.hpp"

using Ours = Spans<devview::host_span>;
using Theirs = Spans<Plain>;

extern "C" {

float span_sum(Ours::X x) { return sum(x); }
float plain_sum(Theirs::X x) { return sum(x); }

void span_blur(Ours::In in, Ours::Out out) {
    for (int i = 0; i < in.extent(0); ++i)
        blur(in, out, i);
}
void plain_blur(Theirs::In in, Theirs::Out out) {
    for (int i = 0; i < in.extent(0); ++i)
        blur(in, out, i);
}

// Beside a pointer: a span of one axis is passed in the same two registers.
float span_pointer(Ours::X x) {
    float total = 0;
    for (int i = 0; i < x.extent(0); ++i)
        total += x(i);
    return total;
}
float plain_pointer(const float* x, int count) {
    float total = 0;
    for (int i = 0; i < count; ++i)
        total += x[i];
    return total;
}
}
