// A typed, strided window on an allocation. A value: copying shares the memory and moves no data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "devview/allocation.hpp"
#include "devview/device.hpp"
#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"
#include "devview/stream.hpp"

namespace devview {

/// Knows its memory's owner, where it lives, what one item is, and how the items lie.
///
/// Sub-views share the allocation, never another view. Not synchronised: one View object belongs to
/// one thread at a time, as a shared_ptr does; copies of it may be used by several threads.
class DEVVIEW_CORE_API View {
public:
    /// Released: every access but released() and release() throws ReleasedError or is empty.
    View() noexcept = default;

    /// A window at `data` inside `allocation`; see view_of() for one that is checked.
    View(std::shared_ptr<Allocation> allocation, void* data, Format format, Layout layout,
         bool readonly, Stream stream = {})
        : allocation_(std::move(allocation)),
          data_(data),
          format_(std::move(format)),
          layout_(std::move(layout)),
          stream_(std::move(stream)),
          readonly_(readonly) {
        if (allocation_) allocation_->add_view();
    }

    /// The first view of an adopt_viewed() allocation: it is counted already. The layout is made in
    /// its place: a fresh one that is copied stalls the processor's store buffer.
    struct Counted {};
    template <class MakeLayout>
    View(Counted, std::shared_ptr<Allocation>&& allocation, void* data, const Format& format,
         MakeLayout&& make_layout, bool readonly)
        : allocation_(std::move(allocation)),
          data_(data),
          format_(format),
          layout_(std::forward<MakeLayout>(make_layout)()),
          readonly_(readonly) {}

    /// A window on the memory of `of` at `data`, made in its place and counted by the language
    /// binding, under whose lock it is made, moved and dropped. `handle`: of the same allocation.
    struct Bound {};
    template <class MakeLayout>
    View(Bound, const View& of, std::shared_ptr<Allocation>&& handle, void* data,
         MakeLayout&& make_layout)
        : allocation_(std::move(handle)),
          data_(data),
          format_(of.format_),
          layout_(std::forward<MakeLayout>(make_layout)()),
          stream_(of.stream_),
          readonly_(of.readonly_),
          bound_(true) {
        allocation_->add_bound_view();
    }

    View(const View& other);
    View(View&& other) noexcept
        : allocation_(std::move(other.allocation_)),
          data_(std::exchange(other.data_, nullptr)),
          format_(std::move(other.format_)),
          layout_(std::move(other.layout_)),
          stream_(std::move(other.stream_)),
          readonly_(other.readonly_),
          bound_(other.bound_) {}
    View& operator=(const View& other);
    View& operator=(View&& other) noexcept;
    ~View() {
        if (allocation_) uncount(allocation_, bound_);
    }

    bool released() const noexcept { return allocation_ == nullptr; }
    /// Lets go of the memory; idempotent. The block is given back if this was its last holder.
    void release() noexcept;

    /// Makes this view a Bound one. No-op on a released view.
    void bind() noexcept {
        if (!allocation_ || bound_) return;
        allocation_->bind_view();
        bound_ = true;
    }
    /// As release(), of a bound view; the handle is the caller's then, for the next one.
    std::shared_ptr<Allocation> detach() noexcept {
        allocation_->drop_bound_view();
        data_ = nullptr;
        stream_ = {};
        bound_ = false;
        return std::move(allocation_);
    }
    bool bound() const noexcept { return bound_; }

    void* data() const noexcept { return data_; }
    Device device() const noexcept { return allocation_ ? allocation_->device() : Device{}; }
    const Format& format() const noexcept { return format_; }
    const Layout& layout() const noexcept { return layout_; }
    bool readonly() const noexcept { return readonly_; }
    std::int64_t itemsize() const noexcept { return format_.itemsize(); }
    int ndim() const noexcept { return layout_.ndim(); }
    const std::int64_t* shape() const noexcept { return layout_.shape(); }
    const std::int64_t* strides() const noexcept { return layout_.strides(); }
    const std::int64_t* suboffsets() const noexcept { return layout_.suboffsets(); }
    std::int64_t size() const noexcept { return layout_.size(); }
    std::int64_t nbytes() const noexcept { return format_.nbytes(layout_.size()); }
    bool contiguous(Order order = Order::C) const noexcept {
        return layout_.contiguous(itemsize(), order);
    }
    const std::shared_ptr<Allocation>& allocation() const noexcept { return allocation_; }
    /// The view's own stream, none if it has only its allocation's.
    const Stream& own_stream() const noexcept { return stream_; }
    /// The stream that work on this view goes to: its own, else the allocation's (may be none).
    const Stream& stream() const noexcept {
        return stream_ || !allocation_ ? stream_ : allocation_->stream();
    }

    // --- Sub-views: arithmetic only, no data moves. All throw ReleasedError on a released view.

    /// v[start:stop:step] on `axis`, with Python's rules for missing and negative numbers.
    /// @throws LayoutError  no such axis, or step 0.
    View slice(int axis, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
               std::int64_t step = 1) const;
    /// Drops `axis` at `index`, negative from the end. @throws std::out_of_range, LayoutError (a
    /// suboffset on memory that the host cannot follow).
    View index(int axis, std::int64_t index) const;
    View transpose() const;
    View transpose(const int* axes) const;
    View reshape(int ndim, const std::int64_t* shape) const;
    View broadcast_to(int ndim, const std::int64_t* shape) const;
    View insert_axis(int axis) const;
    View remove_axis(int axis) const;
    /// The same memory read as `format`. From or to bytes (`B b c`) a C-contiguous view becomes one
    /// axis; else the axes stay: itemsizes are equal, or the last axis is dense and fits. Packed
    /// items are cast without a shape from and to bytes, and to others of as many bits.
    /// @throws LayoutError  it does not fit; FormatError  Python objects as other items.
    View cast(const Format& format) const;
    View cast(const Format& format, int ndim, const std::int64_t* shape) const;
    /// The member `name` of every record. @throws FormatError  no such member.
    View field(std::string_view name) const;
    /// `layout` from the place on that lies `shift` bytes behind data(), of packed items `shift`
    /// items; the caller knows that it stays inside the view.
    /// @throws LayoutError  packed items in another order, or not from a byte's first bit on.
    View window(Layout layout, std::int64_t shift) const;
    View as_readonly() const;
    View with_stream(Stream stream) const;

private:
    /// The last holder's view needs no count any more: the allocation goes with it.
    static void uncount(const std::shared_ptr<Allocation>& allocation, bool bound) noexcept {
        if (allocation.use_count() == 1) return;
        if (bound) {
            allocation->drop_bound_view();
        } else {
            allocation->drop_view();
        }
    }
    void require_live(const char* function) const;
    void require_same_objects(const Format& format) const;
    View flat_cast(const Format& format) const;
    View packed_cast(const Format& format) const;

    std::shared_ptr<Allocation> allocation_{};
    void* data_ = nullptr;
    Format format_{};
    Layout layout_{};
    Stream stream_{};
    bool readonly_ = false;
    bool bound_ = false;
};

/// A view of memory at `data` inside `allocation`, checked: every reachable byte lies in the
/// allocation, the itemsize is not zero, the device is the allocation's, no objects off the host.
/// @throws LayoutError, FormatError.
DEVVIEW_CORE_API View view_of(void* data, Format format, Layout layout, Device device,
                              std::shared_ptr<Allocation> allocation, bool readonly = false);

}  // namespace devview
