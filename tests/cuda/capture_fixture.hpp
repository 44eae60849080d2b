// A stream to capture, graphs that end themselves, and what must hold of a refused call.
#pragma once

#include <functional>
#include <string>

#include "cuda/emulated.hpp"
#include "devview/error.hpp"

namespace devview::testing {

class Capture : public Emulated {
protected:
    void SetUp() override {
        Emulated::SetUp();
        cuda::filler().need(cuda::Feature::capture);
        on_ = cuda::make_stream(0);
    }
    void TearDown() override {
        on_ = Stream{};
        Emulated::TearDown();
    }

    void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) { begin(on_, mode); }
    static void begin(const Stream& on, cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
        ASSERT_EQ(cuda::runtime().StreamBeginCapture(cuda::handle_of(on), mode), cudaSuccess);
    }

    /// An instantiated graph.
    class Graph {
    public:
        explicit Graph(const Stream& on) : on_(on) {
            cudaGraph_t graph = nullptr;
            EXPECT_EQ(cuda::runtime().StreamEndCapture(cuda::handle_of(on), &graph), cudaSuccess);
            if (!graph) return;
            EXPECT_EQ(cuda::runtime().GraphInstantiate(&exec_, graph, 0), cudaSuccess);
            EXPECT_EQ(cuda::runtime().GraphDestroy(graph), cudaSuccess);
        }
        ~Graph() {
            if (!exec_) return;
            EXPECT_EQ(cuda::runtime().GraphExecDestroy(exec_), cudaSuccess);
        }
        Graph(const Graph&) = delete;
        Graph& operator=(const Graph&) = delete;
        void launch() const {
            ASSERT_NE(exec_, nullptr);
            ASSERT_EQ(cuda::runtime().GraphLaunch(exec_, cuda::handle_of(on_)), cudaSuccess);
            ASSERT_EQ(cuda::runtime().StreamSynchronize(cuda::handle_of(on_)), cudaSuccess);
        }

    private:
        Stream on_;
        cudaGraphExec_t exec_ = nullptr;
    };

    /// The capture is as it was: it can be ended, and nothing is in it but what was put there.
    void expect_valid_capture() { const Graph graph(on_); }

    /// What `work` does in a replay is what it does at once: three replays with changed sources,
    /// compared with the same work on other views of the same kind.
    struct Sides {
        View dst;
        View src;
    };
    void expect_replays(const std::function<Sides()>& make,
                        const std::function<void(const View&, const View&, const Stream&)>& work) {
        const Sides captured = make();
        const Sides eager = make();
        const Bytes untouched = block_bytes(*captured.dst.allocation());
        begin();
        work(captured.dst, captured.src, on_);
        const Graph graph(on_);
        ASSERT_EQ(block_bytes(*captured.dst.allocation()), untouched) << "it ran while captured";
        for (unsigned seed = 100; seed < 103; ++seed) {
            const Bytes source = pattern(captured.src.allocation()->nbytes(), seed);
            put_block(*captured.src.allocation(), source);
            put_block(*eager.src.allocation(), source);
            work(eager.dst, eager.src, on_);
            graph.launch();
            EXPECT_EQ(block_bytes(*captured.dst.allocation()),
                      block_bytes(*eager.dst.allocation()));
            EXPECT_NE(block_bytes(*captured.dst.allocation()), untouched);
        }
    }

    static void expect_refused(const std::function<void()>& work,
                               cudaError_t code = cudaErrorStreamCaptureUnsupported) {
        try {
            work();
            ADD_FAILURE() << "not refused";
        } catch (const DeviceError& error) {
            EXPECT_EQ(error.code(), static_cast<int>(code)) << error.what();
            EXPECT_NE(std::string(error.what()).find("captur"), std::string::npos) << error.what();
            EXPECT_NE(std::string(error.what()).find(cuda::runtime().GetErrorName(code)),
                      std::string::npos)
                << error.what();
        }
        EXPECT_EQ(cuda::runtime().PeekAtLastError(), cudaSuccess);
    }

    /// Refused before anything is enqueued, with the capture as it was.
    void expect_refused_in_capture(const std::function<void()>& work) {
        begin();
        cuda::filler().clear_calls();
        expect_refused(work);
        for (const char* call : {"cudaMemcpyAsync", "cudaMemcpy2DAsync", "cudaMemsetAsync",
                                 "cudaLaunchKernel", "cudaMallocAsync", "cudaHostAlloc"}) {
            EXPECT_EQ(count(call), 0u) << call;
        }
        expect_valid_capture();
    }

    Stream on_{};
};

}  // namespace devview::testing
