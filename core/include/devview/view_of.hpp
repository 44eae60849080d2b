// A View whose constraints are types: element type, axes, device, order, access. Checked once, when
// it is made; typed access costs nothing after that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "devview/error.hpp"
#include "devview/export.hpp"
#include "devview/format_of.hpp"
#include "devview/view.hpp"
#include "devview/view_wish.hpp"

namespace devview {

namespace detail {

/// The rank of ViewOf's parameter: a number, any_rank, or extents<...>.
template <auto Rank>
struct Axes {
    static_assert(std::is_integral_v<decltype(Rank)> && Rank >= -1 && Rank <= kMaxNdim,
                  "the rank is 0 to 64, any_rank, or devview::extents<...>");
    static constexpr int kRank = static_cast<int>(Rank);
    static constexpr const std::int64_t* kExtents = nullptr;
};
template <std::int64_t... E, const Extents<E...>* Tag>
struct Axes<Tag> {
    static_assert(((E >= -1) && ...), "an extent is not negative, or devview::any");
    static constexpr int kRank = sizeof...(E);
    static constexpr std::int64_t kValues[sizeof...(E) + 1] = {E..., 0};
    static constexpr const std::int64_t* kExtents = kValues;
};

/// alignof(T), 1 for any element type.
template <class T>
constexpr std::size_t alignment_of() noexcept {
    if constexpr (std::is_void_v<T>) {
        return 1;
    } else {
        return alignof(T);
    }
}

}  // namespace detail

/// A view of items `T` with constraints that hold from its making on.
///
/// - `T`: the element type, as format_of<T>; void for any. `const T` accepts read-only memory, `T`
///   has to be writable.
/// - `Rank`: the number of axes, any_rank, or extents<3, any>: 3 by any number.
/// - `Where`: on_host (cpu, pinned, managed: the host can follow the pointer), on_device (cuda,
///   pinned, managed: a kernel can), on_cpu (cpu alone), on_cuda (cuda, managed), on_any.
/// - `Lie`: c_order, f_order (dense, as View::contiguous), any_order (any strides).
///
/// Data and strides are aligned for T, and there are no suboffsets. Shares the memory with the view
/// it was made of, as a copy of it does. Threads: as View. Nothing here waits for a stream.
template <class T, auto Rank = any_rank, Place Where = on_host, Contiguity Lie = any_order>
class ViewOf {
    using Axes = detail::Axes<Rank>;
    using Item = std::conditional_t<std::is_void_v<T>, char, T>;  // for references to it alone

public:
    using element_type = T;
    static constexpr int kRank = Axes::kRank;  ///< -1: any
    static constexpr Place kPlace = Where;
    static constexpr Contiguity kOrder = Lie;
    static constexpr bool kWritable = !std::is_const_v<T>;

    /// Released, as View().
    ViewOf() noexcept = default;

    /// @throws BufferError  with every constraint that `view` breaks; `view` is as it was.
    explicit ViewOf(View view) {
        if (!accepts(view)) throw BufferError("ViewOf: " + refusal(view));
        view_ = std::move(view);
        keep_strides();
    }

    /// Of the view that `make` returns, made in its place; the caller asks accepts(view()) next and
    /// uses nothing of a ViewOf that it refuses.
    struct Unchecked {};
    template <class Make>
    ViewOf(Unchecked, Make&& make) : view_(std::forward<Make>(make)()) {
        keep_strides();
    }

    /// True if a ViewOf can be made of it.
    static bool accepts(const View& view) {
        return !view.released() && accepts_items(view) && accepts_axes(view) &&
               place_accepts(Where, view.device()) && (!kWritable || !view.readonly()) &&
               accepts_order(view) && view.suboffsets() == nullptr && aligned(view);
    }

    /// What is wanted and what is given, for each constraint that `view` breaks; empty if none.
    static std::string refusal(const View& view) { return wish_refusal(wish(), view); }
    static std::string refusal(const ViewFacts& view) { return wish_refusal(wish(), view); }

