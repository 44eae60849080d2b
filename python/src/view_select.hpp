// What a key selects of few plain axes, by arithmetic alone: the way of most slices.
#pragma once

#include "devview/view.hpp"
#include "python.hpp"
#include "view_keys.hpp"

namespace devview::python {

/// What a key of integers and slices selects of up to three plain axes.
struct SmallSelection {
    int axes = 0;
    std::int64_t shape[Layout::kMaxSmall];
    std::int64_t strides[Layout::kMaxSmall];
    std::int64_t shift = 0;  ///< bytes from the view's data pointer
};

/// False if the key or the layout is of another kind, or an index out of range: the general path
/// tells. Allocates nothing.
bool select_small(const View& view, const Keys& keys, SmallSelection& to);

/// The same without a Keys between, for exact ints and slices of them. False, with nothing said or
/// run, also for empty selections, steps below 1 and items.
bool select_plain(const View& view, PyObject* key, SmallSelection& to) noexcept;

}  // namespace devview::python
