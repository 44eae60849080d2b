// Calls on devices, versions and the last error.
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "emulator/api.hpp"
#include "emulator/capture.hpp"
#include "emulator/memory.hpp"

namespace devview::cuda::emulator {
namespace {

constexpr int kVersion = 13000;

// A modest device; what is not listed is 0.
constexpr std::pair<cudaDeviceAttr, int> kAttributes[] = {
    {cudaDevAttrMaxThreadsPerBlock, 1024},
    {cudaDevAttrMaxBlockDimX, 1024},
    {cudaDevAttrMaxBlockDimY, 1024},
    {cudaDevAttrMaxBlockDimZ, 64},
    {cudaDevAttrMaxGridDimX, 0x7fffffff},
    {cudaDevAttrMaxGridDimY, 65535},
    {cudaDevAttrMaxGridDimZ, 65535},
    {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
    {cudaDevAttrMaxPitch, 0x7fffffff},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrTextureAlignment, 512},
    {cudaDevAttrTexturePitchAlignment, 32},
    {cudaDevAttrMultiProcessorCount, 4},
    {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
    {cudaDevAttrAsyncEngineCount, 2},
    {cudaDevAttrComputeCapabilityMajor, 9},
    {cudaDevAttrGpuOverlap, 1},
    {cudaDevAttrCanMapHostMemory, 1},
    {cudaDevAttrConcurrentKernels, 1},
    {cudaDevAttrUnifiedAddressing, 1},
    {cudaDevAttrManagedMemory, 1},
    {cudaDevAttrMemoryPoolsSupported, 1},
    {cudaDevAttrMemoryPoolSupportedHandleTypes, cudaMemHandleTypePosixFileDescriptor},
};

int attribute_value(cudaDeviceAttr attribute, int device) {
    if (attribute == cudaDevAttrPciBusId) return device + 1;
    if (attribute == cudaDevAttrConcurrentManagedAccess) {
        return machine().options.concurrent_managed ? 1 : 0;
    }
    const auto* const found =
        std::find_if(std::begin(kAttributes), std::end(kAttributes),
                     [&](const auto& entry) { return entry.first == attribute; });
    return found == std::end(kAttributes) ? 0 : found->second;
}

}  // namespace

cudaError_t device_name(char* name, int size, int device) {
    if (!name || size <= 0) return cudaErrorInvalidValue;
    if (forked()) return cudaErrorInitializationError;
    const Lock lock(machine().mutex);
    if (!machine().device(device)) return cudaErrorInvalidDevice;
    std::snprintf(name, static_cast<std::size_t>(size), "devview emulated device");
    return cudaSuccess;
}

namespace api {

cudaError_t GetDeviceCount(int* count) {
    if (!count) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    *count = static_cast<int>(machine().devices.size());
    return cudaSuccess;
}

cudaError_t GetDevice(int* device) {
    if (!device) return cudaErrorInvalidValue;
    *device = this_thread().device;
    return cudaSuccess;
}

cudaError_t SetDevice(int device) {
    const Lock lock(machine().mutex);
    if (!machine().device(device)) return cudaErrorInvalidDevice;
    this_thread().device = device;
    return cudaSuccess;
}

cudaError_t DeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    const int number = static_cast<int>(attribute);
    const Lock lock(machine().mutex);
    if (!machine().device(device)) return cudaErrorInvalidDevice;
    if (!value || number < 1 || number > 200) return cudaErrorInvalidValue;
    *value = attribute_value(attribute, device);
    return cudaSuccess;
}

cudaError_t DeviceSynchronize() {
    Lock lock(machine().mutex);
    DeviceState& device = current_device();
    if (const cudaError_t error = refuse_captures_of(device.id)) return error;
    wait_device(lock, device.id);
    trim_to_thresholds(device);
    return device.sticky;
}

cudaError_t DeviceCanAccessPeer(int* can, int device, int peer) {
    const Lock lock(machine().mutex);
    if (!machine().device(device) || !machine().device(peer)) return cudaErrorInvalidDevice;
    if (!can) return cudaErrorInvalidValue;
    *can = device != peer && machine().options.peer_access ? 1 : 0;
    return cudaSuccess;
}

cudaError_t DeviceEnablePeerAccess(int peer, unsigned flags) {
    if (flags != 0) return cudaErrorInvalidValue;
    const Lock lock(machine().mutex);
    DeviceState& device = current_device();
    if (!machine().device(peer) || peer == device.id) return cudaErrorInvalidDevice;
    if (!machine().options.peer_access) return cudaErrorPeerAccessUnsupported;
    return device.peers.insert(peer).second ? cudaSuccess : cudaErrorPeerAccessAlreadyEnabled;
}

cudaError_t DriverGetVersion(int* version) {
    if (!version) return cudaErrorInvalidValue;
    *version = kVersion;
    return cudaSuccess;
}

cudaError_t RuntimeGetVersion(int* version) { return api::DriverGetVersion(version); }

cudaError_t PeekAtLastError() {
    const Lock lock(machine().mutex);
    const cudaError_t sticky = current_device().sticky;
    return sticky != cudaSuccess ? sticky : this_thread().last_error;
}

cudaError_t GetLastError() {
    const cudaError_t error = api::PeekAtLastError();
    this_thread().last_error = cudaSuccess;
    return error;
}

}  // namespace api
}  // namespace devview::cuda::emulator
