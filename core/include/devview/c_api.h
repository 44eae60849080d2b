/* The stable C interface: C99, usable from C++, needs no Python. Statuses and errors, formats,
 * devices, allocations, views. Memory of CUDA devices: devview/cuda/c_api.h, of libdevview_cuda.
 *
 * Calls. Every function but devview_last_error() and devview_c_api_version() returns a status and
 * throws nothing. A null handle or pointer, a value out of range and exhausted memory are statuses,
 * never a crash; a result is written only on DEVVIEW_OK, and a text says what failed.
 *
 * Handles are counted: the function that makes one gives the caller one reference, ..._retain adds
 * one, ..._release drops one. They are immutable and may be used by several threads at once, except
 * where a function says otherwise. A handle of a view or an allocation whose last reference is gone
 * is DEVVIEW_ERROR_RELEASED, a second release included, until its place was given to a new handle
 * (at the earliest after 32 others). Pointers in a described structure are borrowed: valid as long
 * as the handle. What a caller passes is read during the call and not kept, unless it says so.
 *
 * Structures that a caller makes begin with struct_size, sizeof of the structure as the caller
 * compiles it; those that the library makes begin with their version. A later library only adds
 * members at their ends, functions, and numbers to the enumerations, and accepts all earlier sizes.
 * Functions have symbol versions where the system knows them (DEVVIEW_C_0.1: that release's). */
#ifndef DEVVIEW_C_API_H
#define DEVVIEW_C_API_H

/* Of these headers; devview_c_api_version() tells the library's. 2: devices, allocations, views,
 * and devview_error.code. */
#define DEVVIEW_C_API_VERSION 2

#include "devview/c_api/format.h"
#include "devview/c_api/memory.h"
#include "devview/c_api/status.h"
#include "devview/c_api/view.h"

#endif
