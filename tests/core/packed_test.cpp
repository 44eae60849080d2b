// Packed items: bits in bytes, layouts that can be, and DLPack's two ways of telling.
#include "devview/packed.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "devview/dlpack.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "devview/view.hpp"

namespace devview {
namespace {

using Bytes = std::vector<unsigned char>;

// One bit at a time: slow, and of another mind than the code under test.
unsigned item_of(const Bytes& packed, std::int64_t index, int bits) {
    unsigned value = 0;
    for (int bit = 0; bit < bits; ++bit) {
        const auto at = static_cast<std::size_t>(index * bits + bit);
        value |= (packed[at / 8] >> (at % 8) & 1u) << bit;
    }
    return value;
}

Bytes random_bytes(std::size_t count) {
    static std::mt19937 random(1);
    Bytes bytes(count);
    for (auto& byte : bytes)
        byte = static_cast<unsigned char>(random());
    return bytes;
}

View packed_view(std::int64_t count, const char* format) {
    const Format items(format);
    auto block = allocate_host(static_cast<std::size_t>(items.nbytes(count)));
    void* const data = block->data();
    return view_of(data, items, Layout::vector(count, 1), Device{}, std::move(block));
}

TEST(Packed, UnpackFindsEveryItem) {
    const Bytes packed = random_bytes(64);
    for (const int bits : {1, 2, 3, 4, 5, 6, 7}) {
        const std::int64_t count = 512 / bits;
        for (const std::int64_t first : {0, 1, 2, 3, 4, 5, 7, 8}) {
            Bytes items(static_cast<std::size_t>(count - first));
            unpack_host(items.data(), packed.data(), first, count - first, bits);
            for (std::int64_t i = first; i < count; ++i) {
                ASSERT_EQ(items[static_cast<std::size_t>(i - first)], item_of(packed, i, bits));
            }
        }
    }
}

TEST(Packed, PackWritesItsBitsAndNoOthers) {
    for (const int bits : {1, 2, 3, 4, 5, 6, 7}) {
        for (const std::int64_t first : {0, 1, 2, 3, 5, 8}) {
            const Bytes before = random_bytes(32);
            Bytes after = before;
            const Bytes items = random_bytes(9);  // with bits above that are to be ignored
            pack_host(after.data(), first, items.data(), 9, bits);
            for (std::int64_t i = 0; i < 256 / bits; ++i) {
                const bool inside = i >= first && i < first + 9;
                const unsigned mask = (1u << bits) - 1;
                ASSERT_EQ(item_of(after, i, bits),
                          inside ? items[static_cast<std::size_t>(i - first)] & mask
                                 : item_of(before, i, bits));
            }
        }
    }
}

TEST(Packed, BytesOfItemsDoNotWrap) {
    const Format four("T{4t:int4:}");
    const Format six("T{6t:float6_e2m3fn:}");
    EXPECT_EQ(four.nbytes(0), 0);
    EXPECT_EQ(four.nbytes(3), 2);
    EXPECT_EQ(six.nbytes(1), 1);
    EXPECT_EQ(six.nbytes(5), 4);
    EXPECT_EQ(six.nbytes(INT64_MAX), INT64_MAX / 8 * 6 + 6);
    EXPECT_EQ(Format("i").nbytes(3), 12);
}

TEST(Packed, FormatsAreApartFromPaddedOnes) {
    const Format packed("T{4t:float4_e2m1fn:}");
    const Format padded("T{B:float4_e2m1fn:}");
    EXPECT_NE(packed, padded);
    EXPECT_EQ(packed.padded(), padded);
    EXPECT_EQ(padded.packed(), packed);
    EXPECT_EQ(Format(packed.str()), packed);
    EXPECT_THROW(Format("T{B:float8_e5m2:}").packed(), FormatError);
    EXPECT_THROW(Format("T{T{4t:int4:}:a:}"), FormatError);
}

TEST(Packed, ViewsBeginWithAByteAndHaveNoGaps) {
    const View v = packed_view(24, "T{6t:float6_e3m2fn:}");
    EXPECT_EQ(v.nbytes(), 18);
    const View part = v.slice(0, 8, 15);
    EXPECT_EQ(static_cast<char*>(part.data()) - static_cast<char*>(v.data()), 6);
    EXPECT_EQ(part.nbytes(), 6);
    EXPECT_THROW(v.slice(0, 2, {}), LayoutError);
    EXPECT_THROW(v.slice(0, {}, {}, 2), LayoutError);
    EXPECT_THROW(v.index(0, 1), LayoutError);
    EXPECT_EQ(v.index(0, 4).ndim(), 0);
    const std::int64_t shape[] = {4, 6};
    EXPECT_THROW(v.reshape(2, shape).transpose(), LayoutError);
    const std::int64_t strides[] = {1, 4};
    EXPECT_THROW(view_of(v.data(), v.format(), Layout::strided(2, shape, strides, nullptr, 1),
                         Device{}, v.allocation()),
                 LayoutError);
    EXPECT_THROW(view_of(v.data(), v.format(), Layout::vector(25, 1), Device{}, v.allocation()),
                 LayoutError);
}

// --- DLPack ---

dlpack::Tensor tensor_of(void* data, dlpack::DataType type, std::vector<std::int64_t>& shape) {
    return {data, {1, 0}, static_cast<std::int32_t>(shape.size()), type, shape.data(), nullptr, 0};
}

TEST(Packed, DlpackSaysPackedByAFlagThatIsNotSet) {
    const View packed = packed_view(7, "T{4t:int4:}");
    std::int64_t shape[1];
    std::int64_t strides[1];
    dlpack::Tensor tensor{};
    EXPECT_EQ(describe_dlpack(packed, tensor, shape, strides), 0u);
    EXPECT_EQ(tensor.dtype.bits, 4);
    EXPECT_EQ(tensor.dtype.lanes, 1);
    EXPECT_EQ(shape[0], 7);
    EXPECT_EQ(strides[0], 1);
    const TensorDescription back = read_dlpack(tensor, 0);
    EXPECT_EQ(back.format, packed.format());
    EXPECT_EQ(back.bounds.high, 4);
    EXPECT_EQ(read_dlpack(tensor, dlpack::kSubbytePadded).format, packed.format().padded());
    EXPECT_EQ(read_dlpack(tensor, dlpack::kSubbytePadded).bounds.high, 7);
    const View padded = packed_view(7, "T{B:int4:}");
    EXPECT_EQ(describe_dlpack(padded, tensor, shape, strides), dlpack::kSubbytePadded);
}

TEST(Packed, DlpackLanesBelowAByteAreItems) {
    Bytes bytes(64);
    std::vector<std::int64_t> shape{3, 5};
    const TensorDescription pairs =
        read_dlpack(tensor_of(bytes.data(), {dlpack::kFloat4_e2m1fn, 4, 2}, shape), 0);
    EXPECT_EQ(pairs.format, Format("T{4t:float4_e2m1fn:}"));
    EXPECT_EQ(pairs.layout.shape()[0], 3);
    EXPECT_EQ(pairs.layout.shape()[1], 10);
    EXPECT_EQ(pairs.bounds.high, 15);
    std::vector<std::int64_t> none;
    const TensorDescription pair =
        read_dlpack(tensor_of(bytes.data(), {dlpack::kUInt, 4, 2}, none), 0);
    EXPECT_EQ(pair.layout.ndim(), 1);
    EXPECT_EQ(pair.layout.shape()[0], 2);
    for (const std::uint16_t lanes : {std::uint16_t{0}, std::uint16_t{3}}) {
        EXPECT_THROW(read_dlpack(tensor_of(bytes.data(), {dlpack::kInt, 4, lanes}, shape), 0),
                     FormatError);
    }
    std::vector<std::int64_t> vast{INT64_MAX / 2, 1, 3};
    EXPECT_THROW(read_dlpack(tensor_of(bytes.data(), {dlpack::kInt, 4, 2}, vast), 0), LayoutError);
    std::vector<std::int64_t> long_one{INT64_MAX};
    EXPECT_THROW(read_dlpack(tensor_of(bytes.data(), {dlpack::kInt, 4, 2}, long_one), 0),
                 LayoutError);
    EXPECT_THROW(
        read_dlpack(tensor_of(bytes.data(), {dlpack::kInt, 4, 2}, shape), dlpack::kSubbytePadded),
        FormatError);
}

TEST(Packed, DlpackStridesMustBeDense) {
    Bytes bytes(64);
    std::vector<std::int64_t> shape{4, 6};
    std::array<std::int64_t, 2> strides{1, 4};
    dlpack::Tensor tensor = tensor_of(bytes.data(), {dlpack::kInt, 4, 1}, shape);
    tensor.strides = strides.data();
    EXPECT_THROW(read_dlpack(tensor, 0), LayoutError);
    strides = {6, 1};
    EXPECT_EQ(read_dlpack(tensor, 0).bounds.high, 12);
    tensor.byte_offset = 3;
    EXPECT_EQ(read_dlpack(tensor, 0).data, bytes.data() + 3);
}

}  // namespace
}  // namespace devview
