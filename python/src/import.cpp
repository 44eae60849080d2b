// Import by the buffer protocol and __array_interface__, and views of plain pointers.
#include "import.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "array_interface.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "owner.hpp"
#include "stream_object.hpp"

namespace devview::python {

namespace {

/// Holds a Py_buffer until an allocation takes it over.
class BufferRequest {
public:
    BufferRequest() { buffer_.obj = nullptr; }
    ~BufferRequest() {
        if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
    }
    BufferRequest(const BufferRequest&) = delete;
    BufferRequest& operator=(const BufferRequest&) = delete;
    /// Writable if the exporter can, else read-only. False with a Python error set.
    bool get(PyObject* object) { return PyObject_GetBuffer(object, &buffer_, PyBUF_FULL_RO) == 0; }
    Py_buffer& operator*() noexcept { return buffer_; }
    Py_buffer* operator->() noexcept { return &buffer_; }

private:
    Py_buffer buffer_;
};

const std::int64_t* wide(const Py_ssize_t* values) noexcept {
    return reinterpret_cast<const std::int64_t*>(values);
}

Format buffer_format(const Py_buffer& buffer) {
    const char* const text = buffer.format != nullptr ? buffer.format : "B";
    if (text[0] != '\0' && text[1] == '\0') {
        const Format* const format = native_format(text[0]);
        if (format != nullptr && format->itemsize() == buffer.itemsize) return *format;
    }
    return Format::with_itemsize(text, buffer.itemsize);
}

/// What Layout::strided checks, in one pass over few axes. False: leave it to the general path.
bool small_layout(const Py_buffer& buffer, Layout& layout, ByteBounds& bounds) noexcept {
    if (buffer.ndim < 1 || buffer.ndim > 3 || buffer.shape == nullptr ||
        buffer.strides == nullptr || buffer.suboffsets != nullptr || buffer.itemsize <= 0) {
        return false;
    }
    std::int64_t size = buffer.itemsize;
    bounds = {0, buffer.itemsize};
    for (int axis = 0; axis < buffer.ndim; ++axis) {
        const std::int64_t extent = buffer.shape[axis];
        std::int64_t reach = 0;
        if (extent <= 0 || __builtin_mul_overflow(size, extent, &size) ||
            __builtin_mul_overflow(extent - 1, std::int64_t{buffer.strides[axis]}, &reach) ||
            __builtin_add_overflow(reach < 0 ? bounds.low : bounds.high, reach,
                                   reach < 0 ? &bounds.low : &bounds.high)) {
            return false;
        }
    }
    std::int64_t span = 0;
    if (size != buffer.len || __builtin_sub_overflow(bounds.high, bounds.low, &span)) return false;
    layout = Layout::small(buffer.ndim, wide(buffer.shape), wide(buffer.strides));
    return true;
}

Layout buffer_layout(const Py_buffer& buffer) {
    if (buffer.ndim < 0 || buffer.ndim > kMaxNdim) {
        throw LayoutError("view: ndim " + std::to_string(buffer.ndim) + ", limit 64");
    }
    if (buffer.itemsize <= 0) {
        throw LayoutError("view: itemsize " + std::to_string(buffer.itemsize) +
                          ", must be positive");
    }
    if (buffer.shape == nullptr && buffer.ndim > 0) {
        if (buffer.ndim > 1) throw LayoutError("view: shape is NULL for more than one axis");
        return Layout::vector(buffer.len / buffer.itemsize, buffer.itemsize);
    }
    return Layout::strided(buffer.ndim, wide(buffer.shape), wide(buffer.strides),
                           wide(buffer.suboffsets), buffer.itemsize);
}

/// Everything is checked before the buffer is taken over; then it belongs to the allocation.
View view_of_buffer(BufferRequest& request) {
    Py_buffer& buffer = *request;
    Format format = buffer_format(buffer);
    Layout layout;
    ByteBounds bounds{0, buffer.len};
    if (!small_layout(buffer, layout, bounds)) {
        layout = buffer_layout(buffer);
        if (layout.nbytes(format.itemsize()) != buffer.len) {
            throw LayoutError("view: len " + std::to_string(buffer.len) +
                              ", shape and itemsize give " +
                              std::to_string(layout.nbytes(format.itemsize())));
        }
        bounds = layout.suboffsets() == nullptr ? layout.bounds(format.itemsize())
                                                : ByteBounds{0, buffer.len};
    }
    auto* const data = static_cast<char*>(buffer.buf);
    if (data == nullptr && buffer.len > 0) throw LayoutError("view: buf is NULL");
    const bool readonly = buffer.readonly != 0;
    auto allocation =
        adopt_buffer(buffer, data + bounds.low, static_cast<std::size_t>(bounds.high - bounds.low));
    return View(std::move(allocation), data, std::move(format), std::move(layout), readonly);
}

bool is_refusal() {
    return PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_ValueError) ||
           PyErr_ExceptionMatches(PyExc_TypeError);
}

std::string pending_message() {
    py::error_already_set error;
    return py::cast<std::string>(py::str(error.value()));
}

[[noreturn]] void import_refused(PyObject* object, const std::string& tried) {
    const py::object type = py::module_::import("devview._devview").attr("ImportRefused");
    PyErr_Format(type.ptr(), "view: no protocol of '%.200s' can be used: %s",
                 Py_TYPE(object)->tp_name, tried.c_str());
    throw py::error_already_set();
}

View import_any(PyObject* object) {
    std::string tried;
    if (PyObject_CheckBuffer(object)) {
        BufferRequest request;
        if (request.get(object)) {
            try {
                return view_of_buffer(request);
            } catch (const Error& error) {
                tried += std::string("buffer protocol: ") + error.what();
            }
        } else {
            if (!is_refusal()) throw py::error_already_set();
            tried += "buffer protocol: " + pending_message();
        }
    } else {
        tried += "buffer protocol: not offered";
    }
    std::string why;
    if (auto view = import_array_interface(object, why)) return std::move(*view);
    import_refused(object, tried + "; __array_interface__: " + why);
}

View narrowed(View view, PyObject* readonly) {
    if (readonly == nullptr || readonly == Py_None) return view;
    const int wanted = PyObject_IsTrue(readonly);
    if (wanted < 0) throw py::error_already_set();
    if (wanted == 0 && view.readonly()) {
        throw BufferError("view: readonly=False, the memory is read-only");
    }
    return wanted == 1 && !view.readonly() ? view.as_readonly() : view;
}

/// copy=None: as needed for the device.
View placed(View view, PyObject* device, PyObject* stream, PyObject* copy) {
    const Device where = read_device(device, view.device());
    const Stream on = read_stream(stream, is_cuda(where) ? where : view.device());
    const int asked = copy == nullptr || copy == Py_None ? -1 : PyObject_IsTrue(copy);
    if (asked == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (where == view.device() && asked != 1) return on ? view.with_stream(on) : view;
    if (asked == 0) {
        throw BufferError("view: copy=False, but " + to_string(view.device()) + " to " +
                          to_string(where) + " needs a copy");
    }
    require_copyable(view, view, "view");
    const GilRelease release;
    return copy_to(view, where, Order::C, on);
}

struct ViewOptions {
    PyObject* device = nullptr;
    PyObject* stream = nullptr;
    PyObject* copy = nullptr;
    PyObject* readonly = nullptr;
};

ViewOptions read_options(PyObject* const* values, PyObject* names) {
    ViewOptions options;
    for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
        PyObject* const name = PyTuple_GET_ITEM(names, i);
        PyObject** const slot =
            PyUnicode_CompareWithASCIIString(name, "device") == 0     ? &options.device
            : PyUnicode_CompareWithASCIIString(name, "stream") == 0   ? &options.stream
            : PyUnicode_CompareWithASCIIString(name, "copy") == 0     ? &options.copy
            : PyUnicode_CompareWithASCIIString(name, "readonly") == 0 ? &options.readonly
                                                                      : nullptr;
        if (slot == nullptr) {
            PyErr_Format(PyExc_TypeError, "view() got an unexpected keyword argument '%U'", name);
            throw py::error_already_set();
        }
        *slot = values[i];
    }
    return options;
}

PyObject* import_with(PyObject* object, const ViewOptions& options) {
    View source = is_view(object) ? live_view(object) : import_any(object);
    const auto held = source.allocation();
    View view = narrowed(placed(std::move(source), options.device, options.stream, options.copy),
                         options.readonly);
    return is_view(object) && view.allocation() == held ? new_sub_view(object, std::move(view))
                                                        : new_view(std::move(view));
}

}  // namespace

