// The slots of dv.Exporter's subclasses: a buffer is asked for, handed out, and given back.
#include <algorithm>
#include <memory>

#include "callback_scope.hpp"
#include "exporter/exporter.hpp"
#include "exporter/exporter_exports.hpp"
#include "exporter/exporter_methods.hpp"
#include "exporter/exporter_native.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// A method that takes a memoryview of its own instance must end in a RecursionError.
class RecursionScope {
public:
    RecursionScope() {
        if (Py_EnterRecursiveCall(" in __buffer__") != 0) throw py::error_already_set();
    }
    ~RecursionScope() { Py_LeaveRecursiveCall(); }
    RecursionScope(const RecursionScope&) = delete;
    RecursionScope& operator=(const RecursionScope&) = delete;
};

void request(PyObject* object, Py_buffer* buffer, int flags) {
    buffer->obj = nullptr;
    if (PyObject_GetBuffer(object, buffer, flags) != 0) throw py::error_already_set();
}

bool is_delegate(PyTypeObject* type) {
    static PyObject* const name = PyUnicode_InternFromString("__buffer_owner__");
    PyObject* const owner = _PyType_Lookup(type, name);
    return owner != nullptr && PyUnicode_Check(owner) &&
           PyUnicode_CompareWithASCIIString(owner, "delegate") == 0;
}

template <class T>
bool same_values(const T* a, const T* b, int count) {
    if (a == nullptr || b == nullptr) return a == b;
    return std::equal(a, a + count, b);
}

bool same_answer(const Py_buffer& a, const Py_buffer& b) {
    const auto same_format = [](const char* x, const char* y) {
        return x == nullptr || y == nullptr ? x == y : std::string(x) == y;
    };
    return a.buf == b.buf && a.len == b.len && a.itemsize == b.itemsize &&
           a.readonly == b.readonly && a.ndim == b.ndim && same_format(a.format, b.format) &&
           same_values(a.shape, b.shape, a.ndim) && same_values(a.strides, b.strides, a.ndim) &&
           same_values(a.suboffsets, b.suboffsets, a.ndim);
}

/// Design 1: the answer is the delegate's own. A memoryview stands for what it views wherever that
/// gives the same answer.
void delegate(PyObject* object, Py_buffer* buffer, int flags) {
    const RecursionScope scope;  // a delegate may be the exporter itself, or delegate back to it
    request(object, buffer, flags);
    if (!PyMemoryView_Check(object)) return;
    PyObject* const viewed = PyMemoryView_GET_BUFFER(object)->obj;
    if (viewed == nullptr) return;
    Py_buffer direct;
    direct.obj = nullptr;
    if (PyObject_GetBuffer(viewed, &direct, flags) != 0) {
        PyErr_Clear();  // it answers otherwise by now: the memoryview's own answer stands
        return;
    }
    if (same_answer(*buffer, direct)) std::swap(*buffer, direct);
    PyBuffer_Release(&direct);
}

void require_memoryview(PyObject* object, bool of_2012) {
    if (PyMemoryView_Check(object) || is_view(object)) return;
    PyErr_Format(PyExc_TypeError, "%s returned a non-memoryview object: '%.200s'",
                 of_2012 ? "__getbuffer__" : "__buffer__", Py_TYPE(object)->tp_name);
    throw py::error_already_set();
}

/// Every object obtained is released once, also where no buffer came of it.
void release_obtained(PyObject* self, const Obtained& obtained) {
    const CallbackScope scope;
    call_releaser(self, obtained.object.ptr(), obtained.of_2012);
}

/// Moves the hold on the memory from the obtained memoryview to another of the same memory: the
/// release method may release the one that it gets.
bool guard_memory(Export& entry) {
    if (!PyMemoryView_Check(entry.obtained.ptr())) return true;
    const auto guard =
        py::reinterpret_steal<py::object>(PyMemoryView_FromObject(entry.obtained.ptr()));
    Py_buffer fresh;
    fresh.obj = nullptr;
    if (!guard || PyObject_GetBuffer(guard.ptr(), &fresh, entry.flags) != 0) {
        PyErr_Clear();  // released under us: then the buffer's own release will tell
        return false;
    }
    std::swap(entry.inner, fresh);
    PyBuffer_Release(&fresh);
    return true;
}

}  // namespace

