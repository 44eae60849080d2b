/* Formats through the C interface: what one item is. See devview/c_api.h. */
#ifndef DEVVIEW_C_API_FORMAT_H
#define DEVVIEW_C_API_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "devview/c_api/status.h"
#include "devview/export.hpp"

#ifdef __cplusplus
extern "C" {
#endif

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
