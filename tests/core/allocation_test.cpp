// Allocations: released exactly once, never under a user, counted all the time.
#include "devview/allocation.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "devview/ledger.hpp"
#include "devview/view.hpp"

namespace devview {
namespace {

std::shared_ptr<Allocation> counted(std::atomic<int>& released, std::size_t nbytes = 16) {
    static char bytes[64];
    return Allocation::adopt(bytes, nbytes, Device{}, [&released](Stream) { ++released; });
}

View whole(const std::shared_ptr<Allocation>& allocation) {
    const auto extent = static_cast<std::int64_t>(allocation->nbytes());
    return view_of(allocation->data(), Format(), Layout::vector(extent, 1), Device{}, allocation);
}

TEST(Allocation, ReleasesOnceWhenTheLastHolderGoes) {
    std::atomic<int> released{0};
    const std::size_t before = live_allocation_count();
    auto allocation = counted(released);
    View view = whole(allocation);
    View part = view.slice(0, 2, 8);
    allocation.reset();
    view.release();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(live_allocation_count(), before + 1);
    part.release();
    EXPECT_EQ(released, 1);
    EXPECT_EQ(live_allocation_count(), before);
}

View bound_part(const View& of, std::int64_t shift, std::int64_t extent) {
    auto handle = of.allocation();
    return View(View::Bound{}, of, std::move(handle), static_cast<char*>(of.data()) + shift,
                [&] { return Layout::vector(extent, 1); });
}

TEST(Allocation, BoundViewsAreCountedWithTheOthers) {
    std::atomic<int> released{0};
    auto allocation = counted(released);
    View whole_block = whole(allocation);
    View other = whole_block;
    whole_block.bind();
    EXPECT_TRUE(whole_block.bound());
    EXPECT_EQ(allocation->views(), 2);
    View part = bound_part(whole_block, 2, 8);
    EXPECT_EQ(allocation->views(), 3);
    View copy = part;
    EXPECT_FALSE(copy.bound());
    EXPECT_EQ(allocation->views(), 4);
    View moved = std::move(part);
    EXPECT_TRUE(moved.bound());
    EXPECT_EQ(allocation->views(), 4);
    copy = std::move(moved);
    EXPECT_EQ(allocation->views(), 3);
    whole_block.release();
    other.release();
    EXPECT_EQ(allocation->views(), 1);
    EXPECT_THROW(allocation->free(), BufferError);
    copy.release();
    EXPECT_EQ(allocation->views(), 0);
    allocation->free();
    EXPECT_EQ(released, 1);
}

TEST(Allocation, ADetachedHandleCountsAsNoView) {
    std::atomic<int> released{0};
    auto allocation = counted(released);
    View view = whole(allocation);
    view.bind();
    View part = bound_part(view, 0, 4);
    std::shared_ptr<Allocation> handle = part.detach();
    EXPECT_TRUE(part.released());
    EXPECT_EQ(handle, allocation);
    EXPECT_EQ(allocation->views(), 1);
    View next(View::Bound{}, view, std::move(handle), view.data(),
              [] { return Layout::vector(1, 1); });
    EXPECT_EQ(allocation->views(), 2);
    allocation.reset();
    view.release();
    EXPECT_EQ(released, 0);
    next.release();
    EXPECT_EQ(released, 1);
}

TEST(Allocation, BoundExportsAreNamedWithTheOthers) {
    std::atomic<int> released{0};
    const auto allocation = counted(released);
    const View view = whole(allocation);
    allocation->add_bound_export();
    allocation->add_export();
    EXPECT_EQ(allocation->exports(), 2);
    try {
        allocation->free();
        FAIL() << "free() with a living view";
    } catch (const BufferError& error) {
        EXPECT_EQ(std::string(error.what()),
                  "free: 1 view and 2 exports of this allocation live, limit 0");
    }
    allocation->drop_bound_export();
    allocation->drop_export();
    EXPECT_EQ(allocation->exports(), 0);
}

TEST(Allocation, FreeIsRefusedWhileAnythingUsesIt) {
    std::atomic<int> released{0};
    const auto allocation = counted(released);
    View view = whole(allocation);
    allocation->add_export();
    try {
        allocation->free();
        FAIL() << "free() with a living view";
    } catch (const BufferError& error) {
        EXPECT_EQ(std::string(error.what()),
                  "free: 1 view and 1 export of this allocation live, limit 0");
    }
    view.release();
    EXPECT_THROW(allocation->free(), BufferError);
    allocation->drop_export();
    allocation->free();
    allocation->free();
    EXPECT_EQ(released, 1);
    EXPECT_TRUE(allocation->freed());
    EXPECT_THROW(whole(allocation), ReleasedError);
    EXPECT_THROW(allocation->add_export(), ReleasedError);
    EXPECT_EQ(allocation->views(), 0);
}

TEST(Allocation, ReleaseThatThrowsIsReportedOnce) {
    static std::string told;
    set_release_error_handler([](const char* what) { told += what; });
    const std::uint64_t before = release_errors();
    char byte = 0;
    Allocation::adopt(&byte, 1, Device{}, [](Stream) { throw std::runtime_error("no"); }).reset();
    Allocation::adopt(&byte, 1, Device{}, [](Stream) { throw 1; }).reset();
    set_release_error_handler(nullptr);
    EXPECT_EQ(release_errors(), before + 2);
    EXPECT_EQ(told, "norelease: unknown exception");
}

TEST(Allocation, PlainReleaseGetsItsDataAndStream) {
    static void* seen = nullptr;
    char byte = 0;
    const Release release = [](void* context, Stream stream) noexcept {
        seen = stream ? nullptr : context;
    };
    Allocation::adopt(&byte, 1, Device{}, release).reset();
    EXPECT_EQ(seen, &byte);
}

TEST(Allocation, ExclusiveRefusesEverybodyElse) {
    std::atomic<int> released{0};
    const auto allocation = counted(released);
    {
        const Allocation::Exclusive exclusive(*allocation, "resize");
        EXPECT_THROW(whole(allocation), ReleasedError);
        EXPECT_THROW(allocation->free(), BufferError);
        EXPECT_THROW(Allocation::Exclusive(*allocation, "resize"), BufferError);
        EXPECT_EQ(allocation->views(), 0);
        EXPECT_EQ(allocation->exports(), 0);
    }
    EXPECT_NO_THROW(whole(allocation));
    allocation->free();
    EXPECT_THROW(Allocation::Exclusive(*allocation, "resize"), ReleasedError);
}

TEST(Allocation, ExchangeSwapsBlocksAndTheirReleases) {
    std::atomic<int> first{0};
    std::atomic<int> second{0};
    const auto kept = counted(first, 16);
    auto other = counted(second, 32);
    Allocation::Exclusive(*kept, "resize").exchange(*other);
    EXPECT_EQ(kept->nbytes(), 32u);
    other.reset();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 0);
}

TEST(Allocation, FreeingAndViewingInThreadsHasOneWinner) {
    for (int round = 0; round < 200; ++round) {
        std::atomic<int> released{0};
        const auto allocation = counted(released);
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&, i] {
                try {
                    if (i % 2 == 0) {
                        allocation->free();
                    } else {
                        EXPECT_EQ(whole(allocation).nbytes(), 16);
                    }
                } catch (const Error&) {
                    // the loser of the race
                }
            });
        }
        for (std::thread& thread : threads)
            thread.join();
        allocation->free();
        EXPECT_EQ(released, 1);
    }
}

