// The emulated machine: devices, pools, events and the one mutex that guards all of it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "devview/cuda/emulation.hpp"
#include "devview/cuda/runtime.hpp"
#include "emulator/arena.hpp"
#include "emulator/blocks.hpp"
#include "emulator/calls.hpp"
#include "emulator/shared_file.hpp"
#include "emulator/stream.hpp"

namespace devview::cuda::emulator {

constexpr int kMaxDevices = 16;

/// Where blocks come from. Reserved bytes are charged to the device until they are trimmed.
struct PoolState {
    std::uintptr_t handle = 0;
    int device = 0;
    Place place = Place::device;
    bool is_default = false;
    bool destroyed = false;
    std::size_t max_size = 0;  ///< 0: no limit of its own
    std::size_t used = 0, used_high = 0;
    std::size_t reserved = 0, reserved_high = 0;
    std::uint64_t release_threshold = 0;
    int reuse[3] = {1, 1, 1};
    std::map<int, cudaMemAccessFlags> access{};  ///< of other devices
    int file = -1;                               ///< of a pool that other processes can open
    std::uint64_t file_id = 0;
    std::size_t file_bytes = 0;  ///< handed out so far
    bool imported = false;

    PoolState() = default;
    PoolState(const PoolState&) = delete;
    PoolState& operator=(const PoolState&) = delete;
    ~PoolState() {
        if (file >= 0) close_file(file);
    }
};

struct Capture;
struct GraphState;
struct GraphExec;

/// One cudaEventRecord: what a wait, a query and a time refer to.
struct Record {
    std::shared_ptr<Capture> capture{};  ///< recorded in it, after `nodes`: nothing that runs
    std::vector<std::size_t> nodes{};
    Dependency at;
    bool done = false;
    std::chrono::steady_clock::time_point time{};
};

struct EventState {
    int device = 0;
    unsigned flags = 0;
    std::shared_ptr<Record> record{};  ///< null: never recorded
};

struct DeviceState {
    int id = 0;
    std::size_t memory = 0;
    std::size_t plain_bytes = 0;
    cudaError_t sticky = cudaSuccess;
    std::string failure{};
    std::set<int> peers{};  ///< devices whose memory this one may touch
    std::shared_ptr<StreamState> legacy{};
    std::shared_ptr<PoolState> default_pool{};
    std::vector<std::shared_ptr<PoolState>> pools{};  ///< on this device, destroyed ones in use too
    std::vector<std::shared_ptr<StreamState>> streams{};  ///< whose thread has not ended
};

/// Everything is guarded by `mutex`; no lock is held while an operation or a host function runs.
struct Machine {
    std::mutex mutex{};
    EmulatorOptions options{};
    std::vector<std::unique_ptr<DeviceState>> devices{};
    std::unique_ptr<Arena> arenas[kMaxDevices]{};  ///< outlive a restart: addresses stay unique
    Blocks blocks{};
    HostPages host_pages{};
    std::condition_variable unused{};  ///< a block of host pages has no users any more
    std::map<std::uintptr_t, std::shared_ptr<StreamState>> streams{};
    std::map<std::uintptr_t, std::shared_ptr<EventState>> events{};
    std::map<std::uintptr_t, std::shared_ptr<PoolState>> pools{};
    std::vector<std::shared_ptr<Capture>> captures{};  ///< begun and not ended
    std::map<std::uintptr_t, std::shared_ptr<GraphState>> graphs{};
    std::map<std::uintptr_t, std::shared_ptr<GraphExec>> graph_execs{};
    std::vector<std::uintptr_t> freed_streams{};  ///< handles that recycle_streams gives out again
    std::uint64_t serial = 0;
    Ticket tickets = 0;
    std::atomic<std::uint64_t> generation{0};  ///< of restarts
    CallLog calls{};

    DeviceState* device(int id) noexcept {
        return id >= 0 && id < static_cast<int>(devices.size())
                   ? devices[static_cast<std::size_t>(id)].get()
                   : nullptr;
    }
    /// The arena of a device, made at its first use; null if the system refuses.
    Arena* arena(int id);
    /// True for any address that is or was device memory.
    bool device_address(std::uintptr_t address) const noexcept;
    /// Bytes that are charged to a device.
    std::size_t charged(const DeviceState& device) const noexcept;
    std::uintptr_t new_handle(std::uintptr_t kind) noexcept { return kind | (++serial << 4); }
    emulation::Objects objects() const;
    /// Builds everything anew. Nothing may be alive.
    void restart(const EmulatorOptions& fresh);
};

// Handles are no canonical addresses, so that code which dereferences one crashes.
constexpr std::uintptr_t kStreamHandle = std::uintptr_t{0x5354} << 48;
constexpr std::uintptr_t kEventHandle = std::uintptr_t{0x4556} << 48;
constexpr std::uintptr_t kPoolHandle = std::uintptr_t{0x504f} << 48;
constexpr std::uintptr_t kGraphHandle = std::uintptr_t{0x4752} << 48;

/// Leaked on purpose: workers may be inside it while the process exits.
Machine& machine();

/// What a thread has of CUDA: the current device, the last error, its default streams and how it
/// gets on with captures.
struct ThreadState {
    int device = 0;
    cudaError_t last_error = cudaSuccess;
    bool in_host_function = false;
    cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
    std::uint64_t generation = 0;
    std::map<int, std::shared_ptr<StreamState>> streams{};

    ThreadState() = default;
    ThreadState(const ThreadState&) = delete;
    ThreadState& operator=(const ThreadState&) = delete;
    ~ThreadState();
};
ThreadState& this_thread();
DeviceState& current_device();

/// True in a child of fork(), where no worker lives and the mutex may be held for ever.
bool forked() noexcept;

/// The stream of a handle: 0 and 1 the current device's legacy stream, 2 this thread's. Null:
/// stale.
std::shared_ptr<StreamState> find_stream(cudaStream_t handle);
inline std::uintptr_t address_of(const void* pointer) noexcept {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

/// Puts the device into its failed state, for good, and says why on standard error.
void fail_device(DeviceState& device, cudaError_t error, const std::string& why);

}  // namespace devview::cuda::emulator
