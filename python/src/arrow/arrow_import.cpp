// Arrow's doors: an array with its device, an array, or a stream of exactly one.
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "arrow/arrow_capsule.hpp"
#include "devview/cuda/arrow.hpp"
#include "devview/error.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// Of arrays that Python gave us. After the interpreter's end the producer may not be able to
/// release what it owns: the memory goes with the process then.
void release_unless_finalizing(ArrowArray* array) noexcept {
    if (python_alive()) release_now(*array);
}

/// What `object` answers to a method of the interface; nothing if it has none of that name.
py::object ask(PyObject* object, const char* method) {
    const py::object bound = attribute_or_null(object, method);
    return bound ? bound() : py::object();
}

/// Checks `array`, on the device that `place` names, and moves it out of wherever it is.
View take_over(const ArrowSchema& schema, ArrowArray& array, const ArrowDeviceArray& place,
               PyObject* stream_argument) {
    const Device device = read_arrow_device(place);
    const Stream stream = read_stream(stream_argument, device);  // may run user code: comes first
    ArrowDescription description = read_arrow(schema, array);
    Owned<ArrowDeviceArray> taken;
    taken.value = place;
    taken.value.array = array;
    array.release = nullptr;
    std::optional<GilRelease> unlocked;
    if (is_cuda(device)) unlocked.emplace();
    View view = import_arrow_device(std::move(description), device, &taken.value, stream,
                                    &release_unless_finalizing);
    unlocked.reset();
    return view;
}

/// Of what has no device of its own.
ArrowDeviceArray on_host() noexcept {
    ArrowDeviceArray place{};
    place.device_type = ARROW_DEVICE_CPU;
    place.device_id = -1;
    return place;
}

// --- A schema and an array ---

struct Pair {
    py::object told;
    PyObject* schema;
    PyObject* array;
};

Pair read_pair(py::object told, const char* method) {
    if (!PyTuple_Check(told.ptr()) || PyTuple_GET_SIZE(told.ptr()) != 2) {
        throw py::type_error(std::string(method) + ": expected a tuple of two capsules, got " +
                             Py_TYPE(told.ptr())->tp_name);
    }
    PyObject* const schema = PyTuple_GET_ITEM(told.ptr(), 0);
    PyObject* const array = PyTuple_GET_ITEM(told.ptr(), 1);
    return {std::move(told), schema, array};
}

View take_pair(py::object told, const char* method, bool with_device, PyObject* stream) {
    const Pair pair = read_pair(std::move(told), method);
    const auto& schema = *arrow_of_capsule<ArrowSchema>(pair.schema, method);
    if (with_device) {
        auto& array = *arrow_of_capsule<ArrowDeviceArray>(pair.array, method);
        return take_over(schema, array.array, ArrowDeviceArray(array), stream);
    }
    return take_over(schema, *arrow_of_capsule<ArrowArray>(pair.array, method), on_host(), stream);
}

// --- A stream of arrays ---

constexpr int kMostCounted = 64;

template <class ArrayStream>
[[noreturn]] void stream_failed(ArrayStream& stream, const char* call, int code) {
    std::string what = std::string("arrow: ") + call + " failed: error " + std::to_string(code);
    const char* const text = stream.get_last_error(&stream);
    if (text != nullptr) what += ": " + std::string(text, ::strnlen(text, 1000));
    throw BufferError(what);
}

/// The next chunk; one that is marked released is the end.
template <class ArrayStream, class Array>
bool next_chunk(ArrayStream& stream, Array& chunk) {
    if (const int code = stream.get_next(&stream, &chunk)) {
        base_of(chunk).release = nullptr;  // nothing was filled
        stream_failed(stream, "get_next", code);
    }
    return !released(chunk);
}

/// Reads the only chunk. @throws BufferError  there are none or several.
template <class ArrayStream, class Array>
void read_only_chunk(ArrayStream& stream, ArrowSchema& schema, Array& chunk) {
    if (const int code = stream.get_schema(&stream, &schema)) {
        schema.release = nullptr;
        stream_failed(stream, "get_schema", code);
    }
    int count = next_chunk(stream, chunk) ? 1 : 0;
    while (count > 0 && count <= kMostCounted) {
        Owned<Array> other;
        if (!next_chunk(stream, other.value)) break;
        ++count;
    }
    if (count == 1) return;
    throw BufferError("arrow: " +
                      (count > kMostCounted ? "more than " + std::to_string(kMostCounted)
                                            : std::to_string(count)) +
                      " chunks, a view needs exactly 1; combine or rechunk them first");
}

