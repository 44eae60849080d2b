// Arrow arrays without Python: views out and in, children moved away, releases counted.
#include "devview/arrow.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"

namespace devview {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

/// 24 ints with a count of how often they were given back.
struct Memory {
    std::array<std::int32_t, 24> items{};
    int released = 0;

    View view(std::vector<std::int64_t> shape, char code = 'i') {
        auto allocation =
            Allocation::adopt(items.data(), sizeof items, Device{}, [this](Stream) { ++released; });
        return view_of(items.data(), Format::scalar(code),
                       Layout::contiguous(static_cast<int>(shape.size()), shape.data(), 4),
                       Device{}, std::move(allocation));
    }
};

/// A foreign array of int32, without a Producer's help.
struct Foreign {
    std::array<std::int32_t, 8> items{0, 1, 2, 3, 4, 5, 6, 7};
    const void* buffers[2] = {nullptr, items.data()};
    int released = 0;
    ArrowSchema schema{};
    ArrowArray array{};

    Foreign() {
        schema.format = "i";
        schema.release = [](ArrowSchema* self) { self->release = nullptr; };
        array.length = 8;
        array.n_buffers = 2;
        array.buffers = buffers;
        array.private_data = this;
        array.release = [](ArrowArray* self) {
            ++static_cast<Foreign*>(self->private_data)->released;
            self->release = nullptr;
        };
    }
};

std::string refusal(const Foreign& foreign) {
    try {
        read_arrow(foreign.schema, foreign.array);
    } catch (const Error& error) {
        return error.what();
    }
    return "read";
}

TEST(Arrow, AViewGoesOutAndComesBack) {
    Memory memory;
    View view = memory.view({2, 3, 4});
    ArrowSchema schema{};
    ArrowArray array{};
    to_arrow_schema(view, &schema);
    to_arrow(view, &array);
    EXPECT_STREQ(schema.format, "+w:3");
    EXPECT_STREQ(schema.children[0]->children[0]->format, "i");
    EXPECT_EQ(view.allocation()->exports(), 1);

    View back = from_arrow(schema, &array);
    EXPECT_EQ(array.release, nullptr);
    EXPECT_EQ(back.data(), memory.items.data());
    EXPECT_EQ(back.layout(), view.layout());
    EXPECT_EQ(back.format(), view.format());
    EXPECT_TRUE(back.readonly());
    schema.release(&schema);
    EXPECT_EQ(schema.release, nullptr);

    view.release();
    EXPECT_EQ(memory.released, 0);
    back.release();
    EXPECT_EQ(memory.released, 1);
}

TEST(Arrow, AMovedChildKeepsTheMemory) {
    Memory memory;
    View view = memory.view({6, 4});
    ArrowArray array{};
    to_arrow(view, &array);
    view.release();
    ArrowArray child = *array.children[0];
    array.children[0]->release = nullptr;
    array.release(&array);
    EXPECT_EQ(memory.released, 0);
    EXPECT_EQ(child.length, 24);
    EXPECT_EQ(child.buffers[1], memory.items.data());
    child.release(&child);
    EXPECT_EQ(memory.released, 1);
}

TEST(Arrow, ArraysAreReleasedOnAnyThread) {
    Memory memory;
    View view = memory.view({24});
    std::vector<ArrowArray> arrays(16);
    for (ArrowArray& array : arrays)
        to_arrow(view, &array);
    view.release();
    std::vector<std::thread> threads;
    for (ArrowArray& array : arrays)
        threads.emplace_back([&array] { array.release(&array); });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(memory.released, 1);
}

TEST(Arrow, TheEventIsKeptUntilTheArrayIsReleased) {
    Memory memory;
    const View view = memory.view({24});
    auto event = std::make_shared<int>(7);
    const std::weak_ptr<int> alive = event;
    ArrowDeviceArray array{};
    to_arrow_device(view, &array, event);
    EXPECT_EQ(array.sync_event, event.get());
    EXPECT_EQ(array.device_type, ARROW_DEVICE_CPU);
    EXPECT_EQ(array.device_id, -1);
    event.reset();
    EXPECT_FALSE(alive.expired());
    array.array.release(&array.array);
    EXPECT_TRUE(alive.expired());
}

TEST(Arrow, RefusedArraysAreNotTakenOver) {
    Foreign foreign;
    foreign.array.null_count = 1;
    EXPECT_THROW(from_arrow(foreign.schema, &foreign.array), BufferError);
    EXPECT_NE(foreign.array.release, nullptr);
    EXPECT_EQ(foreign.released, 0);
    foreign.array.null_count = 0;
    { const View view = from_arrow(foreign.schema, &foreign.array); }
    EXPECT_EQ(foreign.released, 1);
}

TEST(Arrow, MemoryThatCannotBeAdoptedIsNotTakenOver) {
    Foreign foreign;
    const Adopt failing = [](Allocation::Block&&) -> std::shared_ptr<Allocation> {
        throw std::bad_alloc();
    };
    EXPECT_THROW(adopt_arrow(read_arrow(foreign.schema, foreign.array), Device{}, &foreign.array,
                             {}, failing),
                 std::bad_alloc);
    EXPECT_NE(foreign.array.release, nullptr);
    EXPECT_EQ(foreign.released, 0);
}

TEST(Arrow, OffsetsThatLeaveInt64AreRefused) {
    Foreign foreign;
    for (const std::int64_t offset : {kMax, kMax - 7, kMax - 8, kMax / 4, kMax / 4 - 7}) {
        foreign.array.offset = offset;
        EXPECT_NE(refusal(foreign).find("more than int64"), std::string::npos) << offset;
    }
    for (const std::int64_t offset : {kMax / 4 - 8, std::int64_t{1} << 54}) {
        foreign.array.offset = offset;
        EXPECT_NE(refusal(foreign).find("leave the address space"), std::string::npos) << offset;
    }
}

TEST(Arrow, ReleasedViewsAreRefused) {
    ArrowArray array{};
    EXPECT_THROW(to_arrow(View(), &array), ReleasedError);
    EXPECT_EQ(array.release, nullptr);
}

}  // namespace
}  // namespace devview
