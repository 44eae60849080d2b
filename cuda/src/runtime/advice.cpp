// The causes of errors that every call may return, in the user's terms.
#include "src/runtime/advice.hpp"

#include "src/runtime/check.hpp"

namespace devview::cuda {

namespace {

std::string release_number(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// cudaDriverGetVersion answers 0 where no driver is installed.
std::string about_driver() {
    int driver = 0, needed = CUDART_VERSION;
    clear_error(runtime().DriverGetVersion(&driver));
    clear_error(runtime().RuntimeGetVersion(&needed));
    const std::string needs = "; devview needs one for CUDA " + release_number(needed);
    if (driver == 0) return "no NVIDIA driver was found (libcuda.so.1)" + needs + " or newer";
    return "the driver is for CUDA " + release_number(driver) + needs;
}

}  // namespace

std::string advice(cudaError_t status) {
    switch (static_cast<int>(status)) {
        case cudaErrorInitializationError:
            return in_forked_child() ? "the process was forked after CUDA was used; start it with "
                                       "multiprocessing's \"spawn\" or \"forkserver\""
                                     : "the driver did not start; see whether nvidia-smi works";
        case cudaErrorCudartUnloading:
            return "the process is exiting";
        case cudaErrorInsufficientDriver:
            return about_driver();
        case cudaErrorStubLibrary:
            return "the linker's stub of libcuda was loaded; take the \"stubs\" folder out of "
                   "LD_LIBRARY_PATH";
        case cudaErrorNoDevice:
            return "the driver shows no device; see nvidia-smi and CUDA_VISIBLE_DEVICES";
        case cudaErrorDevicesUnavailable:
            return "another process has the device for itself; see its compute mode in nvidia-smi";
        case cudaErrorSystemNotReady:
            return "the system's services do not run (nvidia-fabricmanager, where there is one)";
        case cudaErrorSystemDriverMismatch:
            return "the kernel module and libcuda.so are of two versions; reboot after an update";
        case cudaErrorCompatNotSupportedOnDevice:
            return "the forward compatibility package is not for this device; take it out of "
                   "LD_LIBRARY_PATH";
        default:
            return {};
    }
}

}  // namespace devview::cuda
