// Moving the items of views: what copyto, copy_from, copy_to and assignment share, and the methods.
#pragma once

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// Writes the items of `src` to `dst`: any devices, equal shapes, equal formats or a conversion
/// within the kind of value. Lets the GIL go. `function` begins the messages.
/// @throws FormatError  no such conversion, or Python objects; LayoutError; BufferError.
void assign_items(const char* function, const View& dst, const View& src,
                  const Stream& stream = {});

/// 'C', 'F', or 'A': Fortran order where the view is Fortran- and not C-contiguous
/// (memoryview.tobytes). None is 'C'.
Order lying_order(const View& view, PyObject* value);

// Methods, METH_FASTCALL | METH_KEYWORDS; C++ exceptions leave them.
PyObject* view_to(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names);
PyObject* view_copy(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names);
PyObject* view_astype(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names);
PyObject* view_copy_from(PyObject* self, PyObject* const* values, Py_ssize_t count,
                         PyObject* names);
PyObject* view_copy_to(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names);

}  // namespace devview::python
