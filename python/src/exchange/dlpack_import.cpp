// dv.view's and dv.from_dlpack's way through __dlpack__: the call, and whose fault a TypeError is.
#include <cstring>
#include <optional>
#include <string>

#include "arguments.hpp"
#include "devview/cuda/pointer.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "exchange/dlpack_capsule.hpp"
#include "import.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

constexpr Device kHost{};

/// Made once, for the life of the process.
struct Names {
    PyObject* dlpack = PyUnicode_InternFromString("__dlpack__");
    PyObject* dlpack_device = PyUnicode_InternFromString("__dlpack_device__");
    PyObject* stream = PyUnicode_InternFromString("stream");
    PyObject* max_version = PyUnicode_InternFromString("max_version");
    PyObject* dl_device = PyUnicode_InternFromString("dl_device");
    // Producers look for their keywords by identity first.
    PyObject* stream_and_version = PyTuple_Pack(2, stream, max_version);
    PyObject* version_alone = PyTuple_Pack(1, max_version);
    PyObject* newest = py::make_tuple(dlpack::kMajor, dlpack::kMinor).release().ptr();
    PyObject* host = py::make_tuple(static_cast<int>(kHost.type), kHost.id).release().ptr();
};
const Names& names() {
    static const Names interned;
    return interned;
}

/// An attribute; null where there is none, or None stands for "not offered".
py::object offered(PyObject* object, PyObject* name) {
    py::object value = attribute_or_null(object, name);
    return value.is_none() ? py::object() : value;
}

/// Where the producer says its memory is; nothing if it does not say. A hint: it decides which
/// stream is passed, and the capsule has to agree.
std::optional<Device> told_device(PyObject* object) {
    const py::object method = offered(object, names().dlpack_device);
    if (!method) return std::nullopt;
    const py::object told = method();
    if (!PyTuple_Check(told.ptr()) || PyTuple_GET_SIZE(told.ptr()) != 2) {
        throw BufferError("dlpack: __dlpack_device__ returned no tuple of two");
    }
    const std::int64_t type = read_integer(PyTuple_GET_ITEM(told.ptr(), 0), "__dlpack_device__");
    const std::int64_t id = read_integer(PyTuple_GET_ITEM(told.ptr(), 1), "__dlpack_device__");
    return dlpack_device(type, id);
}

/// One call of __dlpack__: which keywords it gets.
struct Call {
    py::object stream;
    bool versioned;
    bool to_host;

    py::object make(const py::object& method) const {
        PyObject* values[3];
        PyObject* keys[3];
        Py_ssize_t count = 0;
        const auto add = [&](PyObject* key, PyObject* value) {
            keys[count] = key;
            values[count++] = value;
        };
        if (stream) add(names().stream, stream.ptr());
        if (versioned) add(names().max_version, names().newest);
        if (to_host) add(names().dl_device, names().host);
        const auto keywords = py::reinterpret_steal<py::object>(PyTuple_New(count));
        if (!keywords) throw py::error_already_set();
        for (Py_ssize_t i = 0; i < count; ++i) {
            Py_INCREF(keys[i]);
            PyTuple_SET_ITEM(keywords.ptr(), i, keys[i]);
        }
        auto result = py::reinterpret_steal<py::object>(
            PyObject_Vectorcall(method.ptr(), values, 0, keywords.ptr()));
        if (!result) throw py::error_already_set();
        return result;
    }
};

/// True for a TypeError that the call itself raised, of a producer that does not know a keyword: no
/// frame of the producer has run, or the words say so (a wrapper passes its keywords on). What the
/// body of __dlpack__ raises otherwise is the producer's own error.
bool refuses_keywords(py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) return false;
    if (!error.trace()) return true;
    const auto told = py::reinterpret_steal<py::object>(PyObject_Str(error.value().ptr()));
    const char* const words = told ? PyUnicode_AsUTF8(told.ptr()) : nullptr;
    if (words == nullptr) PyErr_Clear();
    return words != nullptr && (std::strstr(words, "keyword") != nullptr ||
                                std::strstr(words, "incompatible function arguments") != nullptr);
}

py::object call_producer(const py::object& method, Call call) {
    try {
        return call.make(method);
    } catch (py::error_already_set& error) {
        if (!refuses_keywords(error)) throw;
    }
    // Producers of 2021 know a stream, at most.
    call.versioned = call.to_host = false;
    return call.make(method);
}

/// The int that the producer's stream argument is; nothing where it must be None.
py::object stream_argument(const Stream& stream) {
    if (!stream) return {};
    return py::int_(reinterpret_cast<std::uintptr_t>(stream.handle()));
}