void require_stream(bool released, bool complete) {
    if (released) throw BufferError("arrow: the stream was released, or taken over");
    if (!complete) {
        throw BufferError("arrow: get_schema, get_next or get_last_error of the stream is NULL");
    }
}

View take_chunk(const ArrowSchema& schema, ArrowArray& chunk, PyObject* stream) {
    return take_over(schema, chunk, on_host(), stream);
}
View take_chunk(const ArrowSchema& schema, ArrowDeviceArray& chunk, PyObject* stream) {
    return take_over(schema, chunk.array, chunk, stream);
}

template <class ArrayStream, class Array>
View take_stream(const py::object& told, const char* method, PyObject* stream) {
    auto& offered = *arrow_of_capsule<ArrayStream>(told.ptr(), method);
    require_stream(offered.release == nullptr, offered.get_schema != nullptr &&
                                                   offered.get_next != nullptr &&
                                                   offered.get_last_error != nullptr);
    Owned<ArrayStream> chunks(offered);
    Owned<ArrowSchema> schema;
    Owned<Array> chunk;
    {
        const GilRelease unlocked;  // the producer may compute, or read a file
        read_only_chunk(chunks.value, schema.value, chunk.value);
    }
    return take_chunk(schema.value, chunk.value, stream);
}

py::object from_arrow(const py::object& object, const py::object& stream) {
    return py::reinterpret_steal<py::object>(
        new_view(import_by("Arrow", import_arrow, {object.ptr(), stream.ptr()})));
}

}  // namespace

std::optional<View> import_arrow(const ImportRequest& request) {
    constexpr const char* kDeviceArray = "__arrow_c_device_array__";
    constexpr const char* kArray = "__arrow_c_array__";
    constexpr const char* kDeviceStream = "__arrow_c_device_stream__";
    constexpr const char* kStream = "__arrow_c_stream__";
    if (py::object told = ask(request.object, kDeviceArray)) {
        return take_pair(std::move(told), kDeviceArray, true, request.stream);
    }
    if (py::object told = ask(request.object, kArray)) {
        return take_pair(std::move(told), kArray, false, request.stream);
    }
    if (const py::object told = ask(request.object, kDeviceStream)) {
        return take_stream<ArrowDeviceArrayStream, ArrowDeviceArray>(told, kDeviceStream,
                                                                     request.stream);
    }
    if (const py::object told = ask(request.object, kStream)) {
        return take_stream<ArrowArrayStream, ArrowArray>(told, kStream, request.stream);
    }
    return std::nullopt;
}

void bind_arrow(py::module_& module) {
    module.def("from_arrow", from_arrow, py::arg("obj"), py::pos_only(), py::kw_only(),
               py::arg("stream") = py::none(),
               R"(A View of ``obj`` by the Arrow PyCapsule interface alone.

Asked in this order: ``__arrow_c_device_array__``, ``__arrow_c_array__``,
``__arrow_c_device_stream__``, ``__arrow_c_stream__``; a stream must give exactly one chunk.
Integers, float16 to float64, fixed-size binary (``"Ns"``), ``arrow.bool8`` (``"?"``) and fixed-size
lists of these (axes) are viewed; what would lose something (nulls, bits, units of time, decimals,
dictionaries, other extension types) is refused by name. Shares the memory, which is read-only by
Arrow's rules, and releases the array when the last view goes, after the device's work on it.

Parameters
----------
obj : object with one of these methods
stream : optional
    Waits for the array's ``sync_event``, and is the stream that the view's memory is ready on; the
    legacy stream of its device if None. Of pinned and managed memory the host waits.

Raises
------
ImportRefused
    No method, or an array that cannot be viewed: names the member, its value and the limit.)");
}

}  // namespace devview::python
