// dv.Format: a Python object around a Format value, and how other files meet it.
#pragma once

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

struct FormatObject {
    PyObject_HEAD Format format;
};

extern PyTypeObject* format_type;

inline bool is_format(PyObject* object) noexcept { return Py_TYPE(object) == format_type; }
inline const Format& format_of(PyObject* object) noexcept {
    return reinterpret_cast<FormatObject*>(object)->format;
}

/// A new dv.Format (new reference). @throws py::error_already_set on memory exhaustion.
PyObject* new_format(Format format);

/// The name that NumPy, ml_dtypes and the Array API give a scalar ("float32"), or "".
std::string format_name(const Format& format);

/// The format of one of those names. @throws FormatError  `text` is none.
Format format_of_name(const std::string& text);

/// "little" or "big" of a scalar or an array of them; null where order means nothing.
const char* byteorder_name(const Format& format) noexcept;

void make_format_type(py::module_& module);

}  // namespace devview::python
