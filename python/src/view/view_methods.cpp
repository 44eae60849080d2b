// Methods of a View: what memoryview has, and what only changes the layout; the table of all.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "buffer/host_access.hpp"
#include "device/ipc_bind.hpp"
#include "device/staging_object.hpp"
#include "devview/copy.hpp"
#include "devview/copy_plan.hpp"
#include "devview/error.hpp"
#include "errors.hpp"
#include "import.hpp"
#include "protocols.hpp"
#include "view/call_arguments.hpp"
#include "view/view_items.hpp"
#include "view/view_moves.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

PyObject* wrap(PyObject* self, View view) { return new_sub_view(self, std::move(view)); }

template <PyObject* (*Call)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*)>
PyObject* method(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&] { return Call(self, values, count, names); });
}

template <PyObject* (*Call)(PyObject*)>
PyObject* simple(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] { return Call(self); });
}

// --- As memoryview ---

PyObject* release(PyObject* self) {
    release_view(view_object(self));
    Py_RETURN_NONE;
}

PyObject* enter(PyObject* self) {
    live_view(self);
    Py_INCREF(self);
    return self;
}

PyObject* handle_of_view(PyObject* self) { return exported_bytes(live_view(self)); }

PyObject* leave(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) { return release(self); }

/// The bytes of packed items in their order, zeros behind the last one.
PyObject* packed_bytes(const View& view) {
    const std::int64_t count = view.nbytes();
    const HostItems host(view.cast(Format(), 1, &count), "tobytes");
    py::object bytes = py::reinterpret_steal<py::object>(
        PyBytes_FromStringAndSize(host.data(), static_cast<Py_ssize_t>(count)));
    if (!bytes) throw py::error_already_set();
    const auto tail = static_cast<int>(view.size() % 8 * view.format().node()->bits % 8);
    if (tail != 0) {
        char& last = PyBytes_AS_STRING(bytes.ptr())[count - 1];
        last = static_cast<char>(last & ((1 << tail) - 1));
    }
    return bytes.release().ptr();
}

PyObject* bytes_of(PyObject* self, PyObject* order_value) {
    const View view = live_view(self);
    const Order order = lying_order(view, order_value);
    if (view.format().is_packed()) {
        if (order == Order::F && !view.contiguous(Order::F)) {
            throw LayoutError("tobytes: packed items have bytes in C order only");
        }
        return packed_bytes(view);
    }
    py::object bytes = py::reinterpret_steal<py::object>(
        PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(view.nbytes())));
    if (!bytes) throw py::error_already_set();
    const HostItems host(view, "tobytes", order);
    char* const to = PyBytes_AS_STRING(bytes.ptr());
    const auto copy = [&] {
        copy_host(to, Layout::contiguous(view.ndim(), view.shape(), view.itemsize(), order),
                  host.data(), host.layout(), view.itemsize());
    };
    if (view.nbytes() <= 65536) {
        copy();
    } else {
        const GilRelease release_gil;  // nobody else has the bytes object yet
        copy();
    }
    return bytes.release().ptr();
}

PyObject* tobytes(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "tobytes", {"order"});
    return bytes_of(self, arguments[0]);
}

PyObject* hex(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const auto bytes = py::reinterpret_steal<py::object>(bytes_of(self, nullptr));
    const auto call = py::reinterpret_steal<py::object>(PyObject_GetAttrString(bytes.ptr(), "hex"));
    if (!call) throw py::error_already_set();
    return PyObject_Vectorcall(call.ptr(), values, static_cast<size_t>(count), names);
}

PyObject* toreadonly(PyObject* self) { return wrap(self, live_view(self).as_readonly()); }

PyObject* cast(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "cast", {"format", "shape"});
    const Format format = read_format(arguments.require(0));
    std::vector<std::int64_t> shape;
    if (arguments[1] != nullptr) shape = read_shape(arguments[1]);
    const View& view = live_view(self);
    try {
        return wrap(self, arguments[1] == nullptr
                              ? view.cast(format)
                              : view.cast(format, static_cast<int>(shape.size()), shape.data()));
    } catch (const LayoutError& error) {
        throw CastError(error.what());
    }
}

// --- Layouts ---

/// Axes given as one tuple or as arguments of their own: transpose(1, 0), transpose((1, 0)).
py::object spread(PyObject* const* values, Py_ssize_t count) {
    if (count == 1) return py::reinterpret_borrow<py::object>(values[0]);
    py::tuple tuple(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        tuple[static_cast<std::size_t>(i)] = py::reinterpret_borrow<py::object>(values[i]);
    }
    return tuple;
}

