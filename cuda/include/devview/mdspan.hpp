// Typed spans of a view's items on CCCL's mdspan, for host code and for kernels: checked when they
// are made, plain pointers and strides from then on. Optional: nothing else includes this header.
//
// Ownership: a span owns nothing and counts nowhere, as every mdspan. Keep a View of the same
// allocation (any: ownership is flat) until the last use, that of kernels in flight included; how
// streams are told of a kernel: docs/mdspan.md. view_of() makes a View of a span again.
#pragma once

#if !defined(__has_include) || !__has_include(<cuda/std/mdspan>)
#error \
    "devview/mdspan.hpp needs CCCL 2.8 or newer (<cuda/std/mdspan>): add the include folder \
`cccl` of a CUDA toolkit, or that of the PyPI package nvidia-cuda-cccl. No other header of devview \
needs it."
#endif

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <cuda/std/array>
#include <cuda/std/mdspan>
#if __has_include(<cuda/__mdspan/layout_stride_relaxed.h>)
#include <cuda/mdspan>
/// Newer CCCL has cuda::layout_stride_relaxed: strides of any sign, and zero.
#define DEVVIEW_HAS_LAYOUT_STRIDE_RELAXED 1
#endif

#include "devview/error.hpp"
#include "devview/format_of.hpp"
#include "devview/host_device.hpp"
#include "devview/item_layout.hpp"
#include "devview/view.hpp"

namespace devview {

// Our own accessors: CCCL has had such only since 3.1, and with its assertions on, those ask the
// CUDA driver about every pointer.

/// Items that host code reads; in device code an access ends the kernel (trap).
template <class T>
struct host_accessor : ::cuda::std::default_accessor<T> {
    using offset_policy = host_accessor;

    host_accessor() = default;
    template <class U, class = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
    DEVVIEW_HD constexpr host_accessor(host_accessor<U>) noexcept {}

    DEVVIEW_HD constexpr T& access(T* data, std::size_t i) const noexcept {
#ifdef __CUDA_ARCH__
        __trap();
#endif
        return data[i];
    }
};

/// Items that kernels read. A compiler without CUDA refuses an access; what nvcc compiles for the
/// host throws BufferError.
template <class T>
struct device_accessor {
    using offset_policy = device_accessor;
    using element_type = T;
    using reference = T&;
    using data_handle_type = T*;

    device_accessor() = default;
    template <class U, class = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
    DEVVIEW_HD constexpr device_accessor(device_accessor<U>) noexcept {}

    /// Explicit: a plain mdspan of device memory forgets where it may be read.
    template <class U, class = std::enable_if_t<std::is_convertible_v<T (*)[], U (*)[]>>>
    DEVVIEW_HD constexpr explicit operator ::cuda::std::default_accessor<U>() const noexcept {
        return {};
    }

