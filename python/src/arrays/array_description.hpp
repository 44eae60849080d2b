// The dictionaries of __array_interface__ and __cuda_array_interface__: what both have, read once.
#pragma once

#include <cstdint>
#include <string>

#include "devview/format.hpp"
#include "devview/layout.hpp"
#include "python.hpp"

namespace devview::python {

/// What an attribute told, as a plain dict of our own: a subclass could answer differently the
/// second time, and user code that runs meanwhile could change it. @throws py::type_error.
py::dict interface_dict(PyObject* told);

/// The value of a key; None if it is missing.
py::object entry(const py::dict& interface, const char* key);

/// An int that is no bool: numpy's are ints, too. @throws py::type_error, RangeError.
std::int64_t read_plain_integer(const py::object& value, const char* name);

/// Items and where they lie; nothing of it refers to Python.
struct ArrayDescription {
    int version;  ///< 0 to 3
    Format format;
    Layout layout;
    ByteBounds bounds;  ///< of the items, relative to the first one
};

/// Reads version, mask, typestr, descr, shape and strides. @throws py::type_error, BufferError (a
/// mask, a later version), FormatError (objects too: nobody counts them), LayoutError.
ArrayDescription read_description(const py::dict& interface);

/// data = (address, readonly).
struct DataPointer {
    std::uintptr_t address;
    bool readonly;
};

/// @throws py::type_error, LayoutError  an address that 64 bits do not hold, or, with items, null
/// or where they would leave the address space.
DataPointer read_pointer(const py::object& data, const ByteBounds& bounds);

/// An address given as an int. @throws py::type_error, LayoutError (negative, over 64 bits).
std::uintptr_t read_address(PyObject* value, const char* name);

/// Bytes [low, high) from `address` do not wrap around the address space. @throws LayoutError.
void require_address_range(std::uintptr_t address, std::int64_t low, std::int64_t high,
                           const char* function);

}  // namespace devview::python
