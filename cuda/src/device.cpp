// Devices: how many there are, which is current, and what memory they have.
#include <string>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/check.hpp"

namespace devview::cuda {

namespace {

/// What the runtime answers without a driver, a device, or CUDA in the build.
bool no_cuda(cudaError_t status) noexcept {
    return status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver ||
           status == cudaErrorNotSupported || status == cudaErrorStubLibrary;
}

DeviceError no_device(const std::string& what, cudaError_t code) {
    const std::string name = runtime().GetErrorName(code);
    return DeviceError("device: " + what + " (" + name + ")", static_cast<int>(code), name);
}

}  // namespace

int device_count() noexcept {
    if (driver_gone()) return 0;
    int count = 0;
    const cudaError_t status = runtime().GetDeviceCount(&count);
    if (status == cudaSuccess) return count;
    clear_error(status);
    return 0;
}

void require_device(int id) {
    int count = 0;
    const cudaError_t status = runtime().GetDeviceCount(&count);
    if (no_cuda(status) || (status == cudaSuccess && count == 0)) {
        clear_error(status);
        throw no_device(std::string("no CUDA device: ") +
                            runtime().GetErrorString(status ? status : cudaErrorNoDevice) +
                            "; use devview.emulate() or DEVVIEW_EMULATE_CUDA=1 for an emulated one",
                        status ? status : cudaErrorNoDevice);
    }
    check(status, "get device count");
    if (id >= 0 && id < count) return;
    throw no_device(
        "cuda:" + std::to_string(id) + ": no such device, limit " + std::to_string(count),
        cudaErrorInvalidDevice);
}

DeviceGuard::DeviceGuard(int id) : previous_(-1) {
    int current = 0;
    check(runtime().GetDevice(&current), "get device");
    if (current == id) return;
    check(runtime().SetDevice(id), "set device");
    previous_ = current;
}

DeviceGuard::~DeviceGuard() {
    if (previous_ < 0) return;
    release_step([this] { check(runtime().SetDevice(previous_), "set device"); });
}

DeviceMemory device_memory(int id) {
    require_device(id);
    const DeviceGuard guard(id);
    DeviceMemory memory;
    check(runtime().MemGetInfo(&memory.free_bytes, &memory.total_bytes), "memory info");
    return memory;
}

}  // namespace devview::cuda
