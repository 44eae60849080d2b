// The worker of a stream, the rules of the legacy default stream, and waiting.
#include "emulator/stream.hpp"

#include <algorithm>
#include <string>
#include <thread>

#include "emulator/capture.hpp"
#include "emulator/machine.hpp"

namespace devview::cuda::emulator {
namespace {

bool runnable(const StreamState& stream) {
    if (stream.queue.empty()) return stream.closing;
    return !machine().options.lazy || stream.closing ||
           stream.queue.front().ticket <= stream.demand;
}

// Sleeps, then lets operations pass that were enqueued later and have begun to sleep meanwhile: so
// an order that nothing enforces comes out reversed, every time.
void delay(Lock& lock, StreamState& stream, const Operation& operation) {
    const std::chrono::microseconds pause(machine().options.delay_us);
    if (pause.count() == 0 || operation.kind == OperationKind::marker) return;
    stream.awake = operation.ticket;
    lock.unlock();
    std::this_thread::sleep_for(pause);
    lock.lock();
    std::vector<Dependency> later;
    for (const auto& device : machine().devices) {
        for (const auto& other : device->streams) {
            if (other->awake > operation.ticket) later.push_back({other, other->awake});
        }
    }
    // A later host function may wait for this operation: do not wait for it for ever.
    const auto deadline = std::chrono::steady_clock::now() + 4 * pause;
    for (const auto& [other, ticket] : later) {
        other->progress.wait_until(
            lock, deadline, [&, at = ticket, &waited = *other] { return waited.done >= at; });
    }
}

cudaError_t injected_fault(OperationKind kind) {
    switch (kind) {
        case OperationKind::copy:
            return machine().calls.note(Call::copy_operation);
        case OperationKind::memset:
            return machine().calls.note(Call::memset_operation);
        case OperationKind::kernel:
            return machine().calls.note(Call::kernel_operation);
        default:
            return cudaSuccess;
    }
}

cudaError_t run_unlocked(const Operation& operation) {
    if (const cudaError_t fault = injected_fault(operation.kind)) return fault;
    ThreadState& thread = this_thread();
    thread.in_host_function = operation.kind == OperationKind::host;
    cudaError_t error = cudaSuccess;
    try {
        if (operation.run) error = operation.run();
    } catch (const std::exception&) {
        error = cudaErrorLaunchFailure;
    }
    thread.in_host_function = false;
    return error;
}

bool runs_on_failed_device(OperationKind kind) {
    return kind == OperationKind::marker || kind == OperationKind::memory;
}

void run_front(Lock& lock, StreamState& stream) {
    Operation& front = stream.queue.front();  // push_back leaves it where it is
    for (const auto& [other, ticket] : front.waits)
        wait_finished(lock, other, ticket);
    delay(lock, stream, front);
    DeviceState* device = machine().device(stream.device);
    if (device && (device->sticky == cudaSuccess || runs_on_failed_device(front.kind))) {
        lock.unlock();
        const cudaError_t error = run_unlocked(front);
        lock.lock();
        if (error != cudaSuccess) fail_device(*device, error, front.name);
    }
    Operation finished = std::move(front);
    stream.queue.pop_front();
    stream.done = finished.ticket;
    stream.awake = 0;
    stream.progress.notify_all();
    lock.unlock();
    finished = {};  // What it holds may be the last of something: not under the lock.
    lock.lock();
}

void work(const std::shared_ptr<StreamState>& stream) {
    Lock lock(machine().mutex);
    for (;;) {
        stream->work.wait(lock, [&] { return runnable(*stream); });
        if (stream->queue.empty()) break;
        run_front(lock, *stream);
    }
    if (DeviceState* device = machine().device(stream->device)) {
        auto& streams = device->streams;
        streams.erase(std::remove(streams.begin(), streams.end(), stream), streams.end());
    }
}

// CUDA C++ Programming Guide, "Default Stream": the legacy stream waits for all blocking streams of
// the device, and they for it.
void add_legacy_waits(const StreamState& stream, std::vector<Dependency>& waits) {
    const auto wait_for = [&](const std::shared_ptr<StreamState>& other) {
        if (other.get() != &stream && other->last > other->done) {
            waits.push_back({other, other->last});
        }
    };
    const DeviceState& device = *machine().device(stream.device);
    if (stream.legacy) {
        for (const auto& other : device.streams) {
            if (other->blocking) wait_for(other);
        }
    } else if (stream.blocking) {
        wait_for(device.legacy);
    }
}

}  // namespace

std::shared_ptr<StreamState> make_stream(int device, bool blocking) {
    auto stream = std::make_shared<StreamState>();
    stream->device = device;
    stream->blocking = blocking;
    machine().device(device)->streams.push_back(stream);
    return stream;
}

Ticket enqueue(const std::shared_ptr<StreamState>& stream, Operation operation) {
    if (stream->capture) {
        add_node(*stream, std::move(operation));
        return 0;
    }
    add_legacy_waits(*stream, operation.waits);
    if (!stream->started) {
        std::thread([stream] { work(stream); }).detach();
        stream->started = true;
    }
    const Ticket ticket = ++machine().tickets;
    operation.ticket = ticket;
    stream->queue.push_back(std::move(operation));
    stream->last = ticket;
    stream->work.notify_one();
    return ticket;
}

void demand(StreamState& stream, Ticket ticket) {
    if (ticket <= stream.demand) return;
    stream.demand = ticket;
    stream.work.notify_one();
}

bool finished(StreamState& stream, Ticket ticket) {
    demand(stream, ticket);
    return stream.done >= ticket;
}

void wait_finished(Lock& lock, const std::shared_ptr<StreamState>& stream, Ticket ticket) {
    const std::shared_ptr<StreamState> held = stream;
    demand(*held, ticket);
    held->progress.wait(lock, [&] { return held->done >= ticket; });
}

void wait_device(Lock& lock, int device) {
    std::vector<Dependency> all;
    for (const auto& stream : machine().device(device)->streams) {
        if (stream->last > stream->done) all.push_back({stream, stream->last});
    }
    for (const auto& [stream, ticket] : all)
        demand(*stream, ticket);
    for (const auto& [stream, ticket] : all)
        wait_finished(lock, stream, ticket);
}

void close_stream(const std::shared_ptr<StreamState>& stream) {
    stream->closing = true;
    if (stream->started) {
        stream->work.notify_one();
        return;
    }
    if (DeviceState* device = machine().device(stream->device)) {
        auto& streams = device->streams;
        streams.erase(std::remove(streams.begin(), streams.end(), stream), streams.end());
    }
}

}  // namespace devview::cuda::emulator