/// What the consumer works on: the caller's stream, else a device's legacy one.
Stream consumer_stream(PyObject* asked, Device device) {
    Stream stream = is_cuda(device) ? read_stream(asked, device) : Stream{};
    if (stream || device.type != DeviceType::cuda) return stream;
    return cuda::legacy_stream(device.id);
}

/// Memory that devview cannot copy from: the producer has to.
bool out_of_reach(Device device) {
    if (device.type != DeviceType::cuda) return !host_accessible(device);
    const GilRelease unlocked;
    return device.id >= cuda::device_count();
}

[[noreturn]] void refuse_place(Device device, Device told) {
    throw BufferError("dlpack: the capsule is on " + to_string(device) +
                      ", __dlpack_device__ said " + to_string(told));
}

/// A producer takes its stream from the current device: CuPy the one it orders, PyTorch refuses
/// where that is not the memory's.
class OnDevice {
public:
    explicit OnDevice(const std::optional<Device>& device) {
        if (!device || device->type != DeviceType::cuda) return;
        const GilRelease unlocked;
        if (device->id < cuda::device_count()) guard_.emplace(device->id);
    }
    ~OnDevice() {
        if (!guard_) return;
        const GilRelease unlocked;
        guard_.reset();
    }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

private:
    std::optional<cuda::DeviceGuard> guard_;
};

bool on_another_device(const std::optional<Device>& told) {
    if (!told || told->type != DeviceType::cuda) return false;
    const GilRelease unlocked;
    return cuda::device_count() > 1 && told->id != cuda::current_device();
}

View consume(const ImportRequest& request, const py::object& method, bool to_host) {
    const std::optional<Device> told = told_device(request.object);
    const bool moved = to_host && told && out_of_reach(*told);
    const Device expected = moved ? kHost : told.value_or(kHost);
    const Stream stream = consumer_stream(request.stream, expected);
    py::object capsule;
    {
        const OnDevice there(told);
        capsule = call_producer(method, {stream_argument(stream), true, moved});
    }
    return take_capsule(capsule.ptr(), [&](Device device) {
        if (told && device != expected && !(moved && device == *told)) {
            refuse_place(device, expected);
        }
        // A producer that was passed none has made its data ready on the legacy stream.
        return device == expected ? stream : consumer_stream(nullptr, device);
    });
}

/// What a producer answered that was not asked first where its memory is.
struct Unasked {
    py::object capsule{};      ///< null: it has to be asked as consume() does
    bool passed_none = false;  ///< as its stream
};

/// The capsule came from a call that was not right for the device that it tells.
struct AskAgain {};

/// True where a lookup on the object finds the method of its type: it can have no attributes of its
/// own, and nothing else has a say.
bool has_types_method(PyObject* object, PyObject* method) {
    const PyTypeObject* const type = Py_TYPE(object);
    return type->tp_dictoffset == 0 && type->tp_getattro == PyObject_GenericGetAttr &&
           PyType_HasFeature(Py_TYPE(method), Py_TPFLAGS_METHOD_DESCRIPTOR);
}

PyObject* call_types_method(const Names& name, PyObject* object, PyObject* method, bool pass_none) {
    PyObject* const keys = pass_none ? name.stream_and_version : name.version_alone;
    PyObject* const both[] = {object, Py_None, name.newest};
    PyObject* const alone[] = {object, name.newest};
    PyObject* const* const values = pass_none ? both : alone;
    if (!has_types_method(object, method)) {
        return PyObject_VectorcallMethod(name.dlpack, values, 1, keys);
    }
    const auto held = py::reinterpret_borrow<py::object>(method);
    return PyObject_Vectorcall(method, values, 1, keys);
}

/// Asks for a capsule at once: a host producer has nothing to say about streams. Once CUDA is in
/// use None is passed, a device's legacy stream; before that it is left out, which costs a Python
/// producer a seventh of its call. Left out it may mean "no order" (PyTorch), so a device's capsule
/// is then asked for again. Nothing where `__dlpack__` is no method of the type (as nearly all are:
/// no bound method is made to be called once) or does not know the keywords.
Unasked call_unasked(PyObject* object, bool pass_none = cuda::runtime_chosen()) {
    const Names& name = names();
    PyObject* const method = _PyType_Lookup(Py_TYPE(object), name.dlpack);
    if (method == nullptr || method == Py_None) return {};
    auto capsule =
        py::reinterpret_steal<py::object>(call_types_method(name, object, method, pass_none));
    if (!capsule) {
        py::error_already_set error;
        const bool again =
            error.matches(PyExc_BufferError) && on_another_device(told_device(object));
        if (!again && !refuses_keywords(error)) throw error;
    }
    return {std::move(capsule), pass_none};
}