    template <class Index>
    DEVVIEW_HD constexpr T& access([[maybe_unused]] T* data, [[maybe_unused]] Index i) const {
#if defined(__CUDA_ARCH__)
        return data[i];
#elif defined(__CUDACC__)
        throw BufferError("device_span: an item was touched on the host, wanted in a kernel");
#else
        // Not a deleted function: these words are read, and whoever does not touch may compile.
        static_assert(!std::is_same_v<Index, Index>,
                      "device_span: items are reached in kernels only (host_span is for the host)");
        return data[i];
#endif
    }
    DEVVIEW_HD constexpr T* offset(T* data, std::size_t i) const noexcept { return data + i; }
};

template <class T, class Extents, class LayoutPolicy, class Accessor>
class basic_span;

/// Items in memory that the host reaches: cpu, pinned, managed. Whoever touches pinned or managed
/// memory waits for its streams first (wait_for_host()).
template <class T, class Extents, class LayoutPolicy = ::cuda::std::layout_right>
using host_span = basic_span<T, Extents, LayoutPolicy, host_accessor<T>>;

/// Items in memory that kernels reach: a CUDA device's, pinned, managed. Pass it to a kernel by
/// value. Which device is the view's to tell: View::device().
template <class T, class Extents, class LayoutPolicy = ::cuda::std::layout_right>
using device_span = basic_span<T, Extents, LayoutPolicy, device_accessor<T>>;

namespace detail {

template <class Accessor>
struct SpanReader;
template <class T>
struct SpanReader<host_accessor<T>> {
    static constexpr ItemReader kReader = ItemReader::host;
    static constexpr const char* kName = "host_span";
};
template <class T>
struct SpanReader<device_accessor<T>> {
    static constexpr ItemReader kReader = ItemReader::cuda_device;
    static constexpr const char* kName = "device_span";
};

template <class LayoutPolicy>
struct SpanLayout {
    static_assert(
        !std::is_same_v<LayoutPolicy, LayoutPolicy>,
        "a view becomes a span of layout_right, layout_left, layout_stride, or (newer CCCL) "
        "cuda::layout_stride_relaxed");
};

/// Strides are the extents' products: nothing to hand on.
template <class LayoutPolicy, ItemStrides strides>
struct DenseSpanLayout {
    static constexpr ItemStrides kStrides = strides;
    template <class Mapping, std::size_t rank>
    static Mapping mapping(const typename Mapping::extents_type& extents,
                           const ::cuda::std::array<std::int64_t, rank>&, std::int64_t) {
        return Mapping(extents);
    }
};
template <>
struct SpanLayout<::cuda::std::layout_right>
    : DenseSpanLayout<::cuda::std::layout_right, ItemStrides::c_contiguous> {};
template <>
struct SpanLayout<::cuda::std::layout_left>
    : DenseSpanLayout<::cuda::std::layout_left, ItemStrides::f_contiguous> {};

/// The strides on their way into a layout_stride. Its constructor from strides wants each stride to
/// step over the inner axis and its gap ([mdspan.layout.stride.cons] 4.3), which
/// slices with a step (v[:, ::3]) are not; the one from another unique mapping wants no more than
/// is_unique.
struct CheckedStrides {
    template <class Extents>
    class mapping {
    public:
        using extents_type = Extents;
        using index_type = typename Extents::index_type;
        using size_type = typename Extents::size_type;
        using rank_type = typename Extents::rank_type;
        using layout_type = CheckedStrides;
        using Strides = ::cuda::std::array<std::int64_t, Extents::rank()>;

        mapping(const Extents& extents, const Strides& strides)
            : extents_(extents), strides_(strides) {}
        DEVVIEW_HD const Extents& extents() const noexcept { return extents_; }
        DEVVIEW_HD index_type stride(rank_type axis) const noexcept {
            return static_cast<index_type>(strides_[axis]);
        }
        DEVVIEW_HD index_type required_span_size() const noexcept {
            index_type size = 1;
            for (rank_type axis = 0; axis < Extents::rank(); ++axis) {
                const index_type extent = extents_.extent(axis);
                if (extent == 0) return 0;
                size = static_cast<index_type>(size + (extent - 1) * stride(axis));
            }
            return size;
        }
        /// Asked for the first item alone.
        template <class... Index>
        DEVVIEW_HD index_type operator()(Index...) const noexcept {
            return 0;
        }
        DEVVIEW_HD static constexpr bool is_always_unique() noexcept { return true; }
        DEVVIEW_HD static constexpr bool is_always_strided() noexcept { return true; }
        DEVVIEW_HD static constexpr bool is_always_exhaustive() noexcept { return false; }

