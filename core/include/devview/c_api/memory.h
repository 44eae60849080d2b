/* Memory through the C interface: where it lives, who owns it, when it is given back. See
 * devview/c_api.h. */
#ifndef DEVVIEW_C_API_MEMORY_H
#define DEVVIEW_C_API_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "devview/c_api/status.h"
#include "devview/export.hpp"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Devices and streams --- */

/* DLDeviceType of DLPack 1.3; its other numbers are legal, too. */
typedef int32_t devview_device_type;
enum {
    DEVVIEW_CPU = 1,
    DEVVIEW_CUDA = 2,
    DEVVIEW_CUDA_HOST = 3, /* pinned; id 0 */
    DEVVIEW_ROCM = 10,
    DEVVIEW_ROCM_HOST = 11,
    DEVVIEW_CUDA_MANAGED = 13 /* id 0 */
};

/* Passed by value. */
typedef struct devview_device {
    devview_device_type type;
    int32_t id;
} devview_device;

/* "cpu", "cuda" (0), "cuda:1", "pinned", "managed", "rocm:0", ...; NUL-terminated. Talks to no
 * device. */
DEVVIEW_CORE_API devview_status devview_device_parse(const char* name, devview_device* device);

/* The name. Buffer, capacity [bytes] and length as of devview_format_str(). */
DEVVIEW_CORE_API devview_status devview_device_str(devview_device device, char* buffer,
                                                   size_t capacity, size_t* length);

/* A stream of a device: its handle (a cudaStream_t) as a number. 0 and 1 are CUDA's legacy stream,
 * 2 is the per-thread one. */
typedef intptr_t devview_stream;
#define DEVVIEW_NO_STREAM ((devview_stream)-1)

/* --- Allocations: one block of memory, and the one call that gives it back --- */

typedef struct devview_allocation devview_allocation;

/* Gives a block back: `context` as it was adopted, and a stream that already waits for every use of
 * the block (DEVVIEW_NO_STREAM: the host may use it now). Called exactly once, in the thread that
 * drops the last holder, with no lock held; it may call any function of this interface. */
typedef void (*devview_release)(void* context, devview_stream stream);

typedef struct devview_block {
    uint32_t struct_size; /* sizeof(devview_block), by the caller */
    devview_device device;
    void* data;
    size_t nbytes;
    devview_stream stream; /* the one that the memory is ready and given back on; else NO_STREAM */
    devview_release release; /* null: nothing is to be done */
    void* context;
} devview_block;

/* Flags of the functions that make memory. */
enum { DEVVIEW_ZEROED = 1 /* filled with zeros, else not initialised */ };

/* New host memory, aligned to 256 bytes; 0 bytes are legal and have an address of their own. */
DEVVIEW_CORE_API devview_status devview_allocation_new(size_t nbytes, uint32_t flags,
                                                       devview_allocation** allocation);

/* Takes somebody else's block over. On any other status than DEVVIEW_OK nothing was taken, and the
 * release is never called. DEVVIEW_ERROR_ARGUMENT: null data with bytes, or bytes beyond the
 * address space. Memory of CUDA, pinned and managed included, has uses on streams to be waited for:
 * devview_cuda_allocation_adopt(), here it is DEVVIEW_ERROR_BUFFER. */
DEVVIEW_CORE_API devview_status devview_allocation_adopt(const devview_block* block,
                                                         devview_allocation** allocation);

DEVVIEW_CORE_API devview_status devview_allocation_retain(devview_allocation* allocation);

/* Drops a reference; null is ignored. The block is given back in this call if nothing else, view,
 * export or reference, holds it. */
DEVVIEW_CORE_API devview_status devview_allocation_release(devview_allocation* allocation);

typedef struct devview_allocation_info {
    uint32_t struct_size; /* sizeof(devview_allocation_info), by the caller */
    devview_device device;
    void* data;
    size_t nbytes;
    devview_stream stream; /* as in devview_block */
    int64_t views;         /* that live, of all holders in this process */
    int64_t exports;       /* DLPack tensors and stagings that live */
    uint8_t foreign;       /* 1: adopted or imported */
    uint8_t freed;         /* 1: by devview_allocation_free() */
} devview_allocation_info;

/* Fills `info`, as it is at this moment. */
DEVVIEW_CORE_API devview_status devview_allocation_describe(const devview_allocation* allocation,
                                                            devview_allocation_info* info);

/* Changes the size of host memory of devview's own; the content is kept as far as it fits, the
 * address may change, new bytes are not initialised. DEVVIEW_ERROR_BUFFER, with nothing changed:
 * views or exports live, or the memory is foreign or not the host's. No other thread may describe
 * the allocation meanwhile. */
DEVVIEW_CORE_API devview_status devview_allocation_resize(devview_allocation* allocation,
                                                          size_t nbytes);

/* Gives the block back now, whoever holds references. DEVVIEW_ERROR_BUFFER, with nothing freed,
 * while views or exports live. A second call does nothing; the handle is still to be released. */
DEVVIEW_CORE_API devview_status devview_allocation_free(devview_allocation* allocation);

/* --- The ledger: everything of this process, whichever language made it --- */

typedef struct devview_memory_info {
    uint32_t struct_size; /* sizeof(devview_memory_info), by the caller */
    size_t live_bytes;    /* devview's own */
    size_t peak_bytes;
    size_t blocks;
    size_t foreign_bytes; /* adopted and imported, kept alive by views */
    size_t foreign_blocks;
    int64_t exports;
} devview_memory_info;

/* The gauges of one device; zeros for one that had no memory yet. */
DEVVIEW_CORE_API devview_status devview_memory_describe(devview_device device,
                                                        devview_memory_info* info);

/* Allocations that live, on all devices. */
DEVVIEW_CORE_API devview_status devview_live_allocations(size_t* count);

/* Releases that failed so far: device errors, and callbacks written in C++ that threw. */
DEVVIEW_CORE_API devview_status devview_release_errors(uint64_t* count);

#ifdef __cplusplus
}
#endif

#endif
