// Memory of ours that others know by its address alone.
#include "devview/cuda/pluggable.h"

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "devview/allocation.hpp"
#include "devview/cuda/abi.hpp"
#include "devview/error.hpp"
#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/postponed.hpp"

namespace devview::cuda {

namespace {

/// The caller orders all uses, and names the stream of the free at the free: the one of the
/// allocation may be gone by then, as RMM and CUDA allow.
class OrderedByCaller final : public StreamUses {
public:
    void record(const Stream&) override {}
    void order(const Stream&) override {}
    void wait() override {}
    Stream join() noexcept override { return at_; }
    bool postpone(std::unique_ptr<StreamUses>& self, Release release,
                  void* context) noexcept override {
        return !driver_gone() && !work_runs(at_) && cuda::postpone(self, release, context);
    }
    void free_on(Stream stream) noexcept { at_ = std::move(stream); }

private:
    Stream at_{};
};

struct Lent {
    std::shared_ptr<Allocation> allocation;
    OrderedByCaller* uses = nullptr;
};

/// Who has which address. No lock is held while memory is made or given back.
class LentBlocks {
public:
    void add(void* data, Lent block) {
        const std::lock_guard lock(mutex_);
        blocks_.insert_or_assign(data, std::move(block));
    }
    Lent take(void* data) noexcept {
        const std::lock_guard lock(mutex_);
        const auto found = blocks_.find(data);
        if (found == blocks_.end()) return {};
        Lent block = std::move(found->second);
        blocks_.erase(found);
        return block;
    }

private:
    std::mutex mutex_{};
    std::unordered_map<void*, Lent> blocks_{};
};

/// Leaked on purpose: others free after static destructors have run.
LentBlocks& lent_blocks() {
    static LentBlocks* const blocks = new LentBlocks;
    return *blocks;
}

Stream named_stream(int device, CUstream_st* handle) {
    return Stream::raw(Device{DeviceType::cuda, device}, handle ? handle : cudaStreamLegacy);
}

}  // namespace

}  // namespace devview::cuda

using namespace devview;
using namespace devview::cuda;

void* devview_torch_alloc(ssize_t size, int device, CUstream_st* stream) {
    if (size < 0) {
        throw LayoutError("devview_torch_alloc: " + std::to_string(size) +
                          " bytes, must not be negative");
    }
    if (size == 0) return nullptr;
    auto uses = std::make_unique<OrderedByCaller>();
    Lent block;
    block.uses = uses.get();
    const Stream on = named_stream(device, stream);
    uses->free_on(on);  // until a free names another
    block.allocation = allocate_device(static_cast<std::size_t>(size), device, on, std::move(uses));
    void* const data = block.allocation->data();
    lent_blocks().add(data, std::move(block));
    return data;
}

void devview_torch_free(void* data, ssize_t, int, CUstream_st* stream) {
    if (data == nullptr) return;
    try {
        Lent block = lent_blocks().take(data);
        if (!block.allocation) {
            report_release_error("devview_torch_free: the address is of no living block");
            return;
        }
        block.uses->free_on(named_stream(block.allocation->device().id, stream));
    } catch (const std::exception& error) {
        // Only the stream's handle can fail to be made: the block went back on its own stream.
        report_release_error(error.what());
    }
}
