/* Views through the C interface: a typed, strided window on an allocation. See devview/c_api.h. */
#ifndef DEVVIEW_C_API_VIEW_H
#define DEVVIEW_C_API_VIEW_H

#include <stdint.h>

#include "devview/c_api/format.h"
#include "devview/c_api/memory.h"
#include "devview/c_api/status.h"
#include "devview/export.hpp"

#ifdef __cplusplus
extern "C" {
#endif

/* Of dlpack.h, which is not included: its own header or the caller's declares the members. */
struct DLManagedTensorVersioned;

/* Immutable: every function below makes another view, which holds the memory by itself. */
typedef struct devview_view devview_view;

/* --- Making and describing --- */

typedef struct devview_view_spec {
    uint32_t struct_size;         /* sizeof(devview_view_spec), by the caller */
    int32_t ndim;                 /* 0 to 64; 0 is one item */
    void* data;                   /* of item [0, ..., 0]; null: where the allocation begins */
    const devview_format* format; /* null: unsigned bytes, "B" */
    const int64_t* shape;         /* ndim extents; of packed formats in items, as elsewhere */
    const int64_t* strides;       /* ndim, bytes; null: C-contiguous */
    const int64_t* suboffsets;    /* ndim, bytes, negative where an axis has none; null: none */
    uint8_t readonly;             /* 1: nothing writes through it */
} devview_view_spec;

/* A view of `allocation`, which it holds, on its device. DEVVIEW_ERROR_LAYOUT: a byte that it
 * reaches lies outside the allocation (what suboffsets reach cannot be checked), or a shape or
 * stride overflows; DEVVIEW_ERROR_FORMAT: items of 0 bytes, or objects off the host;
 * DEVVIEW_ERROR_RELEASED: the allocation was freed. */
DEVVIEW_CORE_API devview_status devview_view_of(const devview_view_spec* spec,
                                                devview_allocation* allocation,
                                                devview_view** view);

typedef struct devview_view_info {
    uint32_t struct_size; /* sizeof(devview_view_info), by the caller */
    devview_device device;
    int32_t ndim;
    void* data;                /* of item [0, ..., 0] */
    devview_format* format;    /* borrowed: retain it to keep it */
    const int64_t* shape;      /* ndim extents, borrowed, as the next two; never null */
    const int64_t* strides;    /* ndim, bytes (packed formats: items); never null */
    const int64_t* suboffsets; /* ndim, bytes, negative where an axis has none; null: none */
    int64_t itemsize;          /* bytes */
    int64_t size;              /* items */
    int64_t nbytes;            /* size * itemsize, less for packed items */
    devview_stream stream;     /* that work on the view goes to; or DEVVIEW_NO_STREAM */
    uint8_t readonly;
    uint8_t c_contiguous;
    uint8_t f_contiguous;
} devview_view_info;

DEVVIEW_CORE_API devview_status devview_view_describe(const devview_view* view,
                                                      devview_view_info* info);

/* The owner of the memory: a new reference, to be released. */
DEVVIEW_CORE_API devview_status devview_view_allocation(const devview_view* view,
                                                        devview_allocation** allocation);

DEVVIEW_CORE_API devview_status devview_view_retain(devview_view* view);

/* Drops a reference; null is ignored. The memory is given back in this call if nothing else holds
 * it. */
DEVVIEW_CORE_API devview_status devview_view_release(devview_view* view);

/* --- Other views of the same memory: arithmetic only, no item moves, on any device --- */

/* For devview_view_slice(): start or stop not given. */
#define DEVVIEW_MISSING INT64_MIN

/* v[start:stop:step] on `axis`, with Python's rules for missing, negative and large numbers. */
DEVVIEW_CORE_API devview_status devview_view_slice(const devview_view* view, int32_t axis,
                                                   int64_t start, int64_t stop, int64_t step,
                                                   devview_view** sliced);

/* Without `axis`, at `index` (negative: from the end). DEVVIEW_ERROR_ARGUMENT: out of range. */
DEVVIEW_CORE_API devview_status devview_view_index(const devview_view* view, int32_t axis,
                                                   int64_t index, devview_view** indexed);

/* Axis k of the result is axis axes[k]; null: all axes reversed. */
DEVVIEW_CORE_API devview_status devview_view_transpose(const devview_view* view,
                                                       const int32_t* axes,
                                                       devview_view** transposed);

/* The same items in C order. DEVVIEW_ERROR_LAYOUT: another number of them, or it needs a copy. */
DEVVIEW_CORE_API devview_status devview_view_reshape(const devview_view* view, int32_t ndim,
                                                     const int64_t* shape, devview_view** reshaped);

/* NumPy's rule: aligned at the last axis, extents of 1 are repeated with stride 0. */
DEVVIEW_CORE_API devview_status devview_view_broadcast(const devview_view* view, int32_t ndim,
                                                       const int64_t* shape,
                                                       devview_view** broadcast);

/* A new axis of extent 1 before `axis` (0 to ndim). */
DEVVIEW_CORE_API devview_status devview_view_insert_axis(const devview_view* view, int32_t axis,
                                                         devview_view** widened);

/* Without `axis`, whose extent is 1. */
DEVVIEW_CORE_API devview_status devview_view_remove_axis(const devview_view* view, int32_t axis,
                                                         devview_view** narrowed);

/* The same bytes read as `format`. ndim -1: from and to bytes a C-contiguous view becomes one axis,
 * else the axes stay, and itemsizes are equal or the last axis is dense and fits. Otherwise a
 * C-contiguous view gets the new shape. Converts nothing: devview_view_convert(). */
DEVVIEW_CORE_API devview_status devview_view_cast(const devview_view* view,
                                                  const devview_format* format, int32_t ndim,
                                                  const int64_t* shape, devview_view** cast);

/* The member `name` of every record; a sub-array becomes further axes. DEVVIEW_ERROR_FORMAT: no
 * such member. */
DEVVIEW_CORE_API devview_status devview_view_field(const devview_view* view, const char* name,
                                                   devview_view** field);

DEVVIEW_CORE_API devview_status devview_view_readonly(const devview_view* view,
                                                      devview_view** readonly);

/* --- Items of host memory (cpu; other memory: DEVVIEW_ERROR_BUFFER, see devview/cuda/c_api.h) ---
 *
 * The caller excludes other threads that write to the items. Suboffsets are followed. A read-only
 * destination is DEVVIEW_ERROR_BUFFER, other shapes DEVVIEW_ERROR_LAYOUT, Python objects, which
 * only Python can count and compare, DEVVIEW_ERROR_FORMAT. */

/* Copies the items: equal shapes and itemsizes; overlap is as if through a temporary. */
DEVVIEW_CORE_API devview_status devview_view_copy(const devview_view* destination,
                                                  const devview_view* source);

typedef int32_t devview_casting;
enum {
    DEVVIEW_CAST_SAME_KIND = 0, /* within a kind or to a wider one: bool, u, i, f, complex */
    DEVVIEW_CAST_UNSAFE = 1     /* between any numbers */
};

/* Converts the items by value. Numbers are rounded once, to nearest even; integers wrap, floats
 * that an integer cannot hold saturate. DEVVIEW_ERROR_FORMAT: no such conversion. */
DEVVIEW_CORE_API devview_status devview_view_convert(const devview_view* destination,
                                                     const devview_view* source,
                                                     devview_casting casting);

/* Writes the item at `item` (itemsize bytes) to every place. */
DEVVIEW_CORE_API devview_status devview_view_fill(const devview_view* destination,
                                                  const void* item);

/* 1 if shapes and all items are equal by value, whatever the formats, else 0. NaN equals nothing.
 */
DEVVIEW_CORE_API devview_status devview_view_equal(const devview_view* a, const devview_view* b,
                                                   int32_t* equal);

/* --- DLPack 1.3 --- */

/* A tensor that shares the memory and holds it, counted as an export of the allocation. The caller
 * calls its deleter, from any thread, once. Orders no streams (device memory:
 * devview_cuda_view_to_dlpack()). DEVVIEW_ERROR_BUFFER: a format, strides or suboffsets that DLPack
 * has no words for. */
DEVVIEW_CORE_API devview_status devview_view_to_dlpack(const devview_view* view,
                                                       struct DLManagedTensorVersioned** tensor);

/* Takes `tensor` over: its deleter runs when the last holder of the memory goes. All of it is
 * checked first; on any other status than DEVVIEW_OK it is still the caller's. Memory of CUDA is
 * DEVVIEW_ERROR_BUFFER, as in devview_allocation_adopt(): devview_cuda_view_from_dlpack(). */
DEVVIEW_CORE_API devview_status devview_view_from_dlpack(struct DLManagedTensorVersioned* tensor,
                                                         devview_view** view);

#ifdef __cplusplus
}
#endif

#endif
