// dv.view and its relatives: other libraries' objects become views.
#pragma once

#include "view/view_object.hpp"

namespace devview::python {

/// A view of any exporter (or of a View), without a copy. @throws py::error_already_set
/// (ImportRefused when no protocol serves).
View import_view(PyObject* object);

/// The same for an argument of a function of another extension module: the short ways first.
View import_argument(PyObject* object);

/// `view` on another device, or a copy of it: the options of dv.view, null or None where not given.
/// @throws Refused  copy=False where a copy is needed.
View place_view(const char* function, View view, PyObject* device, PyObject* stream,
                PyObject* copy);

/// The view with `stream` as its own, which was made to wait for every use of the memory so far;
/// as it is for no stream. The host does not wait. @throws DeviceError.
View ready_on(View view, const Stream& stream);

/// A copy of the bytes would copy references that nobody counts. @throws FormatError.
void require_no_objects(const char* function, const View& view);

/// Shapes are equal and the items no Python objects. @throws FormatError, LayoutError.
void require_movable(const char* function, const View& dst, const View& src);

/// Adds view, from_buffer, from_pointer.
void bind_imports(py::module_& module);

}  // namespace devview::python
