// Calls on devices, versions and the last error.
#include <cstdio>

#include "emulator/api.hpp"
#include "emulator/capture.hpp"
#include "emulator/memory.hpp"

namespace devview::cuda::emulator {
namespace {

constexpr int kVersion = 13000;

// A modest device; what is not listed is 0.
int attribute_value(cudaDeviceAttr attribute, int device) {
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock:
        case cudaDevAttrMaxBlockDimX:
        case cudaDevAttrMaxBlockDimY:
            return 1024;
        case cudaDevAttrMaxBlockDimZ:
            return 64;
        case cudaDevAttrMaxGridDimX:
            return 0x7fffffff;
        case cudaDevAttrMaxGridDimY:
        case cudaDevAttrMaxGridDimZ:
            return 65535;
        case cudaDevAttrMaxSharedMemoryPerBlock:
            return 49152;
        case cudaDevAttrMaxPitch:
            return 0x7fffffff;
        case cudaDevAttrWarpSize:
            return 32;
        case cudaDevAttrTextureAlignment:
            return 512;
        case cudaDevAttrTexturePitchAlignment:
            return 32;
        case cudaDevAttrMultiProcessorCount:
            return 4;
        case cudaDevAttrMaxThreadsPerMultiProcessor:
            return 2048;
        case cudaDevAttrAsyncEngineCount:
            return 2;
        case cudaDevAttrPciBusId:
            return device + 1;
        case cudaDevAttrComputeCapabilityMajor:
            return 9;
        case cudaDevAttrGpuOverlap:
        case cudaDevAttrCanMapHostMemory:
        case cudaDevAttrConcurrentKernels:
        case cudaDevAttrUnifiedAddressing:
        case cudaDevAttrManagedMemory:
        case cudaDevAttrMemoryPoolsSupported:
            return 1;
        case cudaDevAttrMemoryPoolSupportedHandleTypes:
            return cudaMemHandleTypePosixFileDescriptor;
        case cudaDevAttrConcurrentManagedAccess:
            return machine().options.concurrent_managed ? 1 : 0;
        default:
            return 0;
    }
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
