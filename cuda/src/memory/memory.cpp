// One function for memory of every kind, resizing it, and the waits before the host touches it.
#include "devview/cuda/memory.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "devview/ipc.hpp"
#include "src/memory/device_memory.hpp"
#include "src/memory/host_blocks.hpp"
#include "src/memory/managed_pool.hpp"
#include "src/memory/pinned_cache.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/event_pool.hpp"
#include "src/stream/postponed.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"

namespace devview {

using namespace cuda;

namespace {

[[noreturn]] void refuse_device(Device device) {
    throw NameError("allocate: " + to_string(device) +
                    ": devview allocates on cpu, cuda, pinned and managed only");
}

void zero_device(Allocation& allocation, const Stream& stream) {
    Work work(work_stream(allocation.device().id, stream, allocation.stream()));
    work.uses(allocation);
    check(
        runtime().MemsetAsync(allocation.data(), 0, allocation.nbytes(), handle_of(work.stream())),
        "memset");
    work.done();
}

void move_device_content(Allocation& to, Allocation& from, std::size_t nbytes) {
    Work work(to.stream());
    work.uses(from);
    work.uses(to);
    check(runtime().MemcpyAsync(to.data(), from.data(), nbytes, cudaMemcpyDeviceToDevice,
                                handle_of(work.stream())),
          "memcpy");
    work.done();
}

}  // namespace

std::shared_ptr<Allocation> allocate(std::size_t nbytes, Device device, const Stream& stream) {
    if (is_cuda(device)) run_postponed();
    switch (device.type) {
        case DeviceType::cpu:
            return allocate_host(nbytes);
        case DeviceType::cuda:
            return allocate_device(nbytes, device.id, stream);
        case DeviceType::cuda_host:
            return allocate_pinned(nbytes);
        case DeviceType::cuda_managed:
            return allocate_managed(nbytes);
        default:
            refuse_device(device);
    }
}

std::shared_ptr<Allocation> allocate_zeroed(std::size_t nbytes, Device device,
                                            const Stream& stream) {
    if (device.type == DeviceType::cpu) return allocate_host_zeroed(nbytes);
    auto allocation = allocate(nbytes, device, stream);
    if (nbytes == 0) return allocation;
    if (host_accessible(device)) {
        wait_for_host(*allocation);
        std::memset(allocation->data(), 0, nbytes);
    } else {
        zero_device(*allocation, stream);
    }
    return allocation;
}

Resize::Resize(std::shared_ptr<Allocation> allocation, std::size_t nbytes)
    : allocation_(std::move(allocation)), exclusive_(*allocation_, "resize") {
    const Device device = allocation_->device();
    if (allocation_->origin() != Origin::devview) {
        throw BufferError("resize: memory of " + to_string(device) +
                          " that devview has not allocated");
    }
    if (nbytes == allocation_->nbytes()) return;
    const Stream& home = allocation_->stream();
    const Stream stream = durable(home) ? home : Stream{};
    other_ = is_shareable(*allocation_) ? allocate_shareable(nbytes, device, stream)
                                        : allocate(nbytes, device, stream);
    const std::size_t kept = std::min(nbytes, allocation_->nbytes());
    if (kept > 0 && host_accessible(device)) {
        wait_for_host(*allocation_);
        wait_for_host(*other_);
        std::memcpy(other_->data(), allocation_->data(), kept);
    } else if (kept > 0) {
        move_device_content(*other_, *allocation_, kept);
    }
}

void Resize::commit() noexcept {
    if (other_) exclusive_.exchange(*other_);
}

void resize(const std::shared_ptr<Allocation>& allocation, std::size_t nbytes) {
    Resize(allocation, nbytes).commit();
}

std::shared_ptr<Allocation> adopt_device(Allocation::Block&& block) {
    const bool is_device = block.device.type == DeviceType::cuda;
    if (is_device && !block.stream) block.stream = legacy_stream(block.device.id);
    block.uses = make_uses(block.stream);
    return Allocation::adopt(std::move(block));
}

void wait_for_host(const Allocation& allocation) {
    if (StreamUses* const uses = allocation.uses()) uses->wait();
    if (allocation.device().type == DeviceType::cuda_managed && allocation.nbytes() > 0) {
        settle_managed();
    }
}

namespace cuda {

std::size_t trim() {
    run_postponed();
    const std::size_t freed = PinnedCache::get().trim();
    trim_device_pools();
    ManagedPool::get().trim();
    drop_idle_events();
    return freed;
}

}  // namespace cuda
}  // namespace devview
