// Tests of copy(), fill() and copy_to(): every route, against oracles that use none of them.
#include <functional>
#include <map>

#include "devview/error.hpp"
#include "devview/staging.hpp"
#include "emulated.hpp"
#include "src/copy/host_runs.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

using Make = std::function<View(Device, unsigned)>;

View permute(const View& view, std::initializer_list<int> axes) {
    return view.transpose(std::data(axes));
}

/// Views of shape (4, 6, 5) with 4-byte items, dense and otherwise.
const std::map<std::string, Make>& layouts() {
    static const std::map<std::string, Make> all{
        {"dense",
         [](Device d, unsigned s) {
             return make_view({4, 6, 5}, d, s);
         }},
        {"fortran",
         [](Device d, unsigned s) {
             return make_view({5, 6, 4}, d, s).transpose();
         }},
        {"rows",
         [](Device d, unsigned s) {
             return make_view({4, 6, 9}, d, s).slice(2, 2, 7);
         }},
        {"planes",
         [](Device d, unsigned s) {
             return make_view({4, 8, 5}, d, s).slice(1, 1, 7);
         }},
        {"steps",
         [](Device d, unsigned s) {
             return make_view({8, 12, 15}, d, s)
                 .slice(0, {}, {}, 2)
                 .slice(1, {}, {}, 2)
                 .slice(2, {}, {}, 3);
         }},
        {"negative",
         [](Device d, unsigned s) {
             return make_view({4, 6, 5}, d, s).slice(0, {}, {}, -1).slice(2, {}, {}, -1);
         }},
        {"reversed",
         [](Device d, unsigned s) {
             return make_view({4, 6, 5}, d, s)
                 .slice(0, {}, {}, -1)
                 .slice(1, {}, {}, -1)
                 .slice(2, {}, {}, -1);
         }},
        {"swapped",
         [](Device d, unsigned s) {
             return permute(make_view({6, 4, 5}, d, s), {1, 0, 2});
         }},
        {"odd",
         [](Device d, unsigned s) {
             // Strides that are no multiple of the itemsize, items that are not aligned.
             const View bytes = make_view({4 * 6 * 5 * 7 + 1}, d, s, Format("B"));
             const std::int64_t shape[] = {4, 6, 5}, strides[] = {6 * 5 * 7, 5 * 7, 7};
             return View(bytes.allocation(), static_cast<char*>(bytes.data()) + 1, Format("i"),
                         Layout::strided(3, shape, strides, nullptr, 4), false);
         }},
    };
    return all;
}

View broadcast(Device device, unsigned seed) {
    const std::int64_t shape[] = {4, 6, 5};
    return make_view({6, 1}, device, seed).broadcast_to(3, shape);
}

class Copy : public Emulated {
protected:
    /// Copies, and expects the items in place and every other byte of the block untouched.
    static void expect_copied(const View& dst, const View& src, const std::string& what,
                              const Stream& stream = {}) {
        const Bytes wanted = with_items(block_bytes(*dst.allocation()), dst, items(src));
        copy(dst, src, stream);
        EXPECT_EQ(block_bytes(*dst.allocation()), wanted) << what;
    }

    /// Delays what comes next on `stream` by several operations.
    static void keep_busy(const View& scratch, const Stream& stream) {
        for (int k = 0; k < 6; ++k)
            fill(scratch, "\1\1\1\1", stream);
    }

    static void expect_all_layouts(Device to, Device from) {
        for (const auto& [to_name, make_dst] : layouts()) {
            const View dst = make_dst(to, 1);
            for (const auto& [from_name, make_src] : layouts()) {
                expect_copied(
                    dst, make_src(from, 2),
                    to_string(to) + " " + to_name + " from " + to_string(from) + " " + from_name);
            }
            expect_copied(dst, broadcast(from, 2), to_name + " from broadcast");
        }
    }
};

TEST_F(Copy, EveryLayoutWithinTheHost) {
    expect_all_layouts(kCpu, kPinned);
    expect_all_layouts(kPinned, kManaged);
}

TEST_F(Copy, EveryLayoutToADevice) {
    expect_all_layouts(cuda_device(0), kCpu);
    expect_all_layouts(some_device(1), kPinned);
    expect_all_layouts(some_device(2), kManaged);
}

TEST_F(Copy, EveryLayoutFromADevice) {
    expect_all_layouts(kCpu, some_device(1));
    expect_all_layouts(kPinned, cuda_device(0));
    expect_all_layouts(kManaged, some_device(2));
}