Obtained ask_exporter(PyObject* self, int flags) {
    const RecursionScope scope;
    const Definition getter = find_getter(Py_TYPE(self));
    if (getter.kind != Definition::Kind::python) {
        PyErr_Format(PyExc_TypeError, "a bytes-like object is required, not '%.100s'",
                     Py_TYPE(self)->tp_name);
        throw py::error_already_set();
    }
    Obtained obtained;
    obtained.of_2012 = getter.of_2012;
    obtained.delegate = is_delegate(Py_TYPE(self));
    obtained.object = call_getter(self, getter, flags);
    if (!obtained.delegate) require_memoryview(obtained.object.ptr(), obtained.of_2012);
    return obtained;
}

void hand_out(PyObject* self, Obtained obtained, Py_buffer* buffer, int flags) {
    if (obtained.delegate) {
        delegate(obtained.object.ptr(), buffer, flags);
        return;
    }
    try {
        auto entry = std::make_unique<Export>();
        request(obtained.object.ptr(), &entry->inner, flags);
        entry->obtained = obtained.object;
        entry->flags = flags;
        entry->of_2012 = obtained.of_2012;
        add_export(self, entry.get());
        *buffer = entry->inner;
        buffer->internal = entry.release();
    } catch (...) {
        release_obtained(self, obtained);
        throw;
    }
    Py_INCREF(self);
    buffer->obj = self;
}

int exporter_getbuffer(PyObject* self, Py_buffer* buffer, int flags) {
    if (buffer == nullptr) {
        PyErr_SetString(PyExc_BufferError, "Exporter: the Py_buffer is NULL");
        return -1;
    }
    buffer->obj = nullptr;
    const int result = guarded<int>(-1, [&] {
        hand_out(self, ask_exporter(self, flags), buffer, flags);
        return 0;
    });
    if (result != 0) buffer->obj = nullptr;
    return result;
}

void exporter_releasebuffer(PyObject* self, Py_buffer* buffer) {
    if (release_export(self, buffer)) return;
    const CallbackScope scope;
    release_native(self, buffer);
}

bool release_export(PyObject* self, Py_buffer* buffer) {
    const std::unique_ptr<Export> entry(take_export(self, buffer->internal));
    if (entry == nullptr) return false;
    const CallbackScope scope;
    buffer->internal = nullptr;
    PyBuffer_Release(&entry->inner);
    if (!entry->told) call_releaser(self, entry->obtained.ptr(), entry->of_2012);
    // A memoryview of the exporter itself (super().__buffer__ of a C base) ends here, as in
    // CPython: the base gets its buffer back now.
    PyObject* const obtained = entry->obtained.ptr();
    if (PyMemoryView_Check(obtained) && PyMemoryView_GET_BUFFER(obtained)->obj == self) {
        const auto done =
            py::reinterpret_steal<py::object>(PyObject_CallMethod(obtained, "release", nullptr));
        if (!done) PyErr_Clear();  // the method exported it anew: those consumers keep it
    }
    return true;
}

/// The exporter is alive as long as its exports are, so that it may show what they hold.
int exporter_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    for (const Export* entry = first_export(self); entry != nullptr; entry = entry->next) {
        Py_VISIT(entry->obtained.ptr());
        Py_VISIT(entry->inner.obj);
    }
    return 0;
}

/// Garbage that exports itself: the collector calls this before it clears any part of the cycle, so
/// the release methods still find their instance whole. The memory stays until the buffer goes.
void exporter_finalize(PyObject* self) {
    if (first_export(self) == nullptr) return;
    const CallbackScope scope;
    for (Export* entry = first_export(self); entry != nullptr;) {
        if (entry->told || !guard_memory(*entry)) {
            entry = entry->next;
            continue;
        }
        entry->told = true;
        const py::object obtained = entry->obtained;
        call_releaser(self, obtained.ptr(), entry->of_2012);
        entry = first_export(self);  // the method may have changed the list
    }
}

}  // namespace devview::python
