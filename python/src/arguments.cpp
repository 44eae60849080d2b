// Reading Python arguments.
#include "arguments.hpp"

#include <string>

#include "device/stream_object.hpp"
#include "errors.hpp"

namespace devview::python {

namespace {

[[noreturn]] void wrong_type(const char* name, const char* expected, PyObject* value) {
    PyErr_Format(PyExc_TypeError, "%s: expected %s, got %.200s", name, expected,
                 Py_TYPE(value)->tp_name);
    throw py::error_already_set();
}

std::string text_of(PyObject* value, const char* name) {
    Py_ssize_t size = 0;
    if (PyUnicode_Check(value)) {
        const char* const data = PyUnicode_AsUTF8AndSize(value, &size);
        if (data == nullptr) throw py::error_already_set();
        return std::string(data, static_cast<std::size_t>(size));
    }
    if (PyBytes_Check(value)) {
        return std::string(PyBytes_AS_STRING(value),
                           static_cast<std::size_t>(PyBytes_GET_SIZE(value)));
    }
    wrong_type(name, "a string", value);
}

/// The handle of (0, handle), an int.
py::object protocol_handle(const py::object& told) {
    const auto is_int = [&](Py_ssize_t i) {
        PyObject* const part = PyTuple_GET_ITEM(told.ptr(), i);
        return PyIndex_Check(part) && !PyBool_Check(part);
    };
    if (!PyTuple_Check(told.ptr()) || PyTuple_GET_SIZE(told.ptr()) != 2 || !is_int(0) ||
        !is_int(1)) {
        wrong_type("stream: __cuda_stream__", "a tuple (version, handle)", told.ptr());
    }
    const std::int64_t version = read_integer(PyTuple_GET_ITEM(told.ptr(), 0), "stream");
    if (version != 0) {
        throw LayoutError("stream: __cuda_stream__ of version " + std::to_string(version) +
                          ", known is 0");
    }
    PyObject* const handle = PyNumber_Index(PyTuple_GET_ITEM(told.ptr(), 1));
    if (handle == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(handle);
}

/// Host memory has no streams: one that generic code passes along means nothing there.
bool host_only(Device device) noexcept { return device.type == DeviceType::cpu; }

}  // namespace

std::int64_t read_integer(PyObject* value, const char* name) {
    const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value));
    if (!index) {
        if (PyIndex_Check(value)) throw py::error_already_set();
        PyErr_Clear();
        wrong_type(name, "an int", value);
    }
    int overflow = 0;
    const long long result = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow != 0) {
        throw RangeError(std::string(name) + ": " + std::string(py::str(index)) +
                         " does not fit into 64 bits");
    }
    if (result == -1 && PyErr_Occurred()) throw py::error_already_set();
    return result;
}

Device read_device(PyObject* value, Device fallback) {
    if (value == nullptr || value == Py_None) return fallback;
    const py::handle handle(value);
    if (py::isinstance<Device>(handle)) return handle.cast<Device>();
    if (!PyUnicode_Check(value)) wrong_type("device", "a device name or dv.Device", value);
    return parse_device(text_of(value, "device"));
}

Device stream_device(Device a, Device b) noexcept {
    if (a.type == DeviceType::cuda) return a;
    return b.type == DeviceType::cuda || !is_cuda(a) ? b : a;
}

Stream read_stream(PyObject* value, Device device) {
    if (value == nullptr || value == Py_None) return {};
    if (const Stream* const stream = stream_of_object(value)) {
        if (device.type == DeviceType::cuda && *stream && stream->device() != device) {
            throw DeviceError("stream: a stream of " + to_string(stream->device()) + ", work on " +
                                  to_string(device),
                              400, "cudaErrorInvalidResourceHandle");
        }
        return host_only(device) ? Stream{} : *stream;
    }
    if (PyLong_Check(value)) {
        const std::size_t bits = PyLong_AsSize_t(value);
        if (PyErr_Occurred()) {
            PyErr_Clear();
            throw LayoutError("stream: handle " + std::string(py::str(py::handle(value))) +
                              " is no address");
        }
        // NOLINTNEXTLINE(performance-no-int-to-ptr): a stream handle is an address.
        void* const handle = reinterpret_cast<void*>(bits == 0 ? 1 : bits);
        if (host_only(device)) return {};
        // Pinned and managed memory have no streams of their own.
        const bool shared = is_cuda(device) && device.type != DeviceType::cuda;
        return Stream::raw(shared ? Device{DeviceType::cuda, 0} : device, handle);
    }
    // cuda.core's protocol: __cuda_stream__() -> (version, handle); older: an attribute.
    py::object told = attribute_or_null(value, "__cuda_stream__");
    if (!told) {
        wrong_type("stream", "None, an int handle, a dv.Stream or an object with __cuda_stream__",
                   value);
    }
    if (PyCallable_Check(told.ptr())) told = told();
    return read_stream(protocol_handle(told).ptr(), device);
}

std::vector<std::int64_t> read_integers(PyObject* value, const char* name) {
    if (PyIndex_Check(value)) return {read_integer(value, name)};
    if (PyUnicode_Check(value) || PyBytes_Check(value)) {
        wrong_type(name, "an int or a sequence of ints", value);
    }
    const py::object sequence = py::reinterpret_steal<py::object>(PySequence_Tuple(value));
    if (!sequence) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
        PyErr_Clear();
        wrong_type(name, "an int or a sequence of ints", value);
    }
    std::vector<std::int64_t> result;
    for (const py::handle item : py::reinterpret_borrow<py::tuple>(sequence)) {
        result.push_back(read_integer(item.ptr(), name));
    }
    if (result.size() > kMaxNdim) {
        throw LayoutError(std::string(name) + ": " + std::to_string(result.size()) +
                          " axes, limit 64");
    }
    return result;
}

std::vector<std::int64_t> read_shape(PyObject* value, const char* name) {
    std::vector<std::int64_t> shape = read_integers(value, name);
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] < 0) {
            throw LayoutError(std::string(name) + ": axis " + std::to_string(i) + ": extent " +
                              std::to_string(shape[i]) + ", must not be negative");
        }
    }
    return shape;
}

std::vector<std::int64_t> read_reshape(PyObject* value, std::int64_t size) {
    std::vector<std::int64_t> shape = read_integers(value, "shape");
    std::int64_t known = 1;
    std::int64_t* unknown = nullptr;
    for (std::int64_t& extent : shape) {
        if (extent == -1 && unknown == nullptr) {
            unknown = &extent;
        } else if (extent < 0) {
            throw LayoutError("reshape: extent " + std::to_string(extent) +
                              ", at most one -1 may stand for the rest");
        } else if (__builtin_mul_overflow(known, extent, &known)) {
            throw LayoutError("reshape: shape has more than 2**63 items");
        }
    }
    if (unknown == nullptr) return shape;
    if (known == 0 || size % known != 0) {
        throw LayoutError("reshape: " + std::to_string(size) + " items into multiples of " +
                          std::to_string(known));
    }
    *unknown = size / known;
    return shape;
}

Order read_order(PyObject* value, Order any) {
    if (value == nullptr || value == Py_None) return Order::C;
    const std::string text = text_of(value, "order");
    if (text == "C") return Order::C;
    if (text == "F") return Order::F;
    if (text == "A") return any;
    throw LayoutError("order: '" + text + "', expected 'C', 'F' or 'A'");
}

}  // namespace devview::python
