/* Devices and allocations through the C interface: who owns a block, and when it is given back. */
#include <pthread.h>
#include <stdlib.h>

#include "check.h"

/* --- Devices --- */

static void test_device_names(void) {
    static const struct {
        const char* name;
        devview_device device;
    } known[] = {{"cpu", {DEVVIEW_CPU, 0}},
                 {"cuda:3", {DEVVIEW_CUDA, 3}},
                 {"pinned", {DEVVIEW_CUDA_HOST, 0}},
                 {"managed", {DEVVIEW_CUDA_MANAGED, 0}},
                 {"rocm:1", {DEVVIEW_ROCM, 1}}};
    size_t i;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); ++i) {
        devview_device device = {0, 0};
        char name[16] = "";
        OK(devview_device_parse(known[i].name, &device));
        CHECK(device.type == known[i].device.type && device.id == known[i].device.id);
        OK(devview_device_str(device, name, sizeof(name), NULL));
        CHECK(strcmp(name, known[i].name) == 0);
    }
}

static void test_device_refusals(void) {
    devview_device device = {7, 7};
    char buffer[4] = "abc";
    size_t length = 0;
    REFUSED(devview_device_parse("gpu", &device), DEVVIEW_ERROR_ARGUMENT, "gpu");
    REFUSED(devview_device_parse(NULL, &device), DEVVIEW_ERROR_ARGUMENT, "name: null");
    REFUSED(devview_device_parse("cpu", NULL), DEVVIEW_ERROR_ARGUMENT, "device: null");
    CHECK(device.type == 7 && device.id == 7);
    device.type = DEVVIEW_CUDA;
    REFUSED(devview_device_str(device, buffer, sizeof(buffer), &length), DEVVIEW_ERROR_SIZE,
            "4 bytes, needed 7");
    REFUSED(devview_device_str(device, NULL, 4, &length), DEVVIEW_ERROR_ARGUMENT, "buffer: null");
    CHECK(length == 6 && strcmp(buffer, "abc") == 0);
}

/* --- Memory of devview's own --- */

static devview_allocation_info describe(const devview_allocation* allocation) {
    devview_allocation_info info;
    memset(&info, 0x55, sizeof(info));
    info.struct_size = sizeof(info);
    OK(devview_allocation_describe(allocation, &info));
    return info;
}

static devview_view* view_bytes(devview_allocation* allocation, int64_t extent) {
    devview_view_spec spec = {sizeof(spec), 1, NULL, NULL, NULL, NULL, NULL, 0};
    devview_view* view = NULL;
    spec.shape = &extent;
    OK(devview_view_of(&spec, allocation, &view));
    return view;
}

static void test_new_memory(void) {
    static const size_t sizes[] = {0, 1, 1000, (size_t)20 << 20};
    size_t i, k;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        devview_allocation* allocation = NULL;
        devview_allocation_info info;
        devview_memory_info memory = {sizeof(memory), 0, 0, 0, 0, 0, 0};
        const unsigned char* bytes;
        const devview_device cpu = {DEVVIEW_CPU, 0};
        OK(devview_allocation_new(sizes[i], DEVVIEW_ZEROED, &allocation));
        info = describe(allocation);
        CHECK(info.data != NULL && (uintptr_t)info.data % 256 == 0);
        CHECK(info.nbytes == sizes[i] && info.device.type == DEVVIEW_CPU && info.device.id == 0);
        CHECK(info.views == 0 && info.exports == 0 && info.foreign == 0 && info.freed == 0);
        CHECK(info.stream == DEVVIEW_NO_STREAM);
        bytes = (const unsigned char*)info.data;
        for (k = 0; k < sizes[i]; k += 997)
            CHECK(bytes[k] == 0);
        OK(devview_memory_describe(cpu, &memory));
        CHECK(memory.live_bytes == sizes[i] && memory.blocks == 1 && memory.foreign_blocks == 0);
        OK(devview_allocation_release(allocation));
        OK(devview_memory_describe(cpu, &memory));
        CHECK(memory.live_bytes == 0 && memory.blocks == 0 && memory.peak_bytes >= sizes[i]);
    }
}