    /// The constraints as data.
    static Wish wish() {
        Wish result;
        if constexpr (!std::is_void_v<T>) result.format = format_of<std::remove_cv_t<T>>();
        result.any_format = std::is_void_v<T>;
        result.rank = kRank;
        result.extents = Axes::kExtents;
        result.place = Where;
        result.order = Lie;
        result.writable = kWritable;
        result.alignment = detail::alignment_of<T>();
        return result;
    }

    bool released() const noexcept { return view_.released(); }
    T* data() const noexcept { return static_cast<T*>(view_.data()); }
    int ndim() const noexcept { return kRank >= 0 ? kRank : view_.ndim(); }
    std::int64_t size() const noexcept { return view_.size(); }
    const std::int64_t* shape() const noexcept { return view_.shape(); }
    std::int64_t shape(int axis) const noexcept { return view_.shape()[axis]; }
    /// In bytes.
    const std::int64_t* strides() const noexcept {
        if constexpr (kRank >= 0) {
            return strides_.data();
        } else {
            return view_.strides();
        }
    }
    std::int64_t stride(int axis) const noexcept { return strides()[axis]; }
    Device device() const noexcept { return view_.device(); }
    const Stream& stream() const noexcept { return view_.stream(); }

    /// The item at these indices, which are not checked. Of memory that the host can follow.
    template <class... Index>
    Item& operator()(Index... indices) const noexcept {
        static_assert(!std::is_void_v<T>, "items of any type have no C++ type");
        static_assert(Where == on_cpu || Where == on_host, "the host cannot follow the pointer");
        static_assert(kRank < 0 || kRank == sizeof...(Index), "one index for each axis");
        static_assert((std::is_integral_v<Index> && ...), "an index is an integer");
        const std::int64_t* stride = strides();
        std::int64_t shift = 0;
        ((shift += static_cast<std::int64_t>(indices) * *stride++), ...);
        using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
        return *reinterpret_cast<T*>(reinterpret_cast<Byte*>(data()) + shift);
    }

    const View& view() const& noexcept { return view_; }
    View view() && noexcept { return std::move(view_); }
    operator const View&() const& noexcept { return view_; }  // NOLINT: a ViewOf is a View

private:
    static bool accepts_items(const View& view) {
        if constexpr (std::is_void_v<T>) {
            return true;
        } else {
            return view.format() == format_of<std::remove_cv_t<T>>();
        }
    }
    static bool accepts_axes(const View& view) noexcept {
        if constexpr (kRank >= 0) {
            if (view.ndim() != kRank) return false;
            if constexpr (Axes::kExtents != nullptr) {
                for (int i = 0; i < kRank; ++i) {
                    if (Axes::kExtents[i] != any && Axes::kExtents[i] != view.shape()[i]) {
                        return false;
                    }
                }
            }
        }
        return true;
    }
    static bool accepts_order(const View& view) noexcept {
        if constexpr (Lie == any_order) {
            return true;
        } else {
            return view.contiguous(Lie == c_order ? Order::C : Order::F);
        }
    }
    static bool aligned(const View& view) noexcept {
        if constexpr (detail::alignment_of<T>() == 1) {
            return true;
        } else {
            return wish_aligned(view, detail::alignment_of<T>());
        }
    }
    void keep_strides() noexcept {
        if constexpr (kRank > 0) {
            if (view_.ndim() != kRank) return;
            const std::int64_t* const strides = view_.strides();
            for (std::size_t i = 0; i < kRank; ++i)
                strides_[i] = strides[i];
        }
    }

    View view_{};
    // A copy: the layout's own lie inline or on the heap, which every access would look at.
    std::array<std::int64_t, kRank >= 0 ? static_cast<std::size_t>(kRank) : 0> strides_{};
};

}  // namespace devview
