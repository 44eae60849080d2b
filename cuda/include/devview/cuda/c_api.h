/* The C interface of libdevview_cuda: device, pinned and managed memory, streams, copies between
 * devices, staging, the emulator. Rules, handles and errors are those of devview/c_api.h.
 *
 * Streams. A `stream` argument names the one that work is put to: a handle of devview's or
 * anybody's (a cudaStream_t as a number), or DEVVIEW_NO_STREAM for the view's own, else its
 * allocation's, else the legacy one. Work waits for earlier uses of the same blocks on other
 * streams by events, and is recorded as a use of them. A stream that is not devview's may be
 * destroyed after the call. Functions that can wait for the host say so; a failed CUDA call is
 * DEVVIEW_ERROR_DEVICE, its number is devview_error.code. */
#ifndef DEVVIEW_CUDA_C_API_H
#define DEVVIEW_CUDA_C_API_H

#include <stddef.h>
#include <stdint.h>

#include "devview/c_api.h"
#include "devview/export.hpp"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The runtime, and the emulator in its place --- */

typedef struct devview_cuda_runtime_info {
    uint32_t struct_size;    /* sizeof(devview_cuda_runtime_info), by the caller */
    int32_t devices;         /* usable; 0 without a driver */
    int32_t driver_version;  /* as CUDA's: 13000 is 13.0, 0 none */
    int32_t runtime_version; /* the same */
    uint8_t emulated;        /* 1: devices are emulated in host memory */
} devview_cuda_runtime_info;

/* Chooses the runtime of the process if nothing did yet, and never fails for want of a driver. */
DEVVIEW_CUDA_API devview_status devview_cuda_describe_runtime(devview_cuda_runtime_info* info);

typedef struct devview_cuda_emulator {
    uint32_t struct_size; /* sizeof(devview_cuda_emulator), by the caller */
    int32_t devices;      /* 1 to 16 */
    size_t memory;        /* bytes of a device; 0: 4 GiB */
    int64_t delay_us;     /* sleep before every operation of a stream */
    uint8_t lazy;         /* 1: streams run only as far as somebody waits for them */
} devview_cuda_emulator;

/* Emulates devices from now on, for tests on machines without one: before the first use of CUDA in
 * the process, or when nothing emulated is alive. DEVVIEW_ERROR_BUFFER: something is;
 * DEVVIEW_ERROR_DEVICE: the real runtime is in use. */
DEVVIEW_CUDA_API devview_status devview_cuda_emulate(const devview_cuda_emulator* options);

/* How often an emulated function was called ("cudaMemcpyAsync"; kernels are "cudaLaunchKernel"). */
DEVVIEW_CUDA_API devview_status devview_cuda_emulator_calls(const char* name, size_t* count);

/* The nth next call of an emulated function (1: the very next) returns `error` and does nothing. */
DEVVIEW_CUDA_API devview_status devview_cuda_emulator_fail(const char* name, int32_t nth,
                                                           int32_t error);

typedef struct devview_cuda_emulator_objects {
    uint32_t struct_size; /* sizeof(devview_cuda_emulator_objects), by the caller */
    size_t device_blocks;
    size_t device_bytes;
    size_t pinned_blocks;
    size_t managed_blocks;
    size_t streams;
    size_t events;
    size_t queued; /* operations that have not run yet */
} devview_cuda_emulator_objects;

/* What is alive in the emulator, caches of pinned memory and events included. */
DEVVIEW_CUDA_API devview_status
devview_cuda_emulator_describe(devview_cuda_emulator_objects* objects);

/* --- Streams --- */

/* A new non-blocking stream. The caller owns it: devview_cuda_stream_release(). */
DEVVIEW_CUDA_API devview_status devview_cuda_stream_new(int32_t device, devview_stream* stream);

/* Gives up a stream of devview_cuda_stream_new(); it is destroyed once no allocation is to be given
 * back on it any more. DEVVIEW_ERROR_ARGUMENT: not such a stream, a second release included. */
DEVVIEW_CUDA_API devview_status devview_cuda_stream_release(devview_stream stream);

/* The host waits for all work on a stream of `device`. */
DEVVIEW_CUDA_API devview_status devview_cuda_stream_synchronize(int32_t device,
                                                                devview_stream stream);

/* --- Memory --- */

/* New memory on cpu, cuda, pinned or managed; flags as of devview_allocation_new(). Device memory
 * is made, and later given back, in the order of `stream`; the host does not wait. 0 bytes are
 * legal, and have no address on a device. DEVVIEW_ERROR_MEMORY: after one trim and retry. */
DEVVIEW_CUDA_API devview_status devview_cuda_allocation_new(devview_device device, size_t nbytes,
                                                            uint32_t flags, devview_stream stream,
                                                            devview_allocation** allocation);

/* devview_allocation_adopt() for memory of every device. The release gets a stream that waits for
 * every recorded use. DEVVIEW_ERROR_BUFFER: CUDA says that the memory is not of this device. */
DEVVIEW_CUDA_API devview_status devview_cuda_allocation_adopt(const devview_block* block,
                                                              devview_allocation** allocation);

/* devview_allocation_resize() for memory of every device. */
DEVVIEW_CUDA_API devview_status devview_cuda_allocation_resize(devview_allocation* allocation,
                                                               size_t nbytes);

