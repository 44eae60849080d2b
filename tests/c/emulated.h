/* Emulated devices, and views on them, that the C programs begin with; what they must leave behind.
 */
#ifndef DEVVIEW_TESTS_C_DEVICES_H
#define DEVVIEW_TESTS_C_DEVICES_H

#include "devview/cuda/c_api.h"
#include "making.h"

static const devview_device kCpu = {DEVVIEW_CPU, 0};
static const devview_device kFirst = {DEVVIEW_CUDA, 0};
static const devview_device kSecond = {DEVVIEW_CUDA, 1};

/* Two devices of 64 MiB. */
static inline void emulate(void) {
    const devview_cuda_emulator options = {sizeof(options), 2, (size_t)64 << 20, 0, 0};
    OK(devview_cuda_emulate(&options));
}

/* 3 x 4 doubles 0 ... 11 on a device. */
static inline devview_view* matrix_on(devview_device device, devview_stream stream) {
    devview_view* host = matrix();
    devview_view* view = NULL;
    OK(devview_cuda_view_to(host, device, DEVVIEW_C_ORDER, stream, &view));
    OK(devview_view_release(host));
    return view;
}

/* Whether the items of `view`, which may be anywhere, are those of `expected` on the host. */
static inline int holds(const devview_view* view, const devview_view* expected) {
    devview_view* host = NULL;
    int32_t equal = 0;
    OK(devview_cuda_view_to(view, kCpu, DEVVIEW_C_ORDER, DEVVIEW_NO_STREAM, &host));
    OK(devview_view_equal(host, expected, &equal));
    OK(devview_view_release(host));
    return equal;
}

static inline devview_allocation* owner_of(const devview_view* view) {
    devview_allocation* allocation = NULL;
    OK(devview_view_allocation(view, &allocation));
    return allocation;
}

static inline devview_allocation_info describe_owner(const devview_view* view) {
    devview_allocation* allocation = owner_of(view);
    devview_allocation_info info;
    info.struct_size = sizeof(info);
    OK(devview_allocation_describe(allocation, &info));
    OK(devview_allocation_release(allocation));
    return info;
}

/* The result of a program; nothing of it is left on the devices. */
static inline int finish_devices(void) {
    devview_cuda_emulator_objects objects = {sizeof(objects), 7, 7, 7, 7, 7, 7, 7};
    OK(devview_cuda_stream_synchronize(0, 1));
    OK(devview_cuda_stream_synchronize(1, 1));
    OK(devview_cuda_trim(NULL));
    OK(devview_cuda_emulator_describe(&objects));
    CHECK(objects.device_blocks == 0 && objects.device_bytes == 0 && objects.pinned_blocks == 0);
    CHECK(objects.managed_blocks == 0 && objects.streams == 0 && objects.queued == 0);
    return finish();
}

#endif