/// transpose and reshape take their one argument spread out, or by its name; nothing else.
Py_ssize_t count_spread(Py_ssize_t count, PyObject* names, const char* function, const char* name) {
    if (names == nullptr || PyTuple_GET_SIZE(names) == 0) return count;
    PyObject* const given = PyTuple_GET_ITEM(names, PyTuple_GET_SIZE(names) - 1);
    if (count > 0 || PyTuple_GET_SIZE(names) > 1 ||
        PyUnicode_CompareWithASCIIString(given, name) != 0) {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected argument '%U'", function, given);
        throw py::error_already_set();
    }
    return 1;
}

PyObject* transpose(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    count = count_spread(count, names, "transpose", "axes");
    const View& view = live_view(self);
    if (count == 0 || (count == 1 && values[0] == Py_None)) return wrap(self, view.transpose());
    auto axes = read_integers(spread(values, count).ptr(), "axes");
    const View& now = live_view(self);
    if (static_cast<int>(axes.size()) != now.ndim()) {
        throw LayoutError("transpose: " + std::to_string(axes.size()) + " axes, the view has " +
                          std::to_string(now.ndim()));
    }
    int order[kMaxNdim];
    for (std::size_t i = 0; i < axes.size(); ++i) {
        const std::int64_t axis = axes[i] < 0 ? axes[i] + now.ndim() : axes[i];
        if (axis < 0 || axis >= now.ndim()) {
            throw LayoutError("transpose: axis " + std::to_string(axes[i]) + ", the view has " +
                              std::to_string(now.ndim()));
        }
        order[i] = static_cast<int>(axis);
    }
    return wrap(self, now.transpose(order));
}

PyObject* reshape(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    count = count_spread(count, names, "reshape", "shape");
    if (count == 0) throw py::type_error("reshape() misses argument 'shape'");
    const auto shape = read_reshape(spread(values, count).ptr(), live_view(self).size());
    return wrap(self, live_view(self).reshape(static_cast<int>(shape.size()), shape.data()));
}

PyObject* broadcast_to(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "broadcast_to", {"shape"});
    const auto shape = read_shape(arguments.require(0));
    // Several items share one address then: writing would be a surprise (as NumPy).
    return wrap(
        self,
        live_view(self).broadcast_to(static_cast<int>(shape.size()), shape.data()).as_readonly());
}

PyObject* squeeze(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "squeeze", {"axis"});
    std::vector<bool> drop_axis(kMaxNdim, false);
    std::vector<std::int64_t> axes;
    const bool all = arguments[0] == nullptr;
    if (!all) axes = read_integers(arguments[0], "axis");
    View view = live_view(self);
    for (int axis = 0; all && axis < view.ndim(); ++axis) {
        drop_axis[static_cast<std::size_t>(axis)] = view.shape()[axis] == 1;
    }
    for (const std::int64_t given : axes) {
        const std::int64_t axis = given < 0 ? given + view.ndim() : given;
        if (axis < 0 || axis >= view.ndim()) {
            throw LayoutError("squeeze: axis " + std::to_string(given) + ", the view has " +
                              std::to_string(view.ndim()));
        }
        drop_axis[static_cast<std::size_t>(axis)] = true;
    }
    for (int axis = view.ndim() - 1; axis >= 0; --axis) {
        if (drop_axis[static_cast<std::size_t>(axis)]) view = view.remove_axis(axis);
    }
    return wrap(self, std::move(view));
}

// --- Writing and staging ---

PyObject* stage(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "stage", {}, {"writable", "stream"});
    const Stream stream = read_stream(arguments[1], live_view(self).device());
    return new_staging(self, arguments.truth(0, false), stream);
}

PyObject* reduce(PyObject* self, PyObject* protocol) {
    return guarded<PyObject*>(nullptr, [&] {
        const View view = live_view(self);
        require_no_objects("pickle", view);
        const auto made =
            py::module_::import("devview._pickle")
                .attr("reduce")(py::handle(self), py::handle(protocol), view.format().str());
        return py::object(made).release().ptr();
    });
}

}  // namespace

#define FAST(name, function, doc)                                                            \
    {                                                                                        \
        name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(method<function>)), \
            METH_FASTCALL | METH_KEYWORDS, doc                                               \
    }

