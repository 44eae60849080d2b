/* Two functions for allocators that are plugged into other libraries by name or address: PyTorch's
   CUDAPluggableAllocator calls them. Memory comes from devview's pool and shows in its ledger. */
#ifndef DEVVIEW_CUDA_PLUGGABLE_H
#define DEVVIEW_CUDA_PLUGGABLE_H

#include <sys/types.h>

#include "devview/export.hpp"

struct CUstream_st;

#ifdef __cplusplus
extern "C" {
#endif

/* `size` bytes of device memory, ready on `stream` (NULL: the legacy stream); NULL for 0 bytes.
   Out of memory and every other failure is a C++ exception (a std::exception): PyTorch does not
   look at the pointer, but turns exceptions into Python's. Any thread, with or without the GIL. */
DEVVIEW_CUDA_API void* devview_torch_alloc(ssize_t size, int device, struct CUstream_st* stream);

/* Gives the memory back in the order of `stream`, which need not be the one it was made on. NULL is
   nothing; an address that devview_torch_alloc has not given, or that was freed, is counted as a
   failed release and told to its handler. Never throws. */
DEVVIEW_CUDA_API void devview_torch_free(void* data, ssize_t size, int device,
                                         struct CUstream_st* stream);

#ifdef __cplusplus
}
#endif

#endif
