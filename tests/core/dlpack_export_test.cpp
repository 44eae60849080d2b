// Views as managed tensors: what the struct says, and what its deleter lets go.
#include <cstdint>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "devview/dlpack.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"

namespace devview {
namespace {

View table(const char* format, int ndim, const std::int64_t* shape) {
    const Format items{format};
    const Layout layout = Layout::contiguous(ndim, shape, items.itemsize());
    auto block = allocate_host(static_cast<std::size_t>(layout.nbytes(items.itemsize())));
    void* const data = block->data();
    return view_of(data, items, layout, Device{}, std::move(block));
}

View table(const char* format = "f") {
    const std::int64_t shape[] = {4, 6};
    return table(format, 2, shape);
}

/// Holds a tensor, and gives it back.
class Exported {
public:
    explicit Exported(const View& view, std::uint64_t flags = 0)
        : tensor_(dlpack::abi(to_dlpack(view, flags))) {}
    Exported(const Exported&) = delete;
    Exported& operator=(const Exported&) = delete;
    ~Exported() { tensor_->deleter(tensor_); }
    const dlpack::ManagedTensorVersioned* operator->() const { return tensor_; }
    const dlpack::Tensor& tensor() const { return tensor_->dl_tensor; }

private:
    dlpack::ManagedTensorVersioned* tensor_;
};

TEST(DlpackExport, TellsVersionTypeAndPlace) {
    const View view = table();
    const Exported made(view);
    EXPECT_EQ(made->version.major, 1u);
    EXPECT_EQ(made->version.minor, 3u);
    EXPECT_EQ(made->flags, 0u);
    const dlpack::Tensor& tensor = made.tensor();
    EXPECT_EQ(tensor.data, view.data());
    EXPECT_EQ(tensor.byte_offset, 0u);
    EXPECT_EQ(tensor.device.type, 1);
    EXPECT_EQ(tensor.device.id, 0);
    EXPECT_EQ(tensor.dtype.code, dlpack::kFloat);
    EXPECT_EQ(tensor.dtype.bits, 32);
    EXPECT_EQ(tensor.dtype.lanes, 1);
    ASSERT_EQ(tensor.ndim, 2);
    EXPECT_EQ(tensor.shape[0], 4);
    EXPECT_EQ(tensor.shape[1], 6);
    EXPECT_EQ(tensor.strides[0], 6);
    EXPECT_EQ(tensor.strides[1], 1);
}

TEST(DlpackExport, StridesCountItemsAndMayBeNegative) {
    const View view = table("d");
    const View part = view.slice(0, std::nullopt, std::nullopt, -1).slice(1, 1, 6, 2);
    const Exported made(part);
    EXPECT_EQ(made.tensor().strides[0], -6);
    EXPECT_EQ(made.tensor().strides[1], 2);
    EXPECT_EQ(made.tensor().data, static_cast<char*>(view.data()) + (3 * 6 + 1) * 8);
}

TEST(DlpackExport, AxesBelowTwoItemsGetADenseStride) {
    const std::int64_t shape[] = {3, 1, 4};
    const std::int64_t strides[] = {16, 999, 4};
    auto block = allocate_host(48);
    void* const data = block->data();
    const View view = view_of(data, Format("i"), Layout::strided(3, shape, strides, nullptr, 4),
                              Device{}, std::move(block));
    const Exported made(view);
    EXPECT_EQ(made.tensor().strides[0], 4);
    EXPECT_EQ(made.tensor().strides[1], 4);
    EXPECT_EQ(made.tensor().strides[2], 1);
}

TEST(DlpackExport, AnEmptyViewHasNoData) {
    const std::int64_t shape[] = {3, 0, 4};
    const Exported made(table("i", 3, shape));
    EXPECT_EQ(made.tensor().data, nullptr);
    EXPECT_EQ(made.tensor().shape[1], 0);
    EXPECT_EQ(made.tensor().strides[0], 4);
    EXPECT_EQ(made.tensor().strides[2], 1);
}

TEST(DlpackExport, ZeroAndSixtyFourAxes) {
    const Exported scalar(table("q", 0, nullptr));
    EXPECT_EQ(scalar.tensor().ndim, 0);
    std::int64_t shape[64];
    std::fill_n(shape, 64, 1);
    shape[0] = 5;
    const Exported many(table("q", 64, shape));
    EXPECT_EQ(many.tensor().shape[0], 5);
    EXPECT_EQ(many.tensor().strides[63], 1);
}

TEST(DlpackExport, HoldsTheAllocationAndNotTheView) {
    int released = 0;
    float items[24] = {};
    {
        auto block =
            Allocation::adopt(items, sizeof items, Device{}, [&released](Stream) { ++released; });
        const std::int64_t shape[] = {24};
        View view = view_of(items, Format("f"), Layout::contiguous(1, shape, 4), Device{}, block);
        auto* const tensor = dlpack::abi(to_dlpack(view));
        auto* const legacy = dlpack::abi(to_dlpack_legacy(view));
        EXPECT_EQ(block->exports(), 2);
        view.release();
        EXPECT_THROW(block->free(), BufferError);
        Allocation* const raw = block.get();
        block.reset();
        EXPECT_EQ(raw->exports(), 2);
        tensor->deleter(tensor);
        EXPECT_EQ(raw->exports(), 1);
        EXPECT_EQ(released, 0);
        std::thread([legacy] { legacy->deleter(legacy); }).join();
    }
    EXPECT_EQ(released, 1);
}

TEST(DlpackExport, FlagsTellReadOnlyCopiedAndPadded) {
    const View view = table();
    EXPECT_EQ(Exported(view.as_readonly())->flags, dlpack::kReadOnly);
    EXPECT_EQ(Exported(view, dlpack::kIsCopied)->flags, dlpack::kIsCopied);
    EXPECT_EQ(Exported(table("T{B:int4:}"))->flags, dlpack::kSubbytePadded);
    EXPECT_EQ(Exported(table("T{B:float8_e4m3fn:}"))->flags, 0u);
    EXPECT_THROW((void)to_dlpack_legacy(view.as_readonly()), BufferError);
    EXPECT_THROW((void)to_dlpack_legacy(table("T{B:int4:}")), BufferError);
}

TEST(DlpackExport, NamesEveryNumber) {
    struct Case {
        const char* format;
        int code, bits;
    };
    for (const Case& known :
         {Case{"?", 6, 8}, Case{"b", 0, 8}, Case{"B", 1, 8}, Case{"h", 0, 16}, Case{"<H", 1, 16},
          Case{"l", 0, 64}, Case{"Q", 1, 64}, Case{"e", 2, 16}, Case{"d", 2, 64}, Case{"Zf", 5, 64},
          Case{"Zd", 5, 128}, Case{"T{H:bfloat16:}", 4, 16}, Case{"T{B:float8_e5m2:}", 12, 8},
          Case{"T{B:uint4:}", 1, 4}, Case{"T{B:float4_e2m1fn:}", 17, 4},
          Case{"T{B:float6_e3m2fn:}", 16, 6}}) {
        const dlpack::DataType type = dlpack_type(Format(known.format));
        EXPECT_EQ(type.code, known.code) << known.format;
        EXPECT_EQ(type.bits, known.bits) << known.format;
        EXPECT_EQ(type.lanes, 1) << known.format;
    }
}

TEST(DlpackExport, RefusesWhatDlpackCannotNameAndSaysWhat) {
    for (const char* format : {"T{i:a:f:b:}", "(3)f", ">i", "!d", "g", "Zg", "4s", "2w", "c", "P",
                               "&i", "3t", "4x", "O", ">Zf", "T{>H:bfloat16:}"}) {
        try {
            (void)to_dlpack(table(format));
            ADD_FAILURE() << format;
        } catch (const BufferError& error) {
            EXPECT_NE(std::string(error.what()).find(format), std::string::npos) << error.what();
        }
    }
}

TEST(DlpackExport, RefusesStridesThatAreNoItems) {
    const std::int64_t shape[] = {3};
    const std::int64_t strides[] = {6};
    auto block = allocate_host(24);
    const View view(block, block->data(), Format("i"),
                    Layout::strided(1, shape, strides, nullptr, 4), false);
    try {
        (void)to_dlpack(view);
        FAIL() << "half an item";
    } catch (const BufferError& error) {
        EXPECT_STREQ(error.what(), "dlpack: axis 0: stride 6 bytes, no multiple of the itemsize 4");
    }
    EXPECT_EQ(block->exports(), 0);
}

TEST(DlpackExport, RefusesReleasedViewsAndFreedMemory) {
    View view = table();
    view.release();
    EXPECT_THROW((void)to_dlpack(view), ReleasedError);
    EXPECT_THROW((void)to_dlpack_legacy(view), ReleasedError);
}

TEST(DlpackExport, DescribesWithoutOwning) {
    const View view = table("h");
    dlpack::Tensor tensor{};
    std::int64_t shape[2];
    std::int64_t strides[2];
    EXPECT_EQ(describe_dlpack(view.transpose().as_readonly(), tensor, shape, strides),
              dlpack::kReadOnly);
    EXPECT_EQ(tensor.data, view.data());
    EXPECT_EQ(tensor.shape, shape);
    EXPECT_EQ(shape[0], 6);
    EXPECT_EQ(strides[0], 1);
    EXPECT_EQ(strides[1], 6);
    EXPECT_EQ(view.allocation()->exports(), 0);
}

}  // namespace
}  // namespace devview
