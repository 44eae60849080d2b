// Shape, strides and suboffsets of a view, in bytes, and the arithmetic of slicing; owns no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "devview/export.hpp"

namespace devview {

/// PEP 3118's PyBUF_MAX_NDIM.
constexpr int kMaxNdim = 64;

enum class Order : std::int32_t { C, F };

/// Byte positions relative to a view's data pointer: every item lies in [low, high).
struct ByteBounds {
    std::int64_t low;
    std::int64_t high;
};

/// Extents and byte strides of up to 64 axes, and suboffsets where an axis has one (PEP 3118).
///
/// Always valid: extents are >= 0, the number of bytes and the distance between any two byte
/// positions fit into int64, so that every slice is valid too (zero-size shapes included: they are
/// range-checked with zeros taken as ones). `itemsize` below is always the one it was made with.
/// Negative and zero strides, and strides that are no multiple of the itemsize, are legal.
/// Up to three axes without suboffsets are stored inline, more in one heap block.
class DEVVIEW_CORE_API Layout {
public:
    /// 0-d: one item.
    Layout() noexcept : ndim_(0), suboffsets_(false), inline_{} {}

    /// A dense layout of `shape[ndim]`.
    /// @throws LayoutError  ndim outside 0..64, a negative extent, or more than int64 bytes.
    static Layout contiguous(int ndim, const std::int64_t* shape, std::int64_t itemsize,
                             Order order = Order::C);

    /// Any layout, copied. `strides` null: C-contiguous; `suboffsets` null or all negative: none.
    /// @throws LayoutError  as contiguous(), or a byte position overflows int64.
    static Layout strided(int ndim, const std::int64_t* shape, const std::int64_t* strides,
                          const std::int64_t* suboffsets, std::int64_t itemsize);

    /// One dense axis of `extent` items; extent and bytes are known to be valid. Allocates nothing.
    static Layout vector(std::int64_t extent, std::int64_t itemsize) noexcept {
        Layout layout;
        layout.ndim_ = 1;
        layout.inline_[0] = extent;
        layout.inline_[1] = itemsize;
        return layout;
    }

    /// A dense layout of up to three axes that is known to be valid. Allocates nothing.
    static Layout small_dense(int ndim, const std::int64_t* shape, std::int64_t itemsize,
                              Order order) noexcept {
        Layout layout;
        layout.ndim_ = ndim;
        std::int64_t stride = itemsize;
        for (int k = 0; k < ndim; ++k) {
            const int axis = order == Order::C ? ndim - 1 - k : k;
            layout.inline_[axis] = shape[axis];
            layout.inline_[ndim + axis] = stride;
            stride *= shape[axis];
        }
        return layout;
    }

    /// The most axes of the makers below.
    static constexpr int kMaxSmall = 3;

    /// small() of the axes in reverse order.
    static Layout small_reversed(int ndim, const std::int64_t* shape,
                                 const std::int64_t* strides) noexcept {
        Layout layout;
        layout.ndim_ = ndim;
        for (int i = 0; i < ndim; ++i) {
            layout.inline_[i] = shape[ndim - 1 - i];
            layout.inline_[ndim + i] = strides[ndim - 1 - i];
        }
        return layout;
    }

    /// Up to three axes without suboffsets that are known to be valid. Allocates nothing.
    static Layout small(int ndim, const std::int64_t* shape, const std::int64_t* strides) noexcept {
        Layout layout;
        layout.ndim_ = ndim;
        for (int i = 0; i < ndim; ++i) {
            layout.inline_[i] = shape[i];
            layout.inline_[ndim + i] = strides[i];
        }
        return layout;
    }

    Layout(const Layout& other) : ndim_(0), suboffsets_(false), inline_{} { *this = other; }
    Layout& operator=(const Layout& other) {
        if (is_inline() && other.is_inline()) {
            copy_members(other);
        } else {
            assign(other);
        }
        return *this;
    }

    /// The moved-from layout is 0-d.
    Layout(Layout&& other) noexcept : ndim_(0), suboffsets_(false) { take(other); }
    Layout& operator=(Layout&& other) noexcept {
        if (this != &other) {
            if (!is_inline()) delete[] heap_;
            take(other);
        }
        return *this;
    }

    ~Layout() {
        if (!is_inline()) delete[] heap_;
    }

    int ndim() const noexcept { return ndim_; }
    const std::int64_t* shape() const noexcept { return storage(); }
    const std::int64_t* strides() const noexcept { return storage() + ndim_; }
    /// Null if no axis has one; otherwise ndim entries, negative where an axis has none.
    const std::int64_t* suboffsets() const noexcept {
        return suboffsets_ ? storage() + 2 * ndim_ : nullptr;
    }

    /// Number of items (0-d: 1).
    std::int64_t size() const noexcept {
        const std::int64_t* const extents = shape();
        std::int64_t items = 1;
        for (int axis = 0; axis < ndim_; ++axis)
            items *= extents[axis];
        return items;
    }
    /// True if the extents are the same, whatever the strides.
    bool same_shape(const Layout& other) const noexcept {
        // Not std::equal: it calls memcmp, which costs more for few axes.
        const std::int64_t* const extents = shape();
        const std::int64_t* const others = other.shape();
        bool same = ndim_ == other.ndim_;
        for (int axis = 0; same && axis < ndim_; ++axis)
            same = extents[axis] == others[axis];
        return same;
    }
    std::int64_t nbytes(std::int64_t itemsize) const noexcept { return size() * itemsize; }