TEST_F(Copy, EveryLayoutWithinADevice) { expect_all_layouts(some_device(1), some_device(1)); }

TEST_F(Copy, EveryLayoutBetweenDevices) { expect_all_layouts(cuda_device(2), cuda_device(1)); }

TEST_F(Copy, DestinationThatStandsStillKeepsTheLastItem) {
    for (const Device to : {kCpu, kPinned, cuda_device(0), some_device(1)}) {
        const View row = make_view({6, 1}, to);
        const std::int64_t shape[] = {4, 6, 5};
        const View dst = row.broadcast_to(3, shape);
        const View src = make_view({4, 6, 5}, cuda_device(0), 2);
        copy(dst, src);
        EXPECT_EQ(items(row), items(src.index(0, 3).slice(1, 4, 5))) << to_string(to);
    }
}

TEST_F(Copy, SuboffsetsOfTheHostAreFollowed) {
    View rows[] = {make_view({5}, kCpu, 1), make_view({5}, kCpu, 2), make_view({5}, kCpu, 3)};
    void* pointers[] = {rows[0].data(), rows[1].data(), rows[2].data()};
    const std::int64_t shape[] = {3, 5}, strides[] = {sizeof(void*), 4}, suboffsets[] = {0, -1};
    const auto block = Allocation::adopt(pointers, sizeof(pointers), kCpu, nullptr);
    const View view(block, pointers, Format("i"), Layout::strided(2, shape, strides, suboffsets, 4),
                    false);
    const View device = make_view({3, 5}, cuda_device(0), 9);
    copy(device, view);
    Bytes wanted = items(rows[0]);
    for (int k = 1; k < 3; ++k) {
        const Bytes row = items(rows[k]);
        wanted.insert(wanted.end(), row.begin(), row.end());
    }
    EXPECT_EQ(items(device), wanted);
    put_block(*device.allocation(), pattern(60, 20));
    copy(view, device);
    Bytes got;
    for (const View& row : rows) {
        const Bytes part = items(row);
        got.insert(got.end(), part.begin(), part.end());
    }
    EXPECT_EQ(got, pattern(60, 20));
}

TEST_F(Copy, OverlapIsAsIfThroughATemporary) {
    for (const Device device : {kCpu, kPinned, kManaged, cuda_device(0)}) {
        const View all = make_view({100}, device);
        expect_copied(all.slice(0, 10, 60), all.slice(0, 0, 50), "forwards " + to_string(device));
        expect_copied(all.slice(0, 0, 50), all.slice(0, 10, 60), "backwards " + to_string(device));
        expect_copied(all, all.slice(0, {}, {}, -1), "reversed " + to_string(device));
        expect_copied(all, all, "itself " + to_string(device));
        const View square = make_view({12, 12}, device, 3);
        expect_copied(square, square.transpose(), "transposed " + to_string(device));
    }
}

TEST_F(Copy, EmptyViewsMakeNoCall) {
    const View dst = make_view({0, 5}, cuda_device(0));
    const View src = make_view({0, 5}, kPinned);
    filler().clear_calls();
    copy(dst, src);
    fill(dst, "\0\0\0\0");
    EXPECT_TRUE(filler().counts().empty());
}

TEST_F(Copy, ZeroDimensionalViewsHaveOneItem) {
    const View src = make_view({}, cuda_device(0), 5);
    for (const Device to : {kCpu, kPinned, cuda_device(0), some_device(1)}) {
        const View dst = make_view({}, to);
        copy(dst, src);
        EXPECT_EQ(items(dst), pattern(4, 5));
    }
}

TEST_F(Copy, BadArgumentsAreRefusedBeforeAnyCall) {
    const View a = make_view({4, 3}, cuda_device(0));
    View gone = a;
    gone.release();
    const View turned = make_view({3, 4}, kCpu), halves = make_view({4, 3}, kCpu, 1, Format("h"));
    filler().clear_calls();
    EXPECT_THROW(copy(a, turned), LayoutError);
    EXPECT_THROW(copy(a, halves), LayoutError);
    EXPECT_THROW(copy(a.as_readonly(), a), BufferError);
    EXPECT_THROW(copy(a, gone), ReleasedError);
    EXPECT_THROW(copy(gone, a), ReleasedError);
    EXPECT_THROW(fill(gone, "abcd"), ReleasedError);
    EXPECT_THROW(fill(a.as_readonly(), "abcd"), BufferError);
    EXPECT_THROW(copy_to(gone, kCpu), ReleasedError);
    EXPECT_TRUE(filler().counts().empty());
}

