// __array_interface__ (version 3): other libraries' host arrays, read once and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

/// The view that `object.__array_interface__` describes; nothing, and why in `why`, if the object
/// has none or a wrong one. The view's allocation keeps `object` alive.
/// @throws py::error_already_set  an error of the producer that is none of AttributeError,
/// BufferError, ValueError and TypeError.
std::optional<View> import_array_interface(PyObject* object, std::string& why);

/// An address given as an int. @throws py::type_error, LayoutError (negative, over 64 bits).
std::uintptr_t read_address(PyObject* value, const char* name);

/// Bytes [low, high) from `address` do not wrap around the address space. @throws LayoutError.
void require_address_range(std::uintptr_t address, std::int64_t low, std::int64_t high,
                           const char* function);

}  // namespace devview::python
