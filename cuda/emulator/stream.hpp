// A stream: a queue of operations and the one thread that runs them, first in, first out.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "devview/cuda/abi.hpp"

namespace devview::cuda::emulator {

using Lock = std::unique_lock<std::mutex>;
/// Numbers every operation of the process; within a stream they grow.
using Ticket = std::uint64_t;

struct StreamState;
struct Capture;

/// An operation waits until `stream` has finished `ticket`, which is always an earlier operation.
struct Dependency {
    std::shared_ptr<StreamState> stream;
    Ticket ticket;
};

/// What an operation does, as far as faults, delays and a failed device treat it differently.
enum class OperationKind {
    marker,  ///< event record or wait: never delayed, never fails, runs on a failed device too
    memory,  ///< stream-ordered allocation or free: runs on a failed device too
    copy,
    memset,
    kernel,
    host,
};

struct Operation {
    OperationKind kind = OperationKind::marker;
    const char* name = "";               ///< the call that made it
    std::function<cudaError_t()> run{};  ///< called without the machine's lock; may be empty
    std::vector<Dependency> waits{};
    Ticket ticket = 0;
};

/// All members are guarded by the machine's mutex.
struct StreamState {
    std::uintptr_t handle = 0;
    int device = 0;
    bool legacy = false;
    bool blocking = true;  ///< orders itself with the legacy default stream
    bool counted = false;  ///< made by cudaStreamCreateWithFlags and not destroyed
    bool closing = false;  ///< destroyed: its thread ends when the queue is empty
    bool started = false;
    std::deque<Operation> queue{};       ///< the front one may be running
    Ticket last = 0;                     ///< newest operation
    Ticket done = 0;                     ///< everything up to here is finished
    Ticket demand = 0;                   ///< lazy streams run up to here
    Ticket awake = 0;                    ///< ticket of an operation that has begun its delay, or 0
    std::shared_ptr<Capture> capture{};  ///< null: operations run
    std::vector<std::size_t> tail{};     ///< nodes that the next captured one comes after
    std::condition_variable work{};
    std::condition_variable progress{};
};

/// Appends an operation, with the waits that the legacy default stream's rules add; to the graph
/// if the stream is capturing (then the ticket is 0, and nobody may wait for it).
Ticket enqueue(const std::shared_ptr<StreamState>& stream, Operation operation);
/// Asks a lazy stream to run up to `ticket`.
void demand(StreamState& stream, Ticket ticket);
bool finished(StreamState& stream, Ticket ticket);
void wait_finished(Lock& lock, const std::shared_ptr<StreamState>& stream, Ticket ticket);
/// Waits for everything that is queued on the streams of a device now.
void wait_device(Lock& lock, int device);
/// Pending work still runs, then the thread ends.
void close_stream(const std::shared_ptr<StreamState>& stream);

/// A stream known to the machine; its thread starts with the first operation.
std::shared_ptr<StreamState> make_stream(int device, bool blocking);

}  // namespace devview::cuda::emulator
