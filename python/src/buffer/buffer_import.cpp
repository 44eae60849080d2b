// The buffer protocol's door: dv.view comes through it, dv.from_buffer uses nothing else.
#include "buffer/buffer_import.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "arrays/array_description.hpp"
#include "devview/error.hpp"
#include "exporter/exporter.hpp"
#include "formats/format_object.hpp"
#include "owner.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

const std::int64_t* wide(const Py_ssize_t* values) noexcept {
    return reinterpret_cast<const std::int64_t*>(values);
}

/// The module that knows the items of an exporter better than its format string does, or null.
/// NumPy's strings misplace members of some aligned records in records; those of ctypes leave out
/// what a structure inherits, alignment (before 3.12), bit fields, and unions altogether ("B").
const char* truthful_module(const Py_buffer& buffer, const char* text) noexcept {
    const bool record = text[0] == 'T';
    if (buffer.obj == nullptr || (!record && std::strcmp(text, "B") != 0)) return nullptr;
    const PyTypeObject* const type = Py_TYPE(buffer.obj);
    if (record && std::strcmp(type->tp_name, "numpy.ndarray") == 0) {
        return "devview.formats.numpy_dtype";
    }
    // Structures of the other byte order have a metatype of their own, below these.
    for (auto* meta = Py_TYPE(reinterpret_cast<const PyObject*>(type)); meta != nullptr;
         meta = meta->tp_base) {
        for (const char* known :
             {"_ctypes.PyCStructType", "_ctypes.PyCArrayType", "_ctypes.UnionType"}) {
            if (std::strcmp(meta->tp_name, known) == 0) return "devview.formats.ctypes_type";
        }
    }
    return nullptr;
}

/// What `module` tells of the exporter's items; nothing if it leaves that to the text.
/// @throws FormatError  they have no format.
std::optional<Format> told_format(PyObject* exporter, const char* module) {
    try {
        const py::object format =
            py::module_::import(module).attr("of_exporter")(py::handle(exporter));
        if (format.is_none()) return std::nullopt;
        return read_format(format.ptr());
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_ValueError)) throw;
        throw FormatError(py::str(error.value()), 0);
    }
}

/// The text as it stands if it means what the exporter's type says, else the type's own format.
Format truthful_format(const Py_buffer& buffer, const char* text, const char* module) {
    const std::optional<Format> told = told_format(buffer.obj, module);
    if (!told || told->itemsize() != buffer.itemsize) {
        return Format::with_itemsize(text, buffer.itemsize);
    }
    try {
        Format read = Format::with_itemsize(text, buffer.itemsize);
        if (read == *told) return read;
    } catch (const FormatError&) {
        return *told;
    }
    return *told;
}

/// PEP 3118's text, or the name of a scalar, which MLX writes: "bfloat16".
Format spelled_format(const char* text, Py_ssize_t itemsize) {
    try {
        return Format::with_itemsize(text, itemsize);
    } catch (const FormatError&) {
        try {
            Format named = format_of_name(text);
            if (named.itemsize() == itemsize) return named;
        } catch (const FormatError&) {  // neither: the first error is the one to tell
        }
        throw;
    }
}

Format said_format(const Py_buffer& buffer) {
    if (buffer.format == nullptr && buffer.itemsize > 1) {
        return Format(std::to_string(buffer.itemsize) + "s");  // not asked for: opaque bytes
    }
    const char* const text = buffer.format != nullptr ? buffer.format : "B";
    if (text[0] != '\0' && text[1] == '\0') {
        const Format* const format = native_format(text[0]);
        if (format != nullptr && format->itemsize() == buffer.itemsize) return *format;
    }
    if (const char* const module = truthful_module(buffer, text)) {
        return truthful_format(buffer, text, module);
    }
    return spelled_format(text, buffer.itemsize);
}

/// A buffer has itemsize bytes for every item: what would be packed elsewhere is not, here.
Format buffer_format(const Py_buffer& buffer) { return said_format(buffer).padded(); }

/// What is said of the items by one who knows better: their bytes. ctypes calls unions "B" whatever
/// their size, and its bit-fields whole words.
Format buffer_bytes(const Py_buffer& buffer) {
    try {
        return buffer_format(buffer);
    } catch (const FormatError&) {
        const bool objects = buffer.format != nullptr && std::strchr(buffer.format, 'O') != nullptr;
        if (objects || buffer.itemsize <= 0) throw;
        return Format(std::to_string(buffer.itemsize) + "x");
    }
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

}  // namespace

View view_of_buffer(BufferRequest& request, bool trust_format) {
    Py_buffer& buffer = *request;
    Format format = trust_format ? buffer_format(buffer) : buffer_bytes(buffer);
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
    require_address_range(reinterpret_cast<std::uintptr_t>(data), bounds.low, bounds.high, "view");
    const bool readonly = buffer.readonly != 0;
    auto allocation =
        adopt_buffer(buffer, data + bounds.low, static_cast<std::size_t>(bounds.high - bounds.low));
    return View(std::move(allocation), data, std::move(format), std::move(layout), readonly);
}

