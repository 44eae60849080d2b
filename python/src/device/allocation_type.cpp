// The Allocation type: an owner of memory apart from its views.

#include <Python.h>  // before structmember.h, which leans on it

#include <structmember.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "arguments.hpp"
#include "device/ipc_bind.hpp"
#include "device/stream_object.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/ipc.hpp"
#include "owner.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

const std::shared_ptr<Allocation>& held(PyObject* object) {
    const auto& allocation = allocation_object(object)->allocation;
    if (!allocation) throw ReleasedError("operation forbidden on a cleared Allocation");
    return allocation;
}

const std::shared_ptr<Allocation>& live(PyObject* object) {
    const auto& allocation = held(object);
    if (allocation->freed()) throw ReleasedError("operation forbidden on freed Allocation object");
    return allocation;
}

template <PyObject* (*Read)(const Allocation&)>
PyObject* attribute(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr, [&] { return Read(*live(object)); });
}

PyObject* ptr(const Allocation& a) { return PyLong_FromVoidPtr(a.data()); }
PyObject* nbytes(const Allocation& a) { return PyLong_FromSize_t(a.nbytes()); }
PyObject* device(const Allocation& a) { return device_object(a.device()); }
PyObject* stream(const Allocation& a) { return new_stream_object(a.stream()); }
PyObject* owner(const Allocation& a) {
    PyObject* const object = owner_of(a);
    PyObject* const result = object ? object : Py_None;
    Py_INCREF(result);
    return result;
}

template <std::int64_t (Allocation::*Count)() const noexcept>
PyObject* counter(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr,
                              [&] { return PyLong_FromLongLong(((*held(object)).*Count)()); });
}

PyObject* freed(PyObject* object, void*) {
    return guarded<PyObject*>(nullptr, [&] { return PyBool_FromLong(held(object)->freed()); });
}

PyGetSetDef attributes[] = {
    {"ptr", attribute<ptr>, nullptr, "Address of the block as an int.", nullptr},
    {"nbytes", attribute<nbytes>, nullptr, "Size of the block in bytes.", nullptr},
    {"device", attribute<device>, nullptr, "Where the block lives, a dv.Device.", nullptr},
    {"stream", attribute<stream>, nullptr,
     "The stream that the block was made on and is freed on; None for host memory.", nullptr},
    {"owner", attribute<owner>, nullptr,
     "The object that owns imported memory; None if devview owns it.", nullptr},
    {"views", counter<&Allocation::views>, nullptr, "Living views of the block.", nullptr},
    {"exports", counter<&Allocation::exports>, nullptr,
     "Living exports: buffers, stagings, capsules.", nullptr},
    {"freed", freed, nullptr, "True after free().", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyObject* make_view(PyObject* object, PyObject* args, PyObject* kwargs) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        static const char* names[] = {"format", "shape", nullptr};
        PyObject* format_value = nullptr;
        PyObject* shape_value = nullptr;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:view", const_cast<char**>(names),
                                         &format_value, &shape_value)) {
            return nullptr;
        }
        const Format format = format_value ? read_format(format_value) : Format();
        const auto& allocation = live(object);
        const View held(allocation, nullptr, Format(), Layout(), true);  // no resize from here on
        if (format.itemsize() == 0) throw FormatError("view: itemsize 0", 0);
        if (format.has_objects()) {
            throw FormatError("view: format '" + format.str() +
                                  "' holds Python objects; only imported memory may",
                              0);
        }
        if (format.is_packed() && (shape_value == nullptr || shape_value == Py_None)) {
            const auto bytes = static_cast<std::int64_t>(allocation->nbytes());
            const View all(allocation, allocation->data(), Format(), Layout::vector(bytes, 1),
                           false);
            return new_view(all.cast(format));
        }
        std::vector<std::int64_t> shape;
        if (shape_value != nullptr && shape_value != Py_None) {
            shape = read_shape(shape_value);
        } else {
            shape = {static_cast<std::int64_t>(allocation->nbytes()) / format.itemsize()};
            if (shape[0] * format.itemsize() != static_cast<std::int64_t>(allocation->nbytes())) {
                throw LayoutError("view: " + std::to_string(allocation->nbytes()) +
                                  " bytes are no multiple of itemsize " +
                                  std::to_string(format.itemsize()));
            }
        }
        const Layout layout =
            Layout::contiguous(static_cast<int>(shape.size()), shape.data(), format.itemsize());
        return new_view(
            view_of(allocation->data(), format, layout, allocation->device(), allocation));
    });
}

PyObject* resize(PyObject* object, PyObject* value) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const std::int64_t size = read_integer(value, "nbytes");
        if (size < 0) {
            throw LayoutError("resize: nbytes " + std::to_string(size) + ", must not be negative");
        }
        std::optional<Resize> step;
        std::shared_ptr<Allocation> allocation = live(object);
        {
            const GilRelease release;
            step.emplace(std::move(allocation), static_cast<std::size_t>(size));
        }
        step->commit();  // with the GIL, which guards attributes and new views
        {
            const GilRelease release;
            step.reset();
        }
        Py_RETURN_NONE;
    });
}

PyObject* free_block(PyObject* object, PyObject*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const std::shared_ptr<Allocation> allocation = held(object);
        {
            const GilRelease release;
            allocation->free();
        }
        Py_RETURN_NONE;
    });
}

