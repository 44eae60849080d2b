// Devices: how many there are, which is current, and what memory they have.
#include <string>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "src/runtime/advice.hpp"
#include "src/runtime/check.hpp"

namespace devview::cuda {

namespace {

DeviceError no_device(const std::string& what, cudaError_t code) {
    const std::string name = runtime().GetErrorName(code);
    return DeviceError("device: " + what + " (" + name + ")", static_cast<int>(code), name);
}

/// What every use of CUDA starts with fails: there is no driver, no device, no CUDA in the build,
/// or the process may not use them.
[[noreturn]] void refuse_cuda(cudaError_t status) {
    std::string help = advice(status);
    if (help.empty()) help = runtime().GetErrorString(status);
    if (!driver_gone()) {
        help += "; devview.emulate() or DEVVIEW_EMULATE_CUDA=1 makes an emulated one";
    }
    throw no_device("no CUDA device: " + help, status);
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

RuntimeInfo runtime_info() {
    RuntimeInfo info;
    info.emulated = runtime().emulated;
    clear_error(runtime().DriverGetVersion(&info.driver_version));
    clear_error(runtime().RuntimeGetVersion(&info.runtime_version));
    for (int id = 0; id < device_count(); ++id) {
        char name[256] = "";
        clear_error(runtime().DeviceName(name, static_cast<int>(sizeof name), id));
        info.devices.emplace_back(name);
    }
    return info;
}

void require_device(int id) {
    if (in_forked_child()) refuse_cuda(cudaErrorInitializationError);
    int count = 0;
    const cudaError_t status = runtime().GetDeviceCount(&count);
    clear_error(status);
    if (status != cudaSuccess) refuse_cuda(status);
    if (count == 0) refuse_cuda(cudaErrorNoDevice);
    if (id >= 0 && id < count) return;
    throw no_device(
        "cuda:" + std::to_string(id) + ": no such device, limit " + std::to_string(count),
        cudaErrorInvalidDevice);
}

DeviceGuard::DeviceGuard(int id) : previous_(-1) {
    int current = 0;
    check(runtime().GetDevice(&current), "get device");
    if (current == id) return;
    const cudaError_t status = runtime().SetDevice(id);
    if (status != cudaSuccess) {
        // From CUDA 12 on this starts the device's context: the device may be current all the same.
        clear_error(runtime().SetDevice(current));
        check(status, "set device");
    }
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
