// The functions of devview/cuda/emulation.hpp: the machine, seen from tests.
#include "devview/cuda/emulation.hpp"
#include "emulator/machine.hpp"

namespace devview::cuda::emulation {

using emulator::Lock;
using emulator::machine;

std::vector<std::string> calls() { return machine().calls.names(); }

std::size_t count(const std::string& name) { return machine().calls.count(name); }

void clear_calls() { machine().calls.clear(); }

void fail(const std::string& name, int nth, int error) { machine().calls.fail(name, nth, error); }

void clear_faults() { machine().calls.clear_faults(); }

Objects objects() {
    if (emulator::forked()) return {};
    const Lock lock(machine().mutex);
    return machine().objects();
}

void set_delay(std::int64_t microseconds) {
    const Lock lock(machine().mutex);
    machine().options.delay_us = microseconds;
}

void clear_sticky() {
    const Lock lock(machine().mutex);
    for (const auto& device : machine().devices) {
        device->sticky = cudaSuccess;
        device->failure.clear();
    }
}

std::string failure(int device) {
    const Lock lock(machine().mutex);
    const emulator::DeviceState* state = machine().device(device);
    return state ? state->failure : std::string();
}

void* peek(const void* device_pointer) {
    const Lock lock(machine().mutex);
    const auto address = emulator::address_of(device_pointer);
    const emulator::Block* block = machine().blocks.find(address);
    return block ? reinterpret_cast<void*>(address + block->to_alias) : nullptr;
}

bool busy() {
    const Objects now = objects();
    return now.device_blocks + now.pinned_blocks + now.managed_blocks + now.streams + now.events +
               now.pools + now.graphs + now.queued !=
           0;
}

}  // namespace devview::cuda::emulation
