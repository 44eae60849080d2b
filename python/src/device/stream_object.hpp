// dv.Device, dv.Stream and dv.Event: small classes around the C++ values.
#pragma once

#include "devview/device.hpp"
#include "devview/stream.hpp"
#include "python.hpp"

namespace devview::python {

/// The dv.Device of a tag; one object a device for the life of the process (new reference).
PyObject* device_object(Device device);

/// A dv.Stream, or None for no stream (new reference, null with a Python error set).
PyObject* new_stream_object(const Stream& stream) noexcept;

/// The Stream inside a dv.Stream, or null for any other type.
const Stream* stream_of_object(PyObject* object);

void bind_devices(py::module_& module);
void bind_streams(py::module_& module);

}  // namespace devview::python
