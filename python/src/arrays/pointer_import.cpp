// dv.from_pointer: a view of memory at an address, with whoever must be told when it is done.
#include <string>
#include <vector>

#include "arguments.hpp"
#include "arrays/array_description.hpp"
#include "buffer/buffer_import.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/packed.hpp"
#include "owner.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

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
    require_packable("from_pointer", items, layout);
    const ByteBounds bounds = byte_bounds(items, layout);
    const auto address = read_address(pointer.ptr(), "ptr");
    if (address == 0 && bounds.high > bounds.low) {
        throw LayoutError("from_pointer: ptr is 0, the shape has " +
                          std::to_string(items.nbytes(layout.size())) + " bytes");
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

}  // namespace

void bind_from_pointer(py::module_& module) {
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
