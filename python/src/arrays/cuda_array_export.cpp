// Export by __cuda_array_interface__ (version 3), and the stream protocol __cuda_stream__.
#include <cstdint>

#include "arrays/array_interface_export.hpp"
#include "devview/cuda/shared_stream.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

std::uintptr_t handle_of(const Stream& stream) noexcept {
    return reinterpret_cast<std::uintptr_t>(stream.handle());
}

PyObject* cuda_stream(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] {
        const View view = live_view(self);
        const Stream stream = [&] {
            const GilRelease release;
            return cuda::shared_stream(view);
        }();
        return py::make_tuple(0, handle_of(stream)).release().ptr();
    });
}

PyMethodDef cuda_stream_method = {
    "__cuda_stream__", cuda_stream, METH_NOARGS,
    "__cuda_stream__($self, /)\n--\n\n(0, handle) of the stream that work on the view goes to, "
    "never 0: 1 is the legacy stream.\n\nThe stream lives as long as the memory. Nothing waits; "
    "``__cuda_array_interface__`` and\n``__dlpack__`` order."};

}  // namespace

PyObject* view_cuda_array_interface(PyObject* self, void*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        constexpr const char* kName = "__cuda_array_interface__";
        View view = live_view(self);  // held: a collection may run user code
        if (!is_cuda(view.device())) return absent_interface(kName, view);
        if (view.format().has_objects()) {
            throw py::attribute_error(std::string(kName) + ": the items are Python objects");
        }
        // "For zero-size arrays, use 0 here", and no work can be pending on them.
        const bool empty = view.nbytes() == 0;
        py::dict interface = interface_of(view, empty ? nullptr : view.data(), kName);
        if (empty) {
            interface["stream"] = py::none();
        } else {
            const Stream stream = [&] {
                const GilRelease release;
                return cuda::join_shared_stream(view);
            }();
            interface["stream"] = handle_of(stream);
        }
        drop(std::move(view));
        return interface.release().ptr();
    });
}

PyObject* view_cuda_stream(PyObject* self, void*) {
    return guarded<PyObject*>(nullptr, [&] {
        const View& view = live_view(self);
        if (!is_cuda(view.device())) return absent_interface("__cuda_stream__", view);
        return PyCFunction_New(&cuda_stream_method, self);
    });
}

}  // namespace devview::python
