// What a span costs: making one from a view, and loops over one beside a pointer and a plain mdspan
// in the same run. "vs_pointer": CPU time over the pointer's. Needs CCCL.
#include <benchmark/benchmark.h>

#if __has_include(<cuda/std/mdspan>)
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <vector>

#include "devview/host_memory.hpp"
#include "devview/mdspan.hpp"

namespace {

using ::cuda::std::layout_stride;
using devview::host_span;
using devview::View;
template <std::size_t rank>
using Dims = ::cuda::std::dextents<int, rank>;

constexpr int kRows = 512;
constexpr int kColumns = 512;

View matrix() {
    const std::int64_t shape[] = {kRows, kColumns};
    const auto layout = devview::Layout::contiguous(2, shape, sizeof(float));
    const auto block =
        devview::allocate_host(static_cast<std::size_t>(layout.nbytes(sizeof(float))));
    std::fill_n(static_cast<float*>(block->data()), kRows * kColumns, 1.0f);
    return devview::view_of(block->data(), devview::format_of<float>(), layout, {}, block);
}

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double>& times) {
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

// Both loops alternate, so that a busy machine disturbs both alike; only the span's is reported.
template <class Span, class Pointer>
void beside_pointer(benchmark::State& state, const Span& span, const Pointer& pointer) {
    std::vector<double> ours;
    std::vector<double> theirs;
    for (auto _ : state) {
        double start = cpu_seconds();
        benchmark::DoNotOptimize(pointer());
        theirs.push_back(cpu_seconds() - start);
        start = cpu_seconds();
        benchmark::DoNotOptimize(span());
        ours.push_back(cpu_seconds() - start);
        state.SetIterationTime(ours.back());
    }
    state.counters["vs_pointer"] = median(ours) / median(theirs);
}

template <class Span>
[[gnu::noinline]] float sum(Span x) {
    float total = 0;
    for (int i = 0; i < x.extent(0); ++i) {
        for (int j = 0; j < x.extent(1); ++j)
            total += x(i, j);
    }
    return total;
}

[[gnu::noinline]] float sum(const float* x, int rows, int columns, std::int64_t row,
                            std::int64_t column) {
    float total = 0;
    for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j)
            total += x[i * row + j * column];
    }
    return total;
}

[[gnu::noinline]] float sum(const float* x, int rows, int columns) {
    float total = 0;
    for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j)
            total += x[i * columns + j];
    }
    return total;
}

void sum_contiguous(benchmark::State& state) {
    const View view = matrix();
    const host_span<const float, Dims<2>> span(view);
    const auto* const data = static_cast<const float*>(view.data());
    beside_pointer(
        state, [&] { return sum(span); }, [&] { return sum(data, kRows, kColumns); });
}

void sum_transposed(benchmark::State& state) {
    const View view = matrix().transpose();
    const host_span<const float, Dims<2>, layout_stride> span(view);
    const auto* const data = static_cast<const float*>(view.data());
    beside_pointer(
        state, [&] { return sum(span); }, [&] { return sum(data, kColumns, kRows, 1, kColumns); });
}

// The same loop over the same mdspan with CCCL's own accessor.
void sum_plain_mdspan(benchmark::State& state) {
    const View view = matrix();
    const ::cuda::std::mdspan<const float, Dims<2>> plain = host_span<const float, Dims<2>>(view);
    const auto* const data = static_cast<const float*>(view.data());
    beside_pointer(
        state, [&] { return sum(plain); }, [&] { return sum(data, kRows, kColumns); });
}

template <class Span>
void convert(benchmark::State& state) {
    const View view = matrix();
    for (auto _ : state) {
        Span span(view, "x");
        benchmark::DoNotOptimize(span);
    }
}

void copy_view(benchmark::State& state) {
    const View view = matrix();
    for (auto _ : state) {
        View copied(view);
        benchmark::DoNotOptimize(copied);
    }
}

template <class Span>
void back(benchmark::State& state) {
    const View view = matrix();
    const Span span(view);
    for (auto _ : state) {
        View again = devview::view_of(span, view);
        benchmark::DoNotOptimize(again);
    }
}

}  // namespace

BENCHMARK(sum_contiguous)->UseManualTime();
BENCHMARK(sum_plain_mdspan)->UseManualTime();
BENCHMARK(sum_transposed)->UseManualTime();
BENCHMARK_TEMPLATE(convert, host_span<const float, Dims<2>>);
BENCHMARK_TEMPLATE(convert, host_span<float, Dims<2>, layout_stride>);
BENCHMARK(copy_view);
BENCHMARK_TEMPLATE(back, host_span<float, Dims<2>>);
#endif

BENCHMARK_MAIN();