/* For kernels of the caller's own: `stream` waits for all recorded uses of the memory so far.
 * Before the launch. Nothing for host memory. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_order(const devview_view* view,
                                                        devview_stream stream);

/* The memory was used on `stream` just now. After the launch; later uses and the release wait. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_used(const devview_view* view,
                                                       devview_stream stream);

/* The host waits for all recorded uses of the memory: before it reads pinned or managed memory. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_wait(const devview_view* view);

typedef struct devview_cuda_pinned_info {
    uint32_t struct_size; /* sizeof(devview_cuda_pinned_info), by the caller */
    size_t live_bytes;    /* handed out */
    size_t cached_bytes;  /* kept for reuse */
    size_t peak_bytes;    /* most of both at once */
    size_t limit_bytes;
} devview_cuda_pinned_info;

DEVVIEW_CUDA_API devview_status devview_cuda_describe_pinned(devview_cuda_pinned_info* info);

/* Bounds the pinned memory of the process [bytes]; what lives stays. */
DEVVIEW_CUDA_API devview_status devview_cuda_set_pinned_limit(size_t nbytes);

/* Cached memory back to the system; `freed`, unless null, gets the pinned bytes that went. */
DEVVIEW_CUDA_API devview_status devview_cuda_trim(size_t* freed);

/* --- Items --- */

/* Copies the items of `source`: equal shapes and itemsizes, any devices, any layouts; overlap is as
 * if through a temporary. Complete on return where pageable host memory is involved. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_copy(const devview_view* destination,
                                                       const devview_view* source,
                                                       devview_stream stream);

typedef int32_t devview_order;
enum { DEVVIEW_C_ORDER = 0, DEVVIEW_F_ORDER = 1 };

/* A new dense view on `device` with the items of `source`. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_to(const devview_view* source,
                                                     devview_device device, devview_order order,
                                                     devview_stream stream, devview_view** made);

/* Converts the items by value, as devview_view_convert(), on any devices. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_convert(const devview_view* destination,
                                                          const devview_view* source,
                                                          devview_casting casting,
                                                          devview_stream stream);

/* Writes the item at `item` (itemsize bytes of host memory, read before the return) to every place.
 */
DEVVIEW_CUDA_API devview_status devview_cuda_view_fill(const devview_view* destination,
                                                       const void* item, devview_stream stream);

/* devview_view_equal() on any devices; by one kernel where both are on one that knows their
 * formats. The host waits for the answer. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_equal(const devview_view* a,
                                                        const devview_view* b, int32_t* equal);

/* --- DLPack --- */

/* devview_view_to_dlpack() for memory of every device: `stream`, on which the consumer works, waits
 * for all uses so far, and what it does there is a use (DEVVIEW_NO_STREAM: the legacy stream). */
DEVVIEW_CUDA_API devview_status devview_cuda_view_to_dlpack(
    const devview_view* view, devview_stream stream, struct DLManagedTensorVersioned** tensor);

/* devview_view_from_dlpack() for memory of every device, ready on `stream` (DEVVIEW_NO_STREAM: the
 * legacy stream). Before the deleter, the host waits for what devview did with the memory.
 * DEVVIEW_ERROR_BUFFER: CUDA says that the memory is not of the tensor's device. */
DEVVIEW_CUDA_API devview_status devview_cuda_view_from_dlpack(
    struct DLManagedTensorVersioned* tensor, devview_stream stream, devview_view** view);

/* --- Staging: a host copy of a device view, for as long as a host consumer holds it --- */

/* Not for two threads at once. Pinned and managed views are staged where they are. */
typedef struct devview_cuda_staging devview_cuda_staging;

/* Starts the copy. A writable one claims its bytes: DEVVIEW_ERROR_BUFFER for a second one that
 * overlaps it, and for a read-only view. Holds the memory and counts as an export. */
DEVVIEW_CUDA_API devview_status devview_cuda_staging_new(const devview_view* view, uint8_t writable,
                                                         devview_order order, devview_stream stream,
                                                         devview_cuda_staging** staging);

typedef struct devview_cuda_staging_info {
    uint32_t struct_size; /* sizeof(devview_cuda_staging_info), by the caller */
    int32_t ndim;
    void* data;             /* host memory; its content is complete after ..._wait() */
    size_t nbytes;          /* dense */
    const int64_t* shape;   /* ndim, borrowed; null if ndim is 0 */
    const int64_t* strides; /* ndim, bytes, borrowed */
    uint8_t pinned;         /* 0: it did not fit under the limit, and is complete already */
    uint8_t writable;
    uint8_t ready; /* 1: wait() would not wait */
} devview_cuda_staging_info;

DEVVIEW_CUDA_API devview_status devview_cuda_staging_describe(const devview_cuda_staging* staging,
                                                              devview_cuda_staging_info* info);

/* The host waits until the copy is complete. */
DEVVIEW_CUDA_API devview_status devview_cuda_staging_wait(devview_cuda_staging* staging);

/* Writes a writable copy back, in the order of the view's stream, without waiting, and gives the
 * host memory back, whatever the status. A second call is DEVVIEW_ERROR_RELEASED. The handle is
 * still to be released. */
DEVVIEW_CUDA_API devview_status devview_cuda_staging_finish(devview_cuda_staging* staging);

/* Gives everything back; what was not finished is not written back. Null is ignored. */
DEVVIEW_CUDA_API devview_status devview_cuda_staging_release(devview_cuda_staging* staging);

#ifdef __cplusplus
}
#endif

#endif