PyObject* view_vectorcall(PyObject*, PyObject* const* args, size_t nargsf, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
        if (count != 1) {
            PyErr_Format(PyExc_TypeError, "view() takes exactly 1 positional argument (%zd given)",
                         count);
            return nullptr;
        }
        if (names == nullptr && !is_view(args[0])) return new_view(import_any(args[0]));
        return import_with(args[0], read_options(args + 1, names));
    });
}

PyObject* view_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    // Only reached by type.__new__ calls; everything else goes through the vectorcall.
    std::vector<PyObject*> values(&PyTuple_GET_ITEM(args, 0),
                                  &PyTuple_GET_ITEM(args, 0) + PyTuple_GET_SIZE(args));
    py::object names;
    if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0) {
        names = py::reinterpret_steal<py::object>(PySequence_Tuple(kwargs));
        for (const py::handle name : names) {
            values.push_back(PyDict_GetItem(kwargs, name.ptr()));
        }
    }
    return view_vectorcall(reinterpret_cast<PyObject*>(type), values.data(),
                           static_cast<size_t>(PyTuple_GET_SIZE(args)), names.ptr());
}

View import_view(PyObject* object) {
    if (is_view(object)) return live_view(object);
    return import_any(object);
}

void require_copyable(const View& dst, const View& src, const char* function) {
    const std::string where = std::string(function) + ": ";
    if (dst.format() != src.format()) {
        throw FormatError(
            where + "format '" + src.format().text() + "' into '" + dst.format().text() + "'", 0);
    }
    if (dst.format().has_objects()) {
        throw FormatError(where + "format '" + dst.format().text() + "' holds Python objects", 0);
    }
    if (dst.ndim() != src.ndim() ||
        !std::equal(dst.shape(), dst.shape() + dst.ndim(), src.shape())) {
        throw LayoutError(where + "shape " + Layout::to_string(src.ndim(), src.shape()) + " into " +
                          Layout::to_string(dst.ndim(), dst.shape()));
    }
}

