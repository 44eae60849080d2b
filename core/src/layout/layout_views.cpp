// What turns one layout into another without moving data: slices, axes, broadcasts.
#include <algorithm>

#include "devview/layout.hpp"
#include "src/checked.hpp"
#include "src/layout/layout_check.hpp"

namespace devview {
namespace {

using detail::fail;

void check_axis(const char* where, int axis, int ndim) {
    if (axis < 0 || axis >= ndim) fail(where, axis, "ndim " + std::to_string(ndim));
}

void check_item(const char* where, int axis, const char* what, std::int64_t item,
                std::int64_t extent) {
    if (item >= 0 && item < extent) return;
    fail(where, axis, what + std::to_string(item) + ", extent " + std::to_string(extent));
}

// Start, step and extent of a slice against the extent of its axis.
void check_slice(int axis, std::int64_t start, std::int64_t step, std::int64_t extent,
                 std::int64_t limit) {
    if (step == 0) fail("slice", axis, "step 0");
    if (extent < 0) fail("slice", axis, "extent " + std::to_string(extent) + ", minimum 0");
    if (extent == 0) return;
    check_item("slice", axis, "start ", start, limit);
    std::int64_t last = 0;
    if (!checked::mul(step, extent - 1, last) || !checked::add(start, last, last)) {
        fail("slice", axis,
             "step " + std::to_string(step) + " times " + std::to_string(extent - 1) + ", extent " +
                 std::to_string(limit));
    }
    check_item("slice", axis, "last item ", last, limit);
}

// memoryobject.c init_slice: bytes move the nearest pointer before `axis`, else the data pointer.
std::int64_t place_shift(const char* where, int axis, std::int64_t bytes,
                         std::int64_t* suboffsets) {
    if (suboffsets == nullptr) return bytes;
    for (int k = axis - 1; k >= 0; --k) {
        if (suboffsets[k] < 0) continue;
        if (suboffsets[k] + bytes < 0) {
            fail(where, axis,
                 "shift " + std::to_string(bytes) + ", suboffset " + std::to_string(suboffsets[k]) +
                     " of axis " + std::to_string(k));
        }
        suboffsets[k] += bytes;
        return 0;
    }
    return bytes;
}

}  // namespace

Layout Layout::slice(int axis, std::int64_t start, std::int64_t step, std::int64_t extent,
                     std::int64_t& shift) const {
    check_axis("slice", axis, ndim_);
    check_slice(axis, start, step, extent, shape()[axis]);
    Layout result(*this);
    const std::int64_t stride = strides()[axis];
    result.storage()[axis] = extent;
    // Overflows only where at most one item is left, which takes no step.
    std::int64_t stepped = 0;
    if (checked::mul(stride, step, stepped)) result.mutable_strides()[axis] = stepped;
    const std::int64_t bytes = result.size() > 0 ? stride * start : 0;
    shift = place_shift("slice", axis, bytes, result.mutable_suboffsets());
    return result;
}

Layout Layout::index(int axis, std::int64_t index, std::int64_t& shift) const {
    check_axis("index", axis, ndim_);
    check_item("index", axis, "index ", index, shape()[axis]);
    if (suboffsets_ && suboffsets()[axis] >= 0) {
        fail("index", axis, "suboffset " + std::to_string(suboffsets()[axis]) + ", needs none");
    }
    Layout result(ndim_ - 1, suboffsets_);
    for (int k = 0; k < result.ndim_; ++k)
        result.copy_axis(k, *this, k < axis ? k : k + 1);
    const std::int64_t bytes = size() > 0 ? strides()[axis] * index : 0;
    shift = place_shift("index", axis, bytes, result.mutable_suboffsets());
    return result;
}

Layout Layout::transpose(const int* axes) const {
    std::uint64_t seen = 0;
    Layout result(ndim_, suboffsets_);
    for (int k = 0; k < ndim_; ++k) {
        check_axis("transpose", axes[k], ndim_);
        const std::uint64_t bit = std::uint64_t{1} << axes[k];
        if ((seen & bit) != 0) fail("transpose", axes[k], "given twice");
        seen |= bit;
        result.copy_axis(k, *this, axes[k]);
    }
    if (!suboffsets_) return result;
    // A suboffset belongs to the end of its run of axes, whichever of them comes last.
    for (int k = 0; k < ndim_; ++k) {
        result.mutable_suboffsets()[k] = suboffsets()[k];
        const auto [first, last] = std::minmax(k, axes[k]);
        for (int between = first; between < last; ++between) {
            if (suboffsets()[between] < 0) continue;
            fail("transpose", axes[k],
                 "to " + std::to_string(k) + ", suboffset " +
                     std::to_string(suboffsets()[between]) + " of axis " + std::to_string(between));
        }
    }
    return result;
}

Layout Layout::insert_axis(int axis) const {
    if (ndim_ == kMaxNdim) {
        fail("insert_axis", "ndim " + std::to_string(ndim_ + 1) + ", limit 64");
    }
    if (axis < 0 || axis > ndim_) fail("insert_axis", axis, "ndim " + std::to_string(ndim_));
    Layout result(ndim_ + 1, suboffsets_);
    for (int k = 0; k < ndim_; ++k)
        result.copy_axis(k < axis ? k : k + 1, *this, k);
    result.storage()[axis] = 1;
    result.mutable_strides()[axis] = 0;
    if (suboffsets_) result.mutable_suboffsets()[axis] = -1;
    return result;
}

Layout Layout::remove_axis(int axis) const {
    check_axis("remove_axis", axis, ndim_);
    if (shape()[axis] != 1) {
        fail("remove_axis", axis, "extent " + std::to_string(shape()[axis]) + ", needs 1");
    }
    if (suboffsets_ && suboffsets()[axis] >= 0) {
        fail("remove_axis", axis,
             "suboffset " + std::to_string(suboffsets()[axis]) + ", needs none");
    }
    Layout result(ndim_ - 1, suboffsets_);
    for (int k = 0; k < result.ndim_; ++k)
        result.copy_axis(k, *this, k < axis ? k : k + 1);
    return result;
}

Layout Layout::broadcast_to(int ndim, const std::int64_t* shape, std::int64_t itemsize) const {
    detail::check_shape("broadcast_to", ndim, shape, itemsize);
    if (ndim < ndim_) {
        fail("broadcast_to", "ndim " + std::to_string(ndim) + ", minimum " + std::to_string(ndim_));
    }
    Layout result(ndim, suboffsets_);
    const int added = ndim - ndim_;
    for (int k = 0; k < ndim; ++k) {
        result.storage()[k] = shape[k];
        result.mutable_strides()[k] = 0;
        if (suboffsets_) result.mutable_suboffsets()[k] = k < added ? -1 : suboffsets()[k - added];
        if (k < added) continue;
        const std::int64_t extent = this->shape()[k - added];
        if (extent == shape[k]) {
            result.mutable_strides()[k] = strides()[k - added];
        } else if (extent != 1) {
            fail("broadcast_to", k,
                 "extent " + std::to_string(extent) + " to " + std::to_string(shape[k]));
        }
    }
    return result;
}

}  // namespace devview
