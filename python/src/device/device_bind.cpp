// dv.Device and dv.devices().
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "arguments.hpp"
#include "device/stream_object.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/device.hpp"
#include "view/whole_type.hpp"

namespace devview::python {

namespace {

bool emulated(Device device) {
    return is_cuda(device) && cuda::runtime_chosen() && cuda::runtime().emulated;
}

std::string shown(Device device) {
    return to_string(device) + (emulated(device) ? " (emulated)" : "");
}

std::string type_name(Device device) {
    const std::string name = to_string(device);
    return name.substr(0, name.find(':'));
}

/// A device or a name of one; false for anything else.
bool equals(Device self, const py::object& other) {
    if (py::isinstance<Device>(other)) return other.cast<Device>() == self;
    if (!py::isinstance<py::str>(other)) return false;
    const auto name = other.cast<std::string>();
    return name == to_string(self) || name == shown(self) ||
           (name == "cuda" && self == Device{DeviceType::cuda, 0});
}

std::vector<py::object> all_devices() {
    std::vector<py::object> result{py::reinterpret_steal<py::object>(device_object(Device{}))};
    int count = 0;
    {
        const GilRelease release;
        count = cuda::device_count();
    }
    for (int i = 0; i < count; ++i) {
        result.push_back(
            py::reinterpret_steal<py::object>(device_object(Device{DeviceType::cuda, i})));
    }
    if (count > 0) {
        for (const DeviceType type : {DeviceType::cuda_host, DeviceType::cuda_managed}) {
            result.push_back(py::reinterpret_steal<py::object>(device_object(Device{type, 0})));
        }
    }
    return result;
}

py::object make_device(PyObject* args, PyObject* kwargs) {
    static char* no_names[] = {const_cast<char*>(""), nullptr};
    PyObject* name = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Device", no_names, &name)) {
        throw py::error_already_set();
    }
    return py::cast(read_device(name));
}

}  // namespace

PyObject* device_object(Device device) {
    struct Known {
        Device device;
        PyObject* object;
    };
    static std::vector<Known> known;  // few; guarded by the GIL
    for (const Known& entry : known) {
        if (entry.device == device) {
            Py_INCREF(entry.object);
            return entry.object;
        }
    }
    PyObject* const object = py::cast(device).release().ptr();
    known.push_back({device, object});
    Py_INCREF(object);
    return object;
}

void bind_devices(py::module_& module) {
    py::class_<Device>(module, "Device", py::is_final(), made_by<make_device>(),
                       R"(Device(name="cpu", /)
--

A device tag: where memory lives.

Names are ``"cpu"``, ``"cuda"`` (the same as ``"cuda:0"``), ``"cuda:1"``, ``"pinned"`` and
``"managed"``; other DLPack devices have names like ``"rocm:0"``. Making one talks to no device.
Equal to another Device of the same memory, and to its name.)")
        .def_property_readonly("type", type_name, "The name without the number: \"cuda\".")
        .def_property_readonly(
            "id", [](Device self) { return self.id; }, "The number; 0 on cpu, pinned, managed.")
        .def_property_readonly(
            "name", [](Device self) { return to_string(self); }, "The name, \"cuda:0\".")
        .def_property_readonly("emulated", emulated,
                               "True if this process emulates CUDA and the device is CUDA's.")
        .def_property_readonly(
            "host_accessible", [](Device self) { return host_accessible(self); },
            "True if the host may dereference the memory.")
        .def_property_readonly(
            "dlpack",
            [](Device self) { return py::make_tuple(static_cast<int>(self.type), self.id); },
            "(device_type, device_id) as DLPack numbers them.")
        .def("__eq__", equals, py::is_operator())
        .def("__hash__", [](Device self) { return py::hash(py::str(to_string(self))); })
        .def("__str__", shown)
        .def("__repr__", [](Device self) { return "Device('" + shown(self) + "')"; })
        .def("__reduce__", [](const py::object& self) {
            return py::make_tuple(py::type::of(self),
                                  py::make_tuple(to_string(self.cast<Device>())));
        });
    module.def("devices", all_devices,
               R"(The devices that memory can be made on, the host first.

CUDA devices are those of the driver or of the emulator; without either the list is ``[cpu]``.)");
}

}  // namespace devview::python
