// Runs a functor for every index where the views are: a loop on the host, a kernel on a GPU, and on
// an emulated device the same loop on its stream.
#pragma once

#include <cstdint>
#include <devview/cuda/launch.hpp>
#include <devview/cuda/memory.hpp>
#include <devview/cuda/stream.hpp>
#include <devview/device.hpp>
#include <devview/error.hpp>
#include <devview/view.hpp>
#include <initializer_list>

#include "items.hpp"

namespace numeric {

#ifdef __CUDACC__
template <class F>
__global__ void run_each(F work, std::int64_t count) {
    const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) work(i);
}
#endif

template <class F>
void loop(F work, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
        work(i);
}

template <class F>
void enqueue(const devview::cuda::Launch& launch, F work, std::int64_t count) {
    if (launch.emulated()) {
        launch.on_host([=] { loop(work, count); });
        return;
    }
#ifdef __CUDACC__
    constexpr unsigned threads = 256;
    run_each<<<static_cast<unsigned>((count + threads - 1) / threads), threads, 0,
               launch.stream()>>>(work, count);
    devview::cuda::check(cudaGetLastError(), "numeric");
#else
    throw devview::Error("numeric: built without a CUDA compiler, views of a GPU");
#endif
}

/// The items of a view of one axis, or of one item.
template <class T, class At>
Items<T> items_of(const devview::View& view, At at) {
    return {at(static_cast<T*>(view.data())), view.ndim() > 0 ? view.strides()[0] : 0, view.size()};
}

/// `make(at)` gives the functor; at(pointer) is where it finds the memory of a view.
template <class Make>
void each(std::int64_t count, std::initializer_list<const devview::View*> views, Make make) {
    if (count == 0) return;
    if (devview::host_accessible((*views.begin())->device())) {
        for (const devview::View* view : views)
            devview::wait_for_host(*view->allocation());
        loop(make([](auto* pointer) { return pointer; }), count);
        return;
    }
    const devview::cuda::Launch launch(views);
    enqueue(launch, make([&launch](auto* pointer) { return launch.at(pointer); }), count);
}

}  // namespace numeric
