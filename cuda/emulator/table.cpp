// Fills the runtime's table with the emulator's calls, each behind the gate.
#include "emulator/api.hpp"
#include "emulator/gate.hpp"
#include "emulator/machine.hpp"

namespace devview::cuda::emulator {
namespace {

/// An entry of the table: the gate, then the call.
template <class Signature, Signature* function, Call call>
struct Entry;

template <class... Parameters, cudaError_t (*function)(Parameters...), Call call>
struct Entry<cudaError_t(Parameters...), function, call> {
    static cudaError_t run(Parameters... arguments) {
        return gated(call, [&] { return function(arguments...); });
    }
};

Runtime make_table() {
    Runtime table{};
#define DEVVIEW_CUDA_FILL(name, parameters) \
    table.name = &Entry<cudaError_t parameters, &api::name, Call::name>::run;
    DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_FILL)
#undef DEVVIEW_CUDA_FILL
    table.GetErrorName = error_name;
    table.GetErrorString = error_string;
    table.DeviceName = device_name;
    table.kernels = kernel_table();
    table.emulated = true;
    return table;
}

}  // namespace

const Runtime& emulated_runtime() {
    static const Runtime table = make_table();
    return table;
}

}  // namespace devview::cuda::emulator