TEST_F(Copy, WhatNoKernelCanFollowIsRefused) {
    const View a = make_view({4, 3}, cuda_device(0));
    const std::int64_t shape[] = {4, 3}, strides[] = {8, 4}, suboffsets[] = {0, -1};
    const View pointers(a.allocation(), a.data(), a.format(),
                        Layout::strided(2, shape, strides, suboffsets, 4), false);
    EXPECT_THROW(copy(make_view({4, 3}, kCpu), pointers), LayoutError);
    Allocation::Block elsewhere;
    elsewhere.device = Device{DeviceType::rocm, 0};
    const View rocm = dense_view(Allocation::adopt(std::move(elsewhere)), {0});
    EXPECT_THROW(copy(make_view({0}, kCpu), rocm), NameError);
    EXPECT_THROW(fill(rocm, "abcd"), NameError);
    const View bytes = make_view({3}, kCpu, 1, Format("B"));
    const View four = bytes.cast(Format("T{4t:int4:}")).slice(0, 0, 4);
    const View six = bytes.cast(Format("T{6t:float6_e2m3fn:}"));
    EXPECT_THROW(copy(four, six), LayoutError);
    EXPECT_THROW(copy(four, make_view({4}, kCpu, 1, Format("B"))), LayoutError);
}

TEST_F(Copy, StreamOfAnotherDeviceIsRefusedByName) {
    const View a = make_view({4}, cuda_device(0)), b = make_view({4}, kPinned);
    Filler::need_devices(3);
    const Stream other = make_stream(2);
    try {
        copy(a, b, other);
        FAIL();
    } catch (const DeviceError& error) {
        EXPECT_NE(std::string(error.what()).find("cuda:2"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("cuda:0"), std::string::npos) << error.what();
    }
    EXPECT_THROW(copy(b, a, other), DeviceError);
    EXPECT_THROW(copy(a, make_view({4}, cuda_device(1)), other), DeviceError);
    EXPECT_THROW(fill(a, "abcd", other), DeviceError);
}

TEST_F(Copy, RoutesTakeTheFewestCalls) {
    struct Case {
        const char* name;
        Device to, from;
        std::map<std::string, std::size_t> calls;
    };
    const auto total = [] {
        std::map<std::string, std::size_t> calls;
        for (const auto& [call, times] : filler().counts()) {
            if (call.rfind("cudaMemcpy", 0) == 0 || call == "cudaLaunchKernel" ||
                call == "cudaMallocAsync" || call == "cudaFreeAsync" ||
                call.find("Synchronize") != std::string::npos) {
                calls[call] = times;
            }
        }
        return calls;
    };
    const std::map<std::string, std::size_t> one_memcpy{{"cudaMemcpyAsync", 1}},
        one_pitched{{"cudaMemcpy2DAsync", 1}}, one_kernel{{"cudaLaunchKernel", 1}},
        one_peer{{"cudaMemcpyPeerAsync", 1}},
        packed{{"cudaLaunchKernel", 1},
               {"cudaMallocAsync", 1},
               {"cudaMemcpyAsync", 1},
               {"cudaFreeAsync", 1}},
        packed_peer{{"cudaLaunchKernel", 1},
                    {"cudaMallocAsync", 1},
                    {"cudaMemcpyPeerAsync", 1},
                    {"cudaFreeAsync", 1}};
    const Device d0 = cuda_device(0), d1 = cuda_device(1);
    const Case cases[] = {
        {"dense", d0, kPinned, one_memcpy},   {"dense", kPinned, d0, one_memcpy},
        {"dense", d0, kManaged, one_memcpy},  {"planes", d0, kPinned, one_pitched},
        {"planes", kPinned, d0, one_pitched}, {"steps", kPinned, d0, packed},
        {"steps", d0, kPinned, packed},       {"dense", d0, d0, one_memcpy},
        {"planes", d0, d0, one_pitched},      {"steps", d0, d0, one_kernel},
        {"dense", d0, d1, one_peer},          {"steps", d0, d1, packed_peer},
        {"fortran", kPinned, d0, packed},     {"reversed", d0, d0, one_kernel},
    };
    for (const Case& c : cases) {
        const bool to_device = c.to.type == DeviceType::cuda;
        const View dst = layouts().at(to_device ? c.name : "dense")(c.to, 1);
        const View src = layouts().at(to_device ? "dense" : c.name)(c.from, 2);
        copy(dst, src);  // settles pools
        drain();
        filler().clear_calls();
        copy(dst, src);
        EXPECT_EQ(total(), c.calls)
            << c.name << " " << to_string(c.to) << " from " << to_string(c.from);
    }
    const View f_host = layouts().at("fortran")(kPinned, 1);
    const View f_device = layouts().at("fortran")(d0, 2);
    copy(f_host, f_device);
    filler().clear_calls();
    copy(f_host, f_device);
    EXPECT_EQ(total(), one_memcpy) << "both sides dense in the same order";
}

TEST_F(Copy, PinnedCopiesReturnAtOnceAndAreOrdered) {
    const Stream first = make_stream(0), second = make_stream(0);
    const View a = make_view({64}, kPinned, 1), b = make_view({64}, cuda_device(0), 2);
    const View c = make_view({64}, kPinned, 3);
    filler().clear_calls();
    set_delay(20000);
    copy(b, a, first);
    copy(c, b, second);
    EXPECT_EQ(count("cudaEventSynchronize") + count("cudaStreamSynchronize"), 0u);
    if (filler().has(Feature::delays)) {
        EXPECT_FALSE(query(second));
    }
    EXPECT_EQ(items(c), pattern(256, 1));
}

TEST_F(Copy, HostReadersWaitForThePinnedBlock) {
    const View source = make_view({64}, cuda_device(0), 1), pinned = make_view({64}, kPinned, 2);
    const View host = make_view({64}, kCpu, 3);
    set_delay(20000);
    copy(pinned, source, make_stream(0));
    copy(host, pinned);
    EXPECT_EQ(items(host), pattern(256, 1));
}

TEST_F(Copy, WithoutTheWaitTheHostReadsOldBytes) {
    const View source = make_view({64}, cuda_device(0), 1), pinned = make_view({64}, kPinned, 2);
    set_delay(20000);
    copy(pinned, source, make_stream(0));
    Bytes seen(256);
    std::memcpy(seen.data(), pinned.data(), seen.size());  // nobody waits
    EXPECT_EQ(seen, pattern(256, 2));
}

TEST_F(Copy, PageableCopiesAreCompleteOnReturn) {
    const View device = make_view({1000}, cuda_device(0), 1), host = make_view({1000}, kCpu, 2);
    set_delay(5000);
    copy(host, device, make_stream(0));
    Bytes seen(4000);
    std::memcpy(seen.data(), host.data(), seen.size());
    EXPECT_EQ(seen, pattern(4000, 1));
    const View next = make_view({1000}, kCpu, 3);
    copy(device, next, make_stream(0));
    std::memset(next.data(), 0, 4000);
    EXPECT_EQ(items(device), pattern(4000, 3));
}

TEST_F(Copy, PeerCopiesOrderTheStreamsOfBothDevices) {
    Filler::need_devices(3);
    for (const char* layout : {"dense", "steps"}) {
        const Stream at_source = make_stream(1), at_target = make_stream(2);
        const View a = layouts().at("dense")(kPinned, 1);
        const View b = layouts().at(layout)(cuda_device(1), 2);
        const View c = layouts().at(layout)(cuda_device(2), 3);
        const View d = layouts().at("dense")(kPinned, 4);
        const Bytes wanted = items(a);
        set_delay(10000);
        copy(b, a, at_source);
        copy(c, b, at_source);
        copy(d, c, at_target);
        EXPECT_EQ(items(d), wanted) << layout << ", the source's stream";
        put_block(*a.allocation(), pattern(480, 7));
        set_delay(10000);
        copy(b, a, at_source);
        copy(c, b, at_target);
        copy(d, c, at_target);
        EXPECT_EQ(items(d), pattern(480, 7)) << layout << ", the target's stream";
        set_delay(0);
    }
}

TEST_F(Copy, PeerCopiesFollowTheStreamTheyWereGiven) {
    Filler::need_devices(3);
    const Stream at_source = make_stream(1), at_target = make_stream(2);
    const View b = layouts().at("steps")(cuda_device(1), 2);
    const View c = layouts().at("steps")(cuda_device(2), 3);
    const View other = make_view({8, 12, 15}, cuda_device(2), 4);
    const View busy = make_view({1}, cuda_device(2));
    const auto nbytes = other.allocation()->nbytes();
    set_delay(10000);
    // Somebody writes the source on the target's stream, and tells nobody.
    keep_busy(busy, at_target);
    check(runtime().MemcpyPeerAsync(b.allocation()->data(), 1, other.data(), 2, nbytes,
                                    handle_of(at_target)),
          "peer copy of the test");
    copy(c, b, at_target);
    const Bytes wanted = items_in(pattern(nbytes, 4), b);
    EXPECT_EQ(items(c), wanted);
    const View dense = layouts().at("dense")(cuda_device(1), 6);
    copy(c, dense, at_source);
    synchronize(at_source);  // and now the target must be complete, for whoever looks at it
    const auto* const there =
        static_cast<const unsigned char*>(filler().peek(c.allocation()->data()));
    const Bytes seen(there, there + nbytes);
    EXPECT_EQ(items_in(seen, c), items(dense));
}

TEST_F(Copy, PeerAccessIsNotNeeded) {
    EmulatorOptions options;
    options.devices = 3;
    options.memory = kMemory;
    options.peer_access = false;
    start(options);
    expect_copied(layouts().at("steps")(cuda_device(0), 1), layouts().at("rows")(cuda_device(1), 2),
                  "no access");
}

TEST_F(Copy, WorkThatBrokeOffIsStillWaitedFor) {
    const Stream side = make_stream(0);
    View source = layouts().at("steps")(cuda_device(0), 1);
    const View pinned = layouts().at("dense")(kPinned, 2);
    const View busy = make_view({1}, cuda_device(0));
    set_delay(10000);
    keep_busy(busy, side);
    filler().fail("cudaMemcpyAsync", 1, cudaErrorInvalidValue);
    EXPECT_THROW(copy(pinned, source, side), DeviceError);
    source.release();  // the pack kernel is still queued: a free on the idle home would be fatal
}

class Chunks : public Copy {};

TEST_F(Chunks, LargePageableCopiesStayUnderThePinnedLimit) {
    constexpr std::int64_t kBytes = 96 << 20;
    set_pinned_limit(8 * kMiB);
    trim();
    const View host = make_view({kBytes}, kCpu, 1, Format("B"));
    const View device = make_view({kBytes}, cuda_device(0), 2, Format("B"));
    const View back = make_view({kBytes}, kCpu, 3, Format("B"));
    copy(device, host);
    copy(back, device);
    EXPECT_EQ(std::memcmp(back.data(), host.data(), kBytes), 0);
    expect_peak(8 * kMiB, 1);
}

TEST_F(Chunks, HostAndDeviceWorkAtTheSameTime) {
    const View device = make_view({64 << 20}, cuda_device(0), 2, Format("B"));
    const View host = make_view({64 << 20}, kCpu, 3, Format("B"));
    filler().clear_calls();
    copy(host, device);
    // The device has the next chunk to fill before the host waits for the first.
    const auto calls = filler().calls();
    const auto first_wait = std::find(calls.begin(), calls.end(), "cudaEventSynchronize");
    EXPECT_EQ(std::count(calls.begin(), first_wait, "cudaMemcpyAsync"), 2);
    EXPECT_EQ(count("cudaMemcpyAsync"), 4u);
}

TEST_F(Chunks, StridedOnBothSidesIsRightToTheByte) {
    set_pinned_limit(256 << 10);
    const View device =
        make_view({100, 301, 5}, cuda_device(0), 2).slice(1, {}, {}, -1).slice(2, 0, 5, 2);
    const View host = make_view({3, 101, 301}, kCpu, 3).slice(1, 1, {});
    const View turned = permute(host, {1, 2, 0});
    expect_copied(turned, device, "to the host");
    put_block(*host.allocation(), pattern(host.allocation()->nbytes(), 11));
    expect_copied(device, turned, "to the device");
    expect_peak(256 << 10);
}

TEST_F(Chunks, RowsLongerThanAChunkAreCut) {
    set_pinned_limit(256 << 10);
    const View device = make_view({3, 300001}, cuda_device(0), 2).slice(1, 1, {});
    const View host = make_view({3, 300000}, kCpu, 3);
    expect_copied(host, device, "to the host");
    expect_copied(device, host, "to the device");
    const View odd_host = make_view({3, 300003}, kCpu, 4).slice(1, 3, {});
    expect_copied(odd_host, device, "both pitched");
    expect_copied(device, odd_host, "both pitched, to the device");
}

TEST_F(Chunks, ChunkOfACopyThatBrokeOffIsNotReusedTooEarly) {
    const View device = make_view({16 << 10}, cuda_device(0), 2);
    const View host = make_view({16 << 10}, kCpu, 3);
    const Stream stream = make_stream(0);
    copy(device, host, stream);
    set_delay(20000);
    filler().fail("cudaEventRecord", 2, cudaErrorInvalidValue);  // after the block's, the chunk's
    EXPECT_THROW(copy(device, host, stream), DeviceError);
    const PinnedBlock chunk = PinnedBlock::take(64 << 10);
    ASSERT_EQ(count("cudaHostAlloc"), 1u) << "the test was to get the very chunk";
    std::memset(chunk.data(), 0xee, chunk.nbytes());
    EXPECT_EQ(items(device), items(host));
}

TEST_F(Chunks, RunsOfAnyBytesAreGatheredAndScattered) {
    const View views[] = {layouts().at("steps")(kCpu, 1), layouts().at("negative")(kCpu, 2),
                          layouts().at("swapped")(kCpu, 3), layouts().at("planes")(kCpu, 4),
                          layouts().at("dense")(kCpu, 5)};
    for (const View& view : views) {
        const CopyPlan plan =
            plan_copy(Layout::contiguous(3, view.shape(), 4), view.layout(), 4, false);
        const Bytes all = items(view);
        for (std::size_t first = 0; first < all.size(); first += 13) {
            for (std::size_t nbytes = 1; first + nbytes <= all.size(); nbytes += 29) {
                const auto offset = static_cast<std::int64_t>(first);
                const auto length = static_cast<std::int64_t>(nbytes);
                Bytes run(nbytes);
                gather_run(plan, run.data(), view.data(), offset, length);
                const auto begin = all.begin() + offset;
                ASSERT_EQ(run, Bytes(begin, begin + length)) << first << " " << nbytes;
                for (unsigned char& byte : run)
                    byte = static_cast<unsigned char>(~byte);
                scatter_run(plan, view.data(), run.data(), offset, length);
                Bytes wanted = all;
                std::copy(run.begin(), run.end(), wanted.begin() + offset);
                ASSERT_EQ(items(view), wanted) << first << " " << nbytes;
                scatter_run(plan, view.data(), all.data(), 0,
                            static_cast<std::int64_t>(all.size()));
            }
        }
    }
}

TEST_F(Chunks, WithoutPinnedMemoryPageableChunksDo) {
    set_pinned_limit(0);
    const View device = make_view({3000, 1001}, cuda_device(0), 2).slice(1, {}, {}, 2);
    const View host = make_view({3000, 501}, kCpu, 3);
    expect_copied(host, device, "to the host");
    expect_copied(device, host, "to the device");
    expect_pinned(0);
}

TEST_F(Chunks, FullDeviceStillGivesAStridedViewAway) {
    EmulatorOptions options;
    options.devices = 3;
    options.memory = 32 * kMiB;
    start(options);
    Filler::need_memory(options.memory);
    const View device = make_view({12 << 10, 2}, cuda_device(0), 2, Format("1024s")).slice(1, 0, 1);
    const View host = make_view({12 << 10, 1}, kPinned, 3, Format("1024s"));
    const Bytes wanted = items(device);
    const View narrow = device.cast(Format("B")).slice(1, 1, {}, 3);
    const View narrow_host = make_view({12 << 10, 341}, kPinned, 4, Format("B"));
    const auto rest = allocate(6 * kMiB, cuda_device(0));
    copy(host, device);
    EXPECT_EQ(items(host), wanted);
    copy(narrow_host, narrow);  // 2 MiB are left to pack 4
    EXPECT_EQ(items(narrow_host), items(narrow));
    EXPECT_GT(count("cudaMemPoolTrimTo"), 0u) << "the test was to fill the device";
}

class Fill : public Copy {
protected:
    static void expect_filled(const View& dst, const Bytes& item) {
        Bytes all;
        for (std::int64_t n = dst.size(); n > 0; --n)
            all.insert(all.end(), item.begin(), item.end());
        const Bytes wanted = with_items(block_bytes(*dst.allocation()), dst, all);
        fill(dst, item.data());
        EXPECT_EQ(block_bytes(*dst.allocation()), wanted)
            << to_string(dst.device()) << " " << dst.itemsize();
    }
};

TEST_F(Fill, EveryLayoutOnEveryDevice) {
    for (const Device device : {kCpu, kPinned, kManaged, cuda_device(0), some_device(2)}) {
        for (const auto& [name, make] : layouts()) {
            expect_filled(make(device, 1), pattern(4, 77));
            expect_filled(make(device, 1), Bytes(4, 9));
        }
    }
}

TEST_F(Fill, EveryItemsize) {
    for (const char* format : {"B", "h", "3s", "Zd", "37s", "64s", "65s", "1000s"}) {
        const Format item(format);
        const View view = make_view({7, 9}, cuda_device(0), 1, item).slice(1, {}, {}, -2);
        expect_filled(view, pattern(static_cast<std::size_t>(item.itemsize()), 5));
    }
}

TEST_F(Fill, DenseViewsOfEqualBytesAreOneMemset) {
    const View view = make_view({6, 7}, cuda_device(0)).transpose().slice(0, {}, {}, -1);
    filler().clear_calls();
    fill(view, "\1\1\1\1");
    EXPECT_EQ(count("cudaMemsetAsync"), 1u);
    EXPECT_EQ(count("cudaLaunchKernel"), 0u);
    filler().clear_calls();
    fill(view, "\1\1\1\2");
    EXPECT_EQ(count("cudaMemsetAsync"), 0u);
    EXPECT_EQ(count("cudaLaunchKernel"), 1u);
}

TEST_F(Copy, CopyToMakesADenseViewAnywhere) {
    const View source = layouts().at("steps")(some_device(1), 3);
    for (const Device to : {kCpu, kPinned, kManaged, cuda_device(0), some_device(1)}) {
        for (const Order order : {Order::C, Order::F}) {
            const View made = copy_to(source, to, order);
            EXPECT_EQ(made.device(), to);
            EXPECT_TRUE(made.contiguous(order));
            EXPECT_EQ(made.format(), source.format());
            EXPECT_FALSE(made.readonly());
            EXPECT_EQ(items(made), items(source)) << to_string(to);
        }
    }
    EXPECT_EQ(copy_to(make_view({0, 3}, kCpu), cuda_device(0)).nbytes(), 0);
}

/// Runs `operation` on fresh state with the nth call of every function of the table failing, until
/// it is called less often than that. `check_done` holds after a run that did not throw.
class Sweep : public Copy {
protected:
    template <class Operation>
    void expect_strong(const std::string& what, const Operation& operation) {
#define DEVVIEW_TEST_NAME(name, parameters) "cuda" #name,
        static const char* const names[] = {
            DEVVIEW_CUDA_CALLS(DEVVIEW_TEST_NAME) "cudaLaunchKernel"};
#undef DEVVIEW_TEST_NAME
        operation();  // a block keeps the event of its last use by a raw handle
        const Level before = Level::now();
        operation();
        expect_same(Level::now(), before, what + ": clean run");
        for (const char* name : names) {
            // These two tell of errors; they have none of their own.
            const bool tells = std::string(name).find("AtLastError") != std::string::npos ||
                               std::string(name).find("GetLastError") != std::string::npos;
            if (!tells) sweep_call(what, name, before, operation);
        }
    }

    int runs_ = 0;
    int survived_ = 0;

private:
    template <class Operation>
    void sweep_call(const std::string& what, const char* name, const Level& before,
                    const Operation& operation) {
        for (int n = 1;; ++n) {
            const std::string where = what + ": " + name + " fails at " + std::to_string(n);
            filler().clear_calls();
            filler().fail(name, n,
                          std::string(name).find("Alloc") != std::string::npos
                              ? cudaErrorMemoryAllocation
                              : cudaErrorInvalidValue);
            try {
                operation();
                ++survived_;
            } catch (const DeviceError& error) {
                // Thrust has an error of its own for a device that it could not learn.
                const bool learnt =
                    error.code() == cudaErrorInvalidDevice && std::string(name) == "cudaGetDevice";
                EXPECT_TRUE(error.code() == cudaErrorInvalidValue || learnt)
                    << where << error.what();
            } catch (const OutOfMemory&) {
            }
            const bool met = count(name) >= static_cast<std::size_t>(n);
            filler().clear_faults();
            EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess) << where;
            expect_same(Level::now(), before, where);
            ASSERT_NO_THROW(operation()) << "after " << where;
            if (!met || HasFailure()) return;
            ++runs_;
            ASSERT_LT(n, 200) << where;
        }
    }
};