static void test_resize_keeps_the_content(void) {
    devview_allocation* allocation = NULL;
    devview_view* view = NULL;
    devview_allocation_info info;
    OK(devview_allocation_new(4, 0, &allocation));
    memcpy(describe(allocation).data, "abc", 4);
    OK(devview_allocation_resize(allocation, 100000));
    info = describe(allocation);
    CHECK(info.nbytes == 100000 && strcmp((const char*)info.data, "abc") == 0);
    OK(devview_allocation_resize(allocation, 2));
    CHECK(memcmp(describe(allocation).data, "ab", 2) == 0);
    view = view_bytes(allocation, 2);
    REFUSED(devview_allocation_resize(allocation, 3), DEVVIEW_ERROR_BUFFER, "1 view and 0 exports");
    CHECK(describe(allocation).nbytes == 2 && describe(allocation).views == 1);
    OK(devview_view_release(view));
    REFUSED(devview_allocation_resize(allocation, SIZE_MAX), DEVVIEW_ERROR_MEMORY, "requested");
    CHECK(describe(allocation).nbytes == 2);
    OK(devview_allocation_free(allocation));
    REFUSED(devview_allocation_resize(allocation, 3), DEVVIEW_ERROR_RELEASED, "freed");
    OK(devview_allocation_release(allocation));
}

static void test_bad_sizes_and_flags(void) {
    devview_allocation* allocation = NULL;
    REFUSED(devview_allocation_new(SIZE_MAX, 0, &allocation), DEVVIEW_ERROR_MEMORY, "cpu");
    REFUSED(devview_allocation_new(SIZE_MAX - 255, DEVVIEW_ZEROED, &allocation),
            DEVVIEW_ERROR_MEMORY, "cpu");
    REFUSED(devview_allocation_new(1, 2, &allocation), DEVVIEW_ERROR_ARGUMENT, "flags: 2");
    REFUSED(devview_allocation_new(1, 0, NULL), DEVVIEW_ERROR_ARGUMENT, "null");
    CHECK(allocation == NULL);
}

/* --- Somebody else's memory --- */

typedef struct record {
    int calls;
    devview_stream stream;
    devview_allocation* to_release; /* in the callback */
} record;

static void on_release(void* context, devview_stream stream) {
    record* told = (record*)context;
    ++told->calls;
    told->stream = stream;
    if (told->to_release != NULL) OK(devview_allocation_release(told->to_release));
}

static devview_block block_of(void* data, size_t nbytes, record* told) {
    devview_block block = {sizeof(block), {DEVVIEW_CPU, 0}, NULL, 0, DEVVIEW_NO_STREAM, NULL, NULL};
    block.data = data;
    block.nbytes = nbytes;
    block.release = &on_release;
    block.context = told;
    return block;
}

static void test_the_last_holder_gives_back(void) {
    char memory[16];
    record told = {0, 7, NULL};
    const devview_block block = block_of(memory, sizeof(memory), &told);
    devview_allocation* allocation = NULL;
    devview_allocation* again = NULL;
    devview_view* view = NULL;
    devview_allocation_info info;
    OK(devview_allocation_adopt(&block, &allocation));
    info = describe(allocation);
    CHECK(info.data == memory && info.nbytes == 16 && info.foreign == 1);
    view = view_bytes(allocation, 16);
    OK(devview_allocation_retain(allocation));
    OK(devview_allocation_release(allocation));
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 0);
    OK(devview_view_allocation(view, &again));
    CHECK(describe(again).views == 1);
    OK(devview_allocation_release(again));
    OK(devview_view_release(view));
    CHECK(told.calls == 1 && told.stream == DEVVIEW_NO_STREAM);
}

static void test_free_gives_back_at_once(void) {
    char memory[16];
    record told = {0, 7, NULL};
    const devview_block block = block_of(memory, sizeof(memory), &told);
    devview_allocation* allocation = NULL;
    devview_view* view = NULL;
    devview_view_spec spec = {sizeof(spec), 0, NULL, NULL, NULL, NULL, NULL, 0};
    OK(devview_allocation_adopt(&block, &allocation));
    view = view_bytes(allocation, 16);
    REFUSED(devview_allocation_free(allocation), DEVVIEW_ERROR_BUFFER, "1 view");
    CHECK(told.calls == 0);
    OK(devview_view_release(view));
    OK(devview_allocation_free(allocation));
    CHECK(told.calls == 1 && describe(allocation).freed == 1);
    OK(devview_allocation_free(allocation));
    view = NULL;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_RELEASED, "freed");
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 1 && view == NULL);
}

