/* Statuses of the C interface, and what is told of the last failure. See devview/c_api.h. */
#ifndef DEVVIEW_C_API_STATUS_H
#define DEVVIEW_C_API_STATUS_H

#include <stdint.h>

#include "devview/export.hpp"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t devview_status;
enum {
    DEVVIEW_OK = 0,
    DEVVIEW_ERROR_ARGUMENT = 1, /* null, or a value out of range */
    DEVVIEW_ERROR_VERSION = 2,  /* a structure of a version that the library does not know */
    DEVVIEW_ERROR_SIZE = 3,     /* the caller's buffer is too small */
    DEVVIEW_ERROR_MEMORY = 4,   /* memory is exhausted */
    DEVVIEW_ERROR_FORMAT = 5,   /* a format that cannot be read */
    DEVVIEW_ERROR_LAYOUT = 6,   /* shapes, strides or slices that make no sense */
    DEVVIEW_ERROR_BUFFER = 7,   /* in use, read-only, or of a form that was not asked for */
    DEVVIEW_ERROR_RELEASED = 8, /* used after its release */
    DEVVIEW_ERROR_DEVICE = 9,   /* a call of the CUDA runtime failed */
    DEVVIEW_ERROR_INTERNAL = 10 /* anything else: a fault of the library */
};

typedef struct devview_error {
    uint32_t struct_size; /* sizeof(devview_error), by the caller */
    devview_status status;
    const char* text; /* as devview_last_error() */
    int64_t position; /* of DEVVIEW_ERROR_FORMAT: the byte, from 0, that cannot be read; else -1 */
    int32_t code;     /* since 2; of DEVVIEW_ERROR_DEVICE: the CUDA runtime's number; else 0 */
} devview_error;

DEVVIEW_CORE_API uint32_t devview_c_api_version(void);

/* What the last call of this thread that failed said, "" if none did; never null. Valid until the
 * next failure in this thread, or its end. A success leaves it alone, as errno. */
DEVVIEW_CORE_API const char* devview_last_error(void);

/* The same with status and position; a failure of this very function is not recorded. */
DEVVIEW_CORE_API devview_status devview_last_error_details(devview_error* error);

#ifdef __cplusplus
}
#endif

#endif