TEST_F(Sweep, Allocation) {
    const Device last = some_device(1);
    const Stream stream = make_stream(last.id);
    for (const Device device : {last, kPinned, kManaged}) {
        const Stream on = device == last ? stream : Stream{};
        expect_strong("allocate " + to_string(device), [&] {
            const auto block = allocate_zeroed(1000, device, on);
            EXPECT_EQ(live_allocation_count(), 1u);
        });
    }
    expect_strong("raw", [&] { allocate(10, last, Stream::raw(last, stream.handle())); });
    EXPECT_GT(runs_, 10);
}

TEST_F(Sweep, Resize) {
    const Stream stream = make_stream(0);
    expect_strong("resize", [&] {
        const auto block = allocate(1000, cuda_device(0), stream);
        fill(dense_view(block, {1000}, Format("B")), "\7", make_stream(0));
        const void* const data = block->data();
        try {
            resize(block, 2000);
            EXPECT_EQ(block->nbytes(), 2000u);
        } catch (const Error&) {
            EXPECT_EQ(block->nbytes(), 1000u);
            EXPECT_EQ(block->data(), data);
            throw;
        }
    });
}

TEST_F(Sweep, CopiesAcrossTheBus) {
    const View device = layouts().at("steps")(cuda_device(0), 1);
    const View host = layouts().at("negative")(kCpu, 2);
    const View pinned = layouts().at("dense")(kPinned, 3);
    const Stream stream = make_stream(0);
    expect_strong("to the host", [&] { copy(host, device, stream); });
    expect_strong("to the device", [&] { copy(device, host, stream); });
    expect_strong("to pinned", [&] { copy(pinned, device, stream); });
    expect_strong("from pinned", [&] { copy(device, pinned, stream); });
    const Stream raw = Stream::raw(cuda_device(0), stream.handle());
    expect_strong("raw stream", [&] { copy(device, pinned, raw); });
    EXPECT_GT(runs_, 50);
}

