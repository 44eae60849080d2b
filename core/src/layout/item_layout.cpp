// Checks of a view against what typed code wants, and its strides in items.
#include "devview/item_layout.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "devview/error.hpp"
#include "devview/view_wish.hpp"
#include "src/layout/view_checks.hpp"
#include "src/quote.hpp"

namespace devview {

namespace {

std::string number(std::int64_t value) { return std::to_string(value); }

std::string head(const ItemRequest& request) {
    return std::string(request.function) + ": " + request.argument + ": ";
}

[[noreturn]] void refuse_layout(const ItemRequest& request, const std::string& what) {
    throw LayoutError(head(request) + what);
}

[[noreturn]] void refuse_axis(const ItemRequest& request, int axis, const std::string& what) {
    refuse_layout(request, "axis " + number(axis) + ": " + what);
}

void check_format(const View& view, const ItemRequest& request) {
    const Format& format = view.format();
    if (format == request.format) return;
    std::string fact = "format " + detail::quote(format.text());
    if (format.is_packed()) {
        fact += " packed, " + number(format.node()->bits) + " bits to an item";
    }
    throw FormatError(head(request) + fact + ", wanted " + detail::quote(request.format.text()), 0);
}

void check_shape(const View& view, const ItemRequest& request) {
    if (view.ndim() != request.ndim) {
        refuse_layout(request, "shape " + Layout::to_string(view.ndim(), view.shape()) +
                                   ", wanted " + number(request.ndim) +
                                   (request.ndim == 1 ? " axis" : " axes"));
    }
    const int axis = detail::wrong_axis(view.layout(), request.extents);
    if (axis < 0) return;
    refuse_axis(
        request, axis,
        "extent " + number(view.shape()[axis]) + ", wanted " + number(request.extents[axis]));
}

void check_memory(const View& view, const ItemRequest& request) {
    const bool on_host = request.reader == ItemReader::host;
    if (!place_accepts(on_host ? Place::host : Place::device, view.device())) {
        throw BufferError(head(request) + "memory on " + to_string(view.device()) + ", wanted " +
                          (on_host ? "what the host reaches (cpu, pinned, managed)"
                                   : "what a CUDA device reaches (cuda, pinned, managed)"));
    }
    if (request.writable && view.readonly()) {
        throw BufferError(head(request) + "read-only, wanted writable (const items take both)");
    }
}

void check_alignment(const View& view, const ItemRequest& request) {
    if (detail::misplaced_by(view.data(), request.alignment) != 0) {
        const auto address = reinterpret_cast<std::uintptr_t>(view.data());
        char digits[2 + 2 * sizeof address + 1];
        std::snprintf(digits, sizeof digits, "0x%llx", static_cast<unsigned long long>(address));
        refuse_layout(request, "address " + std::string(digits) + ", wanted a multiple of " +
                                   std::to_string(request.alignment));
    }
    const int axis = detail::odd_axis(view.layout(), view.itemsize());
    if (axis < 0) return;
    refuse_axis(request, axis,
                "stride " + number(view.strides()[axis]) +
                    " bytes, wanted a multiple of the itemsize " + number(view.itemsize()));
}

/// Dense strides in items. Zero extents count as ones: the layout was range-checked like that.
void fill_dense(const View& view, Order order, std::int64_t* strides) {
    const int ndim = view.ndim();
    std::int64_t stride = 1;
    for (int k = 0; k < ndim; ++k) {
        const int axis = order == Order::C ? ndim - 1 - k : k;
        strides[axis] = stride;
        stride *= std::max<std::int64_t>(view.shape()[axis], 1);
    }
}

void fill_strided(const View& view, std::int64_t* strides) {
    for (int axis = 0; axis < view.ndim(); ++axis) {
        strides[axis] = view.shape()[axis] > 1 ? view.strides()[axis] / view.itemsize() : 1;
    }
}

void require_dense(const View& view, const ItemRequest& request, Order order,
                   std::int64_t* strides) {
    fill_dense(view, order, strides);
    if (view.contiguous(order)) return;
    for (int axis = 0; axis < view.ndim(); ++axis)
        strides[axis] *= view.itemsize();
    refuse_layout(request, "strides " + Layout::to_string(view.ndim(), view.strides()) +
                               " bytes of shape " + Layout::to_string(view.ndim(), view.shape()) +
                               ", wanted " + (order == Order::C ? "C" : "F") + "-contiguous, " +
                               Layout::to_string(view.ndim(), strides));
}

/// In the order of their strides each axis must step past all that the ones before it reach.
void require_unique(const View& view, const ItemRequest& request, const std::int64_t* strides) {
    int axes[kMaxNdim];
    int count = 0;
    for (int axis = 0; axis < view.ndim(); ++axis) {
        if (view.shape()[axis] <= 1) continue;
        if (strides[axis] <= 0) {
            refuse_axis(request, axis,
                        "stride " + number(view.strides()[axis]) +
                            " bytes, wanted a positive one (layout_stride; copy the view, or use "
                            "a layout that takes any stride)");
        }
        axes[count++] = axis;
    }
    std::sort(axes, axes + count, [&](int a, int b) { return strides[a] < strides[b]; });
    std::int64_t reach = 0;  // an int64, as is all that a layout reaches
    for (int k = 0; k < count; ++k) {
        const std::int64_t stride = strides[axes[k]];
        if (stride <= reach) {
            refuse_layout(request, "strides " + Layout::to_string(view.ndim(), view.strides()) +
                                       " bytes of shape " +
                                       Layout::to_string(view.ndim(), view.shape()) +
                                       " may meet in one place, wanted a place for each item");
        }
        reach += stride * (view.shape()[axes[k]] - 1);
    }
}

std::string limit(const ItemRequest& request) {
    return ", the index type ends at " + std::to_string(request.index_max);
}

/// Returns the items below data().
std::int64_t check_range(const View& view, const ItemRequest& request,
                         const std::int64_t* strides) {
    const auto fits = [&](std::int64_t value) {
        return static_cast<std::uint64_t>(value) <= request.index_max;
    };
    std::int64_t low = 0;
    std::int64_t high = 0;
    for (int axis = 0; axis < view.ndim(); ++axis) {
        const std::int64_t extent = view.shape()[axis];
        if (!fits(extent)) refuse_axis(request, axis, "extent " + number(extent) + limit(request));
        const std::int64_t stride = strides[axis];
        if (!fits(stride < 0 ? -stride : stride)) {
            refuse_axis(request, axis, "stride of " + number(stride) + " items" + limit(request));
        }
        const std::int64_t last = stride * (std::max<std::int64_t>(extent, 1) - 1);
        (last < 0 ? low : high) += last;
    }
    const std::int64_t reach = high - low + 1;  // no overflow: its bytes are an int64
    if (!fits(reach)) {
        refuse_layout(request, "shape " + Layout::to_string(view.ndim(), view.shape()) +
                                   " reaches over " + number(reach) + " items" + limit(request));
    }
    return -low;
}

}  // namespace

std::int64_t item_layout(const View& view, const ItemRequest& request, std::int64_t* strides) {
    if (view.released()) throw ReleasedError(head(request) + "the view was released");
    check_format(view, request);
    check_shape(view, request);
    check_memory(view, request);
    if (const int axis = detail::indirect_axis(view.layout()); axis >= 0) {
        refuse_axis(
            request, axis,
            "suboffset " + number(view.suboffsets()[axis]) + ", wanted no pointers to follow");
    }
    if (!detail::without_items(view.layout())) check_alignment(view, request);
    if (request.strides == ItemStrides::f_contiguous) {
        require_dense(view, request, Order::F, strides);
    } else if (request.strides == ItemStrides::c_contiguous) {
        require_dense(view, request, Order::C, strides);
    } else if (view.contiguous(Order::C)) {
        fill_dense(view, Order::C, strides);
    } else if (view.contiguous(Order::F)) {
        fill_dense(view, Order::F, strides);
    } else {
        fill_strided(view, strides);
        if (request.strides == ItemStrides::unique) require_unique(view, request, strides);
    }
    return check_range(view, request, strides);
}

}  // namespace devview
