// dv.emulate and dv.emulation: the emulated device, for tests of code that uses devview.
#include <pybind11/stl.h>

#include <string>

#include "arguments.hpp"
#include "bindings.hpp"
#include "devview/cuda/emulation.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/ledger.hpp"
#include "view/whole_type.hpp"

namespace devview::python {

namespace {

namespace emulation = cuda::emulation;

struct Emulation {};  // dv.emulation: a window on the process' one emulator

py::object start(int devices, const py::object& memory, std::int64_t delay_us) {
    cuda::EmulatorOptions options;
    options.devices = devices;
    options.delay_us = delay_us;
    if (!memory.is_none()) {
        const std::int64_t bytes = read_integer(memory.ptr(), "memory");
        if (bytes <= 0) {
            throw LayoutError("emulate: memory " + std::to_string(bytes) + ", must be positive");
        }
        options.memory = static_cast<std::size_t>(bytes);
    }
    {
        const GilRelease release;
        cuda::emulate(options);
    }
    return py::module_::import("devview._devview").attr("emulation");
}

void require_emulator() {
    if (!cuda::runtime_chosen() || !cuda::runtime().emulated) {
        throw DeviceError("emulation: this process does not emulate CUDA; call devview.emulate()",
                          0, "");
    }
}

py::dict ledger(const Emulation&) {
    require_emulator();
    const emulation::Objects objects = [] {
        const GilRelease release;
        return emulation::objects();
    }();
    py::dict result;
    result["device_blocks"] = objects.device_blocks;
    result["device_bytes"] = objects.device_bytes;
    result["pinned_blocks"] = objects.pinned_blocks;
    result["pinned_bytes"] = objects.pinned_bytes;
    result["managed_blocks"] = objects.managed_blocks;
    result["managed_bytes"] = objects.managed_bytes;
    result["streams"] = objects.streams;
    result["events"] = objects.events;
    result["pools"] = objects.pools;
    result["graphs"] = objects.graphs;
    result["queued"] = objects.queued;
    return result;
}

}  // namespace

void bind_emulation(py::module_& module) {
    py::class_<Emulation>(module, "_Emulation", py::is_final(), made_elsewhere(),
                          R"(The emulated CUDA device of this process.)")
        .def("__reduce__", refuse_pickle)
        .def_property_readonly(
            "active",
            [](const Emulation&) { return cuda::runtime_chosen() && cuda::runtime().emulated; },
            "True if this process emulates CUDA.")
        .def_property_readonly(
            "calls",
            [](const Emulation&) {
                require_emulator();
                return emulation::calls();
            },
            "Names of the runtime calls so far, in order; a kernel is \"cudaLaunchKernel\".")
        .def(
            "count",
            [](const Emulation&, const std::string& name) {
                require_emulator();
                return emulation::count(name);
            },
            py::arg("name"), "How often a runtime call was made.")
        .def(
            "clear",
            [](const Emulation&) {
                require_emulator();
                emulation::clear_calls();
            },
            "Forgets the calls so far.")
        .def(
            "fail",
            [](const Emulation&, const std::string& name, int n, int error) {
                require_emulator();
                emulation::fail(name, n, error);
            },
            py::arg("name"), py::arg("n") = 1, py::arg("error") = 2,
            "The nth next call of ``name`` (1: the very next) returns CUDA's ``error`` and does\n"
            "nothing else. With \"kernel\", \"copy\" or \"memset\" the nth executed operation "
            "fails\n"
            "asynchronously, and the device's error is sticky.")
        .def(
            "clear_faults",
            [](const Emulation&) {
                require_emulator();
                emulation::clear_faults();
            },
            "Forgets what fail() asked for.")
        .def(
            "clear_sticky",
            [](const Emulation&) {
                require_emulator();
                emulation::clear_sticky();
            },
            "Ends the sticky error of every device, which no GPU can.")
        .def("ledger", ledger, "What is alive in the emulator: a dict of counts and bytes.")
        .def(
            "set_delay",
            [](const Emulation&, std::int64_t microseconds) {
                require_emulator();
                emulation::set_delay(microseconds);
            },
            py::arg("microseconds"), "Every stream operation sleeps that long first.");
    module.def("emulate", start, py::arg("devices") = 1, py::kw_only(),
               py::arg("memory") = py::none(), py::arg("delay_us") = 0,
               R"(Emulates CUDA devices in this process, for tests on machines without a GPU.

Process-wide, before the first use of CUDA; again only when nothing emulated is alive (BufferError).
``memory`` is the size of each device [bytes] (4 GiB), ``delay_us`` a sleep before every stream
operation, which makes a missing wait show as wrong data. Device memory cannot be touched by the
host: dereferencing it is a segmentation fault, as on a real system. Returns ``devview.emulation``.
Raises DeviceError if the real CUDA runtime is in use.)");
    module.attr("emulation") = Emulation{};
    module.def(
        "runtime_info",
        [] {
            const cuda::RuntimeInfo info = [] {
                const GilRelease release;
                return cuda::runtime_info();
            }();
            py::dict result;
            result["emulated"] = info.emulated;
            result["driver_version"] = info.driver_version;
            result["runtime_version"] = info.runtime_version;
            result["devices"] = info.devices;
            return result;
        },
        "The CUDA runtime in use: emulated, driver_version, runtime_version, devices (names).");
}

}  // namespace devview::python
