/* The stable C interface: C99, usable from C++, needs no Python. Statuses, errors, formats.
 *
 * Every function returns a status and throws nothing. A null handle or pointer, a value out of
 * range and exhausted memory are statuses, never a crash; a result is written only on DEVVIEW_OK.
 * Handles are counted and may be used by several threads at once. Structures that the library
 * makes begin with their version; to those that the caller makes it writes their size. A later
 * library only adds members at their ends, and numbers to the enumerations. */
#ifndef DEVVIEW_C_API_H
#define DEVVIEW_C_API_H

#include <stddef.h>
#include <stdint.h>

#include "devview/export.hpp"

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header; devview_c_api_version() tells the library's. */
#define DEVVIEW_C_API_VERSION 1

/* --- Statuses and errors --- */

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
} devview_error;

DEVVIEW_CORE_API uint32_t devview_c_api_version(void);

/* What the last call of this thread that failed said, "" if none did; never null. Valid until the
 * next failure in this thread, or its end. A success leaves it alone, as errno. */
DEVVIEW_CORE_API const char* devview_last_error(void);

/* The same with status and position; a failure of this very function is not recorded. */
DEVVIEW_CORE_API devview_status devview_last_error_details(devview_error* error);

/* --- Formats --- */

typedef int32_t devview_kind;
enum {
    DEVVIEW_KIND_BOOLEAN = 0,          /* '?' */
    DEVVIEW_KIND_INTEGER = 1,          /* b h i l q n, and int4 */
    DEVVIEW_KIND_UNSIGNED_INTEGER = 2, /* B H I L Q N, and uint4 */
    DEVVIEW_KIND_FLOATING = 3,         /* e f d g, and the small floats (see float_kind) */
    DEVVIEW_KIND_COMPLEX_FLOATING = 4, /* Z and F D G */
    DEVVIEW_KIND_CHARACTER = 5,        /* 'c' */
    DEVVIEW_KIND_BYTES = 6,            /* 's': byte string of itemsize bytes */
    DEVVIEW_KIND_PASCAL = 7,           /* 'p' */
    DEVVIEW_KIND_UNICODE = 8,          /* 'u' (UCS-2) and 'w' (UCS-4) */
    DEVVIEW_KIND_POINTER = 9,          /* 'P' and '&' */
    DEVVIEW_KIND_FUNCTION = 10,        /* 'X{...}' */
    DEVVIEW_KIND_OBJECT = 11,          /* 'O' */
    DEVVIEW_KIND_BITS = 12,            /* 't' */
    DEVVIEW_KIND_OPAQUE = 13,          /* 'x' */
    DEVVIEW_KIND_RECORD = 14,          /* T{...}, or several items in a row */
    DEVVIEW_KIND_ARRAY = 15            /* (k1,...,kn) or a count: C-contiguous sub-array */
};

typedef int32_t devview_byteorder;
enum { DEVVIEW_ORDER_NATIVE = 0, DEVVIEW_ORDER_LITTLE = 1, DEVVIEW_ORDER_BIG = 2 };

/* DLPack's type codes, or DEVVIEW_FLOAT_IEEE for what struct has a code for. */
typedef int32_t devview_float_kind;
enum {
    DEVVIEW_FLOAT_IEEE = 2,
    DEVVIEW_FLOAT_BFLOAT16 = 4,
    DEVVIEW_FLOAT8_E3M4 = 7,
    DEVVIEW_FLOAT8_E4M3 = 8,
    DEVVIEW_FLOAT8_E4M3B11FNUZ = 9,
    DEVVIEW_FLOAT8_E4M3FN = 10,
    DEVVIEW_FLOAT8_E4M3FNUZ = 11,
    DEVVIEW_FLOAT8_E5M2 = 12,
    DEVVIEW_FLOAT8_E5M2FNUZ = 13,
    DEVVIEW_FLOAT8_E8M0FNU = 14,
    DEVVIEW_FLOAT6_E2M3FN = 15,
    DEVVIEW_FLOAT6_E3M2FN = 16,
    DEVVIEW_FLOAT4_E2M1FN = 17
};

/* 2: packed */
#define DEVVIEW_FORMAT_NODE_VERSION 2

