// Host copies beside memcpy of as many bytes in the same run; "vs_memcpy": CPU time over memcpy's.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <vector>

#include <benchmark/benchmark.h>

#include "devview/copy_plan.hpp"

namespace {

using devview::Layout;
using Shape = std::vector<std::int64_t>;

Layout strided(const Shape& shape, const Shape& strides, std::int64_t itemsize) {
    return Layout::strided(static_cast<int>(shape.size()), shape.data(), strides.data(), nullptr,
                           itemsize);
}

Layout dense(const Shape& shape, std::int64_t itemsize) {
    return Layout::contiguous(static_cast<int>(shape.size()), shape.data(), itemsize);
}

// Of this thread alone: copies are single-threaded, and the machine may be shared.
double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Both copies alternate, so that a busy machine disturbs both alike; only ours is reported.
template <typename Copy>
void beside_memcpy(benchmark::State& state, std::size_t bytes, std::vector<char>& dst,
                   const std::vector<char>& src, const Copy& copy) {
    std::vector<double> ours;
    std::vector<double> peer;
    for (auto _ : state) {
        double start = cpu_seconds();
        std::memcpy(dst.data(), src.data(), bytes);
        benchmark::ClobberMemory();
        peer.push_back(cpu_seconds() - start);
        start = cpu_seconds();
        copy();
        benchmark::ClobberMemory();
        ours.push_back(cpu_seconds() - start);
        state.SetIterationTime(ours.back());
    }
    const auto median = [](std::vector<double>& times) {
        const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
        std::nth_element(times.begin(), middle, times.end());
        return *middle;
    };
    const double time = median(ours);
    const double peer_time = median(peer);
    state.counters["vs_memcpy"] = time / peer_time;
    state.counters["GB/s"] = static_cast<double>(bytes) / time * 1e-9;
    state.counters["memcpy_GB/s"] = static_cast<double>(bytes) / peer_time * 1e-9;
}

// `src_shift`: bytes from the start of the source block to the first item.
void copy(benchmark::State& state, const Layout& dst, const Layout& src, std::int64_t itemsize,
          std::int64_t src_shift = 0) {
    const auto length = [&](const Layout& layout) {
        const devview::ByteBounds bounds = layout.bounds(itemsize);
        return static_cast<std::size_t>(bounds.high - bounds.low);
    };
    const auto bytes = static_cast<std::size_t>(dst.nbytes(itemsize));
    std::vector<char> to(std::max(length(dst), bytes), 1);
    const std::vector<char> from(std::max(length(src), bytes), 2);
    beside_memcpy(state, bytes, to, from, [&] {
        devview::copy_host(to.data(), dst, from.data() + src_shift, src, itemsize);
    });
}

void contiguous_f32(benchmark::State& state) {
    copy(state, dense({1024, 1024}, 4), dense({1024, 1024}, 4), 4);
}

void transpose_f32(benchmark::State& state) {
    copy(state, dense({1024, 1024}, 4), strided({1024, 1024}, {4, 4096}, 4), 4);
}

void transpose_f64(benchmark::State& state) {
    copy(state, dense({1024, 1024}, 8), strided({1024, 1024}, {8, 8192}, 8), 8);
}

void transpose_u8(benchmark::State& state) {
    copy(state, dense({2048, 2048}, 1), strided({2048, 2048}, {1, 2048}, 1), 1);
}

void columns_step_2_f32(benchmark::State& state) {
    copy(state, dense({1024, 512}, 4), strided({1024, 512}, {4096, 8}, 4), 4);
}

void reverse_f32(benchmark::State& state) {
    constexpr std::int64_t kItems = 1 << 20;
    copy(state, dense({kItems}, 4), strided({kItems}, {-4}, 4), 4, 4 * (kItems - 1));
}

void hwc_to_chw_u8(benchmark::State& state) {
    copy(state, dense({3, 1080, 1920}, 1), strided({3, 1080, 1920}, {1, 5760, 3}, 1), 1);
}

void chw_to_hwc_u8(benchmark::State& state) {
    copy(state, dense({1080, 1920, 3}, 1), strided({1080, 1920, 3}, {1920, 1, 2073600}, 1), 1);
}

void mirror_rgb_u8(benchmark::State& state) {
    copy(state, dense({1080, 1920, 3}, 1), strided({1080, 1920, 3}, {5760, -3, 1}, 1), 1, 5757);
}

void crop_rows_f32(benchmark::State& state) {
    copy(state, dense({512, 512}, 4), strided({512, 512}, {4096, 4}, 4), 4);
}

void fill_f32(benchmark::State& state) {
    constexpr std::size_t kBytes = std::size_t{4} << 20;
    std::vector<char> to(kBytes);
    const std::vector<char> from(kBytes, 2);
    const Layout layout = Layout::vector(1 << 20, 4);
    beside_memcpy(state, kBytes, to, from,
                  [&] { devview::fill_host(to.data(), layout, from.data(), 4); });
}

// Nothing but planning and the call: 2 x 3 items of a wider row.
void tiny_f32(benchmark::State& state) {
    const Layout dst = dense({2, 3}, 4);
    const Layout src = strided({2, 3}, {32, 8}, 4);
    char to[24];
    const char from[64] = {};
    for (auto _ : state) {
        devview::copy_host(to, dst, from, src, 4);
        benchmark::ClobberMemory();
    }
}

void slice_layout(benchmark::State& state) {
    const Layout layout = dense({64, 64, 64}, 4);
    std::int64_t shift = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(layout.slice(1, 3, 2, 20, shift));
}

void copy_layout(benchmark::State& state) {
    const Layout layout = dense({64, 64, 64}, 4);
    for (auto _ : state) {
        Layout copied(layout);
        benchmark::DoNotOptimize(copied);
    }
}

}  // namespace

BENCHMARK(contiguous_f32)->UseManualTime();
BENCHMARK(transpose_f32)->UseManualTime();
BENCHMARK(transpose_f64)->UseManualTime();
BENCHMARK(transpose_u8)->UseManualTime();
BENCHMARK(columns_step_2_f32)->UseManualTime();
BENCHMARK(reverse_f32)->UseManualTime();
BENCHMARK(hwc_to_chw_u8)->UseManualTime();
BENCHMARK(chw_to_hwc_u8)->UseManualTime();
BENCHMARK(mirror_rgb_u8)->UseManualTime();
BENCHMARK(crop_rows_f32)->UseManualTime();
BENCHMARK(fill_f32)->UseManualTime();
BENCHMARK(tiny_f32);
BENCHMARK(slice_layout);
BENCHMARK(copy_layout);

BENCHMARK_MAIN();
