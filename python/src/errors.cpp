// The map from C++ exceptions to Python's, and the classes that devview adds.
#include "errors.hpp"

#include <new>
#include <stdexcept>

#include "devview/allocation.hpp"
#include "devview/error.hpp"
#include "devview/ipc.hpp"
#include "python.hpp"

namespace devview::python {

namespace {

// Strong references for the life of the process: translation runs from anywhere.
PyObject* error_class = nullptr;
PyObject* format_error = nullptr;
PyObject* layout_error = nullptr;
PyObject* cast_error = nullptr;
PyObject* range_error = nullptr;
PyObject* refused = nullptr;
PyObject* handle_error = nullptr;
PyObject* device_error = nullptr;
PyObject* device_name_error = nullptr;
PyObject* out_of_memory = nullptr;

/// Raises `type`(message) with attributes set from (name, new reference) pairs.
void raise_with(PyObject* type, const char* message,
                std::initializer_list<std::pair<const char*, PyObject*>> attributes) noexcept {
    PyObject* const error = PyObject_CallFunction(type, "s", message);
    for (const auto& [name, value] : attributes) {
        if (error != nullptr && value != nullptr) PyObject_SetAttrString(error, name, value);
        Py_XDECREF(value);
    }
    if (error == nullptr) return;
    PyErr_SetObject(type, error);
    Py_DECREF(error);
}

PyObject* add_class(py::module_& module, const char* name, const char* doc, PyObject* bases) {
    const std::string qualified = std::string("devview.") + name;
    PyObject* const type = PyErr_NewExceptionWithDoc(qualified.c_str(), doc, bases, nullptr);
    if (type == nullptr) throw py::error_already_set();
    module.add_object(name, py::reinterpret_borrow<py::object>(type));
    return type;
}

/// Failed releases reach sys.unraisablehook, once each; after finalisation nobody is told.
void tell_release_error(const char* what) {
    if (!python_alive()) return;
    const PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    // The hook's default prints "Exception ignored in:" and this text.
    PyObject* const where = PyUnicode_FromString("devview, giving memory back");
    PyErr_SetString(device_error, what);
    PyErr_WriteUnraisable(where);
    Py_XDECREF(where);
    PyErr_Restore(type, value, traceback);
    PyGILState_Release(gil);
}

}  // namespace

void set_error_from_exception() noexcept {
    try {
        throw;
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const py::builtin_exception& error) {
        error.set_error();
    } catch (const OutOfMemory& error) {
        raise_with(out_of_memory, error.what(),
                   {{"requested", PyLong_FromSize_t(error.requested())},
                    {"used", PyLong_FromSize_t(error.used())},
                    {"limit", PyLong_FromSize_t(error.limit())}});
    } catch (const DeviceError& error) {
        raise_with(device_error, error.what(),
                   {{"code", PyLong_FromLong(error.code())},
                    {"name", PyUnicode_FromString(error.name().c_str())},
                    {"sticky", PyBool_FromLong(error.sticky())},
                    {"first_seen", PyUnicode_FromString(error.first_seen().c_str())}});
    } catch (const HandleError& error) {
        PyErr_SetString(handle_error, error.what());
    } catch (const NameError& error) {
        PyErr_SetString(device_name_error, error.what());
    } catch (const FormatError& error) {
        raise_with(format_error, error.what(), {{"position", PyLong_FromSize_t(error.position())}});
    } catch (const CastError& error) {
        PyErr_SetString(cast_error, error.what());
    } catch (const RangeError& error) {
        PyErr_SetString(range_error, error.what());
    } catch (const LayoutError& error) {
        PyErr_SetString(layout_error, error.what());
    } catch (const Refused& error) {
        PyErr_SetString(refused, error.what());
    } catch (const BufferError& error) {
        PyErr_SetString(PyExc_BufferError, error.what());
    } catch (const ReleasedError& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const Error& error) {
        PyErr_SetString(error_class, error.what());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::out_of_range& error) {
        PyErr_SetString(PyExc_IndexError, error.what());
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
}

void bind_errors(py::module_& module) {
    const auto bases = [](PyObject* first, PyObject* second) {
        return py::make_tuple(py::reinterpret_borrow<py::object>(first),
                              py::reinterpret_borrow<py::object>(second));
    };
    error_class = add_class(module, "Error", "Base of devview's own errors.", PyExc_Exception);
    format_error = add_class(
        module, "FormatError",
        "A format that cannot be read or said; `position` counts bytes of its UTF-8 text.",
        bases(error_class, PyExc_ValueError).ptr());
    layout_error =
        add_class(module, "LayoutError", "A shape, stride, axis or slice that makes no sense.",
                  bases(error_class, PyExc_ValueError).ptr());
    cast_error = add_class(module, "CastError",
                           "A cast that does not fit; a TypeError too, as memoryview raises.",
                           bases(layout_error, PyExc_TypeError).ptr());
    range_error =
        add_class(module, "RangeError", "An extent, stride or index that 64 bits do not hold.",
                  bases(layout_error, PyExc_OverflowError).ptr());
    device_error = add_class(module, "DeviceError",
                             "A call of the CUDA runtime failed: its `code` and `name`.\n\n"
                             "`sticky` is True where the device has failed for good: every later "
                             "call of it fails with the same\n"
                             "code, and only a new process helps. `first_seen` then names the call "
                             "of devview that saw the error\n"
                             "first and its device (\"memcpy on cuda:1\"); the cause came before "
                             "it, perhaps from another library.",
                             bases(error_class, PyExc_RuntimeError).ptr());
    device_name_error = add_class(module, "DeviceNameError", "A device name that means nothing.",
                                  bases(device_error, PyExc_ValueError).ptr());
    handle_error =
        add_class(module, "HandleError",
                  "A handle of another process's memory that is none, is stale or was changed.",
                  bases(error_class, PyExc_ValueError).ptr());
    out_of_memory =
        add_class(module, "OutOfMemory",
                  "Memory is exhausted: bytes `requested`, `used`, `limit` (0: unknown).",
                  bases(error_class, PyExc_MemoryError).ptr());
    refused = add_class(module, "Refused",
                        "A request that cannot be met as asked (copy=False where a copy is needed, "
                        "stream 0): a BufferError and a ValueError.",
                        py::make_tuple(py::reinterpret_borrow<py::object>(error_class),
                                       py::reinterpret_borrow<py::object>(PyExc_BufferError),
                                       py::reinterpret_borrow<py::object>(PyExc_ValueError))
                            .ptr());
    add_class(
        module, "ImportRefused",
        "No protocol of the object could be used; the message names each and why. A "
        "BufferError, and as memoryview raises for other objects than exporters, a TypeError.",
        py::make_tuple(py::reinterpret_borrow<py::object>(error_class),
                       py::reinterpret_borrow<py::object>(PyExc_BufferError),
                       py::reinterpret_borrow<py::object>(PyExc_ValueError),
                       py::reinterpret_borrow<py::object>(PyExc_TypeError))
            .ptr());
    // Class attributes: an error that Python code raises has them too.
    PyObject_SetAttrString(format_error, "position", py::int_(0).ptr());
    for (PyObject* type : {device_error}) {
        PyObject_SetAttrString(type, "code", py::int_(0).ptr());
        PyObject_SetAttrString(type, "name", py::str("").ptr());
        PyObject_SetAttrString(type, "sticky", Py_False);
        PyObject_SetAttrString(type, "first_seen", py::str("").ptr());
    }
    py::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const py::builtin_exception&) {
            throw;
        } catch (const Error&) {
            set_error_from_exception();
        }
    });
    set_release_error_handler(tell_release_error);
    module.def(
        "release_errors", [] { return release_errors(); },
        "Number of releases (frees, write-backs, release callbacks) that failed in this "
        "process.\n\n"
        "Each was told once through ``sys.unraisablehook``; the memory was let go all the same.");
}

}  // namespace devview::python
