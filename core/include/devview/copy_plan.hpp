// A strided copy reduced to its essence: axes merged, sorted and sized once. Plain data, so that
// the host copy and the device kernels run the same plan.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devview/export.hpp"
#include "devview/layout.hpp"

namespace devview {

/// Copy of `count` units of `unit` bytes: extents (outermost first) with strides of both sides.
///
/// Axes of extent 1 are gone, neighbours that both sides walk alike are merged, a dense innermost
/// run common to both sides is folded into `unit`. The order is the destination's: descending
/// |dst stride|; axes that the destination walks backwards are flipped so that dst strides are >=
/// 0. The base pointers are shifted accordingly by dst_shift and src_shift. An axis along which the
/// destination stands still (stride 0) is reduced to its last item, the one that stays; items of a
/// destination that overlap in any other way are written in no fixed order.
struct CopyPlan {
    std::int32_t ndim;       ///< axes left, 0: one unit
    std::int64_t unit;       ///< bytes that are contiguous on both sides
    std::int64_t count;      ///< units in all (product of extents), 0: nothing to do
    std::int64_t dst_shift;  ///< bytes from the view's data pointer to the first unit
    std::int64_t src_shift;
    std::int64_t extents[kMaxNdim];
    std::int64_t dst_strides[kMaxNdim];  ///< bytes
    std::int64_t src_strides[kMaxNdim];  ///< bytes

    /// True if one memcpy of unit * count bytes does it (0 bytes where there is nothing to do).
    bool contiguous() const noexcept { return ndim == 0; }
    /// True if one pitched copy does it: rows of `unit` bytes, one axis, both pitches >= unit.
    bool pitched() const noexcept {
        return ndim == 1 && dst_strides[0] >= unit && src_strides[0] >= unit;
    }
    /// True if one pitched copy of slices does it: two axes, on both sides a slice is a whole
    /// number of row pitches, enough for its rows (a sub-box of a dense array is).
    bool pitched_slices() const noexcept {
        return ndim == 2 && is_sliced(dst_strides) && is_sliced(src_strides);
    }

private:
    bool is_sliced(const std::int64_t* strides) const noexcept {
        return strides[1] >= unit && strides[0] % strides[1] == 0 &&
               strides[0] / strides[1] >= extents[1];
    }
};

/// The plan of copying `src` to `dst`, layouts of the same shape without suboffsets.
/// `reorder` false keeps the order and the direction of axes (a pack that is run in slices needs C
/// order); dst strides may be negative then.
/// @throws LayoutError  the shapes differ, the bytes exceed int64, or a layout has suboffsets.
DEVVIEW_CORE_API CopyPlan plan_copy(const Layout& dst, const Layout& src, std::int64_t itemsize,
                                    bool reorder = true);

/// The plan of converting `src` to `dst`: its units are items, whose sizes differ on the two sides;
/// nothing is folded into them, and `unit` is 1.
/// @throws LayoutError  the shapes differ, or a layout has suboffsets.
DEVVIEW_CORE_API CopyPlan plan_items(const Layout& dst, const Layout& src);

/// The plan of looking at every item of `a` (the plan's dst) beside its partner in `b`: as
/// plan_copy(), but where `a` stands still all items of `b` count. `itemsize` 0: items of two
/// sizes, units of 1 as in plan_items().
/// @throws LayoutError  as plan_copy().
DEVVIEW_CORE_API CopyPlan plan_pairs(const Layout& a, const Layout& b, std::int64_t itemsize);

/// Runs a plan on host memory; dst and src are the views' data pointers, aligned or not. The two
/// sides must not overlap. `whole`: bytes of the copy of which the plan is a part (0: it is all):
/// large copies are written past the caches.
DEVVIEW_CORE_API void run_host(const CopyPlan& plan, void* dst, const void* src,
                               std::int64_t whole = 0) noexcept;

/// Copies items between host layouts of equal shape; suboffsets are followed. No overlap between
/// the two; a destination that overlaps itself is written as CopyPlan says.
/// @throws LayoutError  the shapes differ, or the bytes exceed int64.
DEVVIEW_CORE_API void copy_host(void* dst, const Layout& dst_layout, const void* src,
                                const Layout& src_layout, std::int64_t itemsize);

/// Writes `item` (itemsize bytes, outside the layout) to every place of a host layout; suboffsets
/// are followed.
DEVVIEW_CORE_API void fill_host(void* dst, const Layout& layout, const void* item,
                                std::int64_t itemsize);

}  // namespace devview
