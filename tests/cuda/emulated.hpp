// What tests of device memory start from, what they must leave behind, and oracles that read and
// write memory by plain runtime calls, without the code under test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "contract.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/emulation.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/ledger.hpp"
#include "devview/view.hpp"

namespace devview::testing {

using Bytes = std::vector<unsigned char>;
using Shape = std::vector<std::int64_t>;

constexpr Device kCpu{};
constexpr Device kPinned{DeviceType::cuda_host, 0};
constexpr Device kManaged{DeviceType::cuda_managed, 0};
/// As a test numbers its devices, up to three. One that this machine has not got skips the test.
inline Device cuda_device(int id) {
    if (id > 0 && id < 3) cuda::Filler::need_devices(id + 1);
    return Device{DeviceType::cuda, id};
}
/// The device of that number, or the last one, for tests that need no particular one.
inline Device some_device(int id) {
    return Device{DeviceType::cuda, std::min(id, std::max(cuda::device_count() - 1, 0))};
}

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// Waits for everything on every device.
inline void drain() {
    const cuda::Runtime& cuda = cuda::runtime();
    for (int id = 0; id < cuda::device_count(); ++id) {
        const cuda::DeviceGuard guard(id);
        ASSERT_EQ(cuda.DeviceSynchronize(), cudaSuccess) << "device " << id;
    }
}

/// Bytes that are the same for a seed, and not for another.
inline Bytes pattern(std::size_t nbytes, unsigned seed) {
    Bytes bytes(nbytes);
    std::uint32_t state = seed * 2654435761u + 1;
    for (unsigned char& byte : bytes) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<unsigned char>(state >> 24);
    }
    return bytes;
}

/// Moves a block's bytes by one plain call; nothing of it is recorded anywhere.
inline void move_raw(void* dst, const void* src, std::size_t nbytes, int device) {
    if (nbytes == 0) return;
    const cuda::DeviceGuard guard(device);
    cuda::check(cuda::runtime().MemcpyAsync(dst, src, nbytes, cudaMemcpyDefault, cudaStreamLegacy),
                "memcpy of the test");
    cuda::check(cuda::runtime().StreamSynchronize(cudaStreamLegacy), "wait of the test");
}

inline Bytes block_bytes(const Allocation& block) {
    drain();
    Bytes bytes(block.nbytes());
    move_raw(bytes.data(), block.data(), bytes.size(), block.device().id);
    return bytes;
}

inline void put_block(const Allocation& block, const Bytes& bytes) {
    drain();
    move_raw(block.data(), bytes.data(), bytes.size(), block.device().id);
}

/// Calls each(offset) for every item in C order, offset in bytes from the view's data pointer.
template <class Each>
void for_items(const View& view, const Each& each) {
    Shape index(static_cast<std::size_t>(view.ndim()), 0);
    for (std::int64_t n = view.size(); n > 0; --n) {
        std::int64_t offset = 0;
        for (std::size_t k = 0; k < index.size(); ++k)
            offset += index[k] * view.strides()[k];
        each(offset);
        for (std::size_t k = index.size(); k-- > 0;) {
            if (++index[k] < view.shape()[k]) break;
            index[k] = 0;
        }
    }
}

/// The items that `block` (the bytes of the view's block) holds, in C order.
inline Bytes items_in(const Bytes& block, const View& view) {
    Bytes items;
    const auto base =
        static_cast<const char*>(view.data()) - static_cast<const char*>(view.allocation()->data());
    for_items(view, [&](std::int64_t offset) {
        const auto at = block.begin() + base + offset;
        items.insert(items.end(), at, at + view.itemsize());
    });
    return items;
}

inline Bytes items(const View& view) { return items_in(block_bytes(*view.allocation()), view); }

/// `block` as it should be once `items` were written to the view.
inline Bytes with_items(Bytes block, const View& view, const Bytes& items) {
    const auto base =
        static_cast<const char*>(view.data()) - static_cast<const char*>(view.allocation()->data());
    auto next = items.begin();
    for_items(view, [&](std::int64_t offset) {
        std::copy_n(next, view.itemsize(), block.begin() + base + offset);
        next += view.itemsize();
    });
    return block;
}

inline View dense_view(std::shared_ptr<Allocation> block, const Shape& shape,
                       const Format& format = Format("i")) {
    void* const data = block->data();
    return View(std::move(block), data, format,
                Layout::contiguous(static_cast<int>(shape.size()), shape.data(), format.itemsize()),
                false);
}

