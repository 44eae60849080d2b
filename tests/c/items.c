/* Items of views through the C interface: copied, converted, compared, handed on by DLPack. */
#include <math.h>

#include "making.h"

static void test_copies(void) {
    static double values[12];
    devview_view* source = matrix();
    devview_view* turned = NULL;
    devview_view* back = view_over(values, sizeof(values), "d", 2, (const int64_t[]){4, 3});
    OK(devview_view_transpose(source, NULL, &turned));
    OK(devview_view_copy(back, turned));
    CHECK(values[0] == 0 && values[1] == 4 && values[11] == 11 && values[9] == 3);
    REFUSED(devview_view_copy(back, source), DEVVIEW_ERROR_LAYOUT, "(3, 4)");
    OK(devview_view_release(back));
    OK(devview_view_release(turned));
    OK(devview_view_release(source));
}

static void test_overlapping_copies(void) {
    int32_t values[5] = {0, 1, 2, 3, 4};
    devview_view* all = view_over(values, sizeof(values), "i", 1, (const int64_t[]){5});
    devview_view* low = NULL;
    devview_view* high = NULL;
    devview_view* backwards = NULL;
    OK(devview_view_slice(all, 0, 0, 4, 1, &low));
    OK(devview_view_slice(all, 0, 1, 5, 1, &high));
    OK(devview_view_copy(high, low));
    CHECK(values[0] == 0 && values[1] == 0 && values[2] == 1 && values[4] == 3);
    OK(devview_view_slice(all, 0, DEVVIEW_MISSING, DEVVIEW_MISSING, -1, &backwards));
    OK(devview_view_copy(all, backwards));
    CHECK(values[0] == 3 && values[1] == 2 && values[4] == 0);
    OK(devview_view_copy(all, all));
    CHECK(values[0] == 3 && values[4] == 0);
    OK(devview_view_release(backwards));
    OK(devview_view_release(high));
    OK(devview_view_release(low));
    OK(devview_view_release(all));
}

static void test_conversions(void) {
    double numbers[3] = {1.9, -2.5, 300.0};
    int8_t small[3] = {0, 0, 0};
    float floats[3] = {0, 0, 0};
    const int64_t shape[] = {3};
    devview_view* from = view_over(numbers, sizeof(numbers), "d", 1, shape);
    devview_view* to = view_over(small, sizeof(small), "b", 1, shape);
    devview_view* single = view_over(floats, sizeof(floats), "f", 1, shape);
    REFUSED(devview_view_convert(to, from, DEVVIEW_CAST_SAME_KIND), DEVVIEW_ERROR_FORMAT, "'d'");
    REFUSED(devview_view_convert(to, from, 2), DEVVIEW_ERROR_ARGUMENT, "casting: 2");
    CHECK(small[0] == 0);
    OK(devview_view_convert(to, from, DEVVIEW_CAST_UNSAFE));
    CHECK(small[0] == 1 && small[1] == -2 && small[2] == 127);
    OK(devview_view_convert(single, from, DEVVIEW_CAST_SAME_KIND));
    CHECK(floats[0] == 1.9f && floats[2] == 300.0f);
    REFUSED(devview_view_copy(to, from), DEVVIEW_ERROR_LAYOUT, "itemsize 8");
    OK(devview_view_release(single));
    OK(devview_view_release(to));
    OK(devview_view_release(from));
}

static void test_fills_and_comparisons(void) {
    double numbers[4] = {0, 0, 0, 0};
    int32_t integers[4] = {7, 7, 7, 7};
    const double seven = 7;
    const int64_t shape[] = {4};
    int32_t equal = 5;
    devview_view* left = view_over(numbers, sizeof(numbers), "d", 1, shape);
    devview_view* right = view_over(integers, sizeof(integers), "<i", 1, shape);
    devview_view* part = NULL;
    devview_view* fixed = NULL;
    OK(devview_view_equal(left, right, &equal));
    CHECK(equal == 0);
    OK(devview_view_fill(left, &seven));
    OK(devview_view_equal(left, right, &equal));
    CHECK(equal == 1);
    OK(devview_view_slice(left, 0, 0, 2, 1, &part));
    OK(devview_view_equal(part, right, &equal));
    CHECK(equal == 0);
    numbers[3] = NAN;
    OK(devview_view_equal(left, left, &equal));
    CHECK(equal == 0);
    equal = 5;
    REFUSED(devview_view_equal(left, right, NULL), DEVVIEW_ERROR_ARGUMENT, "equal: null");
    REFUSED(devview_view_equal(left, NULL, &equal), DEVVIEW_ERROR_ARGUMENT, "b: null");
    REFUSED(devview_view_fill(left, NULL), DEVVIEW_ERROR_ARGUMENT, "item: null");
    OK(devview_view_readonly(left, &fixed));
    REFUSED(devview_view_fill(fixed, &seven), DEVVIEW_ERROR_BUFFER, "read-only");
    REFUSED(devview_view_copy(fixed, left), DEVVIEW_ERROR_BUFFER, "read-only");
    REFUSED(devview_view_convert(fixed, left, 1), DEVVIEW_ERROR_BUFFER, "read-only");
    CHECK(equal == 5 && describe(fixed).readonly == 1 && describe(left).readonly == 0);
    OK(devview_view_release(fixed));
    OK(devview_view_release(part));
    OK(devview_view_release(right));
    OK(devview_view_release(left));
}

