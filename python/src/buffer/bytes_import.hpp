// bytes and bytearray where they lie: what their buffers say is known before they are asked.
#pragma once

#include "python.hpp"

namespace devview::python {

/// True for a bytes or bytearray object; not for subclasses.
inline bool is_bytes(PyObject* object) {
    return PyBytes_CheckExact(object) || PyByteArray_CheckExact(object);
}

/// The view that the buffer protocol would give of such an object (new reference). Bytes, which
/// nobody can change, are held by a reference alone; a bytearray has an exported buffer, so that it
/// cannot be resized.
PyObject* new_bytes_view(PyObject* object);

}  // namespace devview::python
