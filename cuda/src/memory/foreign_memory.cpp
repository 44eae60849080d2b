// Memory that another library owns: whether it is where it is said to be, and when it may go back.
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/shared_stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/stream.hpp"

namespace devview {

using namespace cuda;

namespace {

/// Remembers whether devview itself worked on the block: only then the host has to wait.
class WaitingUses final : public StreamUses {
public:
    explicit WaitingUses(std::unique_ptr<StreamUses> uses) : uses_(std::move(uses)) {}
    void record(const Stream& stream) override {
        used_.store(true);
        uses_->record(stream);
    }
    void order(const Stream& stream) override { uses_->order(stream); }
    void wait() override { uses_->wait(); }
    Stream join() noexcept override {
        Stream at = uses_->join();
        if (used_.load() && at) quiesce(at);
        return at;
    }
    bool postpone(std::unique_ptr<StreamUses>& self, Release release,
                  void* context) noexcept override {
        return uses_->postpone(self, release, context);
    }

private:
    std::unique_ptr<StreamUses> uses_;
    std::atomic<bool> used_{false};
};

const char* told_type(cudaMemoryType type) noexcept {
    switch (type) {
        case cudaMemoryTypeHost:
            return "pinned host memory";
        case cudaMemoryTypeDevice:
            return "device memory";
        case cudaMemoryTypeManaged:
            return "managed memory";
        default:
            return runtime().emulated ? "memory that CUDA does not know, which is emulated here"
                                      : "memory that CUDA does not know";
    }
}

/// Managed memory is device memory, too: pools of it are exported as kDLCUDA.
bool matches(cudaMemoryType type, DeviceType device) noexcept {
    if (device == DeviceType::cuda_host) return type == cudaMemoryTypeHost;
    if (device == DeviceType::cuda_managed) return type == cudaMemoryTypeManaged;
    return type == cudaMemoryTypeDevice || type == cudaMemoryTypeManaged;
}

void require_byte(const char* data, Device device) {
    const cudaPointerAttributes told = pointer_attributes(data);
    const std::string where =
        "address " + std::to_string(reinterpret_cast<std::uintptr_t>(data)) + ": ";
    if (!matches(told.type, device.type)) {
        throw BufferError(where + told_type(told.type) + ", said to be on " + to_string(device));
    }
    if (device.type == DeviceType::cuda && told.type == cudaMemoryTypeDevice &&
        told.device != device.id) {
        throw BufferError(where + "memory of cuda:" + std::to_string(told.device) +
                          ", said to be on " + to_string(device));
    }
}

/// Only a driver that is in use already can know the address: none is started for host memory.
void require_host_byte(const char* data) {
    if (!runtime_chosen()) return;
    cudaPointerAttributes told{};
    const cudaError_t status = runtime().PointerGetAttributes(&told, data);
    if (status != cudaSuccess) {
        clear_error(status);  // no driver, or memory it does not know
    } else if (told.type == cudaMemoryTypeDevice) {
        throw BufferError("address " + std::to_string(reinterpret_cast<std::uintptr_t>(data)) +
                          ": " + told_type(told.type) + ", said to be on the host");
    }
}

}  // namespace

std::unique_ptr<StreamUses> cuda::make_waiting_uses(const Stream& home) {
    return std::make_unique<WaitingUses>(make_uses(home));
}

void require_memory_on(Device device, const void* data, std::size_t nbytes) {
    if (device.type == DeviceType::cpu && nbytes > 0) {
        require_host_byte(static_cast<const char*>(data));
    }
    if (!is_cuda(device)) return;
    require_device(device.id);
    if (nbytes == 0) return;
    const auto* const first = static_cast<const char*>(data);
    require_byte(first, device);
    if (nbytes > 1) require_byte(first + nbytes - 1, device);
}

std::shared_ptr<Allocation> adopt_waiting(Allocation::Block&& block) {
    if (!is_cuda(block.device)) return Allocation::adopt(std::move(block));
    const bool is_device = block.device.type == DeviceType::cuda;
    if (is_device && !block.stream) block.stream = legacy_stream(block.device.id);
    block.uses = make_waiting_uses(block.stream);
    return Allocation::adopt(std::move(block));
}

}  // namespace devview
