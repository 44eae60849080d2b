// The machine's bookkeeping: threads' current devices, handles, failures and the restart.
#include "emulator/machine.hpp"

#include <algorithm>
#include <cstdio>

namespace devview::cuda::emulator {
namespace {

constexpr std::size_t kDefaultMemory = std::size_t{4} << 30;
constexpr std::size_t kDefaultAddresses = std::size_t{64} << 30;

std::atomic<bool> is_forked{false};

std::unique_ptr<DeviceState> make_device(int id, std::size_t memory) {
    auto device = std::make_unique<DeviceState>();
    device->id = id;
    device->memory = memory;
    return device;
}

void add_defaults(Machine& self, DeviceState& device) {
    device.legacy = make_stream(device.id, true);
    device.legacy->legacy = true;
    auto pool = std::make_shared<PoolState>();
    pool->handle = self.new_handle(kPoolHandle);
    pool->device = device.id;
    pool->is_default = true;
    self.pools.emplace(pool->handle, pool);
    device.pools.push_back(pool);
    device.default_pool = std::move(pool);
}

}  // namespace

Machine& machine() {
    static Machine* const instance = [] {
        at_fork_in_child([] { is_forked.store(true); });
        return new Machine;
    }();
    return *instance;
}

bool forked() noexcept { return is_forked.load(std::memory_order_relaxed); }

ThreadState& this_thread() {
    thread_local ThreadState state;
    const std::uint64_t generation = machine().generation.load();
    if (state.generation != generation) {
        state.generation = generation;
        state.device = 0;
        state.last_error = cudaSuccess;
        state.capture_mode = cudaStreamCaptureModeGlobal;
        state.streams.clear();
    }
    return state;
}

ThreadState::~ThreadState() {
    if (forked() || streams.empty()) return;
    const Lock lock(machine().mutex);
    if (generation != machine().generation.load()) return;
    for (const auto& entry : streams)
        close_stream(entry.second);
}

DeviceState& current_device() { return *machine().device(this_thread().device); }

std::shared_ptr<StreamState> find_stream(cudaStream_t handle) {
    ThreadState& thread = this_thread();
    const auto value = reinterpret_cast<std::uintptr_t>(handle);
    if (value <= 1) return current_device().legacy;
    if (value == 2) {
        auto& stream = thread.streams[thread.device];
        if (!stream) stream = make_stream(thread.device, true);
        return stream;
    }
    const auto found = machine().streams.find(value);
    return found == machine().streams.end() ? nullptr : found->second;
}

void fail_device(DeviceState& device, cudaError_t error, const std::string& why) {
    if (device.sticky != cudaSuccess) return;
    device.sticky = error;
    // resolve() has left a fuller account if the operation failed there.
    if (device.failure.empty())
        device.failure = why + " failed with error " + std::to_string(error);
    std::fprintf(stderr, "devview emulator: cuda:%d: %s\n", device.id, device.failure.c_str());
}

Arena* Machine::arena(int id) {
    auto& slot = arenas[id];
    if (slot) return slot.get();
    std::size_t nbytes =
        options.addresses ? options.addresses : std::max(kDefaultAddresses, 2 * options.memory);
    // Under an address-space limit less must do, down to the device's memory.
    for (; nbytes >= kPage; nbytes /= 2) {
        auto fresh = std::make_unique<Arena>(nbytes);
        if (fresh->valid()) {
            slot = std::move(fresh);
            break;
        }
        if (options.addresses || nbytes / 2 < device(id)->memory) break;
    }
    return slot.get();
}

bool Machine::device_address(std::uintptr_t address) const noexcept {
    for (const auto& arena : arenas) {
        if (arena && arena->contains(address)) return true;
    }
    return false;
}

std::size_t Machine::charged(const DeviceState& device) const noexcept {
    std::size_t bytes = device.plain_bytes;
    for (const auto& pool : device.pools)
        bytes += pool->reserved;
    return bytes;
}

emulation::Objects Machine::objects() const {
    emulation::Objects result;
    for (const auto& [begin, block] : blocks.live()) {
        const bool device = block.place == Place::device;
        const bool pinned = block.place == Place::pinned;
        (device   ? result.device_blocks
         : pinned ? result.pinned_blocks
                  : result.managed_blocks) += 1;
        (device   ? result.device_bytes
         : pinned ? result.pinned_bytes
                  : result.managed_bytes) += block.nbytes;
    }
    result.streams = streams.size();
    result.events = events.size();
    result.graphs = graphs.size() + graph_execs.size();
    for (const auto& [handle, pool] : pools)
        result.pools += pool->is_default ? 0u : 1u;
    for (const auto& device : devices) {
        for (const auto& stream : device->streams)
            result.queued += stream->queue.size();
    }
    return result;
}

void Machine::restart(const EmulatorOptions& fresh) {
    for (const auto& device : devices) {
        const auto streams_of_device = device->streams;
        for (const auto& stream : streams_of_device)
            close_stream(stream);
    }
    const std::size_t old_addresses = options.addresses;
    options = fresh;
    if (options.memory == 0) options.memory = kDefaultMemory;
    if (options.addresses != old_addresses) {
        for (auto& arena : arenas)
            arena.reset();
        blocks.forget_freed();
    }
    devices.clear();
    pools.clear();
    captures.clear();  // of streams that nobody made: per-thread ones
    freed_streams.clear();
    calls.clear();
    calls.clear_faults();
    generation.fetch_add(1);
    for (int id = 0; id < fresh.devices; ++id)
        devices.push_back(make_device(id, options.memory));
    for (const auto& device : devices)
        add_defaults(*this, *device);
}

}  // namespace devview::cuda::emulator
