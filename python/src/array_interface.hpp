// __array_interface__ (version 3): other libraries' host arrays, read once and checked.
#pragma once

#include <cstdint>
#include <string>

#include "python.hpp"

namespace devview::python {

/// An address given as an int. @throws py::type_error, LayoutError (negative, over 64 bits).
std::uintptr_t read_address(PyObject* value, const char* name);

/// Bytes [low, high) from `address` do not wrap around the address space. @throws LayoutError.
void require_address_range(std::uintptr_t address, std::int64_t low, std::int64_t high,
                           const char* function);

}  // namespace devview::python
