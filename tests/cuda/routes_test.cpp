// Tests of all routes at random: any views on any devices, any order of streams, any call failing.
#include "routes.hpp"

#include "devview/copy.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

constexpr Device d0{DeviceType::cuda, 0}, d1{DeviceType::cuda, 1};

Device any_place(RandomViews& random) {
    const Device places[] = {d0, some_device(1), some_device(2), kPinned, kManaged, kCpu};
    return places[random.below(6)];
}

struct Random {
    bool peer_access;
    bool lazy;
    std::int64_t delay_us;
};

void PrintTo(const Random& random, std::ostream* out) {
    *out << (random.peer_access ? "peers" : "no peers") << (random.lazy ? ", lazy" : "")
         << (random.delay_us ? ", slow" : "");
}

class RandomRoutes : public Routes, public ::testing::WithParamInterface<Random> {
protected:
    void SetUp() override {
        Routes::SetUp();
        restart(GetParam().peer_access, GetParam().lazy);
        set_pinned_limit(16 * kMiB);
    }
};

TEST_P(RandomRoutes, OneCopyIsRightToTheByte) {
    for (unsigned seed = 0; seed < 150; ++seed) {
        RandomViews random(seed);
        const Device to = any_place(random), from = any_place(random);
        const View dst = random.make(to, 2 * seed, false);
        const View src = random.make(from, 2 * seed + 1, true);
        const Bytes wanted = with_items(block_bytes(*dst.allocation()), dst, items(src));
        set_delay(GetParam().delay_us);
        copy(dst, src);
        set_delay(0);
        ASSERT_EQ(block_bytes(*dst.allocation()), wanted)
            << "seed " << seed << ": " << to_string(to) << " from " << to_string(from);
    }
}

/// Nobody waits between the copies of a chain but devview itself.
TEST_P(RandomRoutes, ChainsAreOrderedWhateverTheStreams) {
    const Stream streams[] = {make_stream(0), make_stream(0), make_stream(some_device(1).id),
                              make_stream(some_device(2).id)};
    const auto stream_for = [&](RandomViews& random, const View& dst, const View& src) {
        const Stream& stream = streams[random.below(4)];
        const bool fits = stream.device() == dst.device() || stream.device() == src.device();
        return fits && random.below(4) ? stream : Stream{};
    };
    for (unsigned seed = 1000; seed < 1040; ++seed) {
        RandomViews random(seed);
        std::vector<View> views{random.make(kPinned, seed, true)};
        const Bytes wanted = items(views.front());
        for (unsigned k = 1; k < 6; ++k)
            views.push_back(random.make(any_place(random), seed + k, false));
        drain();
        set_delay(GetParam().delay_us);
        for (std::size_t k = 1; k < views.size(); ++k)
            copy(views[k], views[k - 1], stream_for(random, views[k], views[k - 1]));
        set_delay(0);
        ASSERT_EQ(items(views.back()), wanted) << "seed " << seed;
    }
}

INSTANTIATE_TEST_SUITE_P(All, RandomRoutes,
                         ::testing::Values(Random{true, false, 0}, Random{true, true, 0},
                                           Random{true, false, 300}, Random{false, false, 0},
                                           Random{false, true, 0}));

using HostMemory = Routes;

/// Pinned memory is portable, and managed memory belongs to all devices.
TEST_F(HostMemory, OfOneDeviceIsReachedByAnother) {
    for (const Device host : {kPinned, kManaged}) {
        for (const int maker : {0, some_device(2).id}) {
            View there;
            {
                const DeviceGuard guard(maker);
                there = make_view({6, 8, 60}, host, 1);
            }
            const View part = there.slice(2, 5, 45);
            const View device = make_view({6, 8, 40}, some_device(1), 2);
            expect_route("to the device", device, part, {{"cudaMemcpy2DAsync", 1}});
            expect_route("from the device", part, device, {{"cudaMemcpy2DAsync", 1}});
        }
    }
}

using Overlapped = Routes;

/// The device packs and sends a chunk while the host empties the one before: the work on the second
/// is enqueued before the first is waited for, in both directions.
TEST_F(Overlapped, PackingAndTheHostWorkAtTheSameTime) {
    filler().need(Feature::order);
    set_pinned_limit(256 << 10);
    const View device = make_view({300 << 10, 2}, cuda_device(0), 1, Format("B")).slice(1, 0, 1);
    const View host = make_view({300 << 10, 3}, kCpu, 2, Format("B")).slice(1, 1, 2);
    copy(host, device);
    const auto before_wait = [](const char* name) {
        const auto calls = filler().calls();
        const auto wait = std::find(calls.begin(), calls.end(), "cudaEventSynchronize");
        EXPECT_NE(wait, calls.end());
        return std::count(calls.begin(), wait, name);
    };
    filler().clear_calls();
    copy(host, device);
    EXPECT_EQ(before_wait("cudaLaunchKernel"), 2);
    EXPECT_EQ(before_wait("cudaMemcpyAsync"), 2);
    EXPECT_EQ(count("cudaLaunchKernel"), 5u) << "chunks of 64 KiB";
    EXPECT_EQ(count("cudaMallocAsync"), 1u) << "one temporary for all chunks";
    EXPECT_EQ(items(host), items(device));
    filler().clear_calls();
    copy(device, host);
    EXPECT_EQ(before_wait("cudaLaunchKernel"), 2);
    EXPECT_EQ(count("cudaLaunchKernel"), 5u);
}

