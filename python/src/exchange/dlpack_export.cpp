// View.__dlpack__ and __dlpack_device__: what was asked for, the order of streams, the capsule.
#include <cstdint>
#include <limits>
#include <string>

#include "arguments.hpp"
#include "device/stream_object.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "errors.hpp"
#include "exchange/dlpack_capsule.hpp"
#include "import.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

constexpr Device kHost{};

// --- Reading the arguments ---

/// As they came; null: not given, or None.
struct Options {
    PyObject* stream = nullptr;
    PyObject* max_version = nullptr;
    PyObject* dl_device = nullptr;
    PyObject* copy = nullptr;
};

/// The place for a keyword, or null. Callers' keywords are interned: mostly the very same objects.
PyObject** option_named(Options& options, PyObject* name) {
    static PyObject* const known[] = {
        PyUnicode_InternFromString("stream"), PyUnicode_InternFromString("max_version"),
        PyUnicode_InternFromString("dl_device"), PyUnicode_InternFromString("copy")};
    PyObject** const places[] = {&options.stream, &options.max_version, &options.dl_device,
                                 &options.copy};
    for (std::size_t i = 0; i < 4; ++i) {
        if (name == known[i]) return places[i];
    }
    for (std::size_t i = 0; i < 4; ++i) {
        if (PyUnicode_Compare(name, known[i]) == 0) return places[i];
    }
    return nullptr;
}

Options read_options(PyObject* const* values, Py_ssize_t count, PyObject* names) {
    if (count != 0) {
        throw py::type_error("__dlpack__() takes no positional arguments, " +
                             std::to_string(count) + " given");
    }
    Options options;
    for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
        PyObject* const name = PyTuple_GET_ITEM(names, i);
        PyObject** const option = option_named(options, name);
        if (option == nullptr) {
            PyErr_Format(PyExc_TypeError, "__dlpack__() got an unexpected keyword argument '%U'",
                         name);
            throw py::error_already_set();
        }
        *option = values[i] == Py_None ? nullptr : values[i];
    }
    return options;
}

struct Pair {
    std::int64_t first;
    std::int64_t second;
};

/// read_integer, quicker for the plain small ints that nearly all callers pass.
std::int64_t read_int(PyObject* value, const char* name) {
    if (PyLong_CheckExact(value)) {
        int overflow = 0;
        const long number = PyLong_AsLongAndOverflow(value, &overflow);
        if (overflow == 0) return number;
    }
    return read_integer(value, name);
}

/// A tuple of two ints; enumerators are ints, too.
Pair read_pair(PyObject* value, const char* name, const char* parts) {
    if (!PyTuple_Check(value) || PyTuple_GET_SIZE(value) != 2) {
        PyErr_Format(PyExc_TypeError, "__dlpack__: %s: expected a tuple %s, got %.200R", name,
                     parts, value);
        throw py::error_already_set();
    }
    const Pair pair{read_int(PyTuple_GET_ITEM(value, 0), name),
                    read_int(PyTuple_GET_ITEM(value, 1), name)};
    if (pair.first >= 0 && pair.second >= 0) return pair;
    throw py::value_error("__dlpack__: " + std::string(name) + " (" + std::to_string(pair.first) +
                          ", " + std::to_string(pair.second) + "), minimum (0, 0)");
}

/// The minor version of a capsule of major version 1. A plain number: copying an optional struct
/// would wait for the store buffer each time.
using Minor = std::int64_t;
constexpr Minor kLegacy = -1;  ///< no version at all: a legacy capsule

Minor parse_version(PyObject* max_version) {
    const Pair asked = read_pair(max_version, "max_version", "(major, minor)");
    if (asked.first < dlpack::kMajor) return kLegacy;
    if (asked.first > dlpack::kMajor || asked.second > dlpack::kMinor) return dlpack::kMinor;
    // The structs of all 1.x are the same; what a later one added is looked at on its own.
    return asked.second;
}

/// As parse_version(), of what is mostly the very same constant of a caller's code again. Nobody
/// can change a tuple of plain ints, and nobody else has the address of one that is held.
Minor read_version(PyObject* max_version) {
    static PyObject* known = nullptr;
    static Minor known_version = kLegacy;
    if (max_version == nullptr) return kLegacy;
    if (max_version == known) return known_version;
    const Minor version = parse_version(max_version);
    if (PyTuple_CheckExact(max_version) && PyLong_CheckExact(PyTuple_GET_ITEM(max_version, 0)) &&
        PyLong_CheckExact(PyTuple_GET_ITEM(max_version, 1))) {
        Py_INCREF(max_version);
        Py_XDECREF(std::exchange(known, max_version));  // runs no code: plain ints
        known_version = version;
    }
    return version;
}

Device read_target(PyObject* dl_device, Device own) {
    if (dl_device == nullptr) return own;
    const Pair asked = read_pair(dl_device, "dl_device", "(device_type, device_id)");
    if (asked.first > std::numeric_limits<std::int32_t>::max() ||
        asked.second > std::numeric_limits<std::int32_t>::max()) {
        throw py::value_error("__dlpack__: dl_device (" + std::to_string(asked.first) + ", " +
                              std::to_string(asked.second) + "), limit 2**31 - 1");
    }
    return {static_cast<DeviceType>(asked.first), static_cast<std::int32_t>(asked.second)};
}

