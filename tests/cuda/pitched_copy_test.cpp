// Tests of copies that one 2D or 3D memcpy does, and of those that look like it and are not.
#include "src/copy/pitched_copy.hpp"

#include "devview/copy_plan.hpp"
#include "devview/staging.hpp"
#include "routes.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

const Calls kOneBox{{"cudaMemcpy3DAsync", 1}};
const Calls kOneKernel{{"cudaLaunchKernel", 1}};
const Calls kPacked{
    {"cudaLaunchKernel", 1}, {"cudaMallocAsync", 1}, {"cudaMemcpyAsync", 1}, {"cudaFreeAsync", 1}};

/// (4, 5, 20) of (6, 9, 32) 4-byte items: rows of 80 bytes.
View box(Device device, unsigned seed) {
    return make_view({6, 9, 32}, device, seed).slice(0, 1, 5).slice(1, 2, 7).slice(2, 3, 23);
}

View dense(Device device, unsigned seed) { return make_view({4, 5, 20}, device, seed); }

/// Rows of 80 bytes, `row` and `slice` bytes apart.
View spaced(Device device, unsigned seed, std::int64_t slice, std::int64_t row) {
    const View bytes = make_view({4 * slice + 5 * row}, device, seed, Format("B"));
    const std::int64_t shape[] = {4, 5, 20}, strides[] = {slice, row, 4};
    return View(bytes.allocation(), bytes.data(), Format("i"),
                Layout::strided(3, shape, strides, nullptr, 4), false);
}

using Pitched = Routes;

TEST_F(Pitched, SubBoxesAreOneMemcpyInEveryDirection) {
    const Device d = some_device(1);
    for (const Device host : {kPinned, kManaged}) {
        const std::string name = to_string(host);
        expect_route("box to dense " + name, dense(host, 1), box(d, 2), kOneBox);
        expect_route("box from dense " + name, box(d, 1), dense(host, 2), kOneBox);
        expect_route("dense to box of " + name, box(host, 1), dense(d, 2), kOneBox);
        expect_route("dense from box of " + name, dense(d, 1), box(host, 2), kOneBox);
        expect_route("box to box of " + name, box(host, 1), box(d, 2), kOneBox);
    }
    expect_route("within the device", box(d, 1), box(d, 2), kOneBox);
    expect_route("with steps of rows", dense(d, 1), spaced(d, 2, 7 * 96, 96), kOneBox);
    expect_route("both axes reversed on both sides", box(d, 1).slice(0, {}, {}, -1),
                 box(d, 2).slice(0, {}, {}, -1), kOneBox);
}

TEST_F(Pitched, StagingOfASubBoxIsOneMemcpyThereAndOneBack) {
    const View view = box(cuda_device(0), 3);
    Bytes wanted = block_bytes(*view.allocation());
    { Staging(view, false).wait(); }
    filler().clear_calls();
    {
        Staging staging(view, true);
        staging.wait();
        const Bytes before = items(view);
        EXPECT_EQ(std::memcmp(staging.data(), before.data(), before.size()), 0);
        filler().clear_calls();
        const Bytes fresh = pattern(staging.nbytes(), 9);
        std::memcpy(staging.data(), fresh.data(), fresh.size());
        wanted = with_items(wanted, view, fresh);
    }
    EXPECT_EQ(moves(), kOneBox);
    EXPECT_EQ(block_bytes(*view.allocation()), wanted);
}

TEST_F(Pitched, WhatTheCopyEngineCannotSayIsAKernel) {
    const Device d = cuda_device(0);
    const View narrow = make_view({6, 9, 32}, d, 2).slice(1, 2, 7).slice(2, 3, 18);
    expect_route("rows of 60 bytes", make_view({6, 5, 15}, d, 1), narrow, kOneKernel);
    expect_route("slices of no whole number of rows", dense(d, 1), spaced(d, 2, 5 * 96 + 4, 96),
                 kOneKernel);
    expect_route("and across the bus", dense(kPinned, 1), spaced(d, 2, 5 * 96 + 4, 96), kPacked);
    expect_route("slices that interleave", dense(d, 1), spaced(d, 2, 96, 4 * 96), kOneKernel);
    expect_route("rows that overlap", dense(d, 1), spaced(d, 2, 480, 40), kOneKernel);
    expect_route("slices that overlap", dense(d, 1), spaced(d, 2, 2 * 96, 96), kOneKernel);
    expect_route("one side reversed", dense(d, 1), box(d, 2).slice(1, {}, {}, -1), kOneKernel);
    const std::int64_t shape[] = {4, 5, 20};
    expect_route("rows that repeat", dense(d, 1), make_view({5, 20}, d, 2).broadcast_to(3, shape),
                 kOneKernel);
    const View deep = make_view({2, 3, 4, 40}, d, 2);
    const View part = make_view({4, 5, 6, 50}, d, 3).slice(0, 1, 3).slice(1, 1, 4).slice(2, 1, 5);
    expect_route("three axes of rows", deep, part.slice(3, 5, 45), kOneKernel);
}

