// Enabling access between devices, for plain memory and for the pool.
#include "src/copy/peer_access.hpp"

#include <array>
#include <atomic>

#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

enum class Access : unsigned char { unknown, refused, granted };

using Row = std::array<std::atomic<Access>, kMaxDevices>;

/// [device][owner]: may work of `device` touch memory of `owner`? Threads that ask at the same time
/// all get the same answer.
std::array<Row, kMaxDevices> known{};

void forget() noexcept {
    for (Row& row : known) {
        for (std::atomic<Access>& access : row)
            access.store(Access::unknown);
    }
}

bool is_known_device(int id) noexcept { return id >= 0 && id < kMaxDevices; }

/// For memory of cudaMalloc. Somebody else may have enabled it before us.
cudaError_t enable_plain(int owner) noexcept {
    const cudaError_t status = runtime().DeviceEnablePeerAccess(owner, 0);
    if (status != cudaErrorPeerAccessAlreadyEnabled) return status;
    clear_error(status);
    return cudaSuccess;
}

/// Stream-ordered memory does not follow cudaDeviceEnablePeerAccess: its pool has access rights of
/// its own (CUDA Programming Guide, "Device Accessibility for Multi-GPU Support").
cudaError_t enable_pool(int device, int owner) noexcept {
    cudaMemPool_t pool = nullptr;
    const cudaError_t status = runtime().DeviceGetDefaultMemPool(&pool, owner);
    if (status != cudaSuccess) return status;
    cudaMemAccessDesc right{};
    right.location.type = cudaMemLocationTypeDevice;
    right.location.id = device;
    right.flags = cudaMemAccessFlagsProtReadWrite;
    return runtime().MemPoolSetAccess(pool, &right, 1);
}

/// `device` is current.
Access ask(int device, int owner) noexcept {
    int can = 0;
    cudaError_t status = runtime().DeviceCanAccessPeer(&can, device, owner);
    if (status == cudaSuccess && !can) return Access::refused;
    if (status == cudaSuccess) status = enable_plain(owner);
    if (status == cudaSuccess) status = enable_pool(device, owner);
    clear_error(status);
    if (status == cudaSuccess) return Access::granted;
    const bool final = status == cudaErrorPeerAccessUnsupported ||
                       status == cudaErrorTooManyPeers || status == cudaErrorNotSupported;
    return final ? Access::refused : Access::unknown;
}

void learn(int device, int owner, const Stream& stream) {
    std::atomic<Access>& access =
        known[static_cast<std::size_t>(device)][static_cast<std::size_t>(owner)];
    if (access.load() != Access::unknown || !work_runs(stream)) return;
    const DeviceGuard guard(device);
    const RelaxedCapture relaxed;
    access.store(ask(device, owner));
}

}  // namespace

void enable_peer_access(int device, int peer, const Stream& stream) noexcept {
    static const bool registered = (at_restart(forget), true);
    (void)registered;
    if (!is_known_device(device) || !is_known_device(peer)) return;
    try {
        learn(device, peer, stream);
        learn(peer, device, stream);
    } catch (const std::exception&) {
        return;  // of the guard: the copy itself will tell
    }
}

bool reaches(int device, const Allocation& block) noexcept {
    const int owner = block.device().id;
    if (owner == device) return true;
    if (!is_known_device(device) || !is_known_device(owner) || !from_default_pool(block)) {
        return false;
    }
    return known[static_cast<std::size_t>(device)][static_cast<std::size_t>(owner)].load() ==
           Access::granted;
}

}  // namespace devview::cuda
