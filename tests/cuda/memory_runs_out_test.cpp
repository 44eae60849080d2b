// Everything a user can ask for while host memory runs out, at each allocation in turn: an error or
// success, and nothing leaked.
#include <cstdlib>
#include <new>

#include "capture_fixture.hpp"
#include "devview/error.hpp"
#include "devview/ipc.hpp"
#include "emulator/gate.hpp"
#include "operations.hpp"

namespace {

// Of this thread: allocations until one fails, once (negative: none does).
thread_local long countdown = -1;

void* take(std::size_t size) {
    // The emulated runtime has its own memory.
    if (countdown >= 0 && !devview::cuda::emulator::Inside::here() && countdown-- == 0)
        throw std::bad_alloc();
    void* const block = std::malloc(size == 0 ? 1 : size);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

}  // namespace

void* operator new(std::size_t size) { return take(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace devview::testing {
namespace {

using namespace cuda;

class MemoryRunsOut : public Emulated {
protected:
    void SetUp() override {
        Emulated::SetUp();
        // The emulator takes its host memory on the same thread; what others do with none is
        // theirs.
        filler().need(Feature::restart);
    }

    /// Fails at the first allocation, at the second, ... until the operation gets by without one
    /// that fails.
    void sweep(const Operation& operation) {
        operation.run();  // tables, pools and caches that are kept are made here
        const Level before = Level::now();
        for (long allocation = 0; allocation < 10000; ++allocation) {
            const std::string where =
                std::string(operation.name) + ", allocation " + std::to_string(allocation);
            countdown = allocation;
            try {
                operation.run();
            } catch (const std::bad_alloc&) {
            } catch (const Error&) {  // the runtime's own word for it
            }
            const bool reached = countdown < 0;
            countdown = -1;
            expect_same(Level::now(), before, where);
            failed_releases_ = release_errors();
            if (!reached || HasFailure()) return;
        }
        ADD_FAILURE() << operation.name << ": no end";
    }
};

TEST_F(MemoryRunsOut, EveryOperationGivesBackWhatItHad) {
    for (const Operation& operation : operations()) {
        SCOPED_TRACE(operation.name);
        sweep(operation);
        if (HasFailure()) return;
    }
}

TEST_F(MemoryRunsOut, SharedBlocksToo) {
    const Device device = cuda_device(1);
    sweep({"share", [&] {
               const View view = dense_view(allocate_shareable(64, device), {16});
               (void)export_handle(view);
           }});
}

TEST_F(MemoryRunsOut, ReleasesThatMeetACapture) {
    const Stream on = make_stream(1);
    sweep({"release in a capture", [&] {
               auto block = allocate(64, cuda_device(1), on);
               synchronize(on);
               ASSERT_EQ(runtime().StreamBeginCapture(static_cast<cudaStream_t>(on.handle()),
                                                      cudaStreamCaptureModeGlobal),
                         cudaSuccess);
               block.reset();
               const long left = std::exchange(countdown, -1);
               cudaGraph_t graph = nullptr;
               // A release that finds no room to wait in ends the capture: memory goes before it.
               (void)runtime().StreamEndCapture(static_cast<cudaStream_t>(on.handle()), &graph);
               if (graph) (void)runtime().GraphDestroy(graph);
               (void)runtime().GetLastError();
               trim();
               countdown = left;
           }});
}

}  // namespace
}  // namespace devview::testing