class FailingRoutes : public Routes {
protected:
    using Make = View (*)(Device device, unsigned seed);

    /// The nth call of each function fails, with peers that do not know each other yet.
    void sweep(const std::string& what, Device to, Make make_dst, Device from, Make make_src) {
        filler().need(Feature::restart);
        for (const char* name :
             {"cudaMemcpyAsync", "cudaMemcpy2DAsync", "cudaMemcpy3DAsync", "cudaMemcpyPeerAsync",
              "cudaLaunchKernel", "cudaMallocAsync", "cudaFreeAsync", "cudaHostAlloc",
              "cudaEventCreateWithFlags", "cudaEventRecord", "cudaStreamWaitEvent",
              "cudaStreamIsCapturing", "cudaDeviceCanAccessPeer", "cudaDeviceEnablePeerAccess",
              "cudaDeviceGetDefaultMemPool", "cudaMemPoolSetAccess", "cudaSetDevice"}) {
            for (int n = 1; n < 50; ++n) {
                restart(true);
                const View dst = make_dst(to, 1), src = make_src(from, 2);
                const std::string where = what + ": " + name + " at " + std::to_string(n);
                if (!fails(where, name, n, dst, src)) break;
            }
        }
    }

    int failed_ = 0, survived_ = 0;

private:
    /// False once there is no nth call.
    bool fails(const std::string& where, const char* name, int n, const View& dst,
               const View& src) {
        const bool memory = std::string(name).find("Alloc") != std::string::npos;
        const auto code = memory ? cudaErrorMemoryAllocation : cudaErrorInvalidValue;
        const Bytes wanted = with_items(block_bytes(*dst.allocation()), dst, items(src));
        const Level before = Level::now();
        filler().clear_calls();
        filler().fail(name, n, code);
        bool done = false;
        try {
            copy(dst, src);
            done = true;
            ++survived_;
        } catch (const DeviceError& error) {
            EXPECT_EQ(error.code(), code) << where;
            ++failed_;
        } catch (const OutOfMemory&) {
            EXPECT_TRUE(memory) << where;
            ++failed_;
        }
        const bool met = count(name) >= static_cast<std::size_t>(n);
        filler().clear_faults();
        EXPECT_EQ(runtime().PeekAtLastError(), cudaSuccess) << where;
        if (done) {
            EXPECT_EQ(block_bytes(*dst.allocation()), wanted) << where;
        }
        const Level after = Level::now();
        EXPECT_EQ(after.emulated.device_bytes, before.emulated.device_bytes) << where;
        EXPECT_EQ(after.emulated.queued, before.emulated.queued) << where;
        EXPECT_EQ(after.pinned_live, before.pinned_live) << where;
        EXPECT_NO_THROW(copy(dst, src)) << where;
        EXPECT_EQ(block_bytes(*dst.allocation()), wanted) << where;
        return met && !HasFailure();
    }
};

View dense(Device device, unsigned seed) { return make_view({6, 8, 40}, device, seed); }
View rows(Device device, unsigned seed) {
    return make_view({6, 8, 60}, device, seed).slice(2, 5, 45);
}
View box(Device device, unsigned seed) {
    return make_view({6, 10, 50}, device, seed).slice(1, 1, 9).slice(2, 5, 45);
}
View steps(Device device, unsigned seed) {
    return make_view({12, 16, 80}, device, seed)
        .slice(0, {}, {}, 2)
        .slice(1, {}, {}, -2)
        .slice(2, {}, {}, 2);
}

TEST_F(FailingRoutes, BetweenDevices) {
    sweep("dense", d1, dense, d0, dense);
    sweep("rows", d1, rows, d0, rows);
    sweep("box", d1, box, d0, box);
    sweep("gathered", d1, dense, d0, steps);
    sweep("strided", d1, steps, d0, steps);
    EXPECT_GT(failed_, 20);
    EXPECT_GT(survived_, 40) << "access is not needed";
}

TEST_F(FailingRoutes, AcrossTheBus) {
    for (const Device host : {kPinned, kCpu}) {
        sweep("box to the host", host, dense, d1, box);
        sweep("box from the host", d1, box, host, dense);
        sweep("both", host, rows, d1, steps);
    }
    EXPECT_GT(failed_, 20);
}

}  // namespace
}  // namespace devview::testing
