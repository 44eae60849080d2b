// The rules that all calls share.
#include "emulator/gate.hpp"

#include "emulator/capture.hpp"
#include "emulator/machine.hpp"

namespace devview::cuda::emulator {
namespace {

enum class Manner {
    plain,    ///< returns a failed device's error at once
    host,     ///< never asks a device
    release,  ///< gives something back even on a failed device, then returns its error
};

Manner manner_of(Call call) {
    switch (call) {
        case Call::GetDeviceCount:
        case Call::GetDevice:
        case Call::SetDevice:
        case Call::DriverGetVersion:
        case Call::RuntimeGetVersion:
        case Call::GetLastError:
        case Call::PeekAtLastError:
        case Call::ThreadExchangeStreamCaptureMode:
            return Manner::host;
        case Call::Free:
        case Call::FreeAsync:
        case Call::FreeHost:
        case Call::StreamDestroy:
        case Call::EventDestroy:
        case Call::MemPoolDestroy:
        case Call::StreamEndCapture:
        case Call::GraphExecDestroy:
        case Call::GraphDestroy:
            return Manner::release;
        default:
            return Manner::plain;
    }
}

/// What no capture sees, so that a graph may lack it: "potentially unsafe" in the words of
/// cudaThreadExchangeStreamCaptureMode. CUDA lists none but cudaMalloc and cudaEventQuery; here are
/// all that act at once or ask what has run.
bool unsafe_in_capture(Call call) {
    switch (call) {
        case Call::Malloc:
        case Call::Free:
        case Call::MallocManaged:
        case Call::HostAlloc:
        case Call::FreeHost:
        case Call::DeviceEnablePeerAccess:
        case Call::DeviceGetDefaultMemPool:
        case Call::MemPoolCreate:
        case Call::MemPoolDestroy:
        case Call::MemPoolTrimTo:
        case Call::MemPoolSetAttribute:
        case Call::MemPoolGetAttribute:
        case Call::MemPoolSetAccess:
        case Call::StreamQuery:
        case Call::StreamSynchronize:
        case Call::EventQuery:
        case Call::EventSynchronize:
        case Call::EventElapsedTime:
            return true;
        default:
            return false;
    }
}

cudaError_t sticky_error() {
    const Lock lock(machine().mutex);
    return current_device().sticky;
}

}  // namespace

thread_local int Inside::depth_ = 0;

cudaError_t enter(Call call) {
    // As a CUDA context, the machine does not survive a fork; nothing here may be locked.
    if (forked()) return cudaErrorInitializationError;
    if (this_thread().in_host_function) return cudaErrorNotPermitted;
    if (const cudaError_t fault = machine().calls.note(call)) return fault;
    if (unsafe_in_capture(call)) {
        const Lock lock(machine().mutex);
        if (const cudaError_t refused = refuse_unsafe_call()) return refused;
    }
    return manner_of(call) == Manner::plain ? sticky_error() : cudaSuccess;
}

cudaError_t leave(Call call, cudaError_t status) {
    if (forked()) return status;
    if (status == cudaSuccess && manner_of(call) == Manner::release) status = sticky_error();
    const bool reads_slot = call == Call::GetLastError || call == Call::PeekAtLastError;
    if (status != cudaSuccess && !reads_slot) this_thread().last_error = status;
    return status;
}

}  // namespace devview::cuda::emulator
