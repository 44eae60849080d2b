#include "devview/view_of.hpp"

#include <complex>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "devview/item_layout.hpp"

namespace devview {
namespace {

/// A view of `data` without an owner that minds.
View view_at(void* data, const Format& format, Layout layout, Device device = {},
             bool readonly = false) {
    const auto release = [](void*, Stream) noexcept {};
    const ByteBounds bounds = layout.bounds(format.itemsize());
    auto allocation =
        Allocation::adopt(static_cast<char*>(data) + bounds.low,
                          static_cast<std::size_t>(bounds.high - bounds.low), device, release);
    return view_of(data, format, std::move(layout), device, std::move(allocation), readonly);
}

View floats(std::vector<float>& items, std::vector<std::int64_t> shape, Order order = Order::C) {
    return view_at(items.data(), format_of<float>(),
                   Layout::contiguous(static_cast<int>(shape.size()), shape.data(), 4, order));
}

TEST(ViewOf, ReadsAndWritesThroughItsStrides) {
    std::vector<float> items{0, 1, 2, 3, 4, 5};
    const View view = floats(items, {2, 3}).slice(1, std::nullopt, std::nullopt, -2);
    ViewOf<float, 2> x(view);
    EXPECT_EQ(x(0, 0), 2);
    EXPECT_EQ(x(1, 1), 3);
    x(1, 0) = 50;
    EXPECT_EQ(items[5], 50);
    EXPECT_EQ(x.shape(1), 2);
    EXPECT_EQ(x.stride(1), -8);
    EXPECT_EQ(x.view().data(), view.data());
    const ViewOf<const float> any(view);
    EXPECT_EQ(any.ndim(), 2);
    EXPECT_EQ(any(1, 0), 50);
    const ViewOf<const float, 2> moved = ViewOf<const float, 2>(std::move(x).view());
    EXPECT_EQ(moved(0, 1), 0);
}

TEST(ViewOf, AnEmptyOneIsReleased) {
    const ViewOf<const float, 2> x;
    EXPECT_TRUE(x.released());
    EXPECT_EQ(x.data(), nullptr);
    EXPECT_THROW((ViewOf<const float, 2>(View())), BufferError);
}

TEST(ViewOf, TellsEveryConstraintThatIsBroken) {
    std::vector<float> items(6);
    const View view = floats(items, {2, 3}).as_readonly();
    try {
        const ViewOf<double, 1, on_cuda, f_order> x(view);
        FAIL();
    } catch (const BufferError& error) {
        EXPECT_STREQ(
            error.what(),
            "ViewOf: items: float64 wanted, float32 given; axes: 1 wanted, 2 (shape (2, "
            "3)) given; device: cuda wanted, cpu given; access: writable wanted, read-only "
            "given; order: Fortran-contiguous wanted, strides (12, 4) of shape (2, 3) "
            "given");
    }
    EXPECT_EQ((ViewOf<const float, extents<2, any>, on_cpu, c_order>::refusal(view)), "");
    EXPECT_EQ((ViewOf<const float, extents<any, 4>>::refusal(view)),
              "shape: (any, 4) wanted, (2, 3) given");
}

TEST(ViewOf, AcceptsExactlyWhatItDoesNotRefuse) {
    std::vector<float> items(32);
    const std::int64_t shape[] = {2, 3};
    const std::int64_t odd[] = {14, 4};
    std::vector<View> views{floats(items, {6}), floats(items, {2, 3}),
                            floats(items, {2, 3}, Order::F), floats(items, {2, 0}),
                            floats(items, {2, 3}).as_readonly()};
    for (const DeviceType type :
         {DeviceType::cuda, DeviceType::cuda_host, DeviceType::cuda_managed})
        views.push_back(view_at(items.data(), format_of<float>(), Layout::contiguous(2, shape, 4),
                                Device{type, 0}));
    views.push_back(
        view_at(items.data(), format_of<float>(), Layout::strided(2, shape, odd, nullptr, 4)));
    views.push_back(view_at(reinterpret_cast<char*>(items.data()) + 1, format_of<float>(),
                            Layout::contiguous(2, shape, 4)));
    views.push_back(view_at(items.data(), Format(">f"), Layout::contiguous(2, shape, 4)));
    int accepted = 0;
    const auto check = [&](auto type) {
        using V = decltype(type);
        for (const View& view : views) {
            EXPECT_EQ(V::accepts(view), V::refusal(view).empty()) << V::refusal(view);
            accepted += V::accepts(view);
        }
    };
    check(ViewOf<float, 2>());                               // 5: C, F, empty, pinned, managed
    check(ViewOf<const float>());                            // 7: and one axis, read-only
    check(ViewOf<const float, 2, on_cpu>());                 // 4
    check(ViewOf<const float, 2, on_cuda>());                // 2
    check(ViewOf<const float, 2, on_device>());              // 3: pinned, too
    check(ViewOf<const float, 2, on_any, f_order>());        // 2: F and empty
    check(ViewOf<const float, 2, on_any, c_order>());        // 6
    check(ViewOf<const float, extents<any, 3>, on_host>());  // 5
    check(ViewOf<const void, any_rank, on_any>());           // 11
    EXPECT_EQ(accepted, 5 + 7 + 4 + 2 + 3 + 2 + 6 + 5 + 11);
}

TEST(ViewOf, IsAskedForWhereASpanOfItCanBeMade) {
    std::vector<float> items(6);
    const std::int64_t shape[] = {6};
    for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda, DeviceType::cuda_host,
                                  DeviceType::cuda_managed, DeviceType::rocm}) {
        const View view = view_at(items.data(), format_of<float>(), Layout::contiguous(1, shape, 4),
                                  Device{type, 0});
        const auto spans = [&](ItemReader reader) {
            const Format format = format_of<float>();
            std::int64_t strides[1];
            const ItemRequest request{
                "span", "x", format, 4, false, reader, ItemStrides::arbitrary, INT64_MAX, 1, shape};
            try {
                item_layout(view, request, strides);
            } catch (const BufferError&) {
                return false;
            }
            return true;
        };
        EXPECT_EQ((ViewOf<const float, 1, on_host>::accepts(view)), spans(ItemReader::host));
        EXPECT_EQ((ViewOf<const float, 1, on_device>::accepts(view)),
                  spans(ItemReader::cuda_device));
    }
}