static void test_the_callback_may_call_back(void) {
    char memory[16];
    record told = {0, 7, NULL};
    const devview_block block = block_of(memory, sizeof(memory), &told);
    devview_allocation* other = NULL;
    devview_allocation* allocation = NULL;
    OK(devview_allocation_new(8, 0, &other));
    told.to_release = other;
    OK(devview_allocation_adopt(&block, &allocation));
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 1);
    /* The handle that is given up by its own callback. */
    OK(devview_allocation_adopt(&block, &allocation));
    told.to_release = allocation;
    OK(devview_allocation_free(allocation));
    CHECK(told.calls == 2);
}

static void test_refused_blocks_are_not_taken(void) {
    char memory[16];
    record told = {0, 7, NULL};
    const devview_block good = block_of(memory, sizeof(memory), &told);
    devview_block block = good;
    devview_allocation* allocation = NULL;
    const devview_status bad = DEVVIEW_ERROR_ARGUMENT;
    REFUSED(devview_allocation_adopt(NULL, &allocation), bad, "block: null");
    REFUSED(devview_allocation_adopt(&good, NULL), bad, "null");
    block.struct_size = sizeof(block) - 8;
    REFUSED(devview_allocation_adopt(&block, &allocation), DEVVIEW_ERROR_VERSION, "struct_size");
    block.struct_size = sizeof(block) + 8;
    REFUSED(devview_allocation_adopt(&block, &allocation), DEVVIEW_ERROR_VERSION, "struct_size");
    block = good;
    block.data = NULL;
    REFUSED(devview_allocation_adopt(&block, &allocation), bad, "data: null, with 16");
    block = good;
    block.nbytes = SIZE_MAX;
    REFUSED(devview_allocation_adopt(&block, &allocation), bad, "address space");
    block = good;
    block.device.id = -1;
    REFUSED(devview_allocation_adopt(&block, &allocation), bad, "id -1");
    block = good;
    block.device.type = DEVVIEW_CUDA_HOST;
    REFUSED(devview_allocation_adopt(&block, &allocation), DEVVIEW_ERROR_BUFFER, "devview_cuda");
    CHECK(allocation == NULL && told.calls == 0);
    OK(devview_allocation_adopt(&good, &allocation));
    REFUSED(devview_allocation_resize(allocation, 3), DEVVIEW_ERROR_BUFFER, "not allocated");
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 1);
}

static void test_memory_without_a_release(void) {
    static char memory[16];
    devview_block block = block_of(memory, sizeof(memory), NULL);
    devview_allocation* allocation = NULL;
    block.release = NULL;
    OK(devview_allocation_adopt(&block, &allocation));
    OK(devview_allocation_release(allocation));
}

/* Memory that only its owner can reach is carried all the same. */
static void test_other_devices_are_carried(void) {
    record told = {0, 7, NULL};
    devview_block block = block_of((void*)(uintptr_t)4096, 64, &told);
    devview_allocation* allocation = NULL;
    devview_allocation_info info;
    block.device.type = DEVVIEW_ROCM;
    block.device.id = 2;
    block.stream = 0x1230;
    OK(devview_allocation_adopt(&block, &allocation));
    info = describe(allocation);
    CHECK(info.device.type == DEVVIEW_ROCM && info.device.id == 2 && info.stream == 0x1230);
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 1 && told.stream == 0x1230);
}

/* --- Handles --- */

static void test_null_handles(void) {
    devview_allocation_info info = {sizeof(info), {0, 0}, NULL, 0, DEVVIEW_NO_STREAM, 0, 0, 0, 0};
    const devview_status bad = DEVVIEW_ERROR_ARGUMENT;
    REFUSED(devview_allocation_retain(NULL), bad, "allocation: null");
    OK(devview_allocation_release(NULL));
    REFUSED(devview_allocation_describe(NULL, &info), bad, "allocation: null");
    REFUSED(devview_allocation_resize(NULL, 1), bad, "allocation: null");
    REFUSED(devview_allocation_free(NULL), bad, "allocation: null");
    REFUSED(devview_live_allocations(NULL), bad, "count: null");
    REFUSED(devview_release_errors(NULL), bad, "count: null");
}