PyObject* export_block(PyObject* object, PyObject* args, PyObject* kwargs) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        static const char* names[] = {"readonly", nullptr};
        int readonly = 0;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:export_handle",
                                         const_cast<char**>(names), &readonly)) {
            return nullptr;
        }
        const auto& allocation = live(object);
        const auto bytes = static_cast<std::int64_t>(allocation->nbytes());
        return exported_bytes(View(allocation, allocation->data(), Format(),
                                   Layout::vector(bytes, 1), readonly != 0));
    });
}

PyObject* enter(PyObject* object, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] {
        live(object);
        Py_INCREF(object);
        return object;
    });
}

PyObject* leave(PyObject* object, PyObject*) { return free_block(object, nullptr); }

PyMethodDef methods[] = {
    {"view", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(make_view)),
     METH_VARARGS | METH_KEYWORDS,
     "view($self, /, format='B', shape=None)\n--\n\nA dense view from the block's start.\n\n"
     "Without a shape it is 1-d and covers the whole block. Raises LayoutError if it does not "
     "fit."},
    {"resize", resize, METH_O,
     "resize($self, nbytes, /)\n--\n\nGives the block another size; the content is kept as far as "
     "it fits.\n\nThe address may change. Raises BufferError, naming the count, while anything "
     "views the block, and\nfor memory that devview does not own; OutOfMemory (then nothing has "
     "changed)."},
    {"free", free_block, METH_NOARGS,
     "free($self, /)\n--\n\nGives the block back now; idempotent.\n\nRaises BufferError, naming "
     "the "
     "count, while a view or export lives."},
    {"export_handle", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(export_block)),
     METH_VARARGS | METH_KEYWORDS,
     "export_handle($self, /, *, readonly=False)\n--\n\nBytes with which another process of this "
     "user opens the block: dv.import_handle().\n\nThere it is a 1-d view of bytes; a view's own "
     "export_handle() carries its format and layout.\nSee View.export_handle for the rest."},
    {"__enter__", enter, METH_NOARGS, "The allocation itself."},
    {"__exit__", leave, METH_VARARGS, "Frees the block."},
    {nullptr, nullptr, 0, nullptr},
};

PyObject* repr(PyObject* object) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const auto& allocation = held(object);
        if (allocation->freed()) return PyUnicode_FromString("<devview.Allocation freed>");
        const auto where = py::reinterpret_steal<py::object>(device_object(allocation->device()));
        return PyUnicode_FromFormat(
            "<devview.Allocation %S %zu bytes at %p, %lld views, %lld exports>", where.ptr(),
            allocation->nbytes(), allocation->data(), static_cast<long long>(allocation->views()),
            static_cast<long long>(allocation->exports()));
    });
}

PyObject* make(PyTypeObject*, PyObject* args, PyObject* kwargs) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        static const char* names[] = {"nbytes", "device", "stream", "shareable", nullptr};
        int shareable = 0;
        PyObject* size_value = nullptr;
        PyObject* device_value = nullptr;
        PyObject* stream_value = nullptr;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOp:Allocation",
                                         const_cast<char**>(names), &size_value, &device_value,
                                         &stream_value, &shareable)) {
            return nullptr;
        }
        const std::int64_t size = read_integer(size_value, "nbytes");
        if (size < 0) {
            throw LayoutError("Allocation: nbytes " + std::to_string(size) +
                              ", must not be negative");
        }
        const Device where = read_device(device_value);
        const Stream on = read_stream(stream_value, where);
        const auto allocation = [&] {
            const GilRelease release;
            const auto bytes = static_cast<std::size_t>(size);
            return shareable ? allocate_shareable(bytes, where, on) : allocate(bytes, where, on);
        }();
        if (tracing) trace_origin(*allocation);
        return reinterpret_cast<PyObject*>(object_of(allocation));
    });
}

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(AllocationObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

constexpr const char* kDoc = R"(Allocation(nbytes, *, device='cpu', stream=None, shareable=False)
--

One block of memory, an owner apart from its views.

It is given back when the last of its views, exports and references to this object goes, or by
``free()``. ``view.allocation`` is this object for every view. As a context manager it is freed at the
end.

``shareable=True`` makes memory of a cuda device that other processes can open (``export_handle()``).
Each such block has a CUDA memory pool of its own, which the driver rounds up (to 2 MiB). DeviceError
where the driver cannot, and for other devices.)";

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(kDoc)},
    {Py_tp_new, reinterpret_cast<void*>(make)},
    {Py_tp_dealloc, reinterpret_cast<void*>(allocation_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(allocation_traverse)},
    {Py_tp_finalize, reinterpret_cast<void*>(allocation_finalize)},
    {Py_tp_clear, reinterpret_cast<void*>(allocation_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_getset, attributes},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "devview.Allocation",
    sizeof(AllocationObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

}  // namespace

void make_allocation_type(py::module_& module) {
    allocation_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (allocation_type == nullptr) throw py::error_already_set();
    module.add_object("Allocation", py::reinterpret_borrow<py::object>(
                                        reinterpret_cast<PyObject*>(allocation_type)));
}

}  // namespace devview::python
