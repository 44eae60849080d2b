// What CPython 3.12 does for classes over C exporters, on every Python.
#include "exporter/exporter_native.hpp"

#include <utility>

#include "devview/allocation.hpp"
#include "exporter/exporter.hpp"
#include "exporter/exporter_methods.hpp"
#include "view/view_object.hpp"

namespace devview::python {

py::object dict_of_type(PyTypeObject* type) {
#if PY_VERSION_HEX >= 0x030C0000
    return py::reinterpret_steal<py::object>(PyType_GetDict(type));
#else
    return py::reinterpret_borrow<py::object>(type->tp_dict);
#endif
}

bool has_native_slot([[maybe_unused]] PyTypeObject* type, [[maybe_unused]] bool getter) noexcept {
#if PY_VERSION_HEX >= 0x030C0000
    return false;
#else
    const PyBufferProcs* const procs = type->tp_as_buffer;
    // The slots of an exporter's own classes follow from their dicts.
    if (procs == nullptr || PyType_IsSubtype(type, exporter_base)) return false;
    return getter ? procs->bf_getbuffer != nullptr : procs->bf_releasebuffer != nullptr;
#endif
}

PyTypeObject* native_base(PyTypeObject* type) {
    const auto mro = py::reinterpret_borrow<py::tuple>(type->tp_mro);
    for (const py::handle entry : mro) {
        auto* const base = reinterpret_cast<PyTypeObject*>(entry.ptr());
        if (base == exporter_base || base == &PyBaseObject_Type) continue;
        if (has_native_slot(base, true)) return base;
        PyObject* const value =
            PyDict_GetItemWithError(dict_of_type(base).ptr(), method_names.buffer);
        if (value != nullptr && Py_IS_TYPE(value, &PyWrapperDescr_Type)) return base;
    }
    return nullptr;
}

namespace {

void call_native_release(PyTypeObject* native, PyObject* self, Py_buffer* buffer) noexcept {
    const releasebufferproc release = native->tp_as_buffer->bf_releasebuffer;
    if (release != nullptr && release != exporter_releasebuffer) release(self, buffer);
}

#if PY_VERSION_HEX < 0x030C0000

/// A C base's buffer, lent to a Python release method as a memoryview. The base gets it back when
/// the last view of it is gone, so that one kept by the method stays valid.
struct LentBuffer {
    PyObject_HEAD Py_buffer buffer;
    PyTypeObject* native;
};
PyTypeObject* lent_type = nullptr;

LentBuffer* lent(PyObject* object) noexcept { return reinterpret_cast<LentBuffer*>(object); }

int lent_getbuffer(PyObject* self, Py_buffer* view, int) {
    *view = lent(self)->buffer;
    view->internal = nullptr;
    view->obj = self;
    Py_INCREF(self);
    return 0;
}

void lent_dealloc(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    PyObject* const owner = lent(self)->buffer.obj;
    call_native_release(lent(self)->native, owner, &lent(self)->buffer);
    Py_DECREF(owner);
    Py_DECREF(lent(self)->native);
    type->tp_free(self);
    Py_DECREF(type);
}

PyType_Slot lent_slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(lent_getbuffer)},
    {Py_tp_dealloc, reinterpret_cast<void*>(lent_dealloc)},
    {0, nullptr},
};
PyType_Spec lent_spec = {"devview._LentBuffer", sizeof(LentBuffer), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, lent_slots};

/// The Python method gets a memoryview, which ends with the call; then the C base its buffer.
bool release_through_python(PyObject* self, Py_buffer* buffer, PyTypeObject* native) {
    auto object = py::reinterpret_steal<py::object>(PyType_GenericAlloc(lent_type, 0));
    if (!object) throw py::error_already_set();
    Py_buffer& copy = lent(object.ptr())->buffer;
    copy = *buffer;
    // PyBuffer_FillInfo points these into the consumer's own struct.
    if (copy.shape == &buffer->len) copy.shape = &copy.len;
    if (copy.strides == &buffer->itemsize) copy.strides = &copy.itemsize;
    copy.obj = self;
    Py_INCREF(self);
    lent(object.ptr())->native = native;
    Py_INCREF(native);
    auto view = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(object.ptr()));
    object = py::object();  // from here on the base's release is the memoryview's business
    if (!view) {
        count_release_error();
        PyErr_WriteUnraisable(self);
        return true;
    }
    call_releaser(self, view.ptr(), false);
    const auto done =
        py::reinterpret_steal<py::object>(PyObject_CallMethod(view.ptr(), "release", nullptr));
    if (!done) PyErr_Clear();  // the method exported it: those consumers keep it
    return true;
}

#endif

}  // namespace

void release_native(PyObject* self, Py_buffer* buffer) noexcept {
    const bool done = guarded<bool>(false, [&] {
        PyTypeObject* const native = native_base(Py_TYPE(self));
        if (native == nullptr) return true;
#if PY_VERSION_HEX < 0x030C0000
        if (find_getter(Py_TYPE(self)).kind == Definition::Kind::native &&
            find_releaser(Py_TYPE(self), false).kind == Definition::Kind::python) {
            return release_through_python(self, buffer, native);
        }
#endif
        call_native_release(native, self, buffer);
        return true;
    });
    if (!done) {
        count_release_error();
        PyErr_WriteUnraisable(self);
    }
}

