// Import by __array_interface__ (version 3): memory at an address, or in a buffer at an offset.
#include <string>

#include "arrays/array_description.hpp"
#include "buffer/buffer_import.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "owner.hpp"
#include "protocols.hpp"

namespace devview::python {

namespace {

std::int64_t read_offset(const py::dict& interface) {
    const py::object offset = entry(interface, "offset");
    return offset.is_none() ? 0 : read_plain_integer(offset, "offset");
}

View at_address(PyObject* object, const ArrayDescription& told, const py::object& data,
                std::int64_t offset) {
    if (offset != 0) {
        throw LayoutError("offset " + std::to_string(offset) + " beside an address");
    }
    const DataPointer pointer = read_pointer(data, told.bounds);
    char* const base = reinterpret_cast<char*>(pointer.address);
    {
        const GilRelease release;
        require_memory_on(Device{}, base + told.bounds.low,
                          static_cast<std::size_t>(told.bounds.high - told.bounds.low));
    }
    auto allocation = adopt_object(base + told.bounds.low,
                                   static_cast<std::size_t>(told.bounds.high - told.bounds.low),
                                   Device{}, object, nullptr, Stream{});
    return View(std::move(allocation), base, told.format, told.layout, pointer.readonly);
}

View in_buffer(PyObject* exporter, const ArrayDescription& told, std::int64_t offset) {
    BufferRequest request;
    if (!request.get(exporter, PyBUF_SIMPLE)) throw py::error_already_set();
    const std::int64_t size = request->len;
    std::int64_t first = 0, end = 0;
    const bool wraps = __builtin_add_overflow(offset, told.bounds.low, &first) ||
                       __builtin_add_overflow(offset, told.bounds.high, &end);
    if (wraps || offset < 0 || offset > size || first < 0 || end > size) {
        throw LayoutError("data: the items take bytes [" + std::to_string(told.bounds.low) + ", " +
                          std::to_string(told.bounds.high) + ") from offset " +
                          std::to_string(offset) + ", the buffer has " + std::to_string(size));
    }
    char* const base = static_cast<char*>(request->buf);
    const bool readonly = request->readonly != 0;
    auto allocation = adopt_buffer(*request, base, static_cast<std::size_t>(size));
    return View(std::move(allocation), base + offset, told.format, told.layout, readonly);
}

}  // namespace

std::optional<View> import_array_interface(const ImportRequest& request) {
    const py::object attribute = attribute_or_null(request.object, "__array_interface__");
    if (!attribute) return std::nullopt;
    const py::dict interface = interface_dict(attribute.ptr());
    const ArrayDescription told = read_description(interface);
    const std::int64_t offset = read_offset(interface);
    const py::object data = entry(interface, "data");
    if (PyTuple_Check(data.ptr())) return at_address(request.object, told, data, offset);
    // The text of version 3: without an address the object itself, or the one in its place, is
    // asked for a buffer.
    return in_buffer(data.is_none() ? request.object : data.ptr(), told, offset);
}

}  // namespace devview::python
