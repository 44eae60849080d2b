// numpy.ndarray read where it lies: what its buffer would say, without asking for one.
#pragma once

#include <optional>

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// The view that the buffer protocol would give of an array of scalars in native order. Nothing if
/// the object is no such array, or its answer depends on more than is read here: ask it then.
/// The array is held by a reference alone: it has no exported buffer.
std::optional<View> import_array(PyObject* object);

/// True for numpy.ndarray itself, of a NumPy that is known.
bool is_array(PyObject* object);

/// The same, with a released view for nothing.
View array_view(PyObject* object);

/// The same as a View object (new reference); null, without an error, for nothing.
PyObject* new_array_view(PyObject* object);

}  // namespace devview::python