typedef struct devview_format_node devview_format_node;

/* A member of a record. This structure is never extended: fields lie in arrays. */
typedef struct devview_format_field {
    const char* name; /* UTF-8, "" if it has none, never null */
    int64_t offset;   /* bytes from the start of the item */
    const devview_format_node* format;
    int32_t bit_offset; /* of bits: of the first one in its byte, lowest bit 0; else 0 */
} devview_format_field;

/* The descriptor: immutable, and alive as long as a handle of the format, or of a part of it. */
struct devview_format_node {
    uint32_t version; /* DEVVIEW_FORMAT_NODE_VERSION of the library */
    devview_kind kind;
    devview_byteorder byteorder;   /* of a scalar: not NATIVE only if it differs from the host's */
    devview_float_kind float_kind; /* of floating and complex kinds */
    char code;            /* struct code of a scalar; 0 for small types, records and arrays */
    uint8_t immortal;     /* the library's own: of static lifetime */
    int32_t bits;         /* of a scalar: value bits */
    int64_t itemsize;     /* bytes, trailing padding included */
    int64_t alignment;    /* bytes, at least 1 */
    int32_t ndim;         /* of an array: axes of shape */
    int32_t field_count;  /* of a record */
    const int64_t* shape; /* of an array: ndim extents, in items */
    const devview_format_node* element; /* of an array; of '&': what it points to, or null */
    const devview_format_field* fields; /* of a record: field_count of them, in order */
    const char* text;                   /* as it was spelled, PEP 3118 */
    uint8_t packed; /* since 2; of a scalar: items lie `bits` bits apart, lowest bit first */
};

/* A counted handle. PyCapsules named "devview_format" hold a devview_format_node, see
 * devview_format_of_node(). */
typedef struct devview_format devview_format;

/* Reads a PEP 3118 or struct format, NUL-terminated UTF-8. An `itemsize` [bytes] other than -1 is
 * trusted as its exporter's. The caller owns the handle. */
DEVVIEW_CORE_API devview_status devview_format_parse(const char* text, int64_t itemsize,
                                                     devview_format** format);

/* The native scalar of a struct code; 'F', 'D' and 'G' are complex. */
DEVVIEW_CORE_API devview_status devview_format_scalar(char code, devview_format** format);

/* A DLPack data type; `lanes` must be 1. */
DEVVIEW_CORE_API devview_status devview_format_from_dlpack(uint8_t code, uint8_t bits,
                                                           uint16_t lanes, devview_format** format);

/* A handle of a node: that of a descriptor, of one of its fields, of an element. */
DEVVIEW_CORE_API devview_status devview_format_of_node(const devview_format_node* node,
                                                       devview_format** format);

/* One more reference, to be released on its own. */
DEVVIEW_CORE_API devview_status devview_format_retain(devview_format* format);

/* Drops a reference; null is ignored. */
DEVVIEW_CORE_API devview_status devview_format_release(devview_format* format);

/* The descriptor in the layout of `version`: DEVVIEW_FORMAT_NODE_VERSION, or an earlier one, which
 * has packed items only from 2 on (DEVVIEW_ERROR_VERSION). Borrowed: valid as long as the handle.
 */
DEVVIEW_CORE_API devview_status devview_format_describe(const devview_format* format,
                                                        uint32_t version,
                                                        const devview_format_node** node);

/* The canonical spelling: equal formats have equal ones. Writes it with its NUL if it fits into
 * `capacity` bytes, else DEVVIEW_ERROR_SIZE; `length`, unless null, gets its bytes without the NUL
 * in both cases. A null buffer of capacity 0 asks for the length alone. */
DEVVIEW_CORE_API devview_status devview_format_str(const devview_format* format, char* buffer,
                                                   size_t capacity, size_t* length);

/* 1 if both mean the same, whatever their spelling, else 0. */
DEVVIEW_CORE_API devview_status devview_format_equal(const devview_format* a,
                                                     const devview_format* b, int32_t* equal);

/* Equal formats have equal hashes in one process. */
DEVVIEW_CORE_API devview_status devview_format_hash(const devview_format* format, uint64_t* hash);

#ifdef __cplusplus
}
#endif

#endif
