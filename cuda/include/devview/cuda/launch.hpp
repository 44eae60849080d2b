// Work of your own among devview's: kernels that read and write views, in the order of their
// streams, on a GPU and on an emulated device.
#pragma once

#include <exception>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "devview/allocation.hpp"
#include "devview/cuda/emulation.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

/// One piece of work on the views of one device. Made before it is enqueued, gone after that:
///
///     Launch launch({&x, &y});
///     const auto* in = launch.at(static_cast<const float*>(x.data()));
///     if (launch.emulated()) launch.on_host([=] { ... });
///     else kernel<<<blocks, threads, 0, launch.stream()>>>(in, ...);
///
/// The stream waits for what was done to the views so far, and the work is recorded as a use of
/// them: their memory is given back after it. The host waits for nothing. Between construction and
/// destruction the device of the stream is the thread's current one.
class Launch {
public:
    /// On `stream`; none: the stream of the first view that has one, else the legacy stream of the
    /// first view of device memory (device 0 where there is none).
    /// @throws ReleasedError  of a view; DeviceError.
    explicit Launch(std::initializer_list<const View*> views, const Stream& stream = {})
        : stream_(stream ? stream : stream_of(views)), guard_(stream_.device().id) {
        blocks_.reserve(views.size());
        for (const View* view : views) {
            if (view->released()) throw ReleasedError("launch: view is released");
            if (StreamUses* const uses = view->allocation()->uses()) {
                uses->order(stream_);
                blocks_.push_back(view->allocation());
            }
        }
    }
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;
    ~Launch() {
        for (const auto& block : blocks_)
            record(*block->uses());
    }

    /// For <<<...>>>, cuBLAS and the like.
    cudaStream_t stream() const noexcept { return handle_of(stream_); }
    /// True if no kernel can run, and on_host() is the way.
    bool emulated() const { return runtime().emulated; }

    /// Where the work finds what lies at `pointer`: there on a GPU; an emulated device lets nobody
    /// but its own work see its memory, which that finds elsewhere.
    template <class T>
    T* at(T* pointer) const {
        void* const twin = emulated() && pointer != nullptr ? emulation::peek(pointer) : nullptr;
        return twin != nullptr ? static_cast<T*>(twin) : pointer;
    }

    /// Runs `work()` once when the stream gets there, on a thread of the stream's. It calls neither
    /// CUDA nor devview, and ends the process if it throws. Like a GPU's kernel it does not run at
    /// all after the device has failed. @throws DeviceError.
    template <class F>
    void on_host(F work) const {
        auto held = std::make_unique<F>(std::move(work));
        check(runtime().LaunchHostFunc(stream(), &run_held<F>, held.get()), "launch");
        held.release();
    }

private:
    template <class F>
    static void CUDART_CB run_held(void* context) noexcept {
        const std::unique_ptr<F> work(static_cast<F*>(context));
        (*work)();
    }

    static Stream stream_of(std::initializer_list<const View*> views) {
        for (const View* view : views) {
            if (view->stream()) return view->stream();
        }
        for (const View* view : views) {
            if (view->device().type == DeviceType::cuda) return legacy_stream(view->device().id);
        }
        return legacy_stream(0);
    }

    void record(StreamUses& uses) const noexcept {
        try {
            uses.record(stream_);
        } catch (const std::exception& error) {
            report_release_error(error.what());
        }
    }

    Stream stream_;
    DeviceGuard guard_;
    std::vector<std::shared_ptr<Allocation>> blocks_{};
};

}  // namespace devview::cuda
