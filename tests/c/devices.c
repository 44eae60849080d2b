/* Device memory through the C interface, on emulated devices: made, copied, ordered on streams. */
#include "emulated.h"

static const devview_device kPinned = {DEVVIEW_CUDA_HOST, 0};
static const devview_device kManaged = {DEVVIEW_CUDA_MANAGED, 0};

enum { kInvalidValue = 1, kInvalidDevice = 101 }; /* of cudaError_t */

static size_t calls(const char* name) {
    size_t count = 0;
    OK(devview_cuda_emulator_calls(name, &count));
    return count;
}

/* --- The runtime --- */

static void test_the_emulator_is_chosen(void) {
    devview_cuda_emulator options = {sizeof(options), 2, (size_t)64 << 20, 0, 0};
    devview_cuda_runtime_info info = {sizeof(info), 7, 7, 7, 7};
    REFUSED(devview_cuda_emulate(NULL), DEVVIEW_ERROR_ARGUMENT, "options: null");
    options.devices = 17;
    REFUSED(devview_cuda_emulate(&options), DEVVIEW_ERROR_LAYOUT, "17");
    options.devices = 2;
    options.struct_size -= 8;
    REFUSED(devview_cuda_emulate(&options), DEVVIEW_ERROR_VERSION, "struct_size");
    options.struct_size += 8;
    OK(devview_cuda_emulate(&options));
    OK(devview_cuda_describe_runtime(&info));
    CHECK(info.devices == 2 && info.emulated == 1 && info.runtime_version >= 12000);
    info.struct_size = 0;
    REFUSED(devview_cuda_describe_runtime(&info), DEVVIEW_ERROR_VERSION, "struct_size 0");
    REFUSED(devview_cuda_describe_runtime(NULL), DEVVIEW_ERROR_ARGUMENT, "info: null");
}

static void test_no_other_emulator_while_something_lives(void) {
    const devview_cuda_emulator options = {sizeof(options), 3, 0, 0, 0};
    devview_view* view = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    REFUSED(devview_cuda_emulate(&options), DEVVIEW_ERROR_BUFFER, "alive");
    OK(devview_view_release(view));
}

static void test_the_emulator_is_looked_into(void) {
    devview_cuda_emulator_objects objects = {sizeof(objects), 7, 7, 7, 7, 7, 7, 7};
    size_t count = 7;
    OK(devview_cuda_emulator_describe(&objects));
    CHECK(objects.device_blocks == 0 && objects.managed_blocks == 0 && objects.streams == 0);
    objects.struct_size = 1;
    REFUSED(devview_cuda_emulator_describe(&objects), DEVVIEW_ERROR_VERSION, "struct_size 1");
    REFUSED(devview_cuda_emulator_describe(NULL), DEVVIEW_ERROR_ARGUMENT, "objects: null");
    REFUSED(devview_cuda_emulator_calls(NULL, &count), DEVVIEW_ERROR_ARGUMENT, "name: null");
    REFUSED(devview_cuda_emulator_calls("cudaMemcpyAsync", NULL), DEVVIEW_ERROR_ARGUMENT, "count");
    REFUSED(devview_cuda_emulator_fail(NULL, 1, 1), DEVVIEW_ERROR_ARGUMENT, "name: null");
    REFUSED(devview_cuda_emulator_fail("cudaNothing", 1, 1), DEVVIEW_ERROR_ARGUMENT, "cudaNothing");
    CHECK(count == 7);
}

/* --- Memory --- */

static void test_memory_of_every_kind(void) {
    const devview_device devices[] = {kCpu, kFirst, kSecond, kPinned, kManaged};
    size_t i;
    for (i = 0; i < sizeof(devices) / sizeof(devices[0]); ++i) {
        devview_allocation* allocation = NULL;
        devview_allocation_info info;
        devview_memory_info memory = {sizeof(memory), 0, 0, 0, 0, 0, 0};
        info.struct_size = sizeof(info);
        OK(devview_cuda_allocation_new(devices[i], 1000, DEVVIEW_ZEROED, DEVVIEW_NO_STREAM,
                                       &allocation));
        OK(devview_allocation_describe(allocation, &info));
        CHECK(info.device.type == devices[i].type && info.device.id == devices[i].id);
        CHECK(info.nbytes == 1000 && info.data != NULL && info.foreign == 0);
        OK(devview_memory_describe(devices[i], &memory));
        CHECK(memory.live_bytes == 1000 && memory.blocks == 1);
        OK(devview_cuda_allocation_resize(allocation, 2000));
        OK(devview_allocation_describe(allocation, &info));
        CHECK(info.nbytes == 2000);
        if (devices[i].type != DEVVIEW_CPU) {
            REFUSED(devview_allocation_resize(allocation, 10), DEVVIEW_ERROR_BUFFER,
                    "devview_cuda_allocation_resize");
        }
        OK(devview_allocation_release(allocation));
        OK(devview_memory_describe(devices[i], &memory));
        CHECK(memory.live_bytes == 0 && memory.blocks == 0);
    }
}

