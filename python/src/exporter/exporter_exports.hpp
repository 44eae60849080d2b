// The live buffers of dv.Exporter instances: what each was made from, and finding it again.
#pragma once

#include "python.hpp"

namespace devview::python {

/// One Py_buffer that a consumer holds of an exporter (design 2 and 3): Py_buffer.obj is the
/// exporter, Py_buffer.internal is this, and `obtained` the very object its method returned,
/// however the method's answer has changed since.
struct Export {
    Py_buffer inner{};      ///< what `obtained` answered; keeps the memory
    py::object obtained{};  ///< a memoryview or a View
    int flags = 0;          ///< as the consumer asked
    bool of_2012 = false;
    bool told = false;           ///< the release method has been called
    Export* previous = nullptr;  // the list of one exporter's exports
    Export* next = nullptr;

    ~Export() {
        if (inner.obj != nullptr) PyBuffer_Release(&inner);
    }
};

// Guarded by the GIL.

/// Enters an export of `self`. @throws std::bad_alloc  then nothing was entered.
void add_export(PyObject* self, Export* entry);

/// The export behind a Py_buffer's `internal`, taken out; null if the buffer is another type's (a C
/// base's, asked through super()). Never looks behind the pointer.
Export* take_export(PyObject* self, void* internal) noexcept;

/// The first live export of `self`, which leads to the others; null if there is none.
Export* first_export(PyObject* self) noexcept;

}  // namespace devview::python