namespace {

PyObject* view_function(PyObject* module, PyObject* const* args, Py_ssize_t count,
                        PyObject* names) {
    return view_vectorcall(module, args, static_cast<size_t>(count), names);
}

py::object from_buffer(const py::object& object, const py::object& format, const py::object& shape,
                       const py::object& strides) {
    BufferRequest request;
    if (!request.get(object.ptr())) throw py::error_already_set();
    View view = view_of_buffer(request);
    const bool anew = !shape.is_none() || !strides.is_none();
    if (anew && view.format().has_objects()) {
        throw FormatError("from_buffer: Python objects cannot be laid out anew", 0);
    }
    if (anew && view.suboffsets() != nullptr) {
        throw LayoutError("from_buffer: a buffer with suboffsets cannot be laid out anew");
    }
    if (!format.is_none()) {
        const Format wanted = read_format(format.ptr());
        view = shape.is_none() && strides.is_none() && view.ndim() > 0
                   ? view.cast(wanted)
                   : view.cast(wanted, 1,
                               std::vector<std::int64_t>{
                                   view.nbytes() / std::max<std::int64_t>(1, wanted.itemsize())}
                                   .data());
    }
    if (!shape.is_none()) {
        const auto extents = read_shape(shape.ptr());
        const auto axes = static_cast<int>(extents.size());
        std::vector<std::int64_t> steps;
        if (!strides.is_none()) {
            steps = read_integers(strides.ptr(), "strides");
            if (steps.size() != extents.size()) {
                throw LayoutError("from_buffer: " + std::to_string(steps.size()) + " strides for " +
                                  std::to_string(axes) + " axes");
            }
        }
        view = view_of(
            view.data(), view.format(),
            Layout::strided(axes, extents.data(), strides.is_none() ? nullptr : steps.data(),
                            nullptr, view.itemsize()),
            view.device(), view.allocation(), view.readonly());
    } else if (!strides.is_none()) {
        throw LayoutError("from_buffer: strides given without a shape");
    }
    return py::reinterpret_steal<py::object>(new_view(std::move(view)));
}

py::object from_pointer(const py::object& pointer, const py::object& shape,
                        const py::object& format, const py::object& device,
                        const py::object& nbytes, const py::object& strides, bool readonly,
                        const py::object& owner, const py::object& release,
                        const py::object& stream) {
    const auto extents = read_shape(shape.ptr());
    const Format items = read_format(format.ptr());
    if (items.itemsize() == 0) throw FormatError("from_pointer: itemsize 0", 0);
    if (device.is_none()) throw py::type_error("from_pointer: device is None, name it");
    const Device where = read_device(device.ptr());
    if (items.has_objects() && !host_accessible(where)) {
        throw FormatError("from_pointer: Python objects cannot live on " + to_string(where), 0);
    }
    std::vector<std::int64_t> steps;
    if (!strides.is_none()) {
        steps = read_integers(strides.ptr(), "strides");
        if (steps.size() != extents.size()) {
            throw LayoutError("from_pointer: " + std::to_string(steps.size()) + " strides for " +
                              std::to_string(extents.size()) + " axes");
        }
    }
    const Layout layout =
        Layout::strided(static_cast<int>(extents.size()), extents.data(),
                        strides.is_none() ? nullptr : steps.data(), nullptr, items.itemsize());
    const ByteBounds bounds = layout.bounds(items.itemsize());
    const auto address = read_address(pointer.ptr(), "ptr");
    if (address == 0 && bounds.high > bounds.low) {
        throw LayoutError("from_pointer: ptr is 0, the shape has " +
                          std::to_string(layout.nbytes(items.itemsize())) + " bytes");
    }
    std::int64_t low = bounds.low;
    std::int64_t size = bounds.high - bounds.low;
    if (!nbytes.is_none()) {
        size = read_integer(nbytes.ptr(), "nbytes");
        if (bounds.low < 0 || bounds.high > size) {
            throw LayoutError("from_pointer: shape and strides reach bytes [" +
                              std::to_string(bounds.low) + ", " + std::to_string(bounds.high) +
                              "), nbytes " + std::to_string(size));
        }
        low = 0;
    }
    require_address_range(address, low, low + size, "from_pointer");
    if (!release.is_none() && PyCallable_Check(release.ptr()) == 0) {
        throw py::type_error("from_pointer: release is not callable");
    }
    if (where.type == DeviceType::cuda) {
        const GilRelease unlocked;
        cuda::require_device(where.id);
    }
    const Stream on = read_stream(stream.ptr(), where);
    char* const data = reinterpret_cast<char*>(address);
    auto allocation = adopt_object(data + low, static_cast<std::size_t>(size), where,
                                   owner.is_none() ? nullptr : owner.ptr(),
                                   release.is_none() ? nullptr : release.ptr(), on);
    return py::reinterpret_steal<py::object>(
        new_view(View(std::move(allocation), data, items, layout, readonly)));
}

constexpr const char* kViewDoc =
    R"(view(obj, /, *, device=None, stream=None, copy=None, readonly=None)
--

A View of any exporter's memory, without a copy.

The protocol is picked once: a View as it is; the buffer protocol (PEP 3118, PEP 688);
``__array_interface__``. The exporter is kept alive until the last view of it goes.

Parameters
----------
obj : any exporter
device : str or dv.Device, optional
    Where the view shall be; another device than the object's means a copy.
stream : optional
    None, an int handle, a dv.Stream or an object with ``__cuda_stream__``.
copy : bool, optional
    True: always copy; False: never (BufferError where ``device`` needs one); None: as needed.
readonly : bool, optional
    True narrows; False on read-only memory raises BufferError.

Returns
-------
View
    Shares the object's memory unless it was copied.

Raises
------
ImportRefused
    No protocol could be used; the message names each and why. A BufferError and a ValueError.)";

