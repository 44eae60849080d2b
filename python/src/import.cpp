// dv.view: one protocol is picked, then options narrow or move what came in.
#include "import.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "arrays/array_import.hpp"
#include "buffer/buffer_import.hpp"
#include "buffer/bytes_import.hpp"
#include "devview/copy.hpp"
#include "devview/error.hpp"
#include "errors.hpp"
#include "exporter/exporter.hpp"
#include "protocols.hpp"
#include "view/call_arguments.hpp"

namespace devview::python {

namespace {

struct Protocol {
    const char* name;
    Importer* import;
};

// The order of dv.view; Arrow comes last, for what offers nothing else.
constexpr Protocol kProtocols[] = {
    {"DLPack C exchange API", import_exchange},
    {"buffer protocol", import_buffer},
    {"__dlpack__", import_dlpack},
    {"__cuda_array_interface__", import_cuda_array},
    {"__array_interface__", import_array_interface},
    {"Arrow", import_arrow},
};

[[noreturn]] void import_refused(PyObject* object, const std::string& tried) {
    const py::object type = py::module_::import("devview._devview").attr("ImportRefused");
    PyErr_Format(type.ptr(), "view: no protocol of '%.200s' can be used: %s",
                 Py_TYPE(object)->tp_name, tried.c_str());
    throw py::error_already_set();
}

/// Why the exception in flight refuses the import; those that end it are thrown on.
std::string refusal() {
    try {
        throw;
    } catch (const Error& error) {
        return error.what();
    } catch (const py::type_error& error) {
        return error.what();
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_BufferError) && !error.matches(PyExc_ValueError) &&
            !error.matches(PyExc_TypeError)) {
            throw;
        }
        return py::cast<std::string>(py::str(error.value()));
    }
}

/// What each protocol of kProtocols said to an object that none of them could import.
class Refusals {
public:
    void add(const Protocol& protocol, std::string why) {
        reasons_.emplace_back(&protocol, std::move(why));
    }
    /// "NAME: why; NAME: not offered; ...", made only for an import that failed.
    std::string text(const Protocol* first, const Protocol* last) const {
        std::string tried;
        for (const Protocol* protocol = first; protocol != last; ++protocol) {
            const auto found =
                std::find_if(reasons_.begin(), reasons_.end(),
                             [&](const auto& reason) { return reason.first == protocol; });
            tried += std::string(tried.empty() ? "" : "; ") + protocol->name + ": " +
                     (found == reasons_.end() ? "not offered" : found->second);
        }
        return tried;
    }

private:
    std::vector<std::pair<const Protocol*, std::string>> reasons_{};
};

/// Nothing, and why if that is more than "not offered", if the protocol cannot be used.
std::optional<View> ask(const Protocol& protocol, const ImportRequest& request,
                        Refusals& refusals) {
    try {
        return protocol.import(request);
    } catch (...) {
        refusals.add(protocol, refusal());
    }
    return std::nullopt;
}

/// The protocol that was asked by its short way and refused; it is not asked again.
struct Asked {
    Importer* protocol = nullptr;
    std::string why{};
};

View import_protocols(const ImportRequest& request, const Asked& asked = {}) {
    Refusals refusals;
    for (const Protocol& protocol : kProtocols) {
        if (protocol.import == asked.protocol) {
            refusals.add(protocol, asked.why);
            continue;
        }
        if (auto view = ask(protocol, request, refusals)) return std::move(*view);
    }
    import_refused(request.object, refusals.text(std::begin(kProtocols), std::end(kProtocols)));
}

View import_any(const ImportRequest& request) {
    if (auto view = import_array(request.object)) return std::move(*view);
    return import_protocols(request);
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
    View source = is_view(object) ? live_view(object) : import_any({object, options.stream});
    const auto held = source.allocation();
    View view = narrowed(
        place_view("view", std::move(source), options.device, options.stream, options.copy),
        options.readonly);
    return is_view(object) && view.allocation() == held ? new_sub_view(object, std::move(view))
                                                        : new_view(std::move(view));
}

/// The short way of the `protocol` that comes first; null if it does not end there.
PyObject* new_tensor_view(PyObject* object, Importer*& protocol) {
    protocol = import_exchange;
    if (const py::object offer = exchange_offer(Py_TYPE(object))) {
        return new_exchange_view(object, offer);
    }
    if (PyObject_CheckBuffer(object)) return nullptr;
    protocol = import_dlpack;
    return new_dlpack_view(object);
}

PyObject* new_view_by_protocols(PyObject* object, const Asked& asked) {
    return new_view(import_protocols({object}, asked));
}

/// view(object) without options: the short ways, then all the protocols.
PyObject* import_plain(PyObject* object) {
    if (is_array(object)) {
        if (PyObject* const made = new_array_view(object)) return made;
    } else if (is_bytes(object)) {
        return new_bytes_view(object);
    }
    Importer* protocol = nullptr;
    try {
        if (PyObject* const made = new_tensor_view(object, protocol)) return made;
        protocol = nullptr;
    } catch (...) {
        const Asked asked{protocol, refusal()};
        return new_view_by_protocols(object, asked);
    }
    return new_view_by_protocols(object, {});
}

}  // namespace

PyObject* view_vectorcall(PyObject*, PyObject* const* args, size_t nargsf, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
        if (count == 0 && names != nullptr && PyTuple_GET_SIZE(names) == 1 &&
            PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "object") == 0) {
            return import_with(args[0], {});  // memoryview(object=obj)
        }
        if (count != 1) {
            PyErr_Format(PyExc_TypeError, "view() takes exactly 1 positional argument (%zd given)",
                         count);
            return nullptr;
        }
        if (names == nullptr && !is_view(args[0])) return import_plain(args[0]);
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

