// Making and copying views, and what is alive: empty, zeros, copy, copyto, memory_info, live, trim.
#include <string>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "buffer/host_access.hpp"
#include "device/stream_object.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/ledger.hpp"
#include "devview/packed.hpp"
#include "import.hpp"
#include "view/call_arguments.hpp"
#include "view/view_moves.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// file:line of the innermost Python frame.
std::string calling_line() {
    const auto frame = py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(PyThreadState_GetFrame(PyThreadState_Get())));
    if (!frame) return {};
    return py::str("{}:{}").format(frame.attr("f_code").attr("co_filename"),
                                   frame.attr("f_lineno"));
}

py::object made(View view) { return py::reinterpret_steal<py::object>(new_view(std::move(view))); }

View allocated(const std::vector<std::int64_t>& shape, const Format& format, Device device,
               const Stream& stream, Order order, bool zeroed) {
    if (format.itemsize() == 0) {
        throw FormatError("empty: format '" + format.str() + "' has itemsize 0", 0);
    }
    if (format.has_objects()) {
        throw FormatError(
            "empty: format '" + format.str() + "' holds Python objects; only imported memory may",
            0);
    }
    const Layout layout =
        Layout::contiguous(static_cast<int>(shape.size()), shape.data(), format.itemsize(), order);
    require_packable("empty", format, layout);
    const auto nbytes = static_cast<std::size_t>(format.nbytes(layout.size()));
    const auto block = [&] {
        const GilRelease release;
        return zeroed ? allocate_zeroed(nbytes, device, stream) : allocate(nbytes, device, stream);
    }();
    return View(block, block->data(), format, layout, false);
}

template <bool Zeroed>
py::object make(const py::object& shape, const py::object& format, const py::object& device,
                const py::object& stream, const py::object& order) {
    const auto extents = read_shape(shape.ptr());
    const Device where = read_device(device.ptr());
    return made(allocated(extents, read_format(format.ptr()), where,
                          read_stream(stream.ptr(), where), read_order(order.ptr()), Zeroed));
}

py::object empty_like(const py::object& object, const py::object& device, const py::object& stream,
                      const py::object& order) {
    const View model = import_view(object.ptr());
    const Device where = read_device(device.ptr(), model.device());
    const std::vector<std::int64_t> shape(model.shape(), model.shape() + model.ndim());
    return made(allocated(shape, model.format(), where, read_stream(stream.ptr(), where),
                          read_order(order.ptr()), false));
}

py::object copy_object(const py::object& object, const py::object& device, const py::object& order,
                       const py::object& stream) {
    const View source = import_view(object.ptr());
    const Device where = read_device(device.ptr(), source.device());
    const Stream on = read_stream(stream.ptr(), stream_device(where, source.device()));
    const bool fortran = !source.contiguous(Order::C) && source.contiguous(Order::F);
    const Order wanted = read_order(order.ptr(), fortran ? Order::F : Order::C);
    require_no_objects("copy", source);
    const auto copied = [&] {
        const GilRelease release;
        return copy_to(source, where, wanted, on);
    }();
    return made(copied);
}

/// Two views whose few items are copied while the GIL is held: neither can go in the meantime.
/// False, with nothing done, for others and for what is refused.
bool copy_at_once(PyObject* dst, PyObject* src) {
    constexpr std::int64_t kFew = 4096;  // as copy_items()
    if (!is_view(dst) || !is_view(src)) return false;
    const View& target = live_view(dst);
    const View& source = live_view(src);
    if (!plain_host(target) || !plain_host(source) || target.readonly() ||
        target.format() != source.format() || target.format().has_objects() ||
        !target.layout().same_shape(source.layout())) {
        return false;
    }
    const std::int64_t nbytes = source.nbytes();
    if (nbytes == 0 || nbytes > kFew) return false;
    cuda::copy_on_host(target, source);
    return true;
}

/// Everything else. Kept out of copyto(), which would save registers for it on every call.
__attribute__((noinline)) void copy_any(PyObject* const* values, Py_ssize_t count,
                                        PyObject* names) {
    const Arguments arguments(values, count, names, "copyto", {"dst", "src"}, {"stream"});
    PyObject* const dst = arguments.require(0);
    PyObject* const src = arguments.require(1);
    const View target = import_view(dst);
    const View source = import_view(src);
    if (target.readonly()) throw BufferError("copyto: dst is read-only");
    const Device where = stream_device(target.device(), source.device());
    assign_items("copyto", target, source, read_stream(arguments[2], where));
}

// Without pybind11's dispatcher, which costs more than a small copy.
PyObject* copyto(PyObject* /*module*/, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const bool plain = count == 2 && names == nullptr;
        if (!plain || !copy_at_once(values[0], values[1])) copy_any(values, count, names);
        Py_RETURN_NONE;
    });
}

py::object memory_info(const py::object& device) {
    const Device where = read_device(device.ptr());
    if (where.type == DeviceType::cuda) {
        const GilRelease release;
        cuda::require_device(where.id);
    }
    const MemoryGauge gauge = memory_gauge(where);
    const cuda::PinnedGauge pinned = cuda::pinned_gauge();
    std::size_t limit = 0;
    if (where.type == DeviceType::cuda) {
        const GilRelease release;
        limit = cuda::device_memory(where.id).total_bytes;
    } else if (where.type == DeviceType::cuda_host) {
        limit = pinned.limit_bytes;
    }
    const py::object type = py::module_::import("devview._types").attr("MemoryInfo");
    using namespace py::literals;
    return type("live_bytes"_a = gauge.live_bytes, "peak_bytes"_a = gauge.peak_bytes,
                "blocks"_a = gauge.blocks, "foreign_bytes"_a = gauge.foreign_bytes,
                "foreign_blocks"_a = gauge.foreign_blocks, "exports"_a = gauge.exports,
                "pinned_live_bytes"_a = pinned.live_bytes,
                "pinned_cached_bytes"_a = pinned.cached_bytes,
                "pinned_peak_bytes"_a = pinned.peak_bytes, "limit_bytes"_a = limit);
}