TEST(Ledger, TellsBytesOfOursAndOfOthers) {
    const MemoryGauge before = memory_gauge(Device{});
    std::atomic<int> released{0};
    const auto foreign = counted(released, 16);
    const auto own = allocate_host(1000);
    MemoryGauge now = memory_gauge(Device{});
    EXPECT_EQ(now.live_bytes, before.live_bytes + 1000);
    EXPECT_EQ(now.blocks, before.blocks + 1);
    EXPECT_EQ(now.foreign_bytes, before.foreign_bytes + 16);
    EXPECT_GE(now.peak_bytes, now.live_bytes);
    own->set_made_at("here");
    const LiveAllocation row = live_allocations().back();
    EXPECT_EQ(row.data, own->data());
    EXPECT_EQ(row.made_at, "here");
    own->free();
    foreign->free();
    now = memory_gauge(Device{});
    EXPECT_EQ(now.live_bytes, before.live_bytes);
    EXPECT_EQ(now.foreign_blocks, before.foreign_blocks);
}

TEST(HostMemory, IsAlignedAndZeroedWhereAsked) {
    for (const std::size_t nbytes : {std::size_t{0}, std::size_t{1}, std::size_t{20} << 20}) {
        const auto block = allocate_host_zeroed(nbytes);
        ASSERT_NE(block->data(), nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->data()) % kHostAlignment, 0u);
        const auto* const bytes = static_cast<const char*>(block->data());
        for (std::size_t i = 0; i < nbytes; i += 4093)
            ASSERT_EQ(bytes[i], 0);
    }
    EXPECT_THROW(allocate_host(SIZE_MAX), OutOfMemory);
    EXPECT_THROW(allocate_host(SIZE_MAX / 4), OutOfMemory);
}

}  // namespace
}  // namespace devview
