// Making layouts, checking that every byte position fits into int64, and telling what they are.
#include "devview/layout.hpp"

#include <algorithm>
#include <utility>

#include "devview/error.hpp"
#include "src/checked.hpp"
#include "src/layout/layout_check.hpp"

namespace devview {
namespace {

// Bytes from the lowest to the highest position: sum of |stride| * (extent - 1), and one item.
void check_reach(const char* where, int ndim, const std::int64_t* shape,
                 const std::int64_t* strides, std::int64_t itemsize) {
    std::uint64_t left = static_cast<std::uint64_t>(checked::kMax - itemsize);
    for (int axis = ndim - 1; axis >= 0; --axis) {
        if (shape[axis] < 2) continue;
        const std::uint64_t steps = static_cast<std::uint64_t>(shape[axis] - 1);
        const std::uint64_t limit = left / steps;
        const std::uint64_t stride = checked::magnitude(strides[axis]);
        if (stride > limit) {
            detail::fail(where, axis,
                         "stride " + std::to_string(strides[axis]) + ", limit " +
                             std::to_string(limit) + " (extent " + std::to_string(shape[axis]) +
                             ", int64 bytes)");
        }
        left -= stride * steps;
    }
}

// A suboffset, and what is added to it on the way to the next pointer, must fit into int64.
void check_suboffsets(const char* where, int ndim, const std::int64_t* shape,
                      const std::int64_t* strides, const std::int64_t* suboffsets,
                      std::int64_t itemsize) {
    std::int64_t ahead = itemsize;
    for (int axis = ndim - 1; axis >= 0; --axis) {
        if (suboffsets[axis] >= 0) {
            const std::int64_t limit = checked::kMax - ahead;
            if (suboffsets[axis] > limit) {
                detail::fail(where, axis,
                             "suboffset " + std::to_string(suboffsets[axis]) + ", limit " +
                                 std::to_string(limit) + " (int64 bytes)");
            }
            ahead = 0;
        }
        if (shape[axis] > 1 && strides[axis] > 0) ahead += strides[axis] * (shape[axis] - 1);
    }
}

void fill_dense(int ndim, const std::int64_t* shape, std::int64_t itemsize, Order order,
                std::int64_t* strides) noexcept {
    std::int64_t stride = itemsize;
    for (int k = 0; k < ndim; ++k) {
        const int axis = order == Order::C ? ndim - 1 - k : k;
        strides[axis] = stride;
        stride *= std::max<std::int64_t>(shape[axis], 1);
    }
}

}  // namespace

namespace detail {

void fail(const char* where, int axis, const std::string& what) {
    throw LayoutError(std::string(where) + ": axis " + std::to_string(axis) + ": " + what);
}

void fail(const char* where, const std::string& what) {
    throw LayoutError(std::string(where) + ": " + what);
}

void check_shape(const char* where, int ndim, const std::int64_t* shape, std::int64_t itemsize) {
    if (ndim < 0) fail(where, "ndim " + std::to_string(ndim) + ", minimum 0");
    if (ndim > kMaxNdim) {
        fail(where, "ndim " + std::to_string(ndim) + ", limit " + std::to_string(kMaxNdim));
    }
    if (ndim > 0 && shape == nullptr) fail(where, "shape null, ndim " + std::to_string(ndim));
    if (itemsize < 0) fail(where, "itemsize " + std::to_string(itemsize) + ", minimum 0");
    std::int64_t bytes = std::max<std::int64_t>(itemsize, 1);
    for (int axis = 0; axis < ndim; ++axis) {
        const std::int64_t extent = shape[axis];
        if (extent < 0) fail(where, axis, "extent " + std::to_string(extent) + ", minimum 0");
        std::int64_t product = 0;
        if (!checked::mul(bytes, std::max<std::int64_t>(extent, 1), product)) {
            fail(where, axis,
                 "extent " + std::to_string(extent) + ", limit " +
                     std::to_string(checked::kMax / bytes) + " (int64 bytes)");
        }
        bytes = product;
    }
}

void fail_shapes(const char* where, const Layout& dst, const Layout& src) {
    fail(where, "shape " + Layout::to_string(src.ndim(), src.shape()) + " to " +
                    Layout::to_string(dst.ndim(), dst.shape()));
}

}  // namespace detail

Layout::Layout(int ndim, bool suboffsets) : ndim_(ndim), suboffsets_(suboffsets), inline_{} {
    if (!is_inline()) heap_ = new std::int64_t[static_cast<std::size_t>(values())];
}

void Layout::assign(const Layout& other) {
    Layout copy(other.ndim_, other.suboffsets_);
    std::copy_n(other.storage(), other.values(), copy.storage());
    *this = std::move(copy);
}

void Layout::copy_axis(int axis, const Layout& from, int from_axis) noexcept {
    storage()[axis] = from.shape()[from_axis];
    mutable_strides()[axis] = from.strides()[from_axis];
    if (suboffsets_) mutable_suboffsets()[axis] = from.suboffsets()[from_axis];
}

Layout Layout::contiguous(int ndim, const std::int64_t* shape, std::int64_t itemsize, Order order) {
    detail::check_shape("contiguous", ndim, shape, itemsize);
    Layout layout(ndim, false);
    std::copy_n(shape, ndim, layout.storage());
    fill_dense(ndim, shape, itemsize, order, layout.mutable_strides());
    return layout;
}

Layout Layout::strided(int ndim, const std::int64_t* shape, const std::int64_t* strides,
                       const std::int64_t* suboffsets, std::int64_t itemsize) {
    detail::check_shape("strided", ndim, shape, itemsize);
    const bool indirect =
        suboffsets != nullptr && std::any_of(suboffsets, suboffsets + ndim,
                                             [](std::int64_t suboffset) { return suboffset >= 0; });
    Layout layout(ndim, indirect);
    std::copy_n(shape, ndim, layout.storage());
    if (strides == nullptr) {
        fill_dense(ndim, shape, itemsize, Order::C, layout.mutable_strides());
    } else {
        check_reach("strided", ndim, shape, strides, itemsize);
        std::copy_n(strides, ndim, layout.mutable_strides());
    }
    if (indirect) {
        check_suboffsets("strided", ndim, shape, layout.strides(), suboffsets, itemsize);
        std::transform(suboffsets, suboffsets + ndim, layout.mutable_suboffsets(),
                       [](std::int64_t value) { return std::max<std::int64_t>(value, -1); });
    }
    return layout;
}

bool Layout::contiguous(std::int64_t itemsize, Order order) const noexcept {
    if (suboffsets_) return false;
    if (size() == 0) return true;
    std::int64_t dense = itemsize;
    bool fits = true;
    for (int k = 0; k < ndim_; ++k) {
        const int axis = order == Order::C ? ndim_ - 1 - k : k;
        if (shape()[axis] == 1) continue;
        if (!fits || strides()[axis] != dense) return false;
        fits = checked::mul(dense, shape()[axis], dense);
    }
    return true;
}

std::string Layout::to_string(int ndim, const std::int64_t* values) {
    std::string text = "(";
    for (int k = 0; k < ndim; ++k) {
        if (k > 0) text += ", ";
        text += std::to_string(values[k]);
    }
    return text + (ndim == 1 ? ",)" : ")");
}

bool Layout::equal(const Layout& a, const Layout& b) noexcept {
    return a.ndim_ == b.ndim_ && a.suboffsets_ == b.suboffsets_ &&
           std::equal(a.storage(), a.storage() + a.values(), b.storage());
}

}  // namespace devview