static void test_refused_memory(void) {
    const devview_device third = {DEVVIEW_CUDA, 2};
    const devview_device rocm = {DEVVIEW_ROCM, 0};
    devview_allocation* allocation = NULL;
    devview_error details = {sizeof(details), 0, NULL, 0, 0};
    const devview_status bad = DEVVIEW_ERROR_ARGUMENT;
    REFUSED(devview_cuda_allocation_new(third, 1, 0, DEVVIEW_NO_STREAM, &allocation),
            DEVVIEW_ERROR_DEVICE, "cuda:2");
    OK(devview_last_error_details(&details));
    CHECK(details.code == kInvalidDevice && details.position == -1);
    REFUSED(devview_cuda_allocation_new(rocm, 1, 0, DEVVIEW_NO_STREAM, &allocation), bad, "rocm");
    REFUSED(devview_cuda_allocation_new(kFirst, 1, 4, DEVVIEW_NO_STREAM, &allocation), bad, "4");
    REFUSED(devview_cuda_allocation_new(kFirst, 1, 0, DEVVIEW_NO_STREAM, NULL), bad, "null");
    REFUSED(devview_cuda_allocation_new(kFirst, (size_t)1 << 40, 0, DEVVIEW_NO_STREAM, &allocation),
            DEVVIEW_ERROR_MEMORY, "requested");
    REFUSED(devview_cuda_allocation_resize(NULL, 1), bad, "allocation: null");
    CHECK(allocation == NULL);
}

typedef struct record {
    int calls;
    devview_stream stream;
} record;

static void on_release(void* context, devview_stream stream) {
    record* told = (record*)context;
    ++told->calls;
    told->stream = stream;
}

/* Memory of one owner, handed to devview a second time as somebody else's. */
static void test_adopted_device_memory(void) {
    devview_view* owner = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    devview_block block = {sizeof(block), {DEVVIEW_CUDA, 0}, NULL, 96, DEVVIEW_NO_STREAM, NULL,
                           NULL};
    record told = {0, 7};
    devview_allocation* allocation = NULL;
    devview_stream stream = 0;
    OK(devview_cuda_stream_new(0, &stream));
    block.data = describe(owner).data;
    block.release = &on_release;
    block.context = &told;
    block.stream = stream;
    block.device.id = 1;
    REFUSED(devview_cuda_allocation_adopt(&block, &allocation), DEVVIEW_ERROR_BUFFER, "cuda:0");
    block.device = kPinned;
    REFUSED(devview_cuda_allocation_adopt(&block, &allocation), DEVVIEW_ERROR_BUFFER, "pinned");
    REFUSED(devview_allocation_adopt(&block, &allocation), DEVVIEW_ERROR_BUFFER, "devview_cuda");
    REFUSED(devview_cuda_allocation_adopt(NULL, &allocation), DEVVIEW_ERROR_ARGUMENT, "block");
    CHECK(allocation == NULL && told.calls == 0);
    block.device = kFirst;
    OK(devview_cuda_allocation_adopt(&block, &allocation));
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 1 && told.stream == stream);
    /* Host memory goes the same way. */
    block.device = kCpu;
    block.data = &told;
    OK(devview_cuda_allocation_adopt(&block, &allocation));
    OK(devview_allocation_release(allocation));
    CHECK(told.calls == 2);
    OK(devview_cuda_stream_release(stream));
    OK(devview_view_release(owner));
}