    private:
        Extents extents_;
        Strides strides_;
    };
};

template <>
struct SpanLayout<::cuda::std::layout_stride> {
    static constexpr ItemStrides kStrides = ItemStrides::unique;
    template <class Mapping, std::size_t rank>
    static Mapping mapping(const typename Mapping::extents_type& extents,
                           const ::cuda::std::array<std::int64_t, rank>& strides, std::int64_t) {
        using Extents = typename Mapping::extents_type;
        return Mapping(CheckedStrides::mapping<Extents>(extents, strides));
    }
};

#ifdef DEVVIEW_HAS_LAYOUT_STRIDE_RELAXED
template <>
struct SpanLayout<::cuda::layout_stride_relaxed> {
    static constexpr ItemStrides kStrides = ItemStrides::arbitrary;
    template <class Mapping, std::size_t rank>
    static Mapping mapping(const typename Mapping::extents_type& extents,
                           const ::cuda::std::array<std::int64_t, rank>& strides,
                           std::int64_t offset) {
        return Mapping(extents, typename Mapping::strides_type(strides),
                       static_cast<typename Mapping::offset_type>(offset));
    }
};
#endif

/// What a span is made of, from its lowest item on.
template <class Span>
struct MappedView {
    typename Span::data_handle_type data;
    typename Span::mapping_type mapping;
};

/// Checks `view` as basic_span says.
template <class Span>
MappedView<Span> map_view(const View& view, const char* argument) {
    using Extents = typename Span::extents_type;
    using Index = typename Extents::index_type;
    using Element = typename Span::element_type;
    using Layout = SpanLayout<typename Span::layout_type>;
    using Reader = SpanReader<typename Span::accessor_type>;
    constexpr std::size_t kRank = Extents::rank();
    static_assert(kRank <= kMaxNdim, "a view has up to 64 axes");
    std::int64_t wanted[kRank + 1] = {};  // one more than needed: rank 0 is legal
    for (std::size_t axis = 0; axis < kRank; ++axis) {
        const std::size_t extent = Extents::static_extent(axis);
        wanted[axis] = extent == ::cuda::std::dynamic_extent ? std::int64_t{-1}
                                                             : static_cast<std::int64_t>(extent);
    }
    const Format format = format_of<std::remove_cv_t<Element>>();
    const ItemRequest request{Reader::kName,
                              argument,
                              format,
                              alignof(Element),
                              !std::is_const_v<Element>,
                              Reader::kReader,
                              Layout::kStrides,
                              static_cast<std::uint64_t>((std::numeric_limits<Index>::max)()),
                              static_cast<int>(kRank),
                              wanted};
    std::int64_t found[kRank + 1];
    const std::int64_t offset = item_layout(view, request, found);
    ::cuda::std::array<Index, kRank> shape{};
    ::cuda::std::array<std::int64_t, kRank> strides{};
    for (std::size_t axis = 0; axis < kRank; ++axis) {
        shape[axis] = static_cast<Index>(view.shape()[axis]);
        strides[axis] = found[axis];
    }
    return {static_cast<Element*>(view.data()) - offset,
            Layout::template mapping<typename Span::mapping_type>(Extents(shape), strides, offset)};
}

/// Where index (0, ..., 0) lies [items].
template <class Mapping, std::size_t... axis>
std::int64_t first_item(const Mapping& mapping, std::index_sequence<axis...>) {
    return static_cast<std::int64_t>(
        mapping((static_cast<void>(axis), typename Mapping::index_type{0})...));
}

/// [bytes]
template <class Mapping>
Layout layout_of(const Mapping& mapping, std::size_t itemsize) {
    constexpr std::size_t kRank = Mapping::extents_type::rank();
    std::int64_t shape[kRank + 1] = {};
    std::int64_t strides[kRank + 1] = {};
    if constexpr (kRank != 0) {
        for (std::size_t axis = 0; axis < kRank; ++axis) {
            shape[axis] = static_cast<std::int64_t>(mapping.extents().extent(axis));
            const auto items = static_cast<std::int64_t>(mapping.stride(axis));
            if (__builtin_mul_overflow(items, static_cast<std::int64_t>(itemsize),
                                       &strides[axis])) {
                throw LayoutError("view_of: axis " + std::to_string(axis) + ": stride of " +
                                  std::to_string(items) + " items, limit 2^63 bytes");
            }
        }
    }
    return Layout::strided(static_cast<int>(kRank), shape, strides, nullptr,
                           static_cast<std::int64_t>(itemsize));
}

/// @throws BufferError, ReleasedError  unless what reads the span reaches the allocation.
template <class Reader>
void require_reachable(const Allocation* allocation) {
    if (allocation == nullptr) throw ReleasedError("view_of: no allocation, or it was released");
    const Device device = allocation->device();
    if (!(Reader::kReader == ItemReader::host ? host_accessible(device) : is_cuda(device))) {
        throw BufferError("view_of: the allocation is on " + to_string(device) +
                          ", where no items of a " + Reader::kName + " are");
    }
}

}  // namespace detail

/// host_span and device_span: an mdspan that a View converts to by an explicit, checked
/// construction, host_span<const float, cuda::std::dextents<int, 2>>(view, "x").
///
/// - The view's format is T's (format_of), in native byte order; const T takes read-only memory.
/// - Extents: the rank, every static extent, and the index type fit.
/// - layout_right and layout_left want C- and F-contiguous views, layout_stride positive strides
///   that are multiples of the itemsize and no two items in one place.
/// - The address is a multiple of alignof(T) (empty views: any address).
///
/// Slices of it (submdspan) are mdspans with the same accessor and convert back to spans.
/// Trivially copyable, as large as the mdspan. Its own constructors but the first check nothing.
template <class T, class Extents, class LayoutPolicy, class Accessor>
class basic_span : public ::cuda::std::mdspan<T, Extents, LayoutPolicy, Accessor> {
public:
    using mdspan_type = ::cuda::std::mdspan<T, Extents, LayoutPolicy, Accessor>;
    using typename mdspan_type::accessor_type;
    using typename mdspan_type::data_handle_type;
    using typename mdspan_type::element_type;
    using typename mdspan_type::extents_type;
    using typename mdspan_type::index_type;
    using typename mdspan_type::layout_type;
    using typename mdspan_type::mapping_type;