namespace {

/// The exporter behind a memoryview, borrowed.
PyObject* exporter_of(const Py_buffer& view) noexcept {
#if PY_VERSION_HEX < 0x030C0000
    if (view.obj != nullptr && Py_IS_TYPE(view.obj, lent_type)) return lent(view.obj)->buffer.obj;
#endif
    return view.obj;
}

PyObject* memoryview_check(PyObject* self, PyObject* buffer) {
    if (is_view(buffer)) {
        live_view(buffer);
        return buffer;
    }
    if (!PyMemoryView_Check(buffer)) throw py::type_error("expected a memoryview object");
    const auto* const view = reinterpret_cast<PyMemoryViewObject*>(buffer);
    if ((view->flags & _Py_MEMORYVIEW_RELEASED) != 0) {
        throw py::value_error("memoryview's buffer has already been released");
    }
    if (native_base(Py_TYPE(self)) != nullptr && exporter_of(view->view) != self) {
        throw py::value_error("memoryview's buffer is not this object");
    }
    return buffer;
}

/// The next class's method if there is one; else the buffer is released, once.
PyObject* release_by_base(PyObject* self, PyObject* buffer, PyObject* name) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const auto next = py::reinterpret_steal<py::object>(PyObject_CallFunctionObjArgs(
            reinterpret_cast<PyObject*>(&PySuper_Type), exporter_base, self, nullptr));
        if (!next) return nullptr;
        const auto method = py::reinterpret_steal<py::object>(PyObject_GetAttr(next.ptr(), name));
        if (method) return PyObject_CallOneArg(method.ptr(), buffer);
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
        PyErr_Clear();
        return PyObject_CallMethod(memoryview_check(self, buffer), "release", nullptr);
    });
}

PyObject* base_release_buffer(PyObject* self, PyObject* buffer) {
    return release_by_base(self, buffer, method_names.release_buffer);
}

PyObject* base_releasebuffer(PyObject* self, PyObject* buffer) {
    return release_by_base(self, buffer, method_names.releasebuffer);
}

PyObject* native_buffer(PyObject* self, PyObject* flags) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        PyTypeObject* const native = native_base(Py_TYPE(self));
        if (native == nullptr) throw py::type_error("a bytes-like object is required");
        return memoryview_of_request(self, read_flags(flags, "__buffer__"),
                                     native->tp_as_buffer->bf_getbuffer);
    });
}

PyMethodDef native_buffer_method = {"native_buffer", native_buffer, METH_O,
                                    "native_buffer(flags, /)\n--\n\nThe C base's buffer."};

/// An attribute only where a C base is a buffer, as the slot wrappers of 3.12.
PyObject* get_native_buffer(PyObject* self, void* name) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        if (native_base(Py_TYPE(self)) != nullptr) {
            return PyCFunction_New(&native_buffer_method, self);
        }
        PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '%s'",
                     Py_TYPE(self)->tp_name, static_cast<const char*>(name));
        return nullptr;
    });
}

[[maybe_unused]] char buffer_name[] = "__buffer__";  // of the attribute below 3.12
char getbuffer_name[] = "__getbuffer__";

}  // namespace

PyMethodDef exporter_base_methods[] = {
    {"__release_buffer__", base_release_buffer, METH_O,
     "__release_buffer__($self, buffer, /)\n--\n\nReleases the memoryview. Raises ValueError if it "
     "is released already."},
    {"__releasebuffer__", base_releasebuffer, METH_O,
     "__releasebuffer__($self, buffer, /)\n--\n\nReleases the memoryview. Raises ValueError if it "
     "is released already."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef exporter_base_attributes[] = {
#if PY_VERSION_HEX < 0x030C0000
    {buffer_name, get_native_buffer, nullptr, "The C base's buffer, as a memoryview.", buffer_name},
#endif
    {getbuffer_name, get_native_buffer, nullptr, "The C base's buffer, as a memoryview.",
     getbuffer_name},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

#if PY_VERSION_HEX >= 0x030C0000

namespace {
releasebufferproc interpreter_release = nullptr;  // CPython's slot for a Python method

/// CPython's slot calls the next class's after the Python method, with the same buffer: the C base
/// is what is left then.
void mixed_releasebuffer(PyObject* self, Py_buffer* buffer) {
    static thread_local const Py_buffer* in_release = nullptr;
    if (release_export(self, buffer)) return;
    if (in_release == buffer) {
        release_native(self, buffer);
        return;
    }
    const Py_buffer* const outer = std::exchange(in_release, buffer);
    interpreter_release(self, buffer);
    in_release = outer;
}

}  // namespace

releasebufferproc mixed_release_slot() noexcept { return mixed_releasebuffer; }

void prepare_native() {
    py::dict members;
    members["__release_buffer__"] = py::none();
    const auto type = py::reinterpret_steal<py::object>(PyObject_CallFunction(
        reinterpret_cast<PyObject*>(&PyType_Type), "s()O", "_", members.ptr()));
    if (!type) throw py::error_already_set();
    interpreter_release =
        reinterpret_cast<PyTypeObject*>(type.ptr())->tp_as_buffer->bf_releasebuffer;
}

#else

releasebufferproc mixed_release_slot() noexcept { return exporter_releasebuffer; }

void prepare_native() {
    lent_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&lent_spec));
    if (lent_type == nullptr) throw py::error_already_set();
}

#endif

}  // namespace devview::python