    /// As PyBuffer_IsContiguous: empty layouts are contiguous, axes of extent 1 skip their stride,
    /// suboffsets are never contiguous.
    bool contiguous(std::int64_t itemsize, Order order) const noexcept;

    /// Where the items lie, from the strides alone; {0, 0} for an empty layout.
    ByteBounds bounds(std::int64_t itemsize) const noexcept {
        ByteBounds bounds{0, 0};
        const std::int64_t* const extents = shape();
        const std::int64_t* const steps = strides();
        for (int axis = 0; axis < ndim_; ++axis) {
            if (extents[axis] == 0) return {0, 0};
            const std::int64_t last = steps[axis] * (extents[axis] - 1);
            (last < 0 ? bounds.low : bounds.high) += last;
        }
        // An itemsize that it was not made with may lead beyond int64.
        constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
        bounds.high = itemsize > kMost - bounds.high ? kMost : bounds.high + itemsize;
        return bounds;
    }

    // --- Views. Each returns the new layout; `shift` is set to the bytes that the data pointer
    // moves. With suboffsets a shift may go to an earlier axis' suboffset instead (the rule of
    // CPython's memoryobject.c init_slice), and then `shift` is 0. Empty layouts never shift.

    /// Axis `axis` becomes start, start+step, ... of `extent` items, already normalised as by
    /// PySlice_AdjustIndices.
    /// @throws LayoutError  an axis, step, first or last item out of range, or a suboffset would be
    ///     negative, which would mean none.
    Layout slice(int axis, std::int64_t start, std::int64_t step, std::int64_t extent,
                 std::int64_t& shift) const;

    /// Drops `axis` at `index` (0 <= index < extent). The axis must not have a suboffset: such an
    /// index dereferences a pointer and is View's business.
    Layout index(int axis, std::int64_t index, std::int64_t& shift) const;

    /// Axis k of the result is axis `axes[k]`. Axes cannot move across the pointers that suboffsets
    /// follow: they stay in their run of axes, which ends with one that has a suboffset.
    /// @throws LayoutError  no permutation, or an axis leaves its run.
    Layout transpose(const int* axes) const;

    /// The same items in C order, where strides can express that (NumPy's reshape without a copy).
    /// @throws LayoutError  sizes differ, the strides cannot express the new shape, or suboffsets
    ///     (unless the shape stays).
    Layout reshape(int ndim, const std::int64_t* shape, std::int64_t itemsize) const;

    /// New axis of extent 1 and stride 0 before `axis` (0..ndim).
    /// @throws LayoutError  no such place, or more than 64 axes.
    Layout insert_axis(int axis) const;

    /// Without `axis`, whose extent must be 1.
    /// @throws LayoutError  another extent, or it has a suboffset.
    Layout remove_axis(int axis) const;

    /// NumPy's rule: aligned at the last axis, extent 1 is repeated with stride 0.
    /// @throws LayoutError  the shapes do not match, or more than int64 bytes.
    Layout broadcast_to(int ndim, const std::int64_t* shape, std::int64_t itemsize) const;

    /// "(3, 4)", for error messages.
    static std::string to_string(int ndim, const std::int64_t* values);

    friend bool operator==(const Layout& a, const Layout& b) noexcept { return equal(a, b); }
    friend bool operator!=(const Layout& a, const Layout& b) noexcept { return !equal(a, b); }

private:
    static constexpr int kInlineValues = 6;

    Layout(int ndim, bool suboffsets);
    void assign(const Layout& other);
    void copy_axis(int axis, const Layout& from, int from_axis) noexcept;
    static bool equal(const Layout& a, const Layout& b) noexcept;
    int values() const noexcept { return ndim_ * (suboffsets_ ? 3 : 2); }
    bool is_inline() const noexcept { return values() <= kInlineValues; }
    const std::int64_t* storage() const noexcept { return is_inline() ? inline_ : heap_; }
    std::int64_t* storage() noexcept { return is_inline() ? inline_ : heap_; }
    std::int64_t* mutable_strides() noexcept { return storage() + ndim_; }
    std::int64_t* mutable_suboffsets() noexcept {
        return suboffsets_ ? storage() + 2 * ndim_ : nullptr;
    }

    /// Also copies heap_, which shares its bytes with inline_. One by one: wider loads of values
    /// that were just stored one by one wait for the stores.
    void copy_members(const Layout& other) noexcept {
        ndim_ = other.ndim_;
        suboffsets_ = other.suboffsets_;
        for (int i = 0; i < kInlineValues; ++i)
            inline_[i] = other.inline_[i];
    }
    void take(Layout& other) noexcept {
        copy_members(other);
        other.ndim_ = 0;
        other.suboffsets_ = false;
    }

    std::int32_t ndim_;
    bool suboffsets_;
    union {
        std::int64_t inline_[kInlineValues];
        std::int64_t* heap_;
    };
};

}  // namespace devview
