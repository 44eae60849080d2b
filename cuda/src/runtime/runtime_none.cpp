// The real runtime's place in a build without CUDA: every call says that it is not supported.
#include "devview/cuda/runtime.hpp"

#ifndef DEVVIEW_HAS_CUDA

namespace devview::cuda {
namespace {

template <class Signature>
struct Refuse;

template <class... Parameters>
struct Refuse<cudaError_t (*)(Parameters...)> {
    static cudaError_t call(Parameters...) { return cudaErrorNotSupported; }
};

template <class Function>
void refuse(Function& entry) {
    entry = &Refuse<Function>::call;
}

const char* error_name(cudaError_t error) {
    return error == cudaSuccess ? "cudaSuccess" : "cudaErrorNotSupported";
}

const char* error_string(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "devview was built without CUDA";
}

Runtime make_table() {
    Runtime table{};
#define DEVVIEW_CUDA_REFUSE(name, parameters) refuse(table.name);
    DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_REFUSE)
#undef DEVVIEW_CUDA_REFUSE
    // Zero devices, so that code which asks first needs no other case.
    table.GetDeviceCount = [](int* count) {
        if (count) *count = 0;
        return cudaErrorNotSupported;
    };
    table.GetErrorName = error_name;
    table.GetErrorString = error_string;
    refuse(table.DeviceName);
    refuse(table.kernels.pack);
    refuse(table.kernels.unpack);
    refuse(table.kernels.copy);
    refuse(table.kernels.fill);
    refuse(table.kernels.cast);
    refuse(table.kernels.byteswap);
    refuse(table.kernels.compare);
    return table;
}

}  // namespace

const Runtime& real_runtime() {
    static const Runtime table = make_table();
    return table;
}

}  // namespace devview::cuda

#endif