static void test_pinned_memory_is_bounded(void) {
    devview_cuda_pinned_info info = {sizeof(info), 7, 7, 7, 7};
    devview_allocation* allocation = NULL;
    size_t limit, freed = 7;
    OK(devview_cuda_trim(NULL));
    OK(devview_cuda_describe_pinned(&info));
    limit = info.limit_bytes;
    CHECK(info.live_bytes == 0 && info.cached_bytes == 0 && limit > 0);
    OK(devview_cuda_set_pinned_limit(4096));
    REFUSED(devview_cuda_allocation_new(kPinned, 4097, 0, DEVVIEW_NO_STREAM, &allocation),
            DEVVIEW_ERROR_MEMORY, "4096");
    OK(devview_cuda_allocation_new(kPinned, 4096, 0, DEVVIEW_NO_STREAM, &allocation));
    OK(devview_cuda_describe_pinned(&info));
    CHECK(info.live_bytes == 4096 && info.limit_bytes == 4096);
    OK(devview_allocation_release(allocation));
    OK(devview_cuda_trim(&freed));
    CHECK(freed == 4096);
    OK(devview_cuda_set_pinned_limit(limit));
    REFUSED(devview_cuda_describe_pinned(NULL), DEVVIEW_ERROR_ARGUMENT, "info: null");
    info.struct_size = 0;
    REFUSED(devview_cuda_describe_pinned(&info), DEVVIEW_ERROR_VERSION, "struct_size 0");
}

/* --- Streams --- */

static void test_streams_are_owned(void) {
    devview_stream stream = 77;
    devview_view* view = NULL;
    devview_cuda_emulator_objects objects = {sizeof(objects), 7, 7, 7, 7, 7, 7, 7};
    REFUSED(devview_cuda_stream_new(2, &stream), DEVVIEW_ERROR_DEVICE, "cuda:2");
    REFUSED(devview_cuda_stream_new(0, NULL), DEVVIEW_ERROR_ARGUMENT, "stream: null");
    REFUSED(devview_cuda_stream_release(77), DEVVIEW_ERROR_ARGUMENT, "77");
    REFUSED(devview_cuda_stream_release(DEVVIEW_NO_STREAM), DEVVIEW_ERROR_ARGUMENT, "-1");
    REFUSED(devview_cuda_stream_synchronize(5, 1), DEVVIEW_ERROR_DEVICE, "cuda:5");
    CHECK(stream == 77);
    OK(devview_cuda_stream_new(1, &stream));
    view = matrix_on(kSecond, stream);
    CHECK(describe(view).stream == stream);
    OK(devview_cuda_stream_release(stream));
    REFUSED(devview_cuda_stream_release(stream), DEVVIEW_ERROR_ARGUMENT, "or released");
    OK(devview_cuda_emulator_describe(&objects));
    CHECK(objects.streams == 1); /* the memory is to be given back on it */
    OK(devview_view_release(view));
    OK(devview_cuda_emulator_describe(&objects));
    CHECK(objects.streams == 0);
}

static void test_a_stream_of_another_device(void) {
    devview_stream stream = 0;
    devview_view* view = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    const double one = 1;
    OK(devview_cuda_stream_new(1, &stream));
    REFUSED(devview_cuda_view_fill(view, &one, stream), DEVVIEW_ERROR_DEVICE, "cuda:1");
    OK(devview_cuda_stream_release(stream));
    OK(devview_view_release(view));
}

/* The caller's own kernels: ordered by events, which the emulator counts. */
static void test_own_work_is_ordered(void) {
    devview_stream home = 0;
    devview_stream other = 0;
    devview_view* view;
    size_t waits;
    OK(devview_cuda_stream_new(0, &home));
    OK(devview_cuda_stream_new(0, &other));
    view = matrix_on(kFirst, home);
    waits = calls("cudaStreamWaitEvent");
    OK(devview_cuda_view_order(view, other));
    CHECK(calls("cudaStreamWaitEvent") == waits + 1);
    OK(devview_cuda_view_used(view, other));
    OK(devview_cuda_view_order(view, home));
    CHECK(calls("cudaStreamWaitEvent") == waits + 2);
    OK(devview_cuda_view_wait(view));
    OK(devview_view_release(view));
    OK(devview_cuda_stream_release(other));
    OK(devview_cuda_stream_release(home));
    view = matrix();
    OK(devview_cuda_view_order(view, 1));
    OK(devview_cuda_view_used(view, 1));
    OK(devview_cuda_view_wait(view));
    OK(devview_view_release(view));
}

