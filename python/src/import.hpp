// dv.view and its relatives: other libraries' objects become views.
#pragma once

#include "view_object.hpp"

namespace devview::python {

/// A view of any exporter (or of a View), without a copy. @throws py::error_already_set
/// (ImportRefused when no protocol serves).
View import_view(PyObject* object);

/// Formats and shapes fit for an item copy without conversion, no Python objects among them.
/// @throws FormatError, LayoutError (both ValueErrors), BufferError for a read-only target.
void require_copyable(const View& dst, const View& src, const char* function);

/// Shapes are equal and the items no Python objects. @throws FormatError, LayoutError.
void require_movable(const char* function, const View& dst, const View& src);

/// Adds view, from_buffer, from_pointer.
void bind_imports(py::module_& module);

}  // namespace devview::python
