// Sharing device memory with another process: export_handle of views and allocations,
// import_handle.
#include "device/ipc_bind.hpp"

#include <string>

#include "arguments.hpp"
#include "bindings.hpp"
#include "device/stream_object.hpp"
#include "devview/ipc.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// The bytes of any contiguous buffer.
std::string read_handle(PyObject* value) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(value, &buffer, PyBUF_SIMPLE) != 0) throw py::error_already_set();
    std::string bytes(static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len));
    PyBuffer_Release(&buffer);
    return bytes;
}

py::object import_object(const py::object& handle, const py::object& stream) {
    const std::string bytes = read_handle(handle.ptr());
    const Stream on = read_stream(stream.ptr(), Device{DeviceType::cuda, 0});
    View view = [&] {
        const GilRelease release;
        return import_handle(bytes, on);
    }();
    return py::reinterpret_steal<py::object>(new_view(std::move(view)));
}

}  // namespace

PyObject* exported_bytes(const View& view) {
    std::string handle;
    const View held = view;  // a release in another thread must not end it meanwhile
    {
        const GilRelease release;
        handle = export_handle(held);
    }
    return PyBytes_FromStringAndSize(handle.data(), static_cast<Py_ssize_t>(handle.size()));
}

void bind_ipc(py::module_& module) {
    module.def("import_handle", import_object, py::arg("handle"), py::pos_only(), py::kw_only(),
               py::arg("stream") = py::none(),
               R"(The View that another process of this user exported with ``export_handle()``.

Same memory, format, shape and strides; read-only if the exported view was. Nothing is copied and
nothing unpickled. The exporter keeps the memory until the last view of it here is gone (then its
allocation's ``exports`` falls by one), or this process has died. If the exporter dies first, the
memory stays as long as it is viewed here. All views of one block share one import, however many of
its handles are opened.

What the exporter put on streams before ``export_handle()`` is seen here. Afterwards neither process
waits for the other's streams: synchronise, then tell the other.

``stream``: where the memory is given back, the legacy stream if None.

Raises HandleError for bytes that are no handle or were changed, a handle of this very process, one
whose memory or exporter is gone, or memory of a device that this process does not see; DeviceError.
Linux only.)");
}

}  // namespace devview::python
