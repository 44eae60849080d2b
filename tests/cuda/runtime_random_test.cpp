// Random work on random streams: the bytes follow a model, and the ledger comes back to zero.
#include <random>
#include <thread>

#include "cuda/emulator_fixture.hpp"

namespace devview::cuda {
namespace {

class RuntimeRandom : public EmulatorTest {
protected:
    RuntimeRandom() : EmulatorTest(make()) {}
    static EmulatorOptions make() {
        EmulatorOptions options;
        options.devices = 2;
        options.memory = 64 << 20;
        return options;
    }
};

/// Blocks with the bytes that they should hold, each in the order of one stream at a time.
class Walk {
public:
    Walk(const Runtime& runtime, unsigned seed) : r(runtime), random_(seed) {
        for (cudaStream_t& stream : streams_)
            expect(r.StreamCreateWithFlags(&stream, pick(2)));
    }

    void step() {
        switch (pick(8)) {
            case 0:
            case 1:
                add();
                break;
            case 2:
                drop();
                break;
            case 3:
                fill();
                break;
            case 4:
                hand_over();
                break;
            case 5:
                copy();
                break;
            case 6:
                check();
                break;
            default:
                replace_stream();
                break;
        }
    }
    void finish() {
        while (!blocks_.empty())
            drop();
        for (const cudaStream_t stream : streams_)
            expect(r.StreamDestroy(stream));
    }

private:
    struct Tracked {
        void* pointer;
        Bytes bytes;
        std::size_t stream;
    };

    static void expect(cudaError_t error) { ASSERT_EQ(error, cudaSuccess); }
    unsigned pick(std::size_t count) { return static_cast<unsigned>(random_() % count); }
    Tracked& any() { return blocks_[pick(blocks_.size())]; }
    cudaStream_t on(const Tracked& block) { return streams_[block.stream]; }

    void add() {
        Tracked block{nullptr, Bytes(1 + pick(5000), 0), pick(4)};
        const std::size_t nbytes = block.bytes.size();
        if (pick(3) == 0) {
            expect(r.Malloc(&block.pointer, nbytes));
        } else {
            expect(r.MallocAsync(&block.pointer, nbytes, on(block)));
        }
        expect(r.MemsetAsync(block.pointer, 0, nbytes, on(block)));
        blocks_.push_back(std::move(block));
    }
    void drop() {
        if (blocks_.empty()) return;
        std::swap(any(), blocks_.back());
        const Tracked& block = blocks_.back();
        if (r.FreeAsync(block.pointer, on(block)) != cudaSuccess) {
            expect(r.Free(block.pointer));
        }
        blocks_.pop_back();
    }
    void fill() {
        if (blocks_.empty()) return;
        Tracked& block = any();
        const std::size_t from = pick(block.bytes.size());
        const std::size_t nbytes = pick(block.bytes.size() - from + 1);
        const unsigned value = pick(256);
        expect(r.MemsetAsync(static_cast<char*>(block.pointer) + from, static_cast<int>(value),
                             nbytes, on(block)));
        std::fill_n(block.bytes.begin() + static_cast<std::ptrdiff_t>(from), nbytes,
                    static_cast<unsigned char>(value));
    }
    void order(std::size_t earlier, std::size_t later) {
        cudaEvent_t event = nullptr;
        expect(r.EventCreateWithFlags(&event, cudaEventDisableTiming));
        expect(r.EventRecord(event, streams_[earlier]));
        expect(r.StreamWaitEvent(streams_[later], event, 0));
        expect(r.EventDestroy(event));
    }
    void hand_over() {
        if (blocks_.empty()) return;
        Tracked& block = any();
        const std::size_t next = pick(4);
        order(block.stream, next);
        block.stream = next;
    }
    void copy() {
        if (blocks_.empty()) return;
        Tracked& dst = any();
        Tracked& src = any();
        if (&dst == &src) return;
        const std::size_t nbytes = pick(std::min(dst.bytes.size(), src.bytes.size()) + 1);
        order(src.stream, dst.stream);
        expect(r.MemcpyAsync(dst.pointer, src.pointer, nbytes, cudaMemcpyDefault, on(dst)));
        order(dst.stream, src.stream);
        std::copy_n(src.bytes.begin(), nbytes, dst.bytes.begin());
    }
    void check() {
        if (blocks_.empty()) return;
        const Tracked& block = any();
        Bytes seen(block.bytes.size());
        expect(
            r.MemcpyAsync(seen.data(), block.pointer, seen.size(), cudaMemcpyDefault, on(block)));
        ASSERT_EQ(seen, block.bytes);
    }
    void replace_stream() {
        const std::size_t old = pick(4);
        for (Tracked& block : blocks_) {
            if (block.stream != old) continue;
            block.stream = (old + 1) % 4;
            order(old, block.stream);
        }
        expect(r.StreamDestroy(streams_[old]));
        expect(r.StreamCreateWithFlags(&streams_[old], pick(2)));
    }

    const Runtime& r;
    std::mt19937 random_;
    cudaStream_t streams_[4] = {};
    std::vector<Tracked> blocks_{};
};

TEST_F(RuntimeRandom, AThousandStepsEndAtZero) {
    for (unsigned seed = 0; seed < 5; ++seed) {
        Walk walk(*r, seed);
        for (int i = 0; i < 1000 && !HasFatalFailure(); ++i)
            walk.step();
        walk.finish();
        DV_OK(r->DeviceSynchronize());
        expect_nothing_alive();
    }
}

TEST_F(RuntimeRandom, LazyStreamsGiveTheSameBytes) {
    EmulatorOptions options = options_;
    options.lazy = true;
    options.recycle_streams = true;
    start(options);
    Walk walk(*r, 99);
    for (int i = 0; i < 1000 && !HasFatalFailure(); ++i)
        walk.step();
    walk.finish();
}

TEST_F(RuntimeRandom, ThreadsShareTheMachine) {
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
        threads.emplace_back([this, seed] {
            EXPECT_EQ(r->SetDevice(static_cast<int>(seed % 2)), cudaSuccess);
            Walk walk(*r, seed);
            for (int i = 0; i < 300; ++i)
                walk.step();
            walk.finish();
        });
    }
    for (std::thread& thread : threads)
        thread.join();
}

}  // namespace
}  // namespace devview::cuda
