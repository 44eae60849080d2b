// NumPy's reshape without a copy (_attempt_nocopy_reshape in numpy's shape.c), with checks.
#include <algorithm>

#include "devview/layout.hpp"
#include "src/checked.hpp"
#include "src/layout/layout_check.hpp"

namespace devview {
namespace {

// Axes of extent 1 say nothing about where items are.
struct Axes {
    int ndim = 0;
    std::int64_t extents[kMaxNdim];
    std::int64_t strides[kMaxNdim];
};

Axes without_ones(const Layout& layout) noexcept {
    Axes axes;
    for (int k = 0; k < layout.ndim(); ++k) {
        if (layout.shape()[k] == 1) continue;
        axes.extents[axes.ndim] = layout.shape()[k];
        axes.strides[axes.ndim++] = layout.strides()[k];
    }
    return axes;
}

// True if axes first..end-1 are walked as if they were one.
bool mergeable(const Axes& axes, int first, int end) noexcept {
    for (int k = first; k + 1 < end; ++k) {
        std::int64_t whole = 0;
        if (!checked::mul(axes.extents[k + 1], axes.strides[k + 1], whole)) return false;
        if (axes.strides[k] != whole) return false;
    }
    return true;
}

// Strides of `shape` over the same items; both sides have the same number of them, not 0.
bool strides_of(const Axes& old, std::int64_t itemsize, int ndim, const std::int64_t* shape,
                std::int64_t* strides) noexcept {
    int first = 0;
    int old_first = 0;
    std::int64_t stride = itemsize;
    while (first < ndim && old_first < old.ndim) {
        int end = first + 1;
        int old_end = old_first + 1;
        std::int64_t items = shape[first];
        std::int64_t old_items = old.extents[old_first];
        while (items != old_items) {
            if (items < old_items) {
                items *= shape[end++];
            } else {
                old_items *= old.extents[old_end++];
            }
        }
        if (!mergeable(old, old_first, old_end)) return false;
        stride = old.strides[old_end - 1];
        for (int k = end - 1; k >= first; --k) {
            strides[k] = stride;
            // Overflows only before an axis of extent 1, whose stride does not matter.
            std::int64_t next = 0;
            if (checked::mul(stride, shape[k], next)) stride = next;
        }
        stride = strides[end - 1];
        first = end;
        old_first = old_end;
    }
    for (; first < ndim; ++first)
        strides[first] = stride;
    return true;
}

}  // namespace

Layout Layout::reshape(int ndim, const std::int64_t* shape, std::int64_t itemsize) const {
    detail::check_shape("reshape", ndim, shape, itemsize);
    const auto refuse = [&](const std::string& why) {
        detail::fail("reshape",
                     to_string(ndim_, storage()) + " to " + to_string(ndim, shape) + ": " + why);
    };
    std::int64_t items = 1;
    for (int k = 0; k < ndim; ++k)
        items *= shape[k];
    if (items != size()) {
        refuse(std::to_string(items) + " items, needs " + std::to_string(size()));
    }
    if (suboffsets_) {
        if (ndim != ndim_ || !std::equal(shape, shape + ndim, storage())) refuse("suboffsets");
        return *this;
    }
    if (contiguous(itemsize, Order::C)) return contiguous(ndim, shape, itemsize);
    Layout result(ndim, false);
    std::copy_n(shape, ndim, result.storage());
    if (!strides_of(without_ones(*this), itemsize, ndim, shape, result.mutable_strides())) {
        refuse("strides " + to_string(ndim_, strides()) + " need a copy");
    }
    return result;
}

}  // namespace devview