/* Items of 4 bits: the neighbour that shares the last byte stays. */
static void test_packed_items(void) {
    unsigned char packed[2] = {0x21, 0xA3};
    unsigned char other[2] = {0x00, 0xF0};
    unsigned char bytes[3] = {0, 0, 0};
    const unsigned char nine = 9;
    const int64_t shape[] = {3};
    int32_t equal = 5;
    devview_view* from = view_over(packed, 2, "T{4t:uint4:}", 1, shape);
    devview_view* to = view_over(other, 2, "T{4t:uint4:}", 1, shape);
    devview_view* wide = view_over(bytes, 3, "B", 1, shape);
    CHECK(describe(from).nbytes == 2 && describe(from).itemsize == 1);
    OK(devview_view_copy(to, from));
    CHECK(other[0] == 0x21 && other[1] == 0xF3);
    OK(devview_view_equal(to, from, &equal));
    CHECK(equal == 1);
    OK(devview_view_convert(wide, from, DEVVIEW_CAST_UNSAFE));
    CHECK(bytes[0] == 1 && bytes[1] == 2 && bytes[2] == 3);
    OK(devview_view_equal(wide, from, &equal));
    CHECK(equal == 1);
    OK(devview_view_fill(to, &nine));
    CHECK(other[0] == 0x99 && other[1] == 0xF9);
    OK(devview_view_convert(to, wide, DEVVIEW_CAST_UNSAFE));
    CHECK(other[0] == 0x21 && other[1] == 0xF3);
    REFUSED(devview_view_copy(to, wide), DEVVIEW_ERROR_LAYOUT, "packed");
    OK(devview_view_release(wide));
    OK(devview_view_release(to));
    OK(devview_view_release(from));
}

static void test_items_that_c_does_not_touch(void) {
    static void* objects[1];
    const int64_t shape[] = {1};
    devview_block block = {sizeof(block), {DEVVIEW_ROCM, 0}, NULL, 0, DEVVIEW_NO_STREAM, NULL,
                           NULL};
    devview_view_spec spec = {sizeof(spec), 1, NULL, NULL, NULL, NULL, NULL, 0};
    devview_allocation* allocation = NULL;
    devview_view* far_away = NULL;
    devview_view* counted = view_over(objects, sizeof(objects), "O", 1, shape);
    int32_t equal = 5;
    block.data = (void*)(uintptr_t)4096;
    block.nbytes = 8;
    spec.shape = shape;
    OK(devview_allocation_adopt(&block, &allocation));
    OK(devview_view_of(&spec, allocation, &far_away));
    CHECK(describe(far_away).device.type == DEVVIEW_ROCM);
    REFUSED(devview_view_copy(far_away, far_away), DEVVIEW_ERROR_BUFFER, "rocm:0");
    REFUSED(devview_view_fill(far_away, objects), DEVVIEW_ERROR_BUFFER, "rocm:0");
    REFUSED(devview_view_convert(far_away, far_away, 1), DEVVIEW_ERROR_BUFFER, "rocm:0");
    REFUSED(devview_view_equal(far_away, far_away, &equal), DEVVIEW_ERROR_BUFFER, "rocm:0");
    REFUSED(devview_view_copy(counted, counted), DEVVIEW_ERROR_FORMAT, "Python objects");
    REFUSED(devview_view_equal(counted, counted, &equal), DEVVIEW_ERROR_FORMAT, "Python objects");
    OK(devview_view_release(counted));
    OK(devview_view_release(far_away));
    OK(devview_allocation_release(allocation));
}

/* --- DLPack, with structures of this program's own: of 1.0, as in dlpack.h --- */

typedef struct dl_tensor {
    void* data;
    devview_device device;
    int32_t ndim;
    struct {
        uint8_t code;
        uint8_t bits;
        uint16_t lanes;
    } dtype;
    int64_t* shape;
    int64_t* strides;
    uint64_t byte_offset;
} dl_tensor;

struct DLManagedTensorVersioned {
    struct {
        uint32_t major;
        uint32_t minor;
    } version;
    void* manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned* self);
    uint64_t flags;
    dl_tensor tensor;
};

static int deleted = 0;
static void count_deletion(struct DLManagedTensorVersioned* self) {
    (void)self;
    ++deleted;
}