static void test_structures_know_their_size(void) {
    devview_allocation* allocation = NULL;
    devview_allocation_info info = {0, {7, 7}, NULL, 7, 7, 7, 7, 7, 7};
    devview_memory_info memory = {0, 7, 7, 7, 7, 7, 7};
    const devview_device cpu = {DEVVIEW_CPU, 0};
    OK(devview_allocation_new(1, 0, &allocation));
    REFUSED(devview_allocation_describe(allocation, NULL), DEVVIEW_ERROR_ARGUMENT, "info: null");
    REFUSED(devview_allocation_describe(allocation, &info), DEVVIEW_ERROR_VERSION, "struct_size 0");
    info.struct_size = sizeof(info) + 1;
    REFUSED(devview_allocation_describe(allocation, &info), DEVVIEW_ERROR_VERSION, "struct_size");
    CHECK(info.nbytes == 7 && info.freed == 7);
    REFUSED(devview_memory_describe(cpu, NULL), DEVVIEW_ERROR_ARGUMENT, "info: null");
    REFUSED(devview_memory_describe(cpu, &memory), DEVVIEW_ERROR_VERSION, "struct_size 0");
    CHECK(memory.live_bytes == 7);
    OK(devview_allocation_release(allocation));
}

static void test_a_second_release_is_a_status(void) {
    devview_allocation* released[40];
    devview_allocation_info info = {sizeof(info), {0, 0}, NULL, 0, DEVVIEW_NO_STREAM, 0, 0, 0, 0};
    size_t i, k;
    for (i = 0; i < 40; ++i) {
        OK(devview_allocation_new(1, 0, &released[i]));
        OK(devview_allocation_release(released[i]));
        /* The last 32 are still known. */
        for (k = i < 32 ? 0 : i - 31; k <= i; ++k) {
            REFUSED(devview_allocation_release(released[k]), DEVVIEW_ERROR_RELEASED,
                    "a released handle");
        }
    }
    REFUSED(devview_allocation_retain(released[39]), DEVVIEW_ERROR_RELEASED, "a released handle");
    REFUSED(devview_allocation_free(released[39]), DEVVIEW_ERROR_RELEASED, "a released handle");
    REFUSED(devview_allocation_describe(released[39], &info), DEVVIEW_ERROR_RELEASED, "released");
}

/* --- Threads --- */

enum { kThreads = 4, kRounds = 2000 };

static void* use(void* argument) {
    devview_allocation* allocation = (devview_allocation*)argument;
    const int64_t extent = 8;
    int i;
    for (i = 0; i < kRounds; ++i) {
        devview_view_spec spec = {sizeof(spec), 1, NULL, NULL, NULL, NULL, NULL, 0};
        devview_view* view = NULL;
        devview_view* part = NULL;
        spec.shape = &extent;
        if (devview_allocation_retain(allocation) != DEVVIEW_OK ||
            devview_view_of(&spec, allocation, &view) != DEVVIEW_OK ||
            devview_view_slice(view, 0, 1, DEVVIEW_MISSING, 2, &part) != DEVVIEW_OK ||
            devview_view_release(view) != DEVVIEW_OK || devview_view_release(part) != DEVVIEW_OK ||
            devview_allocation_release(allocation) != DEVVIEW_OK) {
            return argument;
        }
        /* Of this thread alone. */
        if (devview_view_slice(NULL, 0, 0, 0, 0, NULL) != DEVVIEW_ERROR_ARGUMENT ||
            strstr(devview_last_error(), "view: null") == NULL) {
            return argument;
        }
    }
    /* Everybody drops the reference that the caller made for him; one drops the last. */
    return devview_allocation_release(allocation) == DEVVIEW_OK ? NULL : argument;
}

static void test_threads_share_a_handle(void) {
    char memory[8];
    record told = {0, 7, NULL};
    const devview_block block = block_of(memory, sizeof(memory), &told);
    devview_allocation* allocation = NULL;
    pthread_t threads[kThreads];
    int i;
    OK(devview_allocation_adopt(&block, &allocation));
    for (i = 0; i < kThreads; ++i) {
        OK(devview_allocation_retain(allocation));
        CHECK(pthread_create(&threads[i], NULL, &use, allocation) == 0);
    }
    OK(devview_allocation_release(allocation));
    for (i = 0; i < kThreads; ++i) {
        void* failed = NULL;
        CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL);
    }
    CHECK(told.calls == 1);
}

int main(void) {
    test_device_names();
    test_device_refusals();
    test_new_memory();
    test_resize_keeps_the_content();
    test_bad_sizes_and_flags();
    test_the_last_holder_gives_back();
    test_free_gives_back_at_once();
    test_the_callback_may_call_back();
    test_refused_blocks_are_not_taken();
    test_memory_without_a_release();
    test_other_devices_are_carried();
    test_null_handles();
    test_structures_know_their_size();
    test_a_second_release_is_a_status();
    test_threads_share_a_handle();
    return finish();
}
