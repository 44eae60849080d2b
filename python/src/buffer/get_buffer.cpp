// dv.get_buffer: a request with explicit flags, its answer kept as a memoryview.
#include <climits>

#include "exporter/exporter.hpp"

namespace devview::python {

namespace {

/// Lives for one call of memoryview(): passes other flags on than those that memoryview asks with.
/// The answer names its own exporter, so nothing of this stays behind.
struct Requester {
    PyObject_HEAD PyObject* object;
    int flags;
    getbufferproc get;
};
PyTypeObject* requester_type = nullptr;

int pass_on(PyObject* self, Py_buffer* buffer, int) {
    const auto* const request = reinterpret_cast<Requester*>(self);
    const int result = request->get != nullptr
                           ? request->get(request->object, buffer, request->flags)
                           : PyObject_GetBuffer(request->object, buffer, request->flags);
    if (result != 0) return result;
    // Without a shape the answer is plain bytes. memoryview leans on a shape for all but one axis,
    // and divides by the itemsize without one.
    const bool scalar =
        buffer->ndim == 0 && buffer->itemsize > 0 && buffer->len == buffer->itemsize;
    if (buffer->shape == nullptr && !scalar) {
        buffer->ndim = 1;
        buffer->strides = nullptr;
        if (buffer->itemsize <= 0) buffer->itemsize = 1;
    }
    return 0;
}

PyType_Slot slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(pass_on)},
    {0, nullptr},
};
PyType_Spec spec = {"devview._Requester", sizeof(Requester), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

py::object get_buffer(const py::object& object, const py::object& flags) {
    auto made = py::reinterpret_steal<py::object>(
        memoryview_of_request(object.ptr(), read_flags(flags.ptr(), "get_buffer"), nullptr));
    if (!made) throw py::error_already_set();
    return made;
}

}  // namespace

int read_flags(PyObject* flags, const char* function) {
    const Py_ssize_t value = PyNumber_AsSsize_t(flags, PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (value > INT_MAX || value < INT_MIN) {
        PyErr_Format(PyExc_OverflowError, "%s: buffer flags %zd out of range, limit %d", function,
                     value, INT_MAX);
        throw py::error_already_set();
    }
    return static_cast<int>(value);
}

PyObject* memoryview_of_request(PyObject* object, int flags, getbufferproc get) {
    const auto request = py::reinterpret_steal<py::object>(PyType_GenericAlloc(requester_type, 0));
    if (!request) return nullptr;
    auto* const self = reinterpret_cast<Requester*>(request.ptr());
    self->object = object;  // outlives the call
    self->flags = flags;
    self->get = get;
    return PyMemoryView_FromObject(request.ptr());
}

void bind_get_buffer(py::module_& module) {
    requester_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (requester_type == nullptr) throw py::error_already_set();
    module.def("get_buffer", get_buffer, py::arg("obj"), py::arg("flags"), py::pos_only(),
               R"(The answer of an exporter to a buffer request with these flags, as a memoryview.

Parameters
----------
obj : any exporter, C or Python
flags : int or dv.BufferFlags

Returns
-------
memoryview
    Shares the memory. Its fields are the exporter's answer; what was not asked for reads as
    memoryview fills it in: format ``'B'``, one axis of ``len // itemsize`` items. ``release()``
    gives the Py_buffer back at once, in that call.

Raises
------
BufferError
    The exporter cannot answer these flags; other errors as the exporter raises them.
TypeError
    ``obj`` is no exporter.
OverflowError
    ``flags`` is not a C int.)");
}

}  // namespace devview::python