    /// A span of the items of `view`; `argument` names it in errors. Shares the memory, holds
    /// nothing, does not synchronise.
    /// @throws FormatError, LayoutError, BufferError, ReleasedError  as item_layout().
    explicit basic_span(const View& view, const char* argument = "view")
        : basic_span(detail::map_view<mdspan_type>(view, argument)) {}

    /// Null, if an extent is dynamic.
    basic_span() = default;
    DEVVIEW_HD constexpr basic_span(T* data, const mapping_type& mapping)
        : mdspan_type(data, mapping) {}
    DEVVIEW_HD constexpr basic_span(const mdspan_type& span) : mdspan_type(span) {}

    /// Where the mdspans convert without a check: more const, fewer static extents, layout_stride.
    template <class U, class E, class L, class A,
              class = std::enable_if_t<
                  std::is_convertible_v<const ::cuda::std::mdspan<U, E, L, A>&, mdspan_type>>>
    DEVVIEW_HD constexpr basic_span(const ::cuda::std::mdspan<U, E, L, A>& span)
        : mdspan_type(span) {}

private:
    explicit basic_span(const detail::MappedView<mdspan_type>& mapped)
        : mdspan_type(mapped.data, mapped.mapping) {}
};

/// A view of the items of a span, or of a part of one (submdspan), inside `allocation`; read-only
/// if the items are const. Shares the memory and keeps the allocation.
/// @throws LayoutError  not all items are in the allocation; BufferError  the span's reader does
/// not reach it; ReleasedError  none, or it was freed.
template <class T, class Extents, class LayoutPolicy, class Accessor,
          class Reader = detail::SpanReader<Accessor>, ItemReader = Reader::kReader>
View view_of(const ::cuda::std::mdspan<T, Extents, LayoutPolicy, Accessor>& span,
             std::shared_ptr<Allocation> allocation) {
    detail::require_reachable<Reader>(allocation.get());
    const auto& mapping = span.mapping();
    auto* data = const_cast<std::remove_cv_t<T>*>(span.data_handle());
    if (!span.empty()) {
        data += detail::first_item(mapping, std::make_index_sequence<Extents::rank()>());
    }
    const Device device = allocation->device();
    return view_of(data, format_of<std::remove_cv_t<T>>(), detail::layout_of(mapping, sizeof(T)),
                   device, std::move(allocation), std::is_const_v<T>);
}

/// The same inside the allocation of `of`, on its stream; read-only if `of` is, too.
template <class T, class Extents, class LayoutPolicy, class Accessor,
          class Reader = detail::SpanReader<Accessor>, ItemReader = Reader::kReader>
View view_of(const ::cuda::std::mdspan<T, Extents, LayoutPolicy, Accessor>& span, const View& of) {
    View view = view_of(span, of.allocation());
    if (of.own_stream()) view = view.with_stream(of.own_stream());
    return of.readonly() ? view.as_readonly() : view;
}

}  // namespace devview
