// What may be wrong with a view, asked for by ViewOf (view_wish.cpp) and by typed spans
// (item_layout.cpp): each question has its answer here, the words are theirs. Where memory may be
// is place_accepts(), devview/view_wish.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "devview/layout.hpp"

namespace devview::detail {

/// The first axis whose extent is not the wanted one, -1 if none. `extents`: one for each axis,
/// negative where any will do.
inline int wrong_axis(const Layout& layout, const std::int64_t* extents) noexcept {
    for (int axis = 0; axis < layout.ndim(); ++axis) {
        if (extents[axis] >= 0 && extents[axis] != layout.shape()[axis]) return axis;
    }
    return -1;
}

/// The first axis with pointers to follow, -1 if none.
inline int indirect_axis(const Layout& layout) noexcept {
    for (int axis = 0; layout.suboffsets() != nullptr && axis < layout.ndim(); ++axis) {
        if (layout.suboffsets()[axis] >= 0) return axis;
    }
    return -1;
}

inline bool without_items(const Layout& layout) noexcept {
    const std::int64_t* const end = layout.shape() + layout.ndim();
    return std::find(layout.shape(), end, 0) != end;
}

/// How far the address lies behind a multiple of `alignment` [bytes].
inline std::size_t misplaced_by(const void* data, std::size_t alignment) noexcept {
    return reinterpret_cast<std::uintptr_t>(data) % alignment;
}

/// The first axis with more than one item whose stride is no multiple of `unit` [bytes], -1 if
/// none.
inline int odd_axis(const Layout& layout, std::int64_t unit) noexcept {
    for (int axis = 0; axis < layout.ndim(); ++axis) {
        if (layout.shape()[axis] > 1 && layout.strides()[axis] % unit != 0) return axis;
    }
    return -1;
}

}  // namespace devview::detail
