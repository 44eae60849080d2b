// Managed tensors as views: what is kept, what is refused, and that the deleter runs once.
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "devview/dlpack.hpp"
#include "devview/error.hpp"

namespace devview {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

/// A tensor of 24 floats with a deleter that counts.
struct Producer {
    float items[24] = {};
    std::vector<std::int64_t> shape{4, 6};
    std::vector<std::int64_t> strides{6, 1};
    int deleted = 0;
    dlpack::ManagedTensorVersioned versioned{};
    dlpack::ManagedTensor legacy{};

    Producer() {
        versioned.version = {1, 0};
        versioned.manager_ctx = legacy.manager_ctx = this;
        versioned.deleter = [](dlpack::ManagedTensorVersioned* self) {
            ++static_cast<Producer*>(self->manager_ctx)->deleted;
        };
        legacy.deleter = [](dlpack::ManagedTensor* self) {
            ++static_cast<Producer*>(self->manager_ctx)->deleted;
        };
        tensor() = {items, {1, 0}, 2, {dlpack::kFloat, 32, 1}, shape.data(), strides.data(), 0};
    }
    dlpack::Tensor& tensor() { return versioned.dl_tensor; }
    View view() { return from_dlpack(dlpack::tag(&versioned)); }
    View legacy_view() {
        legacy.dl_tensor = tensor();
        return from_dlpack(dlpack::tag(&legacy));
    }
    void set_axes(std::vector<std::int64_t> extents, std::vector<std::int64_t> steps) {
        shape = std::move(extents);
        strides = std::move(steps);
        tensor().ndim = static_cast<std::int32_t>(shape.size());
        tensor().shape = shape.data();
        tensor().strides = strides.empty() ? nullptr : strides.data();
    }
};

template <class E>
void expect_refused(Producer& producer, const std::string& words) {
    for (const bool legacy : {false, true}) {
        try {
            const View view = legacy ? producer.legacy_view() : producer.view();
            ADD_FAILURE() << "taken: " << words;
        } catch (const E& error) {
            EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
        }
    }
    EXPECT_EQ(producer.deleted, 0) << words;
}

TEST(DlpackImport, SharesTheMemoryAndCallsTheDeleterOnce) {
    Producer producer;
    {
        View view = producer.view();
        EXPECT_EQ(view.data(), producer.items);
        EXPECT_EQ(view.format(), Format("f"));
        EXPECT_EQ(view.shape()[1], 6);
        EXPECT_EQ(view.strides()[0], 24);
        EXPECT_EQ(view.nbytes(), 96);
        EXPECT_FALSE(view.readonly());
        EXPECT_EQ(view.allocation()->data(), producer.items);
        EXPECT_EQ(view.allocation()->nbytes(), 96u);
        const View row = view.index(0, 2);
        view.release();
        EXPECT_EQ(producer.deleted, 0);
    }
    EXPECT_EQ(producer.deleted, 1);
    producer.legacy_view();
    EXPECT_EQ(producer.deleted, 2);
}

TEST(DlpackImport, TheMetadataIsCopied) {
    Producer producer;
    const View view = producer.view();
    producer.shape = {100, 100};
    producer.strides = {-1, -1};
    producer.tensor() = {};
    EXPECT_EQ(view.shape()[0], 4);
    EXPECT_EQ(view.strides()[1], 4);
}

TEST(DlpackImport, ANullDeleterIsLegal) {
    Producer producer;
    producer.versioned.deleter = nullptr;
    producer.legacy.deleter = nullptr;
    producer.view();
    producer.legacy_view();
    EXPECT_EQ(producer.deleted, 0);
}

TEST(DlpackImport, ADeleterThatThrowsIsReported) {
    Producer producer;
    producer.versioned.deleter = [](dlpack::ManagedTensorVersioned* self) {
        ++static_cast<Producer*>(self->manager_ctx)->deleted;
        throw std::runtime_error("no");
    };
    static int told;
    told = 0;
    set_release_error_handler([](const char*) { ++told; });
    producer.view();
    set_release_error_handler(nullptr);
    EXPECT_EQ(producer.deleted, 1);
    EXPECT_EQ(told, 1);
}

TEST(DlpackImport, NothingIsTakenOverWhereNoAllocationCanBeMade) {
    Producer producer;
    EXPECT_THROW(from_dlpack(dlpack::tag(&producer.versioned), Stream{},
                             [](Allocation::Block&&) -> std::shared_ptr<Allocation> {
                                 throw std::bad_alloc();
                             }),
                 std::bad_alloc);
    EXPECT_EQ(producer.deleted, 0);
}

TEST(DlpackImport, ReadOnlyIsKept) {
    Producer producer;
    producer.versioned.flags = dlpack::kReadOnly | dlpack::kIsCopied;
    EXPECT_TRUE(producer.view().readonly());
    producer.versioned.flags = std::uint64_t{1} << 63;  // of a later minor version
    EXPECT_FALSE(producer.view().readonly());
}

TEST(DlpackImport, ByteOffsetNegativeStridesAndUnalignedData) {
    Producer producer;
    producer.set_axes({4, 2}, {-6, 3});
    producer.tensor().byte_offset = 3 * 24;
    const View view = producer.view();
    EXPECT_EQ(view.data(), producer.items + 18);
    EXPECT_EQ(view.allocation()->data(), producer.items);
    EXPECT_EQ(view.allocation()->nbytes(), (18 + 3 + 1) * 4u);

    Producer odd;
    odd.set_axes({3}, {1});
    odd.tensor().data = reinterpret_cast<char*>(odd.items) + 1;
    EXPECT_EQ(odd.view().data(), reinterpret_cast<char*>(odd.items) + 1);
}

TEST(DlpackImport, NullStridesAreContiguous) {
    Producer producer;
    producer.set_axes({2, 3, 4}, {});
    const View view = producer.view();
    EXPECT_EQ(view.strides()[0], 48);
    EXPECT_EQ(view.strides()[2], 4);
}

TEST(DlpackImport, StridesOfAxesBelowTwoItemsMeanNothing) {
    Producer producer;
    producer.set_axes({1, 6}, {kMin, 1});
    EXPECT_EQ(producer.view().strides()[0], 24);
    producer.set_axes({3, 0}, {5, kMax});
    const View empty = producer.view();
    EXPECT_EQ(empty.strides()[0], 20);
    EXPECT_EQ(empty.strides()[1], 4);
    EXPECT_EQ(empty.nbytes(), 0);
}

TEST(DlpackImport, ZeroAxesNeedNeitherShapeNorStrides) {
    Producer producer;
    producer.set_axes({}, {});
    producer.tensor().shape = nullptr;
    EXPECT_EQ(producer.view().nbytes(), 4);
}

TEST(DlpackImport, EmptyTensorsMayHaveAnyData) {
    Producer producer;
    producer.set_axes({0}, {1});
    producer.tensor().data = nullptr;
    EXPECT_EQ(producer.view().nbytes(), 0);
    producer.tensor().data = reinterpret_cast<void*>(std::uintptr_t{7});
    EXPECT_EQ(producer.view().nbytes(), 0);
}

TEST(DlpackImport, SixtyFourAxesAndNoMore) {
    Producer producer;
    producer.set_axes(std::vector<std::int64_t>(64, 1), {});
    EXPECT_EQ(producer.view().ndim(), 64);
    Producer more;
    more.set_axes(std::vector<std::int64_t>(65, 1), {});
    expect_refused<LayoutError>(more, "ndim 65, limit 64");
}

TEST(DlpackImport, RefusesWrongAxes) {
    struct Case {
        std::vector<std::int64_t> shape, strides;
        const char* words;
    };
    for (const Case& wrong : {
             Case{{-4}, {1}, "axis 0: extent -4"},
             Case{{0, -1}, {1, 1}, "axis 1: extent -1"},
             Case{{kMin}, {1}, "axis 0: extent"},
             Case{{std::int64_t{1} << 32, std::int64_t{1} << 32, 16}, {}, "axis 1: extent"},
             Case{{std::int64_t{1} << 62, 8}, {}, "axis 0: extent"},
             Case{{0, kMax}, {}, "axis 1: extent"},
             Case{{kMax, 0}, {}, "axis 0: extent"},
             Case{{2}, {std::int64_t{1} << 62}, "axis 0: stride"},
             Case{{2}, {kMin}, "axis 0: stride"},
             Case{{2}, {kMax}, "axis 0: stride"},
             Case{{3}, {std::int64_t{1} << 60}, "axis 0: stride"},
             Case{{0, 2}, {1, kMax}, "axis 1: stride"},
             Case{{2, 2},
                  {(std::int64_t{1} << 60) - 1, (std::int64_t{1} << 60) - 1},
                  "reach 9223372036854775804 bytes"},
             Case{{2}, {std::int64_t{1} << 55}, "reach 144115188075855876 bytes, limit 2**56"},
         }) {
        Producer producer;
        producer.set_axes(wrong.shape, wrong.strides);
        expect_refused<LayoutError>(producer, wrong.words);
    }
    for (const std::int32_t ndim : {-1, 1000000, std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::min()}) {
        Producer producer;
        producer.tensor().ndim = ndim;
        expect_refused<LayoutError>(producer, "ndim " + std::to_string(ndim));
    }
    Producer producer;
    producer.tensor().shape = nullptr;
    expect_refused<LayoutError>(producer, "shape null, ndim 2");
}

TEST(DlpackImport, RefusesAddressesThatDoNotExist) {
    Producer null;
    null.tensor().data = nullptr;
    expect_refused<LayoutError>(null, "data null, 96 bytes");
    null.tensor().byte_offset = 4096;
    expect_refused<LayoutError>(null, "data null");
    for (const std::uint64_t offset :
         {std::uint64_t{1} << 63, std::numeric_limits<std::uint64_t>::max()}) {
        Producer producer;
        producer.tensor().byte_offset = offset;
        expect_refused<LayoutError>(producer, "byte_offset " + std::to_string(offset));
    }
    Producer high;
    high.tensor().data = reinterpret_cast<void*>(std::numeric_limits<std::uintptr_t>::max() - 50);
    expect_refused<LayoutError>(high, "leave the address space");
    high.tensor().byte_offset = 100;
    expect_refused<LayoutError>(high, "leaves the address space");
    Producer low;
    low.set_axes({4, 6}, {-6, 1});
    low.tensor().data = reinterpret_cast<void*>(std::uintptr_t{16});
    expect_refused<LayoutError>(low, "leave the address space");
}

TEST(DlpackImport, RefusesUnknownTypes) {
    for (const dlpack::DataType type : {dlpack::DataType{99, 32, 1},
                                        {18, 64, 1},
                                        {3, 64, 1},
                                        {2, 0, 1},
                                        {0, 7, 1},
                                        {0, 128, 1},
                                        {2, 128, 1},
                                        {5, 32, 1},
                                        {6, 1, 1},
                                        {15, 8, 1},
                                        {17, 8, 1},
                                        {2, 32, 0},
                                        {2, 32, 4},
                                        {2, 32, 65535},
                                        {0, 255, 65535}}) {
        Producer producer;
        producer.tensor().dtype = type;
        expect_refused<FormatError>(producer, "DLPack");
    }
}

TEST(DlpackImport, ItemsUnderEightBitsArePackedUnlessTheFlagSaysPadded) {
    Producer producer;
    producer.tensor().dtype = {dlpack::kInt, 4, 1};
    EXPECT_EQ(producer.view().format(), Format("T{4t:int4:}"));
    Producer legacy;
    legacy.tensor().dtype = {dlpack::kInt, 4, 1};
    EXPECT_EQ(legacy.legacy_view().format(), Format("T{4t:int4:}"));
    producer.versioned.flags = dlpack::kSubbytePadded;
    EXPECT_EQ(producer.view().format(), Format("T{B:int4:}"));
}

TEST(DlpackImport, KeepsEveryDeviceOfTheStandard) {
    for (const std::int32_t type : {1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}) {
        Producer producer;
        producer.tensor().device = {type, 2};
        const View view = producer.view();
        EXPECT_EQ(static_cast<std::int32_t>(view.device().type), type);
        EXPECT_EQ(view.device().id, type == 1 || type == 3 || type == 13 ? 0 : 2);
    }
    for (const std::int32_t type : {0, -1, 5, 6, 19, std::numeric_limits<std::int32_t>::max()}) {
        Producer producer;
        producer.tensor().device = {type, 0};
        expect_refused<BufferError>(producer, "device type " + std::to_string(type));
    }
    Producer producer;
    producer.tensor().device = {2, -1};
    expect_refused<BufferError>(producer, "device id -1");
}

TEST(DlpackImport, OtherMajorVersionsAreRefusedUnread) {
    for (const std::uint32_t major : {0u, 2u, 99u}) {
        Producer producer;
        producer.versioned.version = {major, 0};
        producer.tensor().shape = reinterpret_cast<std::int64_t*>(std::uintptr_t{8});
        EXPECT_THROW(producer.view(), BufferError);
        EXPECT_EQ(producer.deleted, 0);
    }
    Producer minor;
    minor.versioned.version = {1, 99};
    EXPECT_EQ(minor.view().nbytes(), 96);
    EXPECT_THROW(from_dlpack(static_cast<DLManagedTensor*>(nullptr)), BufferError);
}

TEST(DlpackImport, WhatWeExportComesBack) {
    Producer producer;
    producer.set_axes({3, 1, 4}, {8, 77, -2});
    producer.tensor().byte_offset = 24;
    View view = producer.view();
    const View back = from_dlpack(to_dlpack(view.as_readonly()));
    EXPECT_EQ(back.data(), view.data());
    EXPECT_EQ(back.layout(), view.layout());
    EXPECT_TRUE(back.readonly());
    EXPECT_NE(back.allocation(), view.allocation());
    view.release();
    EXPECT_EQ(producer.deleted, 0);
}

// What is read in one pass is what the long way finds, and never what that refuses.
TEST(DlpackImport, HostTensorsAreReadAlike) {
    constexpr std::int64_t kExtents[] = {1, 1, 2, 3, 5, 1000, 0, -1, std::int64_t{1} << 40, kMax};
    constexpr std::int64_t kSteps[] = {1,  2,  3,    0,    -1,  -7,
                                       40, -9, kMax, kMin, 100, std::int64_t{1} << 61};
    constexpr std::uint8_t kBits[] = {8, 16, 32, 64, 128, 0, 4, 24};
    std::mt19937 random(1);
    const auto pick = [&](const auto& from) {
        return from[std::uniform_int_distribution<std::size_t>(0, std::size(from) - 1)(random)];
    };
    const auto one_in = [&](int n) { return std::uniform_int_distribution<>(1, n)(random) == 1; };
    int alike = 0;
    for (int i = 0; i < 200000; ++i) {
        Producer producer;
        const auto ndim = std::uniform_int_distribution<std::size_t>(0, 4)(random);
        std::vector<std::int64_t> extents(ndim), steps(one_in(9) ? 0 : ndim);
        for (auto& extent : extents)
            extent = one_in(8) ? pick(kExtents) : kExtents[2 + i % 3];
        for (auto& step : steps)
            step = pick(kSteps);
        producer.set_axes(extents, steps);
        dlpack::Tensor& tensor = producer.tensor();
        tensor.dtype = {static_cast<std::uint8_t>(random() % 20), pick(kBits),
                        static_cast<std::uint16_t>(one_in(9) ? 2 : 1)};
        if (one_in(9)) tensor.device = {one_in(2) ? 3 : 1, static_cast<int>(random() % 3) - 1};
        if (one_in(9)) tensor.byte_offset = one_in(2) ? 8 : std::uint64_t{1} << 63;
        if (one_in(9)) tensor.data = reinterpret_cast<void*>(one_in(2) ? 0 : random() % 64);
        if (one_in(9)) producer.versioned.flags = random() % 8;
        if (one_in(20)) producer.versioned.version.major = one_in(2) ? 0 : 2;
        HostTensor read;
        if (!read_host_tensor(dlpack::tag(&producer.versioned), read)) continue;
        ++alike;
        const TensorDescription told = read_dlpack(dlpack::tag(&producer.versioned));
        ASSERT_EQ(read.data, told.data);
        ASSERT_EQ(Format::attach(read.format), told.format);
        ASSERT_EQ(read.layout(), told.layout);
        ASSERT_EQ(told.device, Device{});
        ASSERT_EQ(read.bounds.low, told.bounds.low);
        ASSERT_EQ(read.bounds.high, told.bounds.high);
        ASSERT_EQ(read.readonly, told.readonly);
    }
    EXPECT_GT(alike, 4000);
    HostTensor read;
    EXPECT_FALSE(read_host_tensor(nullptr, read));
    Producer usual;
    ASSERT_TRUE(read_host_tensor(dlpack::tag(&usual.versioned), read));
    EXPECT_EQ(read.nbytes(), sizeof(usual.items));
}

}  // namespace
}  // namespace devview
