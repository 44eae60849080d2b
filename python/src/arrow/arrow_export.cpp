// View.__arrow_c_array__ and __arrow_c_device_array__: schema and array, each in its capsule.
#include <memory>
#include <string>
#include <utility>

#include "arrow/arrow_capsule.hpp"
#include "callback_scope.hpp"
#include "devview/cuda/arrow.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "protocols.hpp"
#include "view/call_arguments.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// A hold on an allocation that lets the GIL go, if the releasing thread has it, where the driver
/// may be called: an array's release is plain C and knows of no GIL.
std::shared_ptr<Allocation> held_unlocked(std::shared_ptr<Allocation> allocation) {
    Allocation* const memory = allocation.get();
    const auto drop = [held = std::move(allocation)](Allocation*) mutable noexcept {
        if (holds_gil()) {
            const GilRelease unlocked;
            held.reset();
        } else {
            held.reset();
        }
    };
    return std::shared_ptr<Allocation>(memory, drop);
}

/// The view as an export shall hold it.
View held_view(PyObject* self) {
    View view = live_view(self);
    if (!is_cuda(view.device())) return view;
    return View(held_unlocked(view.allocation()), view.data(), view.format(), view.layout(),
                view.readonly(), view.own_stream());
}

/// There is one schema for a view. A request for another is best effort, so it gets this one; only
/// what could never be the same data is an error (PyCapsule interface, "Schema Requests").
void check_request(PyObject* requested, const ArrowSchema& schema) {
    if (requested == nullptr) return;
    const auto* const wanted = arrow_of_capsule<ArrowSchema>(requested, "requested_schema");
    if (wanted->release == nullptr) throw BufferError("arrow: requested_schema was released");
    if (wanted->n_children != schema.n_children) {
        throw BufferError("arrow: requested_schema has " + std::to_string(wanted->n_children) +
                          " children, the view " + std::to_string(schema.n_children) +
                          " (format '" + schema.format + "')");
    }
}

template <class Array, class Fill>
PyObject* new_pair(PyObject* self, PyObject* requested, Fill&& fill) {
    const View view = held_view(self);
    auto schema = std::make_unique<Owned<ArrowSchema>>();
    to_arrow_schema(view, &schema->value);
    check_request(requested, schema->value);
    auto array = std::make_unique<Owned<Array>>();
    fill(view, &array->value);
    const py::object first = new_arrow_capsule(std::move(schema));
    const py::object second = new_arrow_capsule(std::move(array));
    return py::make_tuple(first, second).release().ptr();
}

/// The keywords of a device method: unknown ones are legal as long as they are None.
PyObject* read_device_keywords(PyObject* const* values, Py_ssize_t count, PyObject* names) {
    constexpr const char* kFunction = "__arrow_c_device_array__";
    PyObject* requested = count > 0 ? values[0] : nullptr;
    if (count > 1) {
        throw py::type_error(std::string(kFunction) + "() takes at most 1 positional argument");
    }
    for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
        PyObject* const name = PyTuple_GET_ITEM(names, i);
        PyObject* const value = values[count + i];
        if (PyUnicode_CompareWithASCIIString(name, "requested_schema") == 0) {
            if (count > 0) {
                throw py::type_error(std::string(kFunction) + "() got 'requested_schema' twice");
            }
            requested = value;
        } else if (value != Py_None) {
            PyErr_Format(PyExc_NotImplementedError, "%s() does not know the argument '%U'",
                         kFunction, name);
            throw py::error_already_set();
        }
    }
    return requested == Py_None ? nullptr : requested;
}

}  // namespace

PyObject* view_arrow_array(PyObject* self, PyObject* const* args, Py_ssize_t count,
                           PyObject* names) {
    return guarded<PyObject*>(nullptr, [&] {
        const Arguments arguments(args, count, names, "__arrow_c_array__", {"requested_schema"});
        return new_pair<ArrowArray>(self, arguments[0], [](const View& view, ArrowArray* array) {
            to_arrow(view, array);
            if (!is_cuda(view.device())) return;
            const GilRelease unlocked;  // an ArrowArray has no event: its memory is ready
            wait_for_host(*view.allocation());
        });
    });
}

PyObject* view_arrow_device_array(PyObject* self, PyObject* const* args, Py_ssize_t count,
                                  PyObject* names) {
    return guarded<PyObject*>(nullptr, [&] {
        PyObject* const requested = read_device_keywords(args, count, names);
        return new_pair<ArrowDeviceArray>(self, requested,
                                          [](const View& view, ArrowDeviceArray* array) {
                                              if (!is_cuda(view.device())) {
                                                  return export_arrow_device(view, array);
                                              }
                                              const GilRelease unlocked;
                                              export_arrow_device(view, array);
                                          });
    });
}

}  // namespace devview::python
