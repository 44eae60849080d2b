// Attributes of a View, read-only all of them, and its repr.
#include <string>

#include "device/stream_object.hpp"
#include "devview/error.hpp"
#include "owner.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

PyObject* tuple_of(int count, const std::int64_t* values) {
    PyObject* const tuple = PyTuple_New(count);
    for (int i = 0; tuple != nullptr && i < count; ++i) {
        PyObject* const number = PyLong_FromLongLong(values[i]);
        if (number == nullptr) {
            Py_DECREF(tuple);
            return nullptr;
        }
        PyTuple_SET_ITEM(tuple, i, number);
    }
    return tuple;
}

/// An attribute of a live view.
template <PyObject* (*Read)(const View&)>
PyObject* attribute(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr, [&] { return Read(live_view(object)); });
}

PyObject* shape(const View& view) { return tuple_of(view.ndim(), view.shape()); }
PyObject* strides(const View& view) { return tuple_of(view.ndim(), view.strides()); }
PyObject* suboffsets(const View& view) {
    return view.suboffsets() ? tuple_of(view.ndim(), view.suboffsets()) : PyTuple_New(0);
}
PyObject* ndim(const View& view) { return PyLong_FromLong(view.ndim()); }
PyObject* itemsize(const View& view) { return PyLong_FromLongLong(view.itemsize()); }
PyObject* nbytes(const View& view) {
    const std::int64_t* const shape = view.shape();
    std::int64_t items = 1;
    for (int axis = 0; axis < view.ndim(); ++axis)
        items *= shape[axis];
    return PyLong_FromLongLong(view.format().nbytes(items));
}
PyObject* format(const View& view) { return PyUnicode_FromString(view.format().text()); }
PyObject* readonly(const View& view) { return PyBool_FromLong(view.readonly()); }
PyObject* device(const View& view) { return device_object(view.device()); }
PyObject* ptr(const View& view) { return PyLong_FromVoidPtr(view.data()); }
PyObject* stream(const View& view) { return new_stream_object(view.stream()); }
PyObject* c_contiguous(const View& view) { return PyBool_FromLong(view.contiguous(Order::C)); }
PyObject* f_contiguous(const View& view) { return PyBool_FromLong(view.contiguous(Order::F)); }
PyObject* contiguous(const View& view) {
    return PyBool_FromLong(view.contiguous(Order::C) || view.contiguous(Order::F));
}
PyObject* obj(const View& view) {
    PyObject* const owner = owner_of(*view.allocation());
    PyObject* const result = owner ? owner : Py_None;
    Py_INCREF(result);
    return result;
}

PyObject* transposed(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr, [&] {
        const View& view = live_view(object);
        const int ndim = view.ndim();
        if (ndim > Layout::kMaxSmall || view.suboffsets() != nullptr || view.format().is_packed()) {
            return new_sub_view(object, view.transpose());
        }
        return new_window(
            object, 0, [&] { return Layout::small_reversed(ndim, view.shape(), view.strides()); });
    });
}

PyObject* exports(PyObject* object, void*) {
    return PyLong_FromSsize_t(view_object(object)->exports);
}

PyObject* allocation(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr, [&] {
        live_view(object);
        auto* const held = reinterpret_cast<PyObject*>(allocation_of(object));
        Py_INCREF(held);
        return held;
    });
}

PyObject* released(PyObject* object, void*) {
    return PyBool_FromLong(view_object(object)->view.released());
}

std::string axes_text(int count, const std::int64_t* values) {
    std::string text = "(";
    for (int i = 0; i < count; ++i) {
        text += (i ? ", " : "") + std::to_string(values[i]);
    }
    return text + (count == 1 ? ",)" : ")");
}

}  // namespace

PyGetSetDef view_attributes[] = {
    {"shape", attribute<shape>, nullptr, "Extents of the axes, a tuple of ints.", nullptr},
    {"strides", attribute<strides>, nullptr, "Bytes from an item to the next, for each axis.",
     nullptr},
    {"suboffsets", attribute<suboffsets>, nullptr,
     "PEP 3118 suboffsets, one for each axis; () where no axis has one.", nullptr},
    {"ndim", attribute<ndim>, nullptr, "Number of axes, 0 to 64.", nullptr},
    {"itemsize", attribute<itemsize>, nullptr, "Bytes of one item.", nullptr},
    {"nbytes", attribute<nbytes>, nullptr, "Bytes of all items together, gaps not counted.",
     nullptr},
    {"format", attribute<format>, nullptr,
     "What one item is, in PEP 3118's grammar, as the exporter spelled it.", nullptr},
    {"readonly", attribute<readonly>, nullptr, "True if the memory may not be written.", nullptr},
    {"device", attribute<device>, nullptr, "Where the memory lives, a dv.Device.", nullptr},
    {"ptr", attribute<ptr>, nullptr,
     "Address of the first item as an int; on a device it means nothing to the host.", nullptr},
    {"stream", attribute<stream>, nullptr,
     "The dv.Stream that work on this view goes to, or None for the default.", nullptr},
    {"c_contiguous", attribute<c_contiguous>, nullptr, "Items lie densely, last axis fastest.",
     nullptr},
    {"f_contiguous", attribute<f_contiguous>, nullptr, "Items lie densely, first axis fastest.",
     nullptr},
    {"contiguous", attribute<contiguous>, nullptr, "C- or Fortran-contiguous.", nullptr},
    {"allocation", allocation, nullptr, "The dv.Allocation that all views of this memory share.",
     nullptr},
    {"obj", attribute<obj>, nullptr, "The object that owns the memory; None if devview does.",
     nullptr},
    {"T", transposed, nullptr, "The view with its axes in reverse order; shares the memory.",
     nullptr},
    {"exports", exports, nullptr, "Living buffers and stagings of this very view.", nullptr},
    {"released", released, nullptr, "True after release().", nullptr},
    {"__array_interface__", view_array_interface, nullptr,
     "NumPy's array interface, version 3: a dict with the address. AttributeError on a device, "
     "and\n"
     "for items without a typestr.\n\n"
     "Sub-array items become axes; records, and the small floats by their names, have a descr.\n"
     "Nothing is copied. The dict owns nothing and is no export: who uses the address holds the\n"
     "view, and release() ends it. Pinned and managed memory: waits for the work on it.",
     nullptr},
    {"__cuda_array_interface__", view_cuda_array_interface, nullptr,
     "The CUDA array interface, version 3: a dict with the address and the stream to wait for.\n"
     "AttributeError on the cpu, and for items without a typestr.\n\n"
     "The stream lives as long as the memory, waits for all work on it, and what is put there "
     "before\n"
     "the view goes is waited for before the memory is freed. Else as __array_interface__.",
     nullptr},
    {"__cuda_stream__", view_cuda_stream, nullptr,
     "A method that gives (0, handle) of the view's stream; AttributeError on the cpu.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyObject* view_repr(PyObject* object) {
    return guarded<PyObject*>(nullptr, [&] {
        const View& view = view_object(object)->view;
        if (view.released()) return PyUnicode_FromString("<devview.View released memory>");
        const auto where = py::reinterpret_steal<py::object>(device_object(view.device()));
        const std::string text =
            "<devview.View " + std::string(py::str(where)) + " format '" + view.format().text() +
            "' shape " + axes_text(view.ndim(), view.shape()) + " strides " +
            axes_text(view.ndim(), view.strides()) + (view.readonly() ? " readonly>" : ">");
        return PyUnicode_FromString(text.c_str());
    });
}

}  // namespace devview::python
