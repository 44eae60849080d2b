// Methods of a View that go through all of its items as Python values.
#pragma once

#include "python.hpp"

namespace devview::python {

PyObject* list_items(PyObject* self);
PyObject* count_items(PyObject* self, PyObject* value);
PyObject* index_of_item(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names);
PyObject* fill_items(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names);

}  // namespace devview::python
