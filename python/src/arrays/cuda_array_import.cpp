// Import by __cuda_array_interface__ (versions 0 to 3), and dv.from_cuda_array.
//
// Who waits for whom: every piece of work of ours on the memory waits for what the producer's
// stream holds by then, and when the last view goes, that stream waits for our work before the
// producer is let go of. The stream may be touched that late because the interface obliges the
// producer to keep it as long as the object (version 3, "Lifetime management"), which we hold.
// Where it names none, nothing orders what it does afterwards: the host waits for our work, if
// there was any.
#include <memory>
#include <string>

#include "arguments.hpp"
#include "arrays/array_description.hpp"
#include "devview/cuda/pointer.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/shared_stream.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "import.hpp"
#include "owner.hpp"
#include "protocols.hpp"
#include "view/call_arguments.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// The handle under "stream"; 0 if there is nothing to wait for.
std::uintptr_t read_stream_entry(const py::dict& interface, int version) {
    if (version < 3) return 0;  // the entry is version 3's
    const py::object value = entry(interface, "stream");
    if (value.is_none()) return 0;
    const std::uintptr_t handle = read_address(value.ptr(), "stream");
    if (handle == 0) {
        throw LayoutError("stream: 0 is disallowed: 1 is the legacy stream, 2 the per-thread one");
    }
    return handle;
}

/// Where bytes [low, high) from `address` live. @throws LayoutError  not in one CUDA memory.
cuda::PointerPlace place_of_bytes(std::uintptr_t address, const ByteBounds& bounds) {
    const char* const base = reinterpret_cast<const char*>(address);
    if (bounds.high == bounds.low) {
        // No byte is ever touched: an address that means nothing is as good as 0.
        const auto place = address != 0 ? cuda::place_of(base) : cuda::PointerPlace{};
        if (is_cuda(place.device)) return place;
        const int id = cuda::current_device();
        return {Device{DeviceType::cuda, id}, id};
    }
    const auto first = cuda::place_of(base + bounds.low);
    const auto last = cuda::place_of(base + bounds.high - 1);
    if (!is_cuda(first.device)) {
        throw LayoutError("data: address " + std::to_string(address) +
                          " is memory that no CUDA device knows" +
                          (cuda::runtime().emulated ? "; CUDA is emulated here" : ""));
    }
    if (first.device != last.device || first.id != last.id) {
        throw LayoutError("data: " + std::to_string(bounds.high - bounds.low) +
                          " bytes at address " + std::to_string(address) + " begin on " +
                          to_string(first.device) + " and end on " + to_string(last.device));
    }
    return first;
}

/// Where the memory is, and who is waited for.
struct Source {
    Device device{};
    Stream stream{};
    std::unique_ptr<StreamUses> uses{};
};

Source find_source(std::uintptr_t address, const ByteBounds& bounds, std::uintptr_t handle) {
    const cuda::PointerPlace place = place_of_bytes(address, bounds);
    const Device on{DeviceType::cuda, place.id};
    Source source;
    source.device = place.device;
    if (handle != 0) {
        source.stream = Stream::raw(on, reinterpret_cast<void*>(handle));
        source.uses = cuda::make_uses_on_theirs(source.stream);
        return source;
    }
    if (place.device.type == DeviceType::cuda) source.stream = cuda::legacy_stream(place.id);
    source.uses = cuda::make_waiting_uses(source.stream);
    return source;
}

View read(PyObject* object, const py::dict& interface) {
    const ArrayDescription told = read_description(interface);
    const DataPointer pointer = read_pointer(entry(interface, "data"), told.bounds);
    const std::uintptr_t handle = read_stream_entry(interface, told.version);
    const std::size_t size = static_cast<std::size_t>(told.bounds.high - told.bounds.low);
    char* const base = reinterpret_cast<char*>(pointer.address);
    Source source;
    {
        const GilRelease release;
        source = find_source(pointer.address, told.bounds, handle);
    }
    auto allocation = adopt_object(base + told.bounds.low, size, source.device, object, nullptr,
                                   std::move(source.stream), std::move(source.uses));
    return View(std::move(allocation), base, told.format, told.layout, pointer.readonly);
}

}  // namespace

std::optional<View> import_cuda_array(const ImportRequest& request) {
    // A View's own dictionary would not outlive its release(); its allocation does.
    if (is_view(request.object)) {
        const View& view = live_view(request.object);
        return is_cuda(view.device()) ? std::optional<View>(view) : std::nullopt;
    }
    const py::object attribute = attribute_or_null(request.object, "__cuda_array_interface__");
    if (!attribute) return std::nullopt;
    return read(request.object, interface_dict(attribute.ptr()));
}

namespace {

PyObject* from_cuda_array(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const Arguments arguments(args, count, names, "from_cuda_array", {"obj"}, {"stream"});
        PyObject* const object = arguments.require(0);
        View view = import_by("__cuda_array_interface__", import_cuda_array, {object});
        view = ready_on(std::move(view), read_stream(arguments[1], view.device()));
        return is_view(object) ? new_sub_view(object, std::move(view)) : new_view(std::move(view));
    });
}

PyMethodDef functions[] = {
    {"from_cuda_array",
     reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(from_cuda_array)),
     METH_FASTCALL | METH_KEYWORDS,
     R"(from_cuda_array(obj, /, *, stream=None)
--

A View of the memory that an object offers by ``__cuda_array_interface__``, versions 0 to 3.

The object is kept alive until the last view goes. The device is the one that CUDA tells of the
address: a CUDA device, pinned or managed memory; without items, address 0 and the current device.

Parameters
----------
obj : object with ``__cuda_array_interface__``
stream : optional
    Where the view will be used: it waits for the producer's stream now, and becomes the view's.

Returns
-------
View
    Shares the memory. All work on it waits for the producer's stream, the host does not wait; that
    stream waits for the work before the object is let go of. Without a stream the host does.

Raises
------
ImportRefused
    No such attribute, a mask, a version above 3, stream 0, memory that no CUDA device knows, or
    shape, strides, typestr, descr or data that make no sense. A ValueError.)"},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void bind_cuda_array(py::module_& module) {
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace devview::python
