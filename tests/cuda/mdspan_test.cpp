// host_span and device_span against their views, with all of CCCL's own assertions on; kernels:
// mdspan_kernels_test.cpp.
#if __has_include(<cuda/std/mdspan>)
#define CCCL_ENABLE_HOST_ASSERTIONS
#include "devview/mdspan.hpp"

#include <algorithm>
#include <complex>
#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/host_memory.hpp"

namespace devview {

struct Sample {
    std::int32_t id;
    double value;
};
DEVVIEW_RECORD(Sample, id, value);

namespace {

using ::cuda::std::dynamic_extent;
using ::cuda::std::extents;
using ::cuda::std::full_extent;
using ::cuda::std::layout_left;
using ::cuda::std::layout_right;
using ::cuda::std::layout_stride;
using Numbers = std::vector<std::int64_t>;
template <std::size_t rank>
using Dims = ::cuda::std::dextents<int, rank>;

/// A dense view of the items 0, 1, 2, ...
template <class T>
View counted(const Numbers& shape, Order order = Order::C) {
    const Layout layout =
        Layout::contiguous(static_cast<int>(shape.size()), shape.data(), sizeof(T), order);
    const auto block = allocate_host(static_cast<std::size_t>(layout.nbytes(sizeof(T))));
    auto* const items = static_cast<T*>(block->data());
    for (std::int64_t i = 0; i < layout.size(); ++i)
        items[i] = static_cast<T>(i);
    return view_of(items, format_of<T>(), layout, Device{}, block);
}

/// Tagged with a device; nothing is there.
View nowhere(Device device, std::int64_t extent = 4, bool readonly = false) {
    auto* const data = reinterpret_cast<void*>(std::uintptr_t{4096});
    auto allocation = Allocation::adopt(data, 4096, device, nullptr);
    return View(std::move(allocation), data, Format("f"), Layout::vector(extent, 4), readonly);
}

template <class Error, class Make>
std::string refusal(const Make& make) {
    try {
        make();
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

/// The address of an item by the view's own strides.
const void* address(const View& view, const Numbers& index) {
    const char* at = static_cast<const char*>(view.data());
    for (std::size_t axis = 0; axis < index.size(); ++axis)
        at += index[axis] * view.strides()[axis];
    return at;
}

/// Every item of a span of rank 3, of any layout, is where the view has it.
template <class Span>
void expect_same_items(const Span& span, const View& view) {
    for (int axis = 0; axis < 3; ++axis)
        ASSERT_EQ(span.extent(static_cast<std::size_t>(axis)), view.shape()[axis]);
    for (int i = 0; i < span.extent(0); ++i) {
        for (int j = 0; j < span.extent(1); ++j) {
            for (int k = 0; k < span.extent(2); ++k)
                ASSERT_EQ(&span(i, j, k), address(view, {i, j, k})) << i << j << k;
        }
    }
}

/// What view_of made of a span is what the span was made of.
void expect_same_view(const View& view, const View& of) {
    EXPECT_EQ(view.allocation(), of.allocation());
    EXPECT_EQ(view.format(), of.format());
    ASSERT_EQ(view.ndim(), of.ndim());
    for (int axis = 0; axis < view.ndim(); ++axis) {
        EXPECT_EQ(view.shape()[axis], of.shape()[axis]);
        if (of.size() > 0 && of.shape()[axis] > 1) {
            EXPECT_EQ(view.strides()[axis], of.strides()[axis]);
        }
    }
    if (of.size() > 0) {
        EXPECT_EQ(view.data(), of.data());
    }
}

// --- What a span is

TEST(Mdspan, IsATriviallyCopyableMdspanAndNothingElse) {
    using Right = device_span<float, Dims<2>>;
    using Strided = device_span<float, Dims<2>, layout_stride>;
    using Static = device_span<float, extents<int, 3, 4>>;
    static_assert(std::is_trivially_copyable_v<Right> && std::is_trivially_copyable_v<Strided>);
    static_assert(
        std::is_base_of_v<::cuda::std::mdspan<float, Dims<2>, layout_right, device_accessor<float>>,
                          Right>);
    static_assert(sizeof(Right) == sizeof(float*) + 2 * sizeof(int));
    static_assert(sizeof(Strided) == sizeof(float*) + 4 * sizeof(int));
    static_assert(sizeof(Static) == sizeof(float*));
    static_assert(sizeof(host_span<float, Dims<2>>) == sizeof(::cuda::std::mdspan<float, Dims<2>>));
    // A view becomes a span where somebody says so.
    static_assert(!std::is_convertible_v<View, Right> && std::is_constructible_v<Right, View>);
}

TEST(Mdspan, ConvertsAsMdspansDo) {
    using Span = host_span<float, Dims<2>>;
    static_assert(std::is_convertible_v<Span, host_span<const float, Dims<2>>>);
    static_assert(std::is_convertible_v<Span, host_span<const float, Dims<2>, layout_stride>>);
    static_assert(std::is_convertible_v<host_span<float, extents<int, 3, 4>>, Span>);
    static_assert(std::is_convertible_v<Span, ::cuda::std::mdspan<const float, Dims<2>>>);
    static_assert(!std::is_convertible_v<host_span<const float, Dims<2>>, Span>);
    static_assert(!std::is_constructible_v<Span, host_span<const float, Dims<2>>>);
    static_assert(!std::is_constructible_v<Span, host_span<float, Dims<1>>>);

    using OnDevice = device_span<float, Dims<2>>;
    static_assert(std::is_convertible_v<OnDevice, device_span<const float, Dims<2>>>);
    static_assert(!std::is_constructible_v<Span, OnDevice>);
    static_assert(!std::is_constructible_v<OnDevice, Span>);
    // Forgetting where the memory is takes a word.
    using Plain = ::cuda::std::mdspan<const float, Dims<2>>;
#if CCCL_VERSION >= 3000000  // older mdspans convert implicitly whatever their accessors say
    static_assert(!std::is_convertible_v<OnDevice, Plain>);
#endif
    static_assert(std::is_constructible_v<Plain, OnDevice>);

    const View view = counted<float>({3, 4});
    const host_span<const float, Dims<2>, layout_stride> strided = Span(view);
    EXPECT_EQ(&strided(2, 3), address(view, {2, 3}));
    const ::cuda::std::mdspan<const float, Dims<2>> plain = Span(view);
    EXPECT_EQ(plain(1, 2), 6.0f);
}

TEST(Mdspan, ReadsAndWritesTheViewsItems) {
    const View view = counted<double>({3, 4});
    const host_span<double, extents<int, dynamic_extent, 4>> span(view);
    span(2, 1) *= 10;
    EXPECT_EQ(*static_cast<const double*>(address(view, {2, 1})), 90.0);
    EXPECT_EQ(span.extent(0), 3);
    const host_span<double, extents<int>> item(view.index(0, 1).index(0, 1));
    EXPECT_EQ(item(), 5.0);
}

TEST(Mdspan, TakesEveryTypeThatHasAFormat) {
    const View numbers = counted<std::int8_t>({4});
    EXPECT_EQ((host_span<signed char, Dims<1>>(numbers)(3)), 3);
    EXPECT_EQ(refusal<FormatError>([&] { host_span<unsigned char, Dims<1>>{numbers}; }),
              "host_span: view: format 'b', wanted 'B'");
    // int64 by any of its names
    const View longs = counted<long>({4});
    EXPECT_EQ((host_span<long long, Dims<1>>(longs)(2)), 2);
    const auto block = allocate_host(64);
    const View samples =
        view_of(block->data(), Format("T{i:id:xxxxd:value:}"), Layout::vector(4, 16), {}, block);
    const host_span<Sample, Dims<1>> records(samples);
    records(1).value = 2.5;
    EXPECT_EQ(static_cast<const double*>(block->data())[3], 2.5);
    const View pairs = view_of(block->data(), Format("Zf"), Layout::vector(8, 8), {}, block);
    const host_span<std::complex<float>, Dims<1>> complex(pairs);
    complex(2) = {1, 2};
    EXPECT_EQ(static_cast<const float*>(block->data())[5], 2.0f);
}

// --- What is refused: item_layout_test.cpp has the rules; here, that T and Extents ask for them

TEST(Mdspan, NamesTheArgumentTheFactAndTheWish) {
    const View view = counted<float>({3, 4});
    EXPECT_EQ(refusal<FormatError>([&] { host_span<double, Dims<2>>(view, "weights"); }),
              "host_span: weights: format 'f', wanted 'd'");
    EXPECT_EQ(refusal<LayoutError>([&] { host_span<float, Dims<3>>(view, "weights"); }),
              "host_span: weights: shape (3, 4), wanted 3 axes");
    EXPECT_EQ(refusal<LayoutError>([&] { host_span<float, extents<int, 3, 5>>(view, "weights"); }),
              "host_span: weights: axis 1: extent 4, wanted 5");
    EXPECT_EQ(refusal<LayoutError>([&] { host_span<float, Dims<2>>(view.transpose()); }),
              "host_span: view: strides (4, 16) bytes of shape (4, 3), wanted C-contiguous, "
              "(12, 4)");
    EXPECT_EQ(refusal<LayoutError>([&] { host_span<float, Dims<2>, layout_left>{view}; }),
              "host_span: view: strides (16, 4) bytes of shape (3, 4), wanted F-contiguous, "
              "(4, 12)");
    View released = view;
    released.release();
    EXPECT_EQ(refusal<ReleasedError>([&] { host_span<float, Dims<2>>{released}; }),
              "host_span: view: the view was released");
}

TEST(Mdspan, ConstItemsTakeReadOnlyMemory) {
    const View view = counted<float>({4}).as_readonly();
    EXPECT_EQ((host_span<const float, Dims<1>>(view)(3)), 3.0f);
    EXPECT_EQ(refusal<BufferError>([&] { host_span<float, Dims<1>>(view, "out"); }),
              "host_span: out: read-only, wanted writable (const items take both)");
}

TEST(Mdspan, EachSideHasItsMemory) {
    const Device cuda{DeviceType::cuda, 0};
    const View there = nowhere(cuda);
    EXPECT_EQ((device_span<float, Dims<1>>(there).data_handle()), there.data());
    EXPECT_EQ(
        refusal<BufferError>([&] { host_span<float, Dims<1>>(there, "x"); }),
        "host_span: x: memory on cuda:0, wanted what the host reaches (cpu, pinned, managed)");
    EXPECT_EQ(refusal<BufferError>([&] { device_span<float, Dims<1>>(nowhere(Device{}), "x"); }),
              "device_span: x: memory on cpu, wanted what a CUDA device reaches (cuda, pinned, "
              "managed)");
    const View pinned = nowhere(Device{DeviceType::cuda_host, 0});
    EXPECT_EQ((device_span<float, Dims<1>>(pinned).data_handle()),
              (host_span<float, Dims<1>>(pinned).data_handle()));
}

TEST(Mdspan, ItemsAreAlignedForTheirType) {
    const auto block = allocate_host(64);
    auto* const odd = static_cast<char*>(block->data()) + 2;
    const View view = view_of(odd, Format("f"), Layout::vector(4, 4), {}, block);
    EXPECT_NE(refusal<LayoutError>([&] {
                  host_span<float, Dims<1>>(view, "x");
              }).find("wanted a multiple of 4"),
              std::string::npos);
    const View bytes =
        view_of(odd, Format("T{i:id:xxxxd:value:}"), Layout::vector(2, 16), {}, block);
    EXPECT_NE(refusal<LayoutError>([&] {
                  host_span<Sample, Dims<1>>{bytes};
              }).find("wanted a multiple of 8"),
              std::string::npos);
}

TEST(Mdspan, IndexTypesAreNotOverrun) {
    const View many = nowhere(Device{DeviceType::cuda, 0}, std::int64_t{1} << 31);
    EXPECT_EQ(refusal<LayoutError>([&] { device_span<float, Dims<1>>(many, "x"); }),
              "device_span: x: axis 0: extent 2147483648, the index type ends at 2147483647");
    using Wide = device_span<float, ::cuda::std::dextents<std::int64_t, 1>>;
    EXPECT_EQ(Wide(many).extent(0), std::int64_t{1} << 31);
    using Unsigned = device_span<float, ::cuda::std::dextents<std::uint32_t, 1>>;
    EXPECT_EQ(Unsigned(many).extent(0), 1u << 31);
    const View small = counted<char>({200});
    EXPECT_EQ(refusal<LayoutError>(
                  [&] { host_span<char, ::cuda::std::dextents<signed char, 1>>(small, "x"); }),
              "host_span: x: axis 0: extent 200, the index type ends at 127");
}

// --- Layouts

/// A view of three axes, sliced, transposed and shrunk at random.
View random_view(std::mt19937& random) {
    Numbers shape;
    for (int axis = 0; axis < 3; ++axis)
        shape.push_back(static_cast<std::int64_t>(random() % 5));
    View view = counted<std::int32_t>(shape, random() % 2 ? Order::C : Order::F);
    for (int round = 0; round < 3; ++round) {
        const int axis = static_cast<int>(random() % 3);
        const auto start = static_cast<std::int64_t>(random() % 3);
        const int steps[] = {1, 1, 2, 3, -1, -2};
        const int step = steps[random() % 6];
        if (random() % 3 == 0) view = view.slice(axis, start, {}, step);
        int axes[] = {0, 1, 2};
        std::shuffle(axes, axes + 3, random);
        if (random() % 2) view = view.transpose(axes);
    }
    if (random() % 8 == 0 && view.shape()[0] == 1) {
        Numbers wide(view.shape(), view.shape() + 3);
        wide[0] = 3;
        view = view.broadcast_to(3, wide.data());
    }
    return view;
}

TEST(Mdspan, RandomViewsAndSpansAgreeItemByItem) {
    std::mt19937 random(11);
    int right = 0;
    int left = 0;
    int strided = 0;
    int none = 0;
    for (int round = 0; round < 4000; ++round) {
        const View view = random_view(random).as_readonly();
        const auto check = [&](auto policy, int& count) {
            using Span = host_span<const std::int32_t, Dims<3>, decltype(policy)>;
            try {
                const Span span(view);
                expect_same_items(span, view);
                expect_same_view(view_of(span, view), view);
                EXPECT_EQ(static_cast<std::int64_t>(span.size()), view.size());
                ++count;
                return true;
            } catch (const LayoutError&) {
                return false;
            }
        };
        EXPECT_EQ(check(layout_right{}, right), view.contiguous(Order::C));
        EXPECT_EQ(check(layout_left{}, left), view.contiguous(Order::F));
        bool positive = true;
        for (int axis = 0; axis < 3 && view.size() > 0; ++axis)
            positive &= view.shape()[axis] == 1 || view.strides()[axis] > 0;
        // Slices of dense memory share no places: only signs and repetition stand in the way.
        EXPECT_EQ(check(layout_stride{}, strided), positive);
        none += !positive;
#ifdef DEVVIEW_HAS_LAYOUT_STRIDE_RELAXED
        int any = 0;
        EXPECT_TRUE(check(::cuda::layout_stride_relaxed{}, any));
#endif
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(right, 500);
    EXPECT_GT(left, 500);
    EXPECT_GT(strided, 1500);
    EXPECT_GT(none, 150);
}

#ifdef DEVVIEW_HAS_LAYOUT_STRIDE_RELAXED
TEST(Mdspan, RelaxedStridesGoBackwards) {
    const View view = counted<float>({3, 4}).slice(0, {}, {}, -1);
    const host_span<float, Dims<2>, ::cuda::layout_stride_relaxed> span(view);
    EXPECT_EQ(span(0, 0), 8.0f);
    EXPECT_EQ(span.mapping().stride(0), -4);
    EXPECT_EQ(view_of(span, view).strides()[0], -16);
    EXPECT_EQ(view_of(span, view).data(), view.data());
}
#endif

// --- Back to a view

TEST(Mdspan, AViewOfASpanKeepsTheMemory) {
    View view = counted<float>({3, 4});
    const host_span<float, Dims<2>> span(view);
    const std::weak_ptr<Allocation> block = view.allocation();
    EXPECT_EQ(view.allocation()->views(), 1);  // a span counts nowhere
    View again = view_of(span, view);
    EXPECT_EQ(view.allocation()->views(), 2);
    EXPECT_FALSE(again.readonly());
    view.release();
    EXPECT_EQ(*static_cast<const float*>(again.index(0, 2).index(0, 3).data()), 11.0f);
    again.release();
    EXPECT_TRUE(block.expired());
}

TEST(Mdspan, SlicesOfSpansBecomeSpansAndViews) {
    const View view = counted<float>({3, 4});
    const host_span<float, Dims<2>> span(view);
    const auto column = ::cuda::std::submdspan(span, full_extent, 2);
    const host_span<float, Dims<1>, layout_stride> typed(column);
    EXPECT_EQ(typed(2), 10.0f);
    const View out = view_of(column, view);
    ASSERT_EQ(out.ndim(), 1);
    EXPECT_EQ(out.strides()[0], 16);
    EXPECT_EQ(out.data(), address(view, {0, 2}));
}

TEST(Mdspan, ReadOnlyIsCarriedBack) {
    const View view = counted<float>({4});
    const host_span<float, Dims<1>> span(view);
    EXPECT_FALSE(view_of(span, view.allocation()).readonly());
    EXPECT_TRUE(view_of(host_span<const float, Dims<1>>(span), view).readonly());
    EXPECT_TRUE(view_of(span, view.as_readonly()).readonly());
}

TEST(Mdspan, TheStreamIsCarriedBack) {
    const View there = nowhere(Device{DeviceType::cuda, 0})
                           .with_stream(Stream::raw(Device{DeviceType::cuda, 0},
                                                    reinterpret_cast<void*>(std::uintptr_t{64})));
    EXPECT_EQ(view_of(device_span<float, Dims<1>>(there), there).own_stream(), there.own_stream());
}

TEST(Mdspan, NoViewOfWhatIsNotInTheAllocation) {
    const View view = counted<float>({4});
    const View other = counted<float>({4});
    const host_span<float, Dims<1>> span(view);
    EXPECT_NE(refusal<LayoutError>([&] { view_of(span, other); }), "accepted");
    EXPECT_NE(refusal<LayoutError>([&] { view_of(span, other.allocation()); }), "accepted");
    const host_span<float, Dims<1>> longer(span.data_handle(), Dims<1>(5));
    EXPECT_NE(refusal<LayoutError>([&] { view_of(longer, view); }), "accepted");
    EXPECT_EQ(refusal<BufferError>([&] {
                  view_of(span, nowhere(Device{DeviceType::cuda, 1}));
              }),
              "view_of: the allocation is on cuda:1, where no items of a host_span are");
    EXPECT_EQ(refusal<ReleasedError>([&] { view_of(span, View()); }),
              "view_of: no allocation, or it was released");
}

}  // namespace
}  // namespace devview
#endif
