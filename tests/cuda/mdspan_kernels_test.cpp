// A user's own kernels on device_spans of views that devview allocated, filled and sliced, against
// loops on the host. The emulator runs no such kernels.
#ifdef DEVVIEW_HAS_CUDA
#include "cuda/mdspan_kernels.hpp"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cuda/emulated.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"

namespace devview {
namespace {

using ::cuda::std::dynamic_extent;
using ::cuda::std::extents;
using ::cuda::std::layout_left;
using test::Dims;
using test::Strided;
using Numbers = std::vector<std::int64_t>;

class MdspanKernels : public testing::Emulated {
protected:
    void SetUp() override {
        if (std::string(cuda::filler().name()) == "emulator") {
            GTEST_SKIP() << "missing: a device that runs a user's kernels";
        }
        Emulated::SetUp();
        stream_ = cuda::make_stream(0);
        copies_ = cuda::make_stream(0);
    }
    void TearDown() override {
        if (IsSkipped()) return;
        stream_ = {};
        copies_ = {};
        Emulated::TearDown();
    }

    /// A dense host view of small numbers that repeat late.
    template <class T>
    static View host(const Numbers& shape, int salt = 0) {
        const Layout layout =
            Layout::contiguous(static_cast<int>(shape.size()), shape.data(), sizeof(T));
        const auto block = allocate_host(static_cast<std::size_t>(layout.nbytes(sizeof(T))));
        auto* const items = static_cast<T*>(block->data());
        for (std::int64_t i = 0; i < layout.size(); ++i)
            items[i] = static_cast<T>((i * 37 + salt) % 101);
        return view_of(items, format_of<T>(), layout, Device{}, block);
    }
    /// By way of pinned memory: nothing waits for the copy but who asks for it.
    View to_device(const View& view) const {
        const View pinned = copy_to(view, Device{DeviceType::cuda_host, 0}, Order::C, copies_);
        return copy_to(pinned, Device{DeviceType::cuda, 0}, Order::C, copies_);
    }
    /// What a kernel left. The copies are on another stream than the kernels.
    View fetch(const View& view) const {
        View out = copy_to(view, Device{}, Order::C, copies_);
        cuda::synchronize(copies_);
        return out;
    }

    /// Launches between what was done to the views and what will be, as docs/mdspan.md says.
    template <class Launch>
    void use(const std::vector<View>& views, const Launch& launch) const {
        for (const View& view : views)
            if (StreamUses* uses = view.allocation()->uses()) uses->order(stream_);
        launch();
        for (const View& view : views)
            if (StreamUses* uses = view.allocation()->uses()) uses->record(stream_);
    }