TEST_F(Sweep, ChunkedCopies) {
    set_pinned_limit(256 << 10);
    const View device = make_view({6000, 3}, cuda_device(0), 1, Format("16s")).slice(1, 0, 2);
    const View host = make_view({6000, 2}, kCpu, 1, Format("16s"));
    expect_strong("to the host", [&] { copy(host, device); });
    expect_strong("to the device", [&] { copy(device, host); });
}

TEST_F(Sweep, CopiesOnAndBetweenDevices) {
    const View a = layouts().at("steps")(cuda_device(0), 1);
    const View b = layouts().at("negative")(cuda_device(0), 2);
    const View c = layouts().at("swapped")(cuda_device(1), 2);
    expect_strong("strided", [&] { copy(a, b); });
    expect_strong("overlapping", [&] { copy(b, b.slice(0, {}, {}, -1)); });
    expect_strong("peer", [&] { copy(c, a); });
    const Stream stream = make_stream(0);
    expect_strong("peer on the source's stream", [&] { copy(c, a, stream); });
}

TEST_F(Sweep, Fills) {
    const View view = layouts().at("steps")(cuda_device(0), 1);
    const View large = make_view({8}, cuda_device(0), 1, Format("100s")).slice(0, {}, {}, 2);
    const View dense = make_view({100}, some_device(1), 1);
    const Bytes item = pattern(100, 1);
    expect_strong("kernel", [&] { fill(view, item.data()); });
    expect_strong("large", [&] { fill(large, item.data()); });
    expect_strong("memset", [&] { fill(dense, "\1\1\1\1"); });
}

TEST_F(Sweep, Stagings) {
    const View view = layouts().at("steps")(some_device(1), 1);
    expect_strong("read-only", [&] {
        Staging staging(view, false);
        staging.wait();
    });
    const auto write_back = [&] {
        Staging staging(view, true);
        staging.wait();
        std::memset(staging.data(), 5, staging.nbytes());
        staging.finish();
    };
    expect_strong("writable", write_back);
    set_pinned_limit(100);
    expect_strong("pageable", write_back);
}

}  // namespace
}  // namespace devview::testing