/// A dense view of a new block, with a pattern in it.
inline View make_view(const Shape& shape, Device device, unsigned seed = 1,
                      const Format& format = Format("i"), const Stream& stream = {}) {
    std::size_t nbytes = static_cast<std::size_t>(format.itemsize());
    for (const std::int64_t extent : shape)
        nbytes *= static_cast<std::size_t>(extent);
    View view = dense_view(allocate(nbytes, device, stream), shape, format);
    if (nbytes > 0) put_block(*view.allocation(), pattern(nbytes, seed));
    return view;
}

/// What has to be back at its level after a test or a failed call.
struct Level {
    cuda::emulation::Objects emulated;
    std::vector<std::size_t> live_bytes;
    std::size_t allocations;
    std::size_t pinned_live;

    /// After every cache is emptied.
    static Level now() {
        drain();
        cuda::trim();
        drain();
        Level level{{}, {}, live_allocation_count(), cuda::pinned_gauge().live_bytes};
        if (cuda::filler().has(cuda::Feature::ledger)) level.emulated = cuda::filler().objects();
        for (int id = 0; id < 4; ++id) {
            level.live_bytes.push_back(memory_gauge(Device{DeviceType::cuda, id}).live_bytes);
        }
        for (const Device device : {kCpu, kPinned, kManaged}) {
            level.live_bytes.push_back(memory_gauge(device).live_bytes);
        }
        return level;
    }
};

inline void expect_same(const Level& now, const Level& before, const std::string& where) {
    EXPECT_EQ(now.emulated.device_blocks, before.emulated.device_blocks) << where;
    EXPECT_EQ(now.emulated.device_bytes, before.emulated.device_bytes) << where;
    EXPECT_EQ(now.emulated.pinned_bytes, before.emulated.pinned_bytes) << where;
    EXPECT_EQ(now.emulated.managed_bytes, before.emulated.managed_bytes) << where;
    EXPECT_EQ(now.emulated.streams, before.emulated.streams) << where;
    EXPECT_EQ(now.emulated.events, before.emulated.events) << where;
    EXPECT_EQ(now.emulated.queued, before.emulated.queued) << where;
    EXPECT_EQ(now.live_bytes, before.live_bytes) << where;
    EXPECT_EQ(now.allocations, before.allocations) << where;
    EXPECT_EQ(now.pinned_live, before.pinned_live) << where;
}

/// Three devices, or as many as there are; fails if a test leaves anything alive, an error in the
/// slot, another device current, or a release that failed.
class Emulated : public ::testing::Test {
protected:
    static constexpr std::size_t kMemory = 256 * kMiB;

    void SetUp() override {
        start(machine());
        limit_ = cuda::pinned_limit();
        cuda::set_pinned_limit(64 * kMiB);
        failed_releases_ = release_errors();
        before_ = Level::now();
        cuda::filler().clear_calls();
    }

    void TearDown() override {
        cuda::Filler& filler = cuda::filler();
        filler.clear_faults();
        filler.set_delay(0);
        filler.clear_sticky();
        EXPECT_EQ(cuda::runtime().PeekAtLastError(), cudaSuccess);
        int current = -1;
        EXPECT_EQ(cuda::runtime().GetDevice(&current), cudaSuccess);
        EXPECT_EQ(current, 0);
        EXPECT_EQ(release_errors(), failed_releases_);
        expect_same(Level::now(), before_, "after the test");
        cuda::set_pinned_limit(limit_);
    }

    /// What every test starts with.
    static cuda::EmulatorOptions machine() {
        cuda::EmulatorOptions options;
        options.devices = 3;
        options.memory = kMemory;
        return options;
    }
    /// Another machine for the rest of the test.
    static void start(cuda::EmulatorOptions options) {
        if (!cuda::filler().has(cuda::Feature::restart)) options.devices = 1;
        cuda::filler().start(options);
    }

    /// Bytes of pinned memory that the runtime has given out.
    static void expect_pinned(std::size_t nbytes) {
        if (!cuda::filler().has(cuda::Feature::ledger)) return;
        EXPECT_EQ(cuda::filler().objects().pinned_bytes, nbytes);
    }

    /// The most pinned memory of this test; where there is no new machine the process's is kept.
    static void expect_peak(std::size_t nbytes, std::size_t least = 0) {
        if (!cuda::filler().has(cuda::Feature::restart)) return;
        EXPECT_LE(cuda::pinned_gauge().peak_bytes, nbytes);
        EXPECT_GE(cuda::pinned_gauge().peak_bytes, least);
    }

    static std::size_t count(const char* name) { return cuda::filler().count(name); }
    static void set_delay(std::int64_t us) { cuda::filler().set_delay(us); }

    std::uint64_t failed_releases_ = 0;

private:
    Level before_{};
    std::size_t limit_ = 0;
};

}  // namespace devview::testing
