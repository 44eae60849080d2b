// Compiled by nvcc where there is one, otherwise as plain C++.
#include "kernels.hpp"

#include <algorithm>
#include <devview/cuda/memory.hpp>
#include <devview/format_of.hpp>

#include "each.hpp"
#include "functors.hpp"

namespace numeric {
namespace {

using devview::View;

// Views of two blocks in one kernel: both where it runs.
void require_one_device(const View& x, const View& y) {
    if (x.device() == y.device()) return;
    throw devview::BufferError("saxpy: x is on " + devview::to_string(x.device()) + ", y on " +
                               devview::to_string(y.device()));
}

template <class T>
View empty(int ndim, const std::int64_t* shape, const View& like) {
    const auto format = devview::format_of<T>();
    auto layout = devview::Layout::contiguous(ndim, shape, format.itemsize());
    auto block = devview::allocate(static_cast<std::size_t>(format.nbytes(layout.size())),
                                   like.device(), like.stream());
    void* const data = block->data();
    const auto device = block->device();
    return devview::view_of(data, format, std::move(layout), device, std::move(block));
}

template <class T>
void sum(const View& x, const View& sums, std::int64_t parts) {
    each(parts, {&x, &sums}, [&](auto at) {
        return Sum<T>{items_of<const T>(x, at), items_of<double>(sums, at), parts};
    });
}

}  // namespace

void saxpy(float a, const View& x, const View& y) {
    require_one_device(x, y);
    if (x.size() != y.size()) {
        throw devview::LayoutError("saxpy: x has " + std::to_string(x.size()) + " items, y " +
                                   std::to_string(y.size()));
    }
    each(y.size(), {&x, &y}, [&](auto at) {
        return Saxpy{a, items_of<const float>(x, at), items_of<float>(y, at)};
    });
}

View reduce(const View& x) {
    // As many sums side by side as a GPU likes, then the sum of these.
    const std::int64_t parts = std::clamp<std::int64_t>(x.size(), 1, 4096);
    const View sums = empty<double>(1, &parts, x);
    sum<float>(x, sums, parts);
    View total = empty<double>(0, nullptr, x);
    sum<double>(sums, total, 1);
    return total;
}

View stencil(const View& x) {
    View out = empty<float>(1, x.shape(), x);
    each(x.size(), {&x, &out}, [&](auto at) {
        return Mean3{items_of<const float>(x, at), items_of<float>(out, at)};
    });
    return out;
}

bool compiled_for_gpu() {
#ifdef __CUDACC__
    return true;
#else
    return false;
#endif
}

}  // namespace numeric