/// What the consumer asked to be ordered: a stream of its own, or nothing (-1).
struct Ordering {
    bool wanted = true;
    Stream stream{};  ///< none: the legacy stream
};

Ordering read_ordering(PyObject* value, Device device) {
    if (value == nullptr) return {};
    if (PyLong_Check(value)) {
        int overflow = 0;
        const long long handle = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow == 0 && handle == -1) {
            if (PyErr_Occurred()) throw py::error_already_set();
            return {false, {}};
        }
        if (overflow == 0 && handle == 0 && is_cuda(device)) {
            throw Refused(
                "__dlpack__: stream 0 is ambiguous and not allowed; 1 is the legacy stream, 2 the "
                "per-thread one");
        }
    }
    return {true, read_stream(value, device)};
}

/// Shared memory: `order` is a device's matter, the host's where `where` is host memory.
void make_ready(const View& view, Device where, const Ordering& order) {
    if (where.type == DeviceType::cpu && view.device() != where) return wait_on_host(view);
    if (order.wanted) order_for_consumer(view, order.stream);
}

// --- Copies ---

/// The host can reach pinned and managed memory where it is.
bool shares(Device own, Device target) noexcept {
    return own == target || (target == kHost && is_cuda(own) && host_accessible(own));
}

void require_target(const View& view, Device target) {
    const Device own = view.device();
    if (target == own || (target == kHost && is_cuda(own))) return;
    if (target.type != DeviceType::cuda || !(own == kHost || is_cuda(own))) {
        throw Refused("__dlpack__: dl_device " + to_string(target) + ": the view is on " +
                      to_string(own) + ", and copies go between cpu and cuda");
    }
    try {
        const GilRelease unlocked;
        cuda::require_device(target.id);
    } catch (const DeviceError& error) {
        throw Refused("__dlpack__: dl_device " + to_string(target) + ": " + error.what());
    }
}

View copied(const View& view, Device target, const Ordering& order) {
    View made = [&] {
        const GilRelease unlocked;
        return copy_to(view, target, Order::C, order.stream);
    }();
    make_ready(made, target, order);
    return made;
}

// --- The capsule ---

PyObject* legacy_capsule(const View& view, Device where) {
    DLManagedTensor* const tensor = export_legacy_tensor(view);
    dlpack::abi(tensor)->dl_tensor.device = {static_cast<std::int32_t>(where.type), where.id};
    return new_capsule(tensor);
}

PyObject* versioned_capsule(const View& view, Device where, Minor version, std::uint64_t flags) {
    DLManagedTensorVersioned* const tensor = export_tensor(view, flags);
    auto* const managed = dlpack::abi(tensor);
    managed->dl_tensor.device = {static_cast<std::int32_t>(where.type), where.id};
    managed->version = {dlpack::kMajor, static_cast<std::uint32_t>(version)};
    return new_capsule(tensor);
}

PyObject* capsule_of(const View& view, Device where, Minor version, std::uint64_t flags) {
    return version == kLegacy ? legacy_capsule(view, where)
                              : versioned_capsule(view, where, version, flags);
}

/// A consumer that knows 1.0 only does not know that sub-byte items may be padded.
void require_named(const View& view, Minor version) {
    const dlpack::DataType type = dlpack_type(view.format());
    if (type.bits < 8 && !view.format().is_packed() && version == 0) {
        throw BufferError("__dlpack__: format '" + std::string(view.format().text()) +
                          "': padded items under 8 bits need max_version (1, 1), asked (1, 0)");
    }
}

PyObject* export_asked(PyObject* self, const Options& options, Minor version) {
    const int must_copy = options.copy == nullptr ? -1 : PyObject_IsTrue(options.copy);
    if (must_copy < 0 && PyErr_Occurred()) throw py::error_already_set();
    const View view = live_view(self);  // held: what follows lets other threads run
    const Device target = read_target(options.dl_device, view.device());
    const Ordering order = read_ordering(options.stream, target);
    if (target == kHost && view.device() != kHost && options.stream != nullptr && order.wanted) {
        throw Refused("__dlpack__: dl_device (1, 0) is the host: stream must be None");
    }
    require_named(view, version);
    require_target(view, target);
    if (must_copy != 1 && shares(view.device(), target)) {
        make_ready(view, target, order);
        return capsule_of(view, target, version, 0);
    }
    if (must_copy == 0) {
        throw Refused("__dlpack__: copy=False, but " + to_string(view.device()) + " to " +
                      to_string(target) + " needs a copy");
    }
    return capsule_of(copied(view, target, order), target, version, dlpack::kIsCopied);
}

}  // namespace

PyObject* view_dlpack(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
    const Options options = read_options(args, count, names);
    const Minor version = read_version(options.max_version);
    const View& view = live_view(self);
    if (view.device() == kHost && options.stream == nullptr && options.dl_device == nullptr &&
        options.copy == nullptr) {
        if (version == 0) require_named(view, version);
        return capsule_of(view, kHost, version, 0);
    }
    return export_asked(self, options, version);
}

PyObject* view_dlpack_device(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] {
        const Device device = live_view(self).device();
        return Py_BuildValue("(ii)", static_cast<int>(device.type), static_cast<int>(device.id));
    });
}

}  // namespace devview::python