PyMethodDef functions[] = {
    {"view", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(view_function)),
     METH_FASTCALL | METH_KEYWORDS, kViewDoc},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void bind_imports(py::module_& module) {
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
    module.def("from_buffer", from_buffer, py::arg("obj"), py::pos_only(), py::kw_only(),
               py::arg("format") = py::none(), py::arg("shape") = py::none(),
               py::arg("strides") = py::none(),
               R"(A View of ``obj`` by the buffer protocol alone, optionally read in another way.

``format`` reads the bytes as other items, ``shape`` and ``strides`` [bytes] lay them out anew; all
items must lie inside the buffer. Shares the memory. Raises BufferError from the exporter,
FormatError and LayoutError.)");
    module.def("from_pointer", from_pointer, py::arg("ptr"), py::arg("shape"), py::arg("format"),
               py::kw_only(), py::arg("device"), py::arg("nbytes") = py::none(),
               py::arg("strides") = py::none(), py::arg("readonly") = false,
               py::arg("owner") = py::none(), py::arg("release") = py::none(),
               py::arg("stream") = py::none(),
               R"(A View of memory at an address.

Parameters
----------
ptr : int
    Address of item [0, ..., 0].
shape, strides : int or sequence of ints
    Strides in bytes; C-contiguous if None.
format : str
device : str or dv.Device
nbytes : int, optional
    Size of the block at ``ptr``; shape and strides must stay inside it.
owner : object, optional
    Kept alive until the last view goes.
release : callable, optional
    ``release(stream)`` is called exactly once, when the last view is gone, in the thread that drops
    it. ``stream`` is a dv.Stream that waits for all uses of the memory, None for host memory. Never
    called if from_pointer itself raises. What it raises goes to ``sys.unraisablehook``.
stream : optional
    The stream that the memory is ready on.

Raises
------
LayoutError, FormatError
    Shape, strides, address or format that make no sense.)");
}

}  // namespace devview::python
