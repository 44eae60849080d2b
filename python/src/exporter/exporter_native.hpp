// C types among the bases of an exporter (class X(dv.Exporter, bytearray)): their slots and
// buffers.
#pragma once

#include "python.hpp"

namespace devview::python {

/// The dict of a class. Static types keep theirs elsewhere since Python 3.12.
py::object dict_of_type(PyTypeObject* type);

/// True where a C type's slot serves without an entry in its dict: before 3.12 there are none.
bool has_native_slot(PyTypeObject* type, bool getter) noexcept;

/// The first C type in the MRO that is a buffer; null if there is none.
PyTypeObject* native_base(PyTypeObject* type);

/// Releases a buffer that the C base filled: super().__buffer__(flags) was asked, or the class
/// defines nothing but a release method.
void release_native(PyObject* self, Py_buffer* buffer) noexcept;

/// bf_releasebuffer for a class whose getter is its C base's and whose release method is Python's.
releasebufferproc mixed_release_slot() noexcept;

/// What super() finds at the end of the Python classes: the release methods, __getbuffer__, and
/// __buffer__ before 3.12, where C types have none of their own.
extern PyMethodDef exporter_base_methods[];
extern PyGetSetDef exporter_base_attributes[];

/// Readies the types of this file.
void prepare_native();

}  // namespace devview::python