TEST_F(Pitched, PitchesEndAtTheDevicesLimit) {
    CopyPlan plan{};
    const auto rows = [&](std::int64_t pitch) {
        plan.ndim = 1;
        plan.unit = plan.dst_strides[0] = 4096;
        plan.count = plan.extents[0] = 3;
        plan.src_strides[0] = pitch;
        return copies_pitched(plan);
    };
    EXPECT_TRUE(rows(2147483647));
    EXPECT_FALSE(rows(2147483648));
    const auto slices = [&](std::int64_t slice, std::int64_t pitch) {
        plan.ndim = 2;
        plan.extents[0] = plan.extents[1] = 2;
        plan.dst_strides[0] = 8192;
        plan.dst_strides[1] = 4096;
        plan.src_strides[0] = slice;
        plan.src_strides[1] = pitch;
        return copies_pitched(plan);
    };
    EXPECT_TRUE(slices(std::int64_t{1} << 40, 4096)) << "slices may be any number of rows apart";
    EXPECT_FALSE(slices(std::int64_t{1} << 33, std::int64_t{1} << 32));
}

TEST_F(Pitched, LongerPitchesAreRefusedByTheRuntime) {
    const View device = make_view({1000}, cuda_device(0), 1),
               pinned = make_view({1000}, kPinned, 2);
    const std::size_t longest = 2147483647;
    const auto rows = [&](std::size_t pitch) {
        return runtime().Memcpy2DAsync(device.data(), 64, pinned.data(), pitch, 64, 1,
                                       cudaMemcpyHostToDevice, cudaStreamLegacy);
    };
    EXPECT_EQ(rows(longest), cudaSuccess);
    if (runtime().emulated) {
        EXPECT_EQ(rows(longest + 1), cudaErrorInvalidPitchValue);
        EXPECT_EQ(runtime().GetLastError(), cudaErrorInvalidPitchValue);
    }
}

TEST_F(Pitched, PageableBoxesAreCutAtSlices) {
    set_pinned_limit(256 << 10);  // chunks of 64 KiB, which end inside of rows and slices
    const Device d = some_device(2);
    const View device = make_view({7, 60, 300}, d, 2).slice(1, 3, 53).slice(2, 11, 290);
    const View host = make_view({7, 50, 279}, kCpu, 3);
    filler().clear_calls();
    copy(host, device);
    EXPECT_EQ(count("cudaLaunchKernel"), 0u);
    EXPECT_EQ(count("cudaMallocAsync"), 0u);
    // 391 kB in 7 chunks: whole slices, and a part of one before and after them.
    EXPECT_EQ(count("cudaMemcpyAsync"), 0u);
    EXPECT_LE(count("cudaMemcpy2DAsync") + count("cudaMemcpy3DAsync"), 3u * 7);
    EXPECT_EQ(items(host), items(device));
    const Bytes wanted = with_items(block_bytes(*device.allocation()), device,
                                    pattern(host.allocation()->nbytes(), 8));
    put_block(*host.allocation(), pattern(host.allocation()->nbytes(), 8));
    copy(device, host);
    EXPECT_EQ(block_bytes(*device.allocation()), wanted);
}

TEST_F(Pitched, SlicesOfAFewRowsAreCopiedManyAtATime) {
    set_pinned_limit(256 << 10);
    const View device = make_view({500, 5, 100}, cuda_device(0), 2).slice(1, 1, 4).slice(2, 0, 90);
    const View host = make_view({500, 3, 90}, kCpu, 3);
    filler().clear_calls();
    copy(host, device);
    EXPECT_GE(count("cudaMemcpy3DAsync"), 9u) << "540 kB in chunks of 64 KiB";
    EXPECT_LE(count("cudaMemcpy2DAsync") + count("cudaMemcpy3DAsync"), 27u);
    EXPECT_EQ(items(host), items(device));
}

}  // namespace
}  // namespace devview::testing