PyMethodDef view_methods[] = {
    {"release", simple<release>, METH_NOARGS,
     "release($self, /)\n--\n\nLets go of the memory; idempotent.\n\n"
     "Raises BufferError, naming the count, while exports of this very view live. If this was the\n"
     "memory's last holder it is given back before the call returns."},
    {"export_handle", simple<handle_of_view>, METH_NOARGS,
     "export_handle($self, /)\n--\n\n56 bytes with which another process of this user opens this "
     "view: dv.import_handle().\n\nOf memory made with ``Allocation(..., shareable=True)``; other "
     "memory raises BufferError. The host waits for\nall work on the memory so far. The handle "
     "keeps nothing alive: it may be opened any number of times while\nthe memory lives, and is "
     "stale afterwards. Importers count in ``allocation.exports`` and keep the memory.\nLinux "
     "only."},
    {"__enter__", simple<enter>, METH_NOARGS, "The view itself."},
    FAST("__exit__", leave, "Releases the view."),
    FAST("tobytes", tobytes,
         "tobytes($self, /, order='C')\n--\n\nThe items as bytes, in C or Fortran order; 'A': as "
         "they lie.\n\nA copy; a device view is staged, which a transfer guard rules."),
    FAST("hex", hex, "The bytes of tobytes() as hexadecimal text; arguments as bytes.hex()."),
    {"tolist", simple<list_items>, METH_NOARGS,
     "tolist($self, /)\n--\n\nThe items as nested lists; the item itself of a 0-d view.\n\n"
     "Records are named tuples, sub-arrays lists. A copy; a device view is staged, which\n"
     "a transfer guard rules."},
#if PY_VERSION_HEX >= 0x030C0000
    {"_from_flags", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(view_from_flags)),
     METH_FASTCALL | METH_KEYWORDS | METH_CLASS,
     "_from_flags($type, /, object, flags)\n--\n\nA View of what the exporter answers to these "
     "request flags, as memoryview's."},