/* No stream named: the device's legacy one, of memory of no device the current one's. */
static void test_the_legacy_stream_is_the_default(void) {
    const devview_device devices[] = {kFirst, kSecond, kManaged};
    devview_view* expected = matrix();
    size_t i;
    for (i = 0; i < 3; ++i) {
        devview_view* view = matrix_on(devices[i], DEVVIEW_NO_STREAM);
        struct DLManagedTensorVersioned* tensor = NULL;
        devview_view* taken = NULL;
        OK(devview_cuda_view_order(view, DEVVIEW_NO_STREAM));
        OK(devview_cuda_view_used(view, DEVVIEW_NO_STREAM));
        OK(devview_cuda_view_to_dlpack(view, DEVVIEW_NO_STREAM, &tensor));
        OK(devview_view_release(view));
        OK(devview_cuda_view_from_dlpack(tensor, DEVVIEW_NO_STREAM, &taken));
        CHECK(describe(taken).device.type == devices[i].type);
        CHECK(holds(taken, expected));
        OK(devview_view_release(taken));
    }
    OK(devview_view_release(expected));
}

/* --- Items --- */

static void test_python_objects_are_no_items(void) {
    static void* nothing[3] = {NULL, NULL, NULL};
    const int64_t shape[] = {3};
    devview_view* view = view_over(nothing, sizeof(nothing), "O", 1, shape);
    REFUSED(devview_cuda_view_fill(view, nothing, DEVVIEW_NO_STREAM), DEVVIEW_ERROR_FORMAT,
            "Python objects");
    OK(devview_view_release(view));
}

static void test_copies_between_devices(void) {
    const devview_device devices[] = {kCpu, kFirst, kSecond, kPinned, kManaged};
    devview_view* expected = matrix();
    size_t i, k;
    for (i = 0; i < 5; ++i) {
        for (k = 0; k < 5; ++k) {
            devview_view* from = matrix_on(devices[i], DEVVIEW_NO_STREAM);
            devview_view* turned = NULL;
            devview_view* to = NULL;
            devview_view* back = NULL;
            const double zero = 0;
            OK(devview_view_transpose(from, NULL, &turned));
            OK(devview_cuda_view_to(turned, devices[k], DEVVIEW_F_ORDER, DEVVIEW_NO_STREAM, &to));
            CHECK(describe(to).device.type == devices[k].type && describe(to).f_contiguous == 1);
            OK(devview_view_transpose(to, NULL, &back));
            CHECK(holds(back, expected));
            OK(devview_cuda_view_fill(from, &zero, DEVVIEW_NO_STREAM));
            OK(devview_cuda_view_copy(from, back, DEVVIEW_NO_STREAM));
            CHECK(holds(from, expected));
            OK(devview_view_release(back));
            OK(devview_view_release(to));
            OK(devview_view_release(turned));
            OK(devview_view_release(from));
        }
    }
    OK(devview_view_release(expected));
}

static void test_conversions_and_comparisons(void) {
    const int64_t shape[] = {3, 4};
    devview_view_spec spec = {sizeof(spec), 2, NULL, NULL, shape, NULL, NULL, 0};
    devview_view* doubles = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    devview_view* host = matrix();
    devview_view* floats = NULL;
    devview_view* row = NULL;
    devview_allocation* allocation = NULL;
    devview_format* format = NULL;
    const float nine = 9;
    int32_t equal = 5;
    OK(devview_format_scalar('f', &format));
    spec.format = format;
    OK(devview_cuda_allocation_new(kFirst, 48, DEVVIEW_ZEROED, DEVVIEW_NO_STREAM, &allocation));
    OK(devview_view_of(&spec, allocation, &floats));
    OK(devview_cuda_view_equal(floats, doubles, &equal));
    CHECK(equal == 0);
    REFUSED(devview_cuda_view_convert(doubles, floats, 2, 1), DEVVIEW_ERROR_ARGUMENT, "casting: 2");
    OK(devview_cuda_view_convert(floats, doubles, DEVVIEW_CAST_SAME_KIND, DEVVIEW_NO_STREAM));
    OK(devview_cuda_view_equal(floats, doubles, &equal));
    CHECK(equal == 1);
    OK(devview_cuda_view_equal(floats, host, &equal));
    CHECK(equal == 1);
    OK(devview_view_index(floats, 0, 2, &row));
    OK(devview_cuda_view_equal(row, doubles, &equal));
    CHECK(equal == 0);
    OK(devview_cuda_view_fill(row, &nine, DEVVIEW_NO_STREAM));
    OK(devview_cuda_view_equal(floats, doubles, &equal));
    CHECK(equal == 0);
    equal = 5;
    REFUSED(devview_cuda_view_equal(floats, doubles, NULL), DEVVIEW_ERROR_ARGUMENT, "equal: null");
    REFUSED(devview_cuda_view_fill(row, NULL, DEVVIEW_NO_STREAM), DEVVIEW_ERROR_ARGUMENT, "item");
    REFUSED(devview_cuda_view_copy(row, doubles, DEVVIEW_NO_STREAM), DEVVIEW_ERROR_LAYOUT, "(4,)");
    REFUSED(devview_view_fill(row, &nine), DEVVIEW_ERROR_BUFFER, "cuda:0");
    REFUSED(devview_view_equal(row, row, &equal), DEVVIEW_ERROR_BUFFER, "cuda:0");
    CHECK(equal == 5);
    OK(devview_view_release(row));
    OK(devview_view_release(floats));
    OK(devview_format_release(format));
    OK(devview_allocation_release(allocation));
    OK(devview_view_release(host));
    OK(devview_view_release(doubles));
}

