// What devview._allocator is made of: the plugged-in functions, and blocks on others' streams.
#include <dlfcn.h>

#include "arguments.hpp"
#include "bindings.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/pluggable.h"
#include "devview/cuda/pointer.hpp"
#include "devview/cuda/shared_stream.hpp"
#include "devview/error.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

std::size_t read_size(const py::object& nbytes) {
    const std::int64_t size = read_integer(nbytes.ptr(), "nbytes");
    if (size < 0) {
        throw LayoutError("nbytes: " + std::to_string(size) + ", must not be negative");
    }
    return static_cast<std::size_t>(size);
}

/// (path of the library, address of the allocating function, of the freeing one).
py::tuple pluggable() {
    void* const allocate = reinterpret_cast<void*>(&devview_torch_alloc);
    Dl_info info{};
    if (dladdr(allocate, &info) == 0 || info.dli_fname == nullptr) {
        throw Error("allocator: the library of devview_torch_alloc cannot be found");
    }
    return py::make_tuple(
        py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(info.dli_fname)),
        reinterpret_cast<std::uintptr_t>(allocate),
        reinterpret_cast<std::uintptr_t>(&devview_torch_free));
}

int device_id(const py::object& device) {
    const Device where = read_device(device.ptr(), Device{DeviceType::cuda, 0});
    if (where.type != DeviceType::cuda) {
        throw NameError("allocator: device " + to_string(where) + ", expected a CUDA device");
    }
    const GilRelease release;
    cuda::require_device(where.id);
    return where.id;
}

int current_device() {
    const GilRelease release;
    return cuda::current_device();
}

std::uintptr_t lend(const py::object& nbytes, int device, std::uintptr_t stream) {
    const std::size_t size = read_size(nbytes);
    const GilRelease release;
    void* const data = devview_torch_alloc(static_cast<ssize_t>(size), device,
                                           reinterpret_cast<CUstream_st*>(stream));
    return reinterpret_cast<std::uintptr_t>(data);
}

void take_back(std::uintptr_t data, std::uintptr_t stream) {
    const GilRelease release;
    devview_torch_free(reinterpret_cast<void*>(data), 0, 0, reinterpret_cast<CUstream_st*>(stream));
}

py::object allocate_on(const py::object& nbytes, int device, std::uintptr_t stream) {
    const std::size_t size = read_size(nbytes);
    const Device on{DeviceType::cuda, device};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a stream handle is an address.
    void* const handle = reinterpret_cast<void*>(stream == 0 ? 1 : stream);
    auto block = [&] {
        const GilRelease release;
        return cuda::allocate_on_theirs(size, Stream::raw(on, handle));
    }();
    if (tracing) trace_origin(*block);
    return py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(object_of(std::move(block))));
}

}  // namespace

void bind_allocator(py::module_& module) {
    module.def("_pluggable", pluggable,
               "(library, address of devview_torch_alloc, address of devview_torch_free).");
    module.def("_cuda_device_id", device_id, py::arg("device"),
               "The number of a CUDA device that is there. Raises DeviceError, DeviceNameError.");
    module.def("_current_device", current_device, "The calling thread's CUDA device.");
    module.def("_lend", lend, py::arg("nbytes"), py::arg("device"), py::arg("stream"),
               "The address of a block that _take_back() frees. Raises OutOfMemory.");
    module.def("_take_back", take_back, py::arg("ptr"), py::arg("stream"),
               "Frees a block of _lend() in the order of a stream; failures are release errors.");
    module.def("_allocate_on", allocate_on, py::arg("nbytes"), py::arg("device"), py::arg("stream"),
               "A dv.Allocation on a stream handle, whose stream the caller keeps as long.");
}

}  // namespace devview::python