TEST(ViewOf, ItsFactsOutliveTheMemory) {
    std::vector<float> items(6);
    int freed = 0;
    const std::int64_t shape[] = {2, 3};
    auto allocation = Allocation::adopt(items.data(), 24, Device{DeviceType::cuda, 1},
                                        [&](const Stream&) { ++freed; });
    View view = view_of(items.data(), format_of<float>(), Layout::contiguous(2, shape, 4),
                        Device{DeviceType::cuda, 1}, std::move(allocation));
    const ViewFacts facts(view);
    view.release();
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(
        (ViewOf<const double, 1>::refusal(facts)),
        "items: float64 wanted, float32 given; axes: 1 wanted, 2 (shape (2, 3)) given; "
        "device: memory that the host can follow (cpu, pinned, managed) wanted, cuda:1 given");
    EXPECT_EQ((ViewOf<const float, 2, on_device>::refusal(facts)), "");
    EXPECT_EQ((ViewOf<const float, 2>::refusal(ViewFacts())), "a released View given");
}

TEST(ViewOf, RefusesSuboffsets) {
    float row[3] = {1, 2, 3};
    float* rows[2] = {row, row};
    const std::int64_t shape[] = {2, 3}, strides[] = {8, 4}, suboffsets[] = {0, -1};
    auto allocation = Allocation::adopt(rows, sizeof rows, {}, [](void*, Stream) noexcept {});
    const View view(allocation, rows, format_of<float>(),
                    Layout::strided(2, shape, strides, suboffsets, 4), false);
    EXPECT_EQ((ViewOf<float, 2>::refusal(view)), "suboffsets: none wanted, some given");
    EXPECT_FALSE((ViewOf<float, 2>::accepts(view)));
}

TEST(ItemName, IsNumPys) {
    EXPECT_EQ(item_name(format_of<std::int8_t>()), "int8");
    EXPECT_EQ(item_name(format_of<std::uint64_t>()), "uint64");
    EXPECT_EQ(item_name(format_of<bool>()), "bool");
    EXPECT_EQ(item_name(format_of<std::complex<float>>()), "complex64");
    EXPECT_EQ(item_name(Format("e")), "float16");
    EXPECT_EQ(item_name(Format("T{H:bfloat16:}")), "bfloat16");
    EXPECT_EQ(item_name(Format(">i")), "big-endian int32");
    EXPECT_EQ(item_name(Format("T{i:a:}")), "'T{i:a:}'");
}

}  // namespace
}  // namespace devview