PyObject* view_from_flags(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const Arguments arguments(args, count, names, "_from_flags", {"object", "flags"});
        PyObject* const object = arguments.require(0);
        const int flags = read_flags(arguments.require(1), "_from_flags");
        // As memoryview, which shares another memoryview's buffer whatever the flags say.
        if (is_view(object)) return new_sub_view(object, View(live_view(object)));
        BufferRequest request;
        if (!request.get(object, flags)) return nullptr;
        return new_view(view_of_buffer(request));
    });
}

/// copy=None: as needed for the device.
View place_view(const char* function, View view, PyObject* device, PyObject* stream,
                PyObject* copy) {
    const Device where = read_device(device, view.device());
    const Stream on = read_stream(stream, stream_device(where, view.device()));
    const int asked = copy == nullptr || copy == Py_None ? -1 : PyObject_IsTrue(copy);
    if (asked == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (where == view.device() && asked != 1) return ready_on(std::move(view), on);
    if (asked == 0) {
        throw Refused(std::string(function) + ": copy=False, but " + to_string(view.device()) +
                      " to " + to_string(where) + " needs a copy");
    }
    require_no_objects(function, view);
    const GilRelease release;
    return copy_to(view, where, Order::C, on);
}

View import_view(PyObject* object) {
    if (is_view(object)) return live_view(object);
    return import_any({object});
}

namespace {

// Views are made in their place here, as in dlpack_view().

View exchange_or_refusal(PyObject* object, const py::object& offer, Asked& asked) {
    try {
        return exchange_view(object, offer);
    } catch (...) {
        asked = {import_exchange, refusal()};
    }
    return View();
}

View dlpack_or_refusal(PyObject* object, Asked& asked) {
    try {
        return dlpack_view(object);
    } catch (...) {
        asked = {import_dlpack, refusal()};
    }
    return View();
}

/// As new_tensor_view().
View tensor_view(PyObject* object, Asked& asked) {
    py::object offer;
    try {
        offer = exchange_offer(Py_TYPE(object));
    } catch (...) {
        asked = {import_exchange, refusal()};
        return View();
    }
    if (offer) return exchange_or_refusal(object, offer, asked);
    return PyObject_CheckBuffer(object) ? View() : dlpack_or_refusal(object, asked);
}

/// As import_plain() of what is no array.
View import_other(PyObject* object) {
    Asked asked;
    View view = tensor_view(object, asked);
    if (view.released()) view = import_protocols({object}, asked);
    if (tracing) trace_origin(*view.allocation());
    return view;
}

View import_array_object(PyObject* object) {
    View view = array_view(object);
    if (view.released())
        view = import_other(object);
    else if (tracing)
        trace_origin(*view.allocation());
    return view;
}

}  // namespace

View import_argument(PyObject* object) {
    if (is_view(object)) return View(live_view(object));
    return is_array(object) ? import_array_object(object) : import_other(object);
}

View import_by(const char* protocol, Importer* importer, const ImportRequest& request) {
    const Protocol only{protocol, importer};
    Refusals refusals;
    if (auto view = ask(only, request, refusals)) return std::move(*view);
    import_refused(request.object, refusals.text(&only, &only + 1));
}

View ready_on(View view, const Stream& stream) {
    if (!stream) return view;
    try {
        if (StreamUses* const uses = view.allocation()->uses()) {
            const GilRelease release;
            uses->order(stream);
        }
        return view.with_stream(stream);
    } catch (...) {
        drop(std::move(view));
        throw;
    }
}

void require_no_objects(const char* function, const View& view) {
    if (!view.format().has_objects()) return;
    throw FormatError(
        std::string(function) + ": format '" + view.format().text() + "' holds Python objects", 0);
}

void require_movable(const char* function, const View& dst, const View& src) {
    require_no_objects(function, dst);
    if (!dst.layout().same_shape(src.layout())) {
        throw LayoutError(std::string(function) + ": shape " +
                          Layout::to_string(src.ndim(), src.shape()) + " into " +
                          Layout::to_string(dst.ndim(), dst.shape()));
    }
}

namespace {

PyObject* view_function(PyObject* module, PyObject* const* args, Py_ssize_t count,
                        PyObject* names) {
    return view_vectorcall(module, args, static_cast<size_t>(count), names);
}

constexpr const char* kViewDoc =
    R"(view(obj, /, *, device=None, stream=None, copy=None, readonly=None)
--

A View of any exporter's memory, without a copy.

The protocol is picked once: a View as it is; the DLPack C exchange API; the buffer protocol
(PEP 3118, PEP 688); ``__dlpack__``; ``__cuda_array_interface__``; ``__array_interface__``; Arrow. The
exporter is kept alive until the last view of it goes.

Parameters
----------
obj : any exporter
device : str or dv.Device, optional
    Where the view shall be; another device than the object's means a copy.
stream : optional
    None, an int handle, a dv.Stream or an object with ``__cuda_stream__``: where the view will be
    used. It waits for the uses of the memory so far, and becomes the view's own.
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
    bind_from_buffer(module);
    bind_from_pointer(module);
    bind_dlpack(module);
    bind_exchange(module);
    bind_cuda_array(module);
    bind_arrow(module);
}

}  // namespace devview::python