    Stream stream_{};
    Stream copies_{};
};

template <class T>
T at(const View& view, const Numbers& index) {
    const char* data = static_cast<const char*>(view.data());
    for (std::size_t axis = 0; axis < index.size(); ++axis)
        data += index[axis] * view.strides()[axis];
    return *reinterpret_cast<const T*>(data);
}

TEST_F(MdspanKernels, SaxpyOfOddSizesAndSteps) {
    for (const std::int64_t size : {1, 63, 64, 65, 193, 1001}) {
        for (const std::int64_t step : {1, 2, 7}) {
            const View x = host<float>({size}).slice(0, {}, {}, step);
            const View y = host<float>({size}, 5).slice(0, {}, {}, step);
            const View on_x = to_device(host<float>({size})).slice(0, {}, {}, step).as_readonly();
            const View on_y = to_device(host<float>({size}, 5)).slice(0, {}, {}, step);
            use({on_x, on_y}, [&] {
                test::saxpy(3.0f, Strided<const float, 1>(on_x, "x"), Strided<float, 1>(on_y, "y"),
                            stream_);
            });
            const View out = fetch(on_y);
            ASSERT_EQ(out.size(), x.size());
            for (std::int64_t i = 0; i < out.size(); ++i)
                ASSERT_EQ(at<float>(out, {i}), 3.0f * at<float>(x, {i}) + at<float>(y, {i}));
        }
    }
}

double neighbours(const View& in, const Numbers& index) {
    double sum = at<double>(in, index);
    for (std::size_t axis = 0; axis < 3; ++axis) {
        for (const std::int64_t step : {-1, 1}) {
            Numbers beside = index;
            beside[axis] += step;
            if (beside[axis] < 0 || beside[axis] >= in.shape()[axis]) continue;
            sum += at<double>(in, beside);
        }
    }
    return sum;
}

TEST_F(MdspanKernels, StencilOnSlicedAndTransposedViews) {
    const int axes[][3] = {{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {2, 1, 0}};
    for (const int* const order : axes) {
        const auto cut = [&](const View& whole) {
            return whole.slice(0, 1, {}).slice(1, {}, -1, 3).slice(2, 2, -2).transpose(order);
        };
        const View in = cut(host<double>({5, 11, 9}));
        const View on_in = cut(to_device(host<double>({5, 11, 9})));
        const View whole = to_device(host<double>({5, 11, 9}, 1));
        const View on_out = cut(whole);
        use({on_in, on_out}, [&] {
            test::stencil(Strided<const double, 3>(on_in, "in"), Strided<double, 3>(on_out, "out"),
                          stream_);
        });
        // All of the block: what lies beside the slice must be as it was.
        const View all = fetch(whole);
        const View out = cut(all);
        for (std::int64_t i = 0; i < out.shape()[0]; ++i) {
            for (std::int64_t j = 0; j < out.shape()[1]; ++j) {
                for (std::int64_t k = 0; k < out.shape()[2]; ++k) {
                    auto* const item = const_cast<char*>(static_cast<const char*>(out.data())) +
                                       i * out.strides()[0] + j * out.strides()[1] +
                                       k * out.strides()[2];
                    ASSERT_EQ(*reinterpret_cast<double*>(item), neighbours(in, {i, j, k}));
                    *reinterpret_cast<double*>(item) = -1;
                }
            }
        }
        const auto* const items = static_cast<const double*>(all.data());
        EXPECT_EQ(std::count(items, items + all.size(), -1.0), out.size());
        const View before = host<double>({5, 11, 9}, 1);
        for (std::int64_t i = 0; i < all.size(); ++i) {
            if (items[i] >= 0) {
                ASSERT_EQ(items[i], static_cast<const double*>(before.data())[i]);
            }
        }
    }
}

TEST_F(MdspanKernels, TransposedReads) {
    for (const Numbers& shape : {Numbers{1, 1}, {3, 65}, {33, 17}, {0, 4}}) {
        const View in = host<short>(shape);
        const View on_in = to_device(in);
        const View on_out = to_device(host<short>({shape[1], shape[0]}, 3));
        // F-contiguous: the transposed view of (rows, columns) in C order.
        const View turned = to_device(host<short>(shape, 3)).transpose();
        use({on_in, turned}, [&] {
            test::transpose(device_span<const short, Dims<2>>(on_in),
                            device_span<short, Dims<2>, layout_left>(turned), stream_);
        });
        const View out = fetch(turned);
        for (std::int64_t i = 0; i < shape[0]; ++i) {
            for (std::int64_t j = 0; j < shape[1]; ++j)
                ASSERT_EQ(at<short>(out, {j, i}), at<short>(in, {i, j}));
        }
    }
}

TEST_F(MdspanKernels, StaticExtentsAndSlicesInsideAKernel) {
    const View in = host<int>({13, 5});
    const View on_in = to_device(in);
    const View on_out = to_device(host<int>({13}));
    using Rows = device_span<const int, extents<int, dynamic_extent, 5>>;
    use({on_in, on_out},
        [&] { test::row_sums(Rows(on_in), device_span<int, Dims<1>>(on_out), stream_); });
    const View out = fetch(on_out);
    for (std::int64_t i = 0; i < 13; ++i) {
        int sum = 0;
        for (std::int64_t j = 0; j < 5; ++j)
            sum += at<int>(in, {i, j});
        ASSERT_EQ(at<int>(out, {i}), sum);
    }
}

TEST_F(MdspanKernels, AViewOfASpanIsOrderedAsTheViewItCameFrom) {
    const View on_x = to_device(host<float>({100}));
    View on_y = to_device(host<float>({100}, 5));
    const Strided<float, 1> span(on_y);
    View again = view_of(span, on_y);
    on_y.release();
    use({on_x, again}, [&] { test::saxpy(2.0f, Strided<const float, 1>(on_x), span, stream_); });
    const View out = fetch(again);
    EXPECT_EQ(at<float>(out, {3}), 2.0f * 10 + 15);  // 3 * 37 % 101, and 5 more
    again.release();
}

TEST_F(MdspanKernels, PinnedAndManagedMemoryIsForBothSides) {
    for (const DeviceType type : {DeviceType::cuda_host, DeviceType::cuda_managed}) {
        const View x = copy_to(host<float>({65}), Device{type, 0}, Order::C, stream_);
        const View y = copy_to(host<float>({65}, 5), Device{type, 0}, Order::C, stream_);
        use({x, y},
            [&] { test::saxpy(1.0f, Strided<const float, 1>(x), Strided<float, 1>(y), stream_); });
        cuda::synchronize(stream_);
        wait_for_host(*y.allocation());
        const host_span<const float, Dims<1>> on_host(y);
        EXPECT_EQ(on_host(3), 10.0f + 15.0f);
    }
}

TEST_F(MdspanKernels, TheHostTouchesNoDeviceSpan) {
    const View view = to_device(host<float>({4}));
    EXPECT_STREQ(test::touch_on_host(device_span<float, Dims<1>>(view)),
                 "device_span: an item was touched on the host, wanted in a kernel");
}

TEST_F(MdspanKernels, NoKernelReadsAHostSpan) {
    cuda::filler().need(cuda::Feature::recovery);
    // Memory that the device could read: the kind of the span counts.
    const View view =
        copy_to(host<float>({4}), Device{DeviceType::cuda_host, 0}, Order::C, copies_);
    cuda::synchronize(copies_);
    cuda::Reports reports;
    try {
        test::read_host_span(host_span<float, Dims<1>>(view), stream_);
    } catch (const std::runtime_error&) {  // it has failed before the launch was asked about
    }
    EXPECT_THROW(cuda::synchronize(stream_), DeviceError);
    cuda::filler().clear_sticky();
    EXPECT_EQ(at<float>(view, {0}), 0.0f);
}

}  // namespace
}  // namespace devview
#else
#include <gtest/gtest.h>

TEST(MdspanKernels, NeedACompilerForThem) { GTEST_SKIP() << "missing: a CUDA compiler"; }
#endif