py::list live() {
    const py::object type = py::module_::import("devview._types").attr("LiveAllocation");
    py::list result;
    for (const LiveAllocation& row : live_allocations()) {
        result.append(type(py::reinterpret_steal<py::object>(device_object(row.device)), row.nbytes,
                           row.views, row.exports, reinterpret_cast<std::uintptr_t>(row.data),
                           row.origin == Origin::devview,
                           row.made_at.empty() ? py::object(py::none()) : py::str(row.made_at)));
    }
    return result;
}

std::size_t byte_count(const py::object& value, const char* name) {
    const std::int64_t count = read_integer(value.ptr(), name);
    if (count < 0) {
        throw LayoutError(std::string(name) + ": " + std::to_string(count) +
                          " bytes, must not be negative");
    }
    return static_cast<std::size_t>(count);
}

constexpr const char* kCopytoDoc =
    R"(copyto(dst, src, *, stream=None)
--

Copies the items of ``src`` to ``dst``: any device, any layout, same shape.

The formats are equal, or the items are converted by value within their kind or to a wider one (bool,
unsigned, signed, float, complex: NumPy's "same_kind"); other conversions are ``astype``'s.

Ordered on ``stream``, else on the destination's stream, else the source's, else the legacy stream;
waits for earlier uses of both by events. Complete on return where pageable host memory is involved;
otherwise enqueued. Overlapping memory is copied as if through a temporary. Raises BufferError for a
read-only ``dst``, FormatError where the formats do not convert, LayoutError.)";

void bind_making(py::module_& module) {
    const char* const doc = R"(A new dense View%s.

``shape`` is an int or a sequence of ints, ``format`` a PEP 3118 string, ``device`` a name ("cpu",
"cuda", "cuda:1", "pinned", "managed") or dv.Device. Device memory is ordered on ``stream`` (default:
the legacy stream). Host memory is aligned to 256 bytes. The view owns its memory. Raises
LayoutError, FormatError, DeviceError, OutOfMemory.)";
    const auto text = [&](const char* what) {
        return std::string(py::str(doc).attr("__mod__")(what).cast<std::string>());
    };
    module.def("empty", make<false>, py::arg("shape"), py::arg("format") = "B", py::kw_only(),
               py::arg("device") = "cpu", py::arg("stream") = py::none(), py::arg("order") = "C",
               text(", not initialised").c_str());
    module.def("zeros", make<true>, py::arg("shape"), py::arg("format") = "B", py::kw_only(),
               py::arg("device") = "cpu", py::arg("stream") = py::none(), py::arg("order") = "C",
               text(" of zero bytes").c_str());
    module.def("empty_like", empty_like, py::arg("obj"), py::kw_only(),
               py::arg("device") = py::none(), py::arg("stream") = py::none(),
               py::arg("order") = "C",
               "A new View with the shape, format and, unless named, device of ``obj``.");
    module.def("copy", copy_object, py::arg("obj"), py::kw_only(), py::arg("device") = py::none(),
               py::arg("order") = "C", py::arg("stream") = py::none(),
               "A dense copy of any exporter's items, on its own device unless one is named.\n\n"
               "Always new memory. ``order``: 'C', 'F' or 'A' (as the source lies).");
    static PyMethodDef functions[] = {
        {"copyto", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(copyto)),
         METH_FASTCALL | METH_KEYWORDS, kCopytoDoc},
        {nullptr, nullptr, 0, nullptr},
    };
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
}

void bind_counting(py::module_& module) {
    module.def("memory_info", memory_info, py::arg("device") = "cpu",
               R"(Bytes and blocks of one device, as they are now.

``live_bytes``, ``peak_bytes`` and ``blocks`` are memory that devview made; ``foreign_bytes`` and
``foreign_blocks`` are imported memory that views keep alive; ``exports`` are living buffers, stagings
and capsules; ``limit_bytes`` is the device's memory, the pinned limit, or 0. The ``pinned_*`` figures
are those of the process.)");
    module.def("live", live,
               "Every living allocation, oldest first: device, nbytes, views, exports, ptr, owned, "
               "made_at (known under ``trace(True)``).");
    module.def(
        "trace", [](bool on) { tracing = on; }, py::arg("on") = true,
        "Remember from now on where allocations are made, for ``live()``.");
    module.def(
        "trim",
        [] {
            const GilRelease release;
            return cuda::trim();
        },
        "Cached pinned memory back to the system, unused pool memory back to the driver.\n\n"
        "Returns the pinned bytes that were freed.");
    module.def(
        "set_pinned_limit",
        [](const py::object& nbytes) {
            const std::size_t limit = byte_count(nbytes, "nbytes");
            const GilRelease release;
            cuda::set_pinned_limit(limit);
        },
        py::arg("nbytes"),
        "Bounds the pinned memory of the process, in use and cached together [bytes].");
    module.def(
        "pinned_limit", [] { return cuda::pinned_limit(); },
        "The bound on pinned memory [bytes]: DEVVIEW_PINNED_LIMIT, else a quarter of the "
        "physical memory.");
}

}  // namespace

bool tracing = false;

void trace_origin(Allocation& allocation) {
    if (allocation.made_at().empty()) allocation.set_made_at(calling_line());
}

void bind_memory(py::module_& module) {
    bind_making(module);
    bind_counting(module);
}

}  // namespace devview::python
