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

/// numpy.ndarray once one was seen, of a NumPy that is known; null before.
extern PyTypeObject* array_type;
/// True if `type` is it; array_type is null.
bool learn_array_type(PyTypeObject* type);

/// True for numpy.ndarray itself, of a NumPy that is known.
inline bool is_array(PyObject* object) {
    return Py_TYPE(object) == array_type ||
           (array_type == nullptr && learn_array_type(Py_TYPE(object)));
}

/// The same, with a released view for nothing.
View array_view(PyObject* object);

/// The same as a View object (new reference); null, without an error, for nothing.
PyObject* new_array_view(PyObject* object);

}  // namespace devview::python