namespace {

bool is_ndarray(const PyTypeObject* type) noexcept {
    while (type != nullptr && std::strcmp(type->tp_name, "numpy.ndarray") != 0)
        type = type->tp_base;
    return type != nullptr;
}

/// An array whose dtype NumPy cannot spell (ml_dtypes', records with them): its bytes come by the
/// buffer protocol, what they are is asked of the dtype. Nothing if the dtype has no format.
std::optional<View> view_of_array(PyObject* array) {
    const py::object told =
        py::module_::import("devview.formats.numpy_dtype").attr("of_unsaid")(py::handle(array));
    if (told.is_none()) return std::nullopt;
    const auto parts = told.cast<py::tuple>();
    const Format format = read_format(py::object(parts[1]).ptr());
    BufferRequest request;
    if (!request.get(py::object(parts[0]).ptr())) throw py::error_already_set();
    const View bytes = view_of_buffer(request);
    if (bytes.itemsize() != format.itemsize()) return std::nullopt;
    const Allocation& block = *bytes.allocation();
    return View(adopt_object(block.data(), block.nbytes(), Device{}, array, nullptr, Stream{}),
                bytes.data(), format, bytes.layout(), bytes.readonly());
}

/// Asks by the buffer protocol. A Python class whose method returns a View of other memory than the
/// host's gives that view; else `request` is filled.
std::optional<View> ask_buffer(PyObject* object, BufferRequest& request) {
    if (!is_exporter(object)) {
        if (request.get(object)) return std::nullopt;
        const py::error_already_set refusal;
        if (is_ndarray(Py_TYPE(object)) && refusal.matches(PyExc_ValueError)) {
            if (auto view = view_of_array(object)) return view;
        }
        throw refusal;
    }
    const Obtained obtained = ask_exporter(object, PyBUF_FULL_RO);
    if (auto view = view_of_obtained(object, obtained)) return view;
    hand_out(object, obtained, &*request, PyBUF_FULL_RO);
    return std::nullopt;
}

/// The items of `view` as `wanted`: in its shape where that fits, bytes of a 0-d item as a vector.
View as_format(const View& view, const Format& wanted) {
    if (view.ndim() > 0) return view.cast(wanted);
    if (wanted.is_packed()) return as_format(as_format(view, Format()), wanted);
    const std::int64_t count = view.nbytes() / std::max<std::int64_t>(1, wanted.itemsize());
    return view.cast(wanted, 1, &count);
}

/// Items of `format` in a layout of the caller's own; view_of checks that they lie in the buffer.
View laid_out_anew(const View& view, const Format& format, const py::object& shape,
                   const py::object& strides) {
    if (view.format().has_objects() || format.has_objects()) {
        throw FormatError("from_buffer: Python objects cannot be laid out anew", 0);
    }
    if (view.suboffsets() != nullptr) {
        throw LayoutError("from_buffer: a buffer with suboffsets cannot be laid out anew");
    }
    if (shape.is_none()) throw LayoutError("from_buffer: strides given without a shape");
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
    return view_of(view.data(), format,
                   Layout::strided(axes, extents.data(), strides.is_none() ? nullptr : steps.data(),
                                   nullptr, format.itemsize()),
                   view.device(), view.allocation(), view.readonly());
}

py::object from_buffer(const py::object& object, const py::object& format, const py::object& shape,
                       const py::object& strides) {
    BufferRequest request;
    if (!request.get(object.ptr())) throw py::error_already_set();
    View view = view_of_buffer(request, format.is_none());
    const Format wanted = format.is_none() ? view.format() : read_format(format.ptr());
    if (!shape.is_none() || !strides.is_none()) {
        view = laid_out_anew(view, wanted, shape, strides);
    } else if (!format.is_none()) {
        view = as_format(view, wanted);
    }
    return py::reinterpret_steal<py::object>(new_view(std::move(view)));
}

}  // namespace

std::optional<View> import_buffer(const ImportRequest& request) {
    if (!PyObject_CheckBuffer(request.object)) return std::nullopt;
    BufferRequest buffer;
    if (auto view = ask_buffer(request.object, buffer)) return view;
    return view_of_buffer(buffer);
}

void bind_from_buffer(py::module_& module) {
    module.def("from_buffer", from_buffer, py::arg("obj"), py::pos_only(), py::kw_only(),
               py::arg("format") = py::none(), py::arg("shape") = py::none(),
               py::arg("strides") = py::none(),
               R"(A View of ``obj`` by the buffer protocol alone, optionally read in another way.

``format`` reads the bytes as other items, ``shape`` and ``strides`` [bytes] lay them out anew; all
items must lie inside the buffer. A format given here also stands in for one of the exporter's that
cannot be read or contradicts its itemsize, as with ctypes unions. Shares the memory. Raises BufferError from the exporter,
FormatError and LayoutError.)");
}

}  // namespace devview::python