static void test_a_view_becomes_a_tensor(void) {
    devview_view* view = matrix();
    devview_view* fixed = NULL;
    devview_allocation* allocation = NULL;
    devview_allocation_info memory;
    struct DLManagedTensorVersioned* tensor = NULL;
    void* const data = describe(view).data;
    OK(devview_view_readonly(view, &fixed));
    OK(devview_view_to_dlpack(fixed, &tensor));
    OK(devview_view_allocation(view, &allocation));
    memory.struct_size = sizeof(memory);
    OK(devview_allocation_describe(allocation, &memory));
    CHECK(memory.exports == 1 && memory.views == 2);
    OK(devview_view_release(fixed));
    OK(devview_view_release(view));
    REFUSED(devview_allocation_free(allocation), DEVVIEW_ERROR_BUFFER, "1 export");
    OK(devview_allocation_release(allocation));
    CHECK(tensor->version.major == 1 && (tensor->flags & 1) == 1);
    CHECK(tensor->tensor.data == data && tensor->tensor.device.type == DEVVIEW_CPU);
    CHECK(tensor->tensor.ndim == 2 && tensor->tensor.shape[0] == 3);
    CHECK(tensor->tensor.strides[0] == 4 && tensor->tensor.strides[1] == 1);
    CHECK(tensor->tensor.dtype.code == 2 && tensor->tensor.dtype.bits == 64);
    tensor->deleter(tensor);
}

static struct DLManagedTensorVersioned tensor_of(float* data, int64_t* shape) {
    struct DLManagedTensorVersioned tensor;
    memset(&tensor, 0, sizeof(tensor));
    tensor.version.major = 1;
    tensor.deleter = &count_deletion;
    tensor.tensor.data = data;
    tensor.tensor.device.type = DEVVIEW_CPU;
    tensor.tensor.ndim = 2;
    tensor.tensor.dtype.code = 2;
    tensor.tensor.dtype.bits = 32;
    tensor.tensor.dtype.lanes = 1;
    tensor.tensor.shape = shape;
    return tensor;
}

static void test_a_tensor_becomes_a_view(void) {
    float data[6] = {0, 1, 2, 3, 4, 5};
    int64_t shape[2] = {2, 3};
    struct DLManagedTensorVersioned tensor = tensor_of(data, shape);
    struct DLManagedTensorVersioned bad = tensor;
    devview_view* view = NULL;
    devview_view_info info;
    deleted = 0;
    bad.version.major = 99;
    REFUSED(devview_view_from_dlpack(&bad, &view), DEVVIEW_ERROR_BUFFER, "99");
    bad = tensor;
    bad.tensor.ndim = 65;
    REFUSED(devview_view_from_dlpack(&bad, &view), DEVVIEW_ERROR_LAYOUT, "65");
    bad = tensor;
    bad.tensor.dtype.code = 99;
    REFUSED(devview_view_from_dlpack(&bad, &view), DEVVIEW_ERROR_FORMAT, "99");
    bad = tensor;
    bad.tensor.device.type = DEVVIEW_CUDA;
    REFUSED(devview_view_from_dlpack(&bad, &view), DEVVIEW_ERROR_BUFFER, "devview_cuda");
    REFUSED(devview_view_from_dlpack(NULL, &view), DEVVIEW_ERROR_ARGUMENT, "tensor: null");
    REFUSED(devview_view_from_dlpack(&tensor, NULL), DEVVIEW_ERROR_ARGUMENT, "null");
    CHECK(view == NULL && deleted == 0);
    OK(devview_view_from_dlpack(&tensor, &view));
    shape[0] = 1000; /* was read once */
    info = describe(view);
    CHECK(info.data == data && info.shape[0] == 2 && info.shape[1] == 3 && info.itemsize == 4);
    OK(devview_view_release(view));
    CHECK(deleted == 1);
}

static void test_what_dlpack_cannot_say(void) {
    particle particles[1];
    devview_view* table = view_over(particles, sizeof(particles), "T{h:id:(3)f:position:d:mass:}",
                                    1, (const int64_t[]){1});
    struct DLManagedTensorVersioned* tensor = NULL;
    REFUSED(devview_view_to_dlpack(table, &tensor), DEVVIEW_ERROR_BUFFER, "position");
    REFUSED(devview_view_to_dlpack(table, NULL), DEVVIEW_ERROR_ARGUMENT, "tensor: null");
    CHECK(tensor == NULL);
    OK(devview_view_release(table));
}

int main(void) {
    test_copies();
    test_overlapping_copies();
    test_conversions();
    test_fills_and_comparisons();
    test_packed_items();
    test_items_that_c_does_not_touch();
    test_a_view_becomes_a_tensor();
    test_a_tensor_becomes_a_view();
    test_what_dlpack_cannot_say();
    return finish();
}
