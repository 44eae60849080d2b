// bytes and bytearray where they lie: what their buffers say is known before they are asked.
#pragma once

#include "python.hpp"

namespace devview::python {

/// The view that the buffer protocol would give of a bytes or bytearray object (new reference);
/// null, without an error, for others, subclasses included. Bytes, which nobody can change, are
/// held by a reference alone; a bytearray has an exported buffer, so that it cannot be resized.
PyObject* new_bytes_view(PyObject* object);

}  // namespace devview::python
