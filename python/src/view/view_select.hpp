// What a key of ints and slices selects of plain axes, by arithmetic alone: the way of most slices.
#pragma once

#include "devview/view.hpp"
#include "python.hpp"
#include "view/view_keys.hpp"

namespace devview::python {

/// What a key of integers and slices selects of axes without suboffsets.
struct PlainSelection {
    int axes = 0;
    std::int64_t shape[kMaxNdim];
    std::int64_t strides[kMaxNdim];
    std::int64_t shift = 0;  ///< bytes from the view's data pointer

    /// Of items of `itemsize` bytes. @throws std::bad_alloc
    Layout layout(std::int64_t itemsize) const {
        return axes <= Layout::kMaxSmall ? Layout::small(axes, shape, strides)
                                         : Layout::strided(axes, shape, strides, nullptr, itemsize);
    }
};

/// False if the key or the layout is of another kind, or an index out of range: the general path
/// tells. Allocates nothing.
bool select_plain_keys(const View& view, const Keys& keys, PlainSelection& to);

/// The same without a Keys between, for exact ints and slices of them. False, with nothing said or
/// run, also for empty selections, steps below 1 and items.
bool select_plain(const View& view, PyObject* key, PlainSelection& to) noexcept;

}  // namespace devview::python