/// A device's capsule has to agree with its producer.
View take_unasked(PyObject* object, const Unasked& asked) {
    return take_capsule(asked.capsule.ptr(), [&](Device device) {
        if (device == kHost) return Stream{};
        if (!asked.passed_none) throw AskAgain();
        const std::optional<Device> told = told_device(object);
        if (told && *told != device) refuse_place(device, *told);
        if (on_another_device(device)) throw AskAgain();
        return consumer_stream(nullptr, device);
    });
}

std::optional<View> import_from(const ImportRequest& request, bool to_host) {
    if (PyCapsule_CheckExact(request.object)) {
        return take_capsule(request.object,
                            [&](Device device) { return consumer_stream(request.stream, device); });
    }
    const py::object method = offered(request.object, names().dlpack);
    if (!method) return std::nullopt;
    return consume(request, method, to_host);
}

std::optional<View> import_asked(const ImportRequest& request) {
    return import_from(request, false);
}

std::optional<View> import_to_host(const ImportRequest& request) {
    return import_from(request, true);
}

PyObject* null_for_none(const py::object& value) { return value.is_none() ? nullptr : value.ptr(); }

py::object from_dlpack(const py::object& object, const py::object& device, const py::object& copy,
                       const py::object& stream) {
    const ImportRequest request{object.ptr(), null_for_none(stream)};
    const bool host = !device.is_none() && read_device(device.ptr()) == kHost;
    const bool may_copy = copy.is_none() || py::cast<bool>(py::bool_(copy));
    View view = import_by("__dlpack__", host && may_copy ? import_to_host : import_asked, request);
    view = place_view("from_dlpack", std::move(view), device.ptr(), stream.ptr(), copy.ptr());
    return py::reinterpret_steal<py::object>(new_view(std::move(view)));
}

}  // namespace

namespace {

/// Nothing where the object has to be asked otherwise.
std::optional<View> import_unasked(PyObject* object, Unasked&& asked) {
    while (asked.capsule) {
        try {
            return take_unasked(object, asked);
        } catch (const AskAgain&) {
            asked.capsule = py::object();  // deletes its tensor
        }
        // Of one that does not tell its device None is all that can be passed.
        if (asked.passed_none || told_device(object)) return import_from({object}, false);
        asked = call_unasked(object, true);
    }
    return std::nullopt;
}

}  // namespace

std::optional<View> import_dlpack(const ImportRequest& request) {
    if (request.stream == nullptr && !PyCapsule_CheckExact(request.object)) {
        if (auto view = import_unasked(request.object, call_unasked(request.object))) return view;
    }
    return import_from(request, false);
}

PyObject* new_dlpack_view(PyObject* object) {
    Unasked asked = call_unasked(object);
    if (!asked.capsule) return nullptr;
    if (PyObject* const made = new_capsule_view(asked.capsule.ptr())) return made;
    auto view = import_unasked(object, std::move(asked));
    return view ? new_view(std::move(*view)) : nullptr;
}

// One variable, made where the caller wants it: a fresh view that is moved stalls the store buffer.
View dlpack_view(PyObject* object) {
    Unasked asked = call_unasked(object);
    View view = asked.capsule ? take_host_capsule(asked.capsule.ptr()) : View();
    if (view.released() && asked.capsule) {
        if (auto other = import_unasked(object, std::move(asked))) view = std::move(*other);
    }
    return view;
}

void bind_dlpack(py::module_& module) {
    module.def("from_dlpack", from_dlpack, py::arg("obj"), py::pos_only(), py::kw_only(),
               py::arg("device") = py::none(), py::arg("copy") = py::none(),
               py::arg("stream") = py::none(),
               R"(A View of the memory of anything with ``__dlpack__``, or of a DLPack capsule.

Parameters
----------
obj : object with ``__dlpack__``, or a capsule
    A capsule is consumed; the tensor's deleter is called once, when the last view of it goes, in
    the thread that drops it.
device : str or dv.Device, optional
    Where the view shall be. Another device than the object's means a copy; from memory that devview
    cannot reach, the producer is asked for it (``dl_device=(1, 0)``).
copy : bool, optional
    True: always copy; False: never; None: as needed for ``device``.
stream : optional
    The stream that the memory is used on: None (the legacy stream), an int handle, a dv.Stream or
    an object with ``__cuda_stream__``. The producer orders it after its own work; nobody waits.

Returns
-------
View
    Shares the memory unless it was copied. Read-only where the producer says so.

Raises
------
ImportRefused
    No DLPack, or a tensor that makes no sense: every member is checked before the capsule is
    consumed. A BufferError, ValueError or TypeError of the producer is its cause in words; any
    other exception of the producer is passed on.
Refused
    ``copy=False`` where a copy is needed. A BufferError and a ValueError.

Notes
-----
DLPack 1.3 and the Python specification of its ``__dlpack__``; docs/protocols/dlpack.md has the details.)");
}

}  // namespace devview::python
