/* Stagings and tensors of device memory through the C interface, on emulated devices. */
#include "emulated.h"

/* --- Staging --- */

static devview_cuda_staging_info describe_staging(const devview_cuda_staging* staging) {
    devview_cuda_staging_info info;
    memset(&info, 0x55, sizeof(info));
    info.struct_size = sizeof(info);
    OK(devview_cuda_staging_describe(staging, &info));
    return info;
}

static void test_a_staging_is_read_and_written_back(void) {
    devview_view* view = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    devview_view* expected = matrix();
    devview_cuda_staging* staging = NULL;
    devview_cuda_staging_info info;
    double* items;
    OK(devview_cuda_staging_new(view, 1, DEVVIEW_C_ORDER, DEVVIEW_NO_STREAM, &staging));
    CHECK(describe_owner(view).exports == 1);
    OK(devview_cuda_staging_wait(staging));
    info = describe_staging(staging);
    CHECK(info.ndim == 2 && info.shape[0] == 3 && info.strides[0] == 32 && info.nbytes == 96);
    CHECK(info.pinned == 1 && info.writable == 1 && info.ready == 1);
    items = (double*)info.data;
    CHECK(items[0] == 0 && items[11] == 11);
    items[5] = 50;
    OK(devview_cuda_staging_finish(staging));
    REFUSED(devview_cuda_staging_finish(staging), DEVVIEW_ERROR_RELEASED, "finished");
    REFUSED(devview_cuda_staging_wait(staging), DEVVIEW_ERROR_RELEASED, "finished");
    OK(devview_cuda_staging_release(staging));
    ((double*)describe(expected).data)[5] = 50;
    CHECK(holds(view, expected));
    CHECK(describe_owner(view).exports == 0);
    OK(devview_view_release(expected));
    OK(devview_view_release(view));
}

static void test_an_unfinished_staging_changes_nothing(void) {
    devview_view* view = matrix_on(kSecond, DEVVIEW_NO_STREAM);
    devview_view* expected = matrix();
    devview_cuda_staging* staging = NULL;
    OK(devview_cuda_staging_new(view, 1, DEVVIEW_F_ORDER, DEVVIEW_NO_STREAM, &staging));
    OK(devview_cuda_staging_wait(staging));
    CHECK(describe_staging(staging).strides[0] == 8);
    memset(describe_staging(staging).data, 0xff, 96);
    OK(devview_cuda_staging_release(staging));
    REFUSED(devview_cuda_staging_release(staging), DEVVIEW_ERROR_RELEASED, "a released handle");
    CHECK(holds(view, expected));
    OK(devview_view_release(expected));
    OK(devview_view_release(view));
}

static void test_refused_stagings(void) {
    devview_view* view = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    devview_view* fixed = NULL;
    devview_cuda_staging* first = NULL;
    devview_cuda_staging* second = NULL;
    devview_cuda_staging_info info;
    devview_allocation* allocation = owner_of(view);
    const devview_status buffer = DEVVIEW_ERROR_BUFFER;
    OK(devview_view_readonly(view, &fixed));
    REFUSED(devview_cuda_staging_new(fixed, 1, 0, DEVVIEW_NO_STREAM, &second), buffer, "read-only");
    OK(devview_cuda_staging_new(view, 1, 0, DEVVIEW_NO_STREAM, &first));
    REFUSED(devview_cuda_staging_new(view, 1, 0, DEVVIEW_NO_STREAM, &second), buffer, "writable");
    REFUSED(devview_cuda_staging_new(view, 0, 7, DEVVIEW_NO_STREAM, &second),
            DEVVIEW_ERROR_ARGUMENT, "order: 7");
    REFUSED(devview_cuda_staging_new(view, 0, 0, DEVVIEW_NO_STREAM, NULL), DEVVIEW_ERROR_ARGUMENT,
            "staging: null");
    CHECK(second == NULL);
    info.struct_size = 0;
    REFUSED(devview_cuda_staging_describe(first, &info), DEVVIEW_ERROR_VERSION, "struct_size 0");
    REFUSED(devview_cuda_staging_describe(first, NULL), DEVVIEW_ERROR_ARGUMENT, "info: null");
    OK(devview_view_release(fixed));
    OK(devview_view_release(view));
    REFUSED(devview_allocation_free(allocation), buffer, "0 views and 1 export");
    OK(devview_cuda_staging_release(first));
    OK(devview_allocation_free(allocation));
    OK(devview_allocation_release(allocation));
}

/* --- DLPack --- */

struct DLManagedTensorVersioned { /* 1.0, the members that this test looks at */
    uint32_t version[2];
    void* manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned* self);
    uint64_t flags;
    void* data;
    devview_device device;
};

static void test_tensors_go_out_and_come_in(void) {
    devview_view* view = matrix_on(kSecond, DEVVIEW_NO_STREAM);
    devview_view* expected = matrix();
    devview_view* imported = NULL;
    struct DLManagedTensorVersioned* tensor = NULL;
    devview_stream stream = 0;
    OK(devview_cuda_stream_new(1, &stream));
    OK(devview_cuda_view_to_dlpack(view, stream, &tensor));
    CHECK(tensor->device.type == DEVVIEW_CUDA && tensor->device.id == 1);
    CHECK(tensor->data == describe(view).data);
    REFUSED(devview_view_from_dlpack(tensor, &imported), DEVVIEW_ERROR_BUFFER, "devview_cuda");
    tensor->device.id = 0;
    REFUSED(devview_cuda_view_from_dlpack(tensor, stream, &imported), DEVVIEW_ERROR_BUFFER,
            "cuda:1");
    tensor->device.id = 1;
    CHECK(imported == NULL);
    OK(devview_cuda_view_from_dlpack(tensor, stream, &imported));
    OK(devview_view_release(view));
    CHECK(holds(imported, expected));
    CHECK(describe_owner(imported).foreign == 1);
    OK(devview_view_release(imported));
    REFUSED(devview_cuda_view_from_dlpack(NULL, stream, &imported), DEVVIEW_ERROR_ARGUMENT,
            "tensor: null");
    OK(devview_cuda_stream_release(stream));
    /* Host memory goes the same way. */
    imported = NULL;
    OK(devview_cuda_view_to_dlpack(expected, DEVVIEW_NO_STREAM, &tensor));
    OK(devview_cuda_view_from_dlpack(tensor, DEVVIEW_NO_STREAM, &imported));
    CHECK(describe(imported).data == describe(expected).data);
    OK(devview_view_release(imported));
    OK(devview_view_release(expected));
}

int main(void) {
    emulate();
    test_a_staging_is_read_and_written_back();
    test_an_unfinished_staging_changes_nothing();
    test_refused_stagings();
    test_tensors_go_out_and_come_in();
    return finish_devices();
}
