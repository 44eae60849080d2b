// dv.Stream and dv.Event.
#include <memory>

#include "arguments.hpp"
#include "device/stream_object.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "view/whole_type.hpp"

namespace devview::python {

namespace {

using cuda::Event;

/// Destroying a stream or event may take a driver lock: not with the GIL held.
struct DeleteUnlocked {
    template <class T>
    void operator()(T* object) const {
        const GilRelease release;
        delete object;
    }
};
template <class T>
using Unlocked = std::unique_ptr<T, DeleteUnlocked>;

/// The one argument of a constructor, which may be left out (borrowed; null).
PyObject* only_argument(PyObject* args, PyObject* kwargs, const char* format, const char* name) {
    char* names[] = {const_cast<char*>(name), nullptr};
    PyObject* value = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, names, &value)) {
        throw py::error_already_set();
    }
    return value;
}

py::object make_stream(PyObject* args, PyObject* kwargs) {
    PyObject* const device = only_argument(args, kwargs, "|O:Stream", "device");
    const Device where = read_device(device, Device{DeviceType::cuda, 0});
    if (where.type != DeviceType::cuda) {
        throw NameError("Stream: device " + to_string(where) + ", only CUDA devices have streams");
    }
    Stream made;
    {
        const GilRelease release;
        made = cuda::make_stream(where.id);
    }
    return py::cast(std::move(made));
}

py::object make_event(PyObject* args, PyObject* kwargs) {
    PyObject* const stream = only_argument(args, kwargs, "|O:Event", "stream");
    const Stream where = read_stream(stream, Device{DeviceType::cuda, 0});
    Event made;
    {
        const GilRelease release;
        made = Event::record(where ? where : cuda::legacy_stream(0), true);
    }
    return py::cast(std::move(made));
}

void wait_for(const Stream& self, const py::object& other) {
    if (py::isinstance<Event>(other)) {
        const Event event = other.cast<Event>();
        const GilRelease release;
        event.order(self);
        return;
    }
    const Stream* const known = stream_of_object(other.ptr());  // any device's
    const Stream stream = known != nullptr ? *known : read_stream(other.ptr(), self.device());
    if (!stream) return;
    const GilRelease release;
    Event::record(stream).order(self);
}

std::string stream_repr(const Stream& self) {
    return "<devview.Stream " +
           std::string(py::str(py::reinterpret_steal<py::object>(device_object(self.device())))) +
           " handle " + std::to_string(reinterpret_cast<std::uintptr_t>(self.handle())) +
           (self.held() ? ">" : ", not owned>");
}

}  // namespace

PyObject* new_stream_object(const Stream& stream) noexcept {
    if (!stream) Py_RETURN_NONE;
    return guarded<PyObject*>(nullptr, [&] { return py::cast(stream).release().ptr(); });
}

const Stream* stream_of_object(PyObject* object) {
    const py::handle handle(object);
    return py::isinstance<Stream>(handle) ? handle.cast<const Stream*>() : nullptr;
}

void bind_streams(py::module_& module) {
    py::class_<Stream, Unlocked<Stream>> stream_class(module, "Stream", py::is_final(),
                                                      made_by<make_stream>(), R"(Stream(device=None)
--

A queue of device work, run in order.

``Stream(device="cuda")`` makes a new non-blocking stream; it is destroyed when the last user of it
is gone, memory that is still to be freed on it included. Everything that takes a ``stream`` also
takes ``None``, an int handle and any object with ``__cuda_stream__``.)");
    py::class_<Event, Unlocked<Event>> event_class(
        module, "Event", py::is_final(), made_by<make_event>(),
        "Event(stream=None)\n--\n\nA point in a stream; ``Event(stream)`` records it now.");
    stream_class
        .def_property_readonly(
            "device",
            [](const Stream& self) {
                return py::reinterpret_steal<py::object>(device_object(self.device()));
            },
            "The device, a dv.Device.")
        .def_property_readonly(
            "handle",
            [](const Stream& self) { return reinterpret_cast<std::uintptr_t>(self.handle()); },
            "The cudaStream_t as an int; 1 is the legacy stream, 2 the per-thread one.")
        .def("synchronize", &cuda::synchronize, py::call_guard<GilRelease>(),
             "Blocks until all work of the stream is done. Raises DeviceError.")
        .def("query", &cuda::query, py::call_guard<GilRelease>(),
             "True if all work of the stream is done. Does not wait.")
        .def(
            "record", [](const Stream& self) { return Event::record(self, true); },
            py::call_guard<GilRelease>(), "A new Event at this point of the stream.")
        .def("wait", &wait_for, py::arg("other"),
             "Later work of this stream waits for an Event, or for the work so far of another "
             "stream. The host does not wait.")
        .def("__cuda_stream__",
             [](const Stream& self) {
                 return py::make_tuple(0, reinterpret_cast<std::uintptr_t>(self.handle()));
             })
        .def("__eq__",
             [](const Stream& self, const py::object& other) -> py::object {
                 const Stream* const stream = stream_of_object(other.ptr());
                 if (stream == nullptr) {
                     return py::reinterpret_borrow<py::object>(Py_NotImplemented);
                 }
                 return py::bool_(*stream == self);
             })
        .def("__hash__",
             [](const Stream& self) {
                 return py::hash(py::int_(reinterpret_cast<std::uintptr_t>(self.handle())));
             })
        .def("__reduce__", refuse_pickle)
        .def("__repr__", stream_repr);
    event_class
        .def("synchronize", &Event::wait, py::call_guard<GilRelease>(),
             "Blocks until everything before the event is done.")
        .def("query", &Event::done, py::call_guard<GilRelease>(),
             "True if everything before the event is done.")
        .def("elapsed", &Event::elapsed, py::arg("other"), py::call_guard<GilRelease>(),
             "Milliseconds from this event to ``other``; both must be done, else DeviceError.")
        .def("__reduce__", refuse_pickle)
        .def_property_readonly(
            "device",
            [](const Event& self) {
                return py::reinterpret_steal<py::object>(
                    device_object(Device{DeviceType::cuda, self.device()}));
            },
            "The device of its stream, a dv.Device.");
}

}  // namespace devview::python
