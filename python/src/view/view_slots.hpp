// The functions that fill the slots of View and Allocation; each set lives in a file of its own.
#pragma once

#include "python.hpp"

namespace devview::python {

// view_object.cpp
void view_dealloc(PyObject* object);
int view_traverse(PyObject* object, visitproc visit, void* arg);
void view_finalize(PyObject* object);
int view_clear(PyObject* object);
PyObject* view_sizeof(PyObject* self, PyObject* unused);
void allocation_dealloc(PyObject* object);
int allocation_traverse(PyObject* object, visitproc visit, void* arg);
void allocation_finalize(PyObject* object);
int allocation_clear(PyObject* object);

// view_attributes.cpp
extern PyGetSetDef view_attributes[];
PyObject* view_repr(PyObject* object);

// view_methods.cpp
extern PyMethodDef view_methods[];

// view_subscript.cpp
Py_ssize_t view_length(PyObject* object);
PyObject* view_item(PyObject* object, Py_ssize_t index);
PyObject* view_subscript(PyObject* object, PyObject* key);
int view_assign_subscript(PyObject* object, PyObject* key, PyObject* value);

// view_iterator.cpp
PyObject* view_iter(PyObject* object);

// view_buffer.cpp
int view_getbuffer(PyObject* object, Py_buffer* buffer, int flags);
void view_releasebuffer(PyObject* object, Py_buffer* buffer);

// view_compare.cpp
PyObject* view_richcompare(PyObject* object, PyObject* other, int operation);
Py_hash_t view_hash(PyObject* object);

// import.cpp
PyObject* view_from_flags(PyObject* type, PyObject* const* args, Py_ssize_t count, PyObject* names);
PyObject* view_vectorcall(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* names);
PyObject* view_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);

}  // namespace devview::python
