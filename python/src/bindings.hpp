// What module.cpp calls to fill the module, one function a room.
#pragma once

#include "python.hpp"

namespace devview::python {

void bind_memory(py::module_& module);           // memory_bind.cpp
void bind_allocator(py::module_& module);        // allocator_bind.cpp
void bind_ipc(py::module_& module);              // ipc_bind.cpp
void bind_emulation(py::module_& module);        // emulation_bind.cpp
void bind_extension_table(py::module_& module);  // extension_table.cpp

}  // namespace devview::python