static void test_a_failing_call_has_its_number(void) {
    devview_view* view = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    devview_view* copy = NULL;
    devview_error details = {sizeof(details), 0, NULL, 0, 0};
    OK(devview_cuda_emulator_fail("cudaMemcpyAsync", 1, kInvalidValue));
    REFUSED(devview_cuda_view_to(view, kCpu, DEVVIEW_C_ORDER, DEVVIEW_NO_STREAM, &copy),
            DEVVIEW_ERROR_DEVICE, "cudaErrorInvalidValue");
    OK(devview_last_error_details(&details));
    CHECK(details.code == kInvalidValue && copy == NULL);
    REFUSED(devview_cuda_view_to(view, kCpu, 2, DEVVIEW_NO_STREAM, &copy), DEVVIEW_ERROR_ARGUMENT,
            "order: 2");
    OK(devview_last_error_details(&details));
    CHECK(details.code == 0);
    REFUSED(devview_cuda_view_to(view, kCpu, 0, DEVVIEW_NO_STREAM, NULL), DEVVIEW_ERROR_ARGUMENT,
            "null");
    OK(devview_view_release(view));
}

/* --- Handles --- */

static void check_handles(devview_view* view, devview_status status, const char* words) {
    devview_view* made = NULL;
    devview_cuda_staging* staging = NULL;
    struct DLManagedTensorVersioned* tensor = NULL;
    const devview_stream none = DEVVIEW_NO_STREAM;
    int32_t equal = 5;
    REFUSED(devview_cuda_view_order(view, none), status, words);
    REFUSED(devview_cuda_view_used(view, none), status, words);
    REFUSED(devview_cuda_view_wait(view), status, words);
    REFUSED(devview_cuda_view_copy(view, view, none), status, words);
    REFUSED(devview_cuda_view_to(view, kCpu, 0, none, &made), status, words);
    REFUSED(devview_cuda_view_convert(view, view, 0, none), status, words);
    REFUSED(devview_cuda_view_fill(view, &equal, none), status, words);
    REFUSED(devview_cuda_view_equal(view, view, &equal), status, words);
    REFUSED(devview_cuda_view_to_dlpack(view, none, &tensor), status, words);
    REFUSED(devview_cuda_staging_new(view, 0, 0, none, &staging), status, words);
    CHECK(made == NULL && staging == NULL && tensor == NULL && equal == 5);
}

static void test_null_and_released_handles(void) {
    devview_view* view = matrix_on(kFirst, DEVVIEW_NO_STREAM);
    check_handles(NULL, DEVVIEW_ERROR_ARGUMENT, ": null");
    OK(devview_view_release(view));
    check_handles(view, DEVVIEW_ERROR_RELEASED, "a released handle");
    OK(devview_cuda_staging_release(NULL));
    REFUSED(devview_cuda_staging_wait(NULL), DEVVIEW_ERROR_ARGUMENT, "staging: null");
    REFUSED(devview_cuda_staging_finish(NULL), DEVVIEW_ERROR_ARGUMENT, "staging: null");
    REFUSED(devview_cuda_staging_describe(NULL, NULL), DEVVIEW_ERROR_ARGUMENT, "staging: null");
}

int main(void) {
    test_the_emulator_is_chosen();
    test_the_emulator_is_looked_into();
    test_memory_of_every_kind();
    test_refused_memory();
    test_adopted_device_memory();
    test_pinned_memory_is_bounded();
    test_streams_are_owned();
    test_a_stream_of_another_device();
    test_own_work_is_ordered();
    test_the_legacy_stream_is_the_default();
    test_python_objects_are_no_items();
    test_copies_between_devices();
    test_conversions_and_comparisons();
    test_a_failing_call_has_its_number();
    test_no_other_emulator_while_something_lives();
    test_null_and_released_handles();
    return finish_devices();
}