#endif
    {"toreadonly", simple<toreadonly>, METH_NOARGS,
     "toreadonly($self, /)\n--\n\nA read-only view of the same memory, which stays alive with it."},
    FAST(
        "cast", cast,
        "cast($self, /, format, shape=None)\n--\n\nThe same memory read as other items.\n\n"
        "Without a shape a C-contiguous view that is read from or as bytes ('B', 'b', 'c') becomes "
        "one\naxis, as memoryview's; any other keeps its axes, and the last one must be dense and "
        "its bytes\na multiple of the new itemsize unless itemsizes are equal, as NumPy's view(). "
        "With a shape the\nview must be C-contiguous. Shares the memory. Raises CastError, a "
        "LayoutError and TypeError."),
    {"count", count_items, METH_O,
     "count($self, value, /)\n--\n\nHow many items of a 1-d view equal value.\n\nA device view is "
     "staged, which a transfer guard rules. Raises LayoutError for other axes."},
    FAST(
        "index", index_of_item,
        "index($self, value, start=0, stop=None, /)\n--\n\nPosition of the first item of a 1-d "
        "view that "
        "equals value.\n\nA device view is staged, which a transfer guard rules. Raises ValueError "
        "if there is none,\nLayoutError for other axes."),
    FAST("transpose", transpose,
         "The axes in another order: transpose(), transpose(1, 0), transpose((1, 0)).\n\n"
         "Shares the memory. Raises LayoutError for axes that are no permutation, or that would "
         "cross a\nsuboffset's pointer."),
    FAST("reshape", reshape,
         "The items under another shape (one extent may be -1): reshape(2, 3), reshape((2, 3)).\n\n"
         "Shares the memory. Raises LayoutError where strides cannot express it."),
    FAST(
        "broadcast_to", broadcast_to,
        "broadcast_to($self, /, shape)\n--\n\nThe items repeated by NumPy's rule, read-only.\n\n"
        "Shares the memory: repeated axes have stride 0. Raises LayoutError for shapes that do not "
        "match."),
    FAST("squeeze", squeeze,
         "squeeze($self, /, axis=None)\n--\n\nWithout axes of extent 1: all of them, or those "
         "named.\n\nShares the memory. Raises LayoutError for an axis of another extent."),
    FAST("to", view_to,
         "to($self, /, device, *, stream=None, copy=None)\n--\n\nThe items on another device.\n\n"
         "The view itself where it is there already and copy is not True; else a dense copy, "
         "ordered on\n``stream`` and not waited for unless pageable host memory is involved. "
         "copy=False raises\nBufferError where a copy is needed."),
    FAST(
        "copy", view_copy,
        "copy($self, /, *, device=None, order='C', stream=None)\n--\n\nA dense copy, on the same "
        "device unless one is named.\n\nAlways new memory. ``order``: 'C', 'F' or 'A' (as the view "
        "lies). Ordered on ``stream``, else the\nview's stream, after all uses of the memory; not "
        "waited for unless pageable host memory is\ninvolved. Raises OutOfMemory, DeviceError."),
    FAST(
        "astype", view_astype,
        "astype($self, /, format, *, order='C', copy=True, stream=None)\n--\n\n"
        "A dense copy with the items converted to format by value, on the view's device.\n\n"
        "copy=False: the view itself where the formats are equal. Numbers are rounded once, to\n"
        "nearest even; integers wrap modulo 2**n; floats saturate to integers, NaN is 0; anything\n"
        "but zero is True. Strings are cut or padded, records converted member by member in "
        "order,\narrays element by element. Ordered on stream as copy(). Raises FormatError where "
        "there is\nno conversion: complex to real (Array API), Python objects, pointers."),
    FAST("copy_from", view_copy_from,
         "copy_from($self, /, obj, *, stream=None)\n--\n\nWrites the items of obj here; same "
         "shape, same format or one of\nthe same kind (as copyto). Returns the view.\n\n"
         "Ordered as copyto(). Raises BufferError for a read-only view, LayoutError, FormatError."),
    FAST("copy_to", view_copy_to,
         "copy_to($self, /, obj, *, stream=None)\n--\n\nWrites the items to obj; same shape, "
         "same format or one of the\nsame kind (as copyto). Returns obj.\n\n"
         "Ordered as copyto(). Raises BufferError for read-only memory, LayoutError, FormatError."),
    FAST("fill", fill_items,
         "fill($self, /, value, *, stream=None)\n--\n\nWrites value to every item, of any "
         "format. Returns the view.\n\n"
         "Ordered on ``stream`` and not waited for on a device. Raises as v[i] = value; nothing is "
         "written then."),
    FAST("stage", stage,
         "stage($self, /, *, writable=False, stream=None)\n--\n\nStarts a host copy of the items: "
         "a Staging, to be used in a with statement::\n\n"
         "    with v.stage(writable=True) as m:   # waits; m is a memoryview of the copy\n"
         "        m[0] = 1\n"
         "    # written back here\n\n"
         "Raises BufferError for a writable staging of a read-only view, or one that overlaps "
         "another."),
    {"__sizeof__", view_sizeof, METH_NOARGS,
     "__sizeof__($self, /)\n--\n\nBytes of the object itself, its layout with it; not the "
     "memory, nor the\nallocation's record, which all views of the memory share."},
    {"__reduce_ex__", reduce, METH_O,
     "__reduce_ex__($self, protocol, /)\n--\n\nPickles the items, their device and layout.\n\n"
     "From protocol 5 on a dense host view gives its own memory out of band (PEP 574), and what "
     "is\n"
     "unpickled views the memory that it is given. A device view is copied to the host, and back "
     "to\n"
     "the same device."},
    FAST("__dlpack__", view_dlpack,
         "__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"
         "The memory as a DLPack 1.3 capsule, which holds it until the consumer's deleter ran.\n\n"
         "max_version None or below (1, 0): a legacy capsule, which read-only memory refuses.\n"
         "stream, of a CUDA view: the consumer's, which waits for the work so far (the host does\n"
         "not): None or 1 the legacy stream, 2 the per-thread one, a handle, a dv.Stream; -1: no\n"
         "order; 0 is refused. dl_device: (1, 0) copies device memory to the host and waits, "
         "pinned\n"
         "and managed memory is shared after a wait; (2, n) copies on the consumer's stream. copy\n"
         "True: always, flagged as copied; False: never. Does not block release().\n\n"
         "Raises BufferError for what DLPack cannot say (records, foreign byte order, odd "
         "strides),\n"
         "Refused (also a ValueError) for a request that cannot be met, ValueError if released."),
    {"__dlpack_device__", view_dlpack_device, METH_NOARGS,
     "__dlpack_device__($self, /)\n--\n\nDLPack's (device type, device id): (1, 0) cpu, (2, n) "
     "cuda:n, (3, 0) pinned,\n(13, 0) managed."},
    FAST("__arrow_c_array__", view_arrow_array,
         "__arrow_c_array__($self, /, requested_schema=None)\n--\n\n"
         "The items as an Arrow array: capsules of an ArrowSchema and an ArrowArray (Arrow "
         "PyCapsule interface).\n\n"
         "Shares the memory and holds its allocation until the array is released; "
         "``release()`` of the view is not held up. The view must be C-contiguous with one axis "
         "or more: further axes become fixed-size lists. Waits for pending work on pinned and "
         "managed memory. ``requested_schema``: best effort, so the view's own type is given.\n\n"
         "Raises BufferError for device memory, strides, no axis, and a format that Arrow cannot "
         "say."),
    FAST("__arrow_c_device_array__", view_arrow_device_array,
         "__arrow_c_device_array__($self, /, requested_schema=None, **kwargs)\n--\n\n"
         "The items as an Arrow array on any device: capsules of an ArrowSchema and an "
         "ArrowDeviceArray.\n\n"
         "As ``__arrow_c_array__``, but nothing is waited for: ``sync_event`` is recorded after "
         "all uses of the memory so far, belongs to the array, and is NULL where nothing is "
         "pending. Raises NotImplementedError for other arguments that are not None."),
    {nullptr, nullptr, 0, nullptr},
};

#undef FAST

}  // namespace devview::python
