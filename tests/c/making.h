/* Views that the C programs begin with, and what they say of themselves. */
#ifndef DEVVIEW_TESTS_C_MAKING_H
#define DEVVIEW_TESTS_C_MAKING_H

#include "check.h"

typedef struct particle {
    int16_t id;
    float position[3];
    double mass;
} particle;

/* 3 x 4 doubles 0 ... 11 in memory of the library. */
static inline devview_view* matrix(void) {
    static const int64_t shape[] = {3, 4};
    devview_view_spec spec = {sizeof(spec), 2, NULL, NULL, shape, NULL, NULL, 0};
    devview_allocation* allocation = NULL;
    devview_format* format = NULL;
    devview_view* view = NULL;
    devview_view_info info;
    int i;
    OK(devview_allocation_new(12 * sizeof(double), 0, &allocation));
    OK(devview_format_scalar('d', &format));
    spec.format = format;
    OK(devview_view_of(&spec, allocation, &view));
    info.struct_size = sizeof(info);
    OK(devview_view_describe(view, &info));
    for (i = 0; i < 12; ++i)
        ((double*)info.data)[i] = i;
    OK(devview_format_release(format));
    OK(devview_allocation_release(allocation));
    return view;
}

static inline devview_view_info describe(const devview_view* view) {
    devview_view_info info;
    memset(&info, 0x55, sizeof(info));
    info.struct_size = sizeof(info);
    OK(devview_view_describe(view, &info));
    return info;
}

static inline double at(const devview_view_info* info, int64_t i, int64_t k) {
    double value;
    memcpy(&value, (const char*)info->data + i * info->strides[0] + k * info->strides[1],
           sizeof(value));
    return value;
}

/* A new view of `format` over memory of the caller. */
static inline devview_view* view_over(void* data, size_t nbytes, const char* format, int32_t ndim,
                                      const int64_t* shape) {
    devview_block block = {sizeof(block), {DEVVIEW_CPU, 0}, NULL, 0, DEVVIEW_NO_STREAM, NULL, NULL};
    devview_view_spec spec = {sizeof(spec), 0, NULL, NULL, NULL, NULL, NULL, 0};
    devview_allocation* allocation = NULL;
    devview_format* parsed = NULL;
    devview_view* view = NULL;
    block.data = data;
    block.nbytes = nbytes;
    OK(devview_allocation_adopt(&block, &allocation));
    OK(devview_format_parse(format, -1, &parsed));
    spec.ndim = ndim;
    spec.format = parsed;
    spec.shape = shape;
    OK(devview_view_of(&spec, allocation, &view));
    OK(devview_format_release(parsed));
    OK(devview_allocation_release(allocation));
    return view;
}

#endif
