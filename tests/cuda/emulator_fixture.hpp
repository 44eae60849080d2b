// A test of the runtime's table that must leave nothing behind; on a fresh emulator, or on what
// there is.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cuda/contract.hpp"
#include "devview/cuda/emulation.hpp"
#include "devview/cuda/runtime.hpp"

#define DV_OK(call) ASSERT_EQ((call), cudaSuccess)

namespace devview::cuda {

using Bytes = std::vector<unsigned char>;

inline Bytes numbered(std::size_t count, unsigned first = 1) {
    Bytes bytes(count);
    for (std::size_t i = 0; i < count; ++i)
        bytes[i] = static_cast<unsigned char>(first + i * 7);
    return bytes;
}

class EmulatorTest : public testing::Test {
protected:
    EmulatorTest() : options_() {}
    explicit EmulatorTest(const EmulatorOptions& options) : options_(options) {}

    void SetUp() override { start(options_); }

    /// The machine anew, with other options.
    void start(const EmulatorOptions& options) {
        if (!filler().has(Feature::restart)) r = &runtime();  // start() may end the test
        filler().start(options);
        r = &runtime();
    }

    void TearDown() override {
        filler().clear_faults();
        filler().set_delay(0);
        filler().clear_sticky();
        int count = 0;
        EXPECT_EQ(r->GetDeviceCount(&count), cudaSuccess);
        for (int device = count - 1; device >= 0; --device) {
            EXPECT_EQ(r->SetDevice(device), cudaSuccess);
            EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
        }
        r->GetLastError();
        expect_nothing_alive();
    }

    static void expect_nothing_alive() {
        if (!filler().has(Feature::ledger)) return;  // a stand-in tells of leaks at exit
        const emulation::Objects now = filler().objects();
        EXPECT_EQ(now.device_blocks, 0u);
        EXPECT_EQ(now.device_bytes, 0u);
        EXPECT_EQ(now.pinned_blocks, 0u);
        EXPECT_EQ(now.pinned_bytes, 0u);
        EXPECT_EQ(now.managed_blocks, 0u);
        EXPECT_EQ(now.managed_bytes, 0u);
        EXPECT_EQ(now.streams, 0u);
        EXPECT_EQ(now.events, 0u);
        EXPECT_EQ(now.pools, 0u);
        EXPECT_EQ(now.queued, 0u);
        EXPECT_FALSE(emulation::busy());
    }

    /// How many of one kind the ledger has, where there is one.
    static void expect_alive(std::size_t emulation::Objects::*kind, std::size_t count) {
        if (!filler().has(Feature::ledger)) return;
        EXPECT_EQ(filler().objects().*kind, count);
    }
    /// On the emulator, what it said; others have words of their own.
    static void expect_said(const std::string& said, const char* words) {
        if (!filler().has(Feature::restart)) return;
        EXPECT_NE(said.find(words), std::string::npos) << said;
    }

    unsigned char* device(std::size_t nbytes) const {
        void* out = nullptr;
        EXPECT_EQ(r->Malloc(&out, nbytes), cudaSuccess);
        return static_cast<unsigned char*>(out);
    }
    unsigned char* pinned(std::size_t nbytes) const {
        void* out = nullptr;
        EXPECT_EQ(r->HostAlloc(&out, nbytes, cudaHostAllocDefault), cudaSuccess);
        std::memset(out, 0, nbytes);
        return static_cast<unsigned char*>(out);
    }
    unsigned char* device_async(std::size_t nbytes, cudaStream_t on) const {
        void* out = nullptr;
        EXPECT_EQ(r->MallocAsync(&out, nbytes, on), cudaSuccess);
        return static_cast<unsigned char*>(out);
    }
    cudaStream_t stream(unsigned flags = cudaStreamNonBlocking) const {
        cudaStream_t out = nullptr;
        EXPECT_EQ(r->StreamCreateWithFlags(&out, flags), cudaSuccess);
        return out;
    }
    cudaEvent_t event(unsigned flags = cudaEventDefault) const {
        cudaEvent_t out = nullptr;
        EXPECT_EQ(r->EventCreateWithFlags(&out, flags), cudaSuccess);
        return out;
    }
    /// What the device block holds, seen from outside once everything queued is done.
    Bytes content(const void* pointer, std::size_t nbytes) const {
        EXPECT_EQ(r->DeviceSynchronize(), cudaSuccess);
        if (!filler().has(Feature::peek)) return fetched(pointer, nbytes);
        const auto* at = static_cast<const unsigned char*>(filler().peek(pointer));
        EXPECT_NE(at, nullptr);
        return at ? Bytes(at, at + nbytes) : Bytes();
    }

    const Runtime* r = nullptr;
    EmulatorOptions options_;

private:
    Bytes fetched(const void* pointer, std::size_t nbytes) const {
        Bytes bytes(nbytes);
        EXPECT_EQ(r->MemcpyAsync(bytes.data(), pointer, nbytes, cudaMemcpyDefault, nullptr),
                  cudaSuccess);
        EXPECT_EQ(r->StreamSynchronize(nullptr), cudaSuccess);
        return bytes;
    }
};

/// A host function that holds its stream until opened: r->LaunchHostFunc(on, Gate::wait,
/// gate.key()).
class Gate {
public:
    Gate() : state_(make()) {}
    static void wait(void* key);
    void* key() const { return &state_; }
    void open();

private:
    struct State {
        std::mutex mutex{};
        std::condition_variable opened{};
        bool open = false;
    };
    static State& make();

    State& state_;
};

// Outlives the test: the worker may still be leaving wait() when the test has gone on.
inline Gate::State& Gate::make() {
    static auto* const all = new std::deque<State>;
    return all->emplace_back();
}

inline void Gate::wait(void* key) {
    auto& state = *static_cast<State*>(key);
    std::unique_lock<std::mutex> lock(state.mutex);
    state.opened.wait(lock, [&state] { return state.open; });
}

inline void Gate::open() {
    const std::lock_guard<std::mutex> lock(state_.mutex);
    state_.open = true;
    state_.opened.notify_all();
}

}  // namespace devview::cuda
