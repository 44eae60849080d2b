/* Views through the C interface: a matrix and a table of records, described, cut and turned. */

#include "making.h"

/* --- Making --- */

static void test_a_described_view(void) {
    devview_view* view = matrix();
    const devview_view_info info = describe(view);
    const devview_format_node* node = NULL;
    CHECK(info.device.type == DEVVIEW_CPU && info.device.id == 0);
    CHECK(info.ndim == 2 && info.shape[0] == 3 && info.shape[1] == 4);
    CHECK(info.strides[0] == 32 && info.strides[1] == 8 && info.suboffsets == NULL);
    CHECK(info.itemsize == 8 && info.size == 12 && info.nbytes == 96);
    CHECK(info.readonly == 0 && info.c_contiguous == 1 && info.f_contiguous == 0);
    CHECK(info.stream == DEVVIEW_NO_STREAM);
    OK(devview_format_describe(info.format, 2, &node));
    CHECK(node->code == 'd');
    OK(devview_view_release(view));
}

static void test_a_scalar_and_nothing(void) {
    static const int64_t empty[] = {0, 5};
    unsigned char byte = 42;
    devview_view* scalar = view_over(&byte, 1, "B", 0, NULL);
    devview_view* none = view_over(NULL, 0, "d", 2, empty);
    devview_view_info info = describe(scalar);
    CHECK(info.ndim == 0 && info.size == 1 && info.nbytes == 1 && info.data == &byte);
    CHECK(info.shape != NULL && info.strides != NULL);
    info = describe(none);
    CHECK(info.size == 0 && info.nbytes == 0 && info.c_contiguous == 1 && info.f_contiguous == 1);
    OK(devview_view_release(scalar));
    OK(devview_view_release(none));
}

static void test_strides_offsets_and_readonly(void) {
    static double values[6] = {0, 1, 2, 3, 4, 5};
    const int64_t shape[] = {2, 3};
    const int64_t strides[] = {-24, -8};
    devview_view* whole = view_over(values, sizeof(values), "d", 1, (const int64_t[]){6});
    devview_allocation* allocation = NULL;
    devview_view_spec spec = {sizeof(spec), 2, &values[5], NULL, shape, strides, NULL, 1};
    devview_view* view = NULL;
    devview_view_info info = describe(whole);
    OK(devview_view_allocation(whole, &allocation));
    spec.format = info.format;
    OK(devview_view_of(&spec, allocation, &view));
    info = describe(view);
    CHECK(at(&info, 0, 0) == 5 && at(&info, 1, 2) == 0 && info.readonly == 1);
    CHECK(info.strides[0] == -24 && info.c_contiguous == 0);
    OK(devview_view_release(view));
    view = NULL;
    spec.data = &values[4];
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_LAYOUT, "of the allocation");
    CHECK(view == NULL);
    OK(devview_allocation_release(allocation));
    OK(devview_view_release(whole));
}

static void test_suboffsets_are_followed(void) {
    static int32_t low[3] = {1, 2, 3};
    static int32_t high[3] = {4, 5, 6};
    static int32_t* rows[2] = {low, high};
    const int64_t shape[] = {2, 3};
    const int64_t strides[] = {sizeof(int32_t*), sizeof(int32_t)};
    const int64_t suboffsets[] = {0, -1};
    int32_t dense[6] = {0, 0, 0, 0, 0, 0};
    devview_view* pointers = view_over(rows, sizeof(rows), "P", 1, (const int64_t[]){2});
    devview_view* destination = view_over(dense, sizeof(dense), "i", 2, shape);
    devview_allocation* allocation = NULL;
    devview_view_spec spec = {sizeof(spec), 2, NULL, NULL, shape, strides, suboffsets, 0};
    devview_view* view = NULL;
    devview_view* row = NULL;
    OK(devview_view_allocation(pointers, &allocation));
    spec.format = describe(destination).format;
    OK(devview_view_of(&spec, allocation, &view));
    CHECK(describe(view).suboffsets[0] == 0 && describe(view).suboffsets[1] < 0);
    OK(devview_view_copy(destination, view));
    CHECK(dense[0] == 1 && dense[3] == 4 && dense[5] == 6);
    OK(devview_view_index(view, 0, -1, &row));
    CHECK(describe(row).data == high && describe(row).suboffsets == NULL);
    OK(devview_view_release(row));
    OK(devview_view_release(view));
    OK(devview_view_release(destination));
    OK(devview_view_release(pointers));
    OK(devview_allocation_release(allocation));
}

static void test_bad_specs(void) {
    const int64_t shape[] = {3};
    const int64_t huge[] = {INT64_MAX};
    devview_view_spec spec = {sizeof(spec), 1, NULL, NULL, NULL, NULL, NULL, 0};
    devview_allocation* allocation = NULL;
    devview_format* nothing = NULL;
    devview_view* view = NULL;
    const devview_status bad = DEVVIEW_ERROR_ARGUMENT;
    OK(devview_allocation_new(2, 0, &allocation));
    REFUSED(devview_view_of(NULL, allocation, &view), bad, "spec: null");
    REFUSED(devview_view_of(&spec, allocation, &view), bad, "shape: null");
    spec.shape = shape;
    REFUSED(devview_view_of(&spec, NULL, &view), bad, "allocation: null");
    REFUSED(devview_view_of(&spec, allocation, NULL), bad, "null");
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_LAYOUT, "which has 2");
    spec.ndim = -1;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_LAYOUT, "ndim -1");
    spec.ndim = 65;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_LAYOUT, "ndim 65");
    spec.ndim = 1;
    spec.shape = huge;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_LAYOUT, "");
    spec.shape = shape;
    spec.struct_size = 0;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_VERSION, "struct_size 0");
    spec.struct_size = sizeof(spec) + 8;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_VERSION, "known: ");
    spec.struct_size = sizeof(spec);
    OK(devview_format_parse("0s", -1, &nothing));
    spec.format = nothing;
    REFUSED(devview_view_of(&spec, allocation, &view), DEVVIEW_ERROR_FORMAT, "itemsize 0");
    CHECK(view == NULL);
    OK(devview_format_release(nothing));
    OK(devview_allocation_release(allocation));
}

/* --- Other views of the same memory --- */

static void test_slices_and_indices(void) {
    devview_view* view = matrix();
    devview_view* part = NULL;
    devview_view* row = NULL;
    devview_view_info info;
    OK(devview_view_slice(view, 0, DEVVIEW_MISSING, DEVVIEW_MISSING, -2, &part));
    info = describe(part);
    CHECK(info.shape[0] == 2 && at(&info, 0, 0) == 8 && at(&info, 1, 3) == 3);
    OK(devview_view_index(part, 1, -1, &row));
    info = describe(row);
    CHECK(info.ndim == 1 && info.shape[0] == 2 && *(const double*)info.data == 11);
    OK(devview_view_release(row));
    OK(devview_view_release(part));
    OK(devview_view_slice(view, 1, 1, 100, 2, &part));
    info = describe(part);
    CHECK(info.shape[1] == 2 && at(&info, 2, 1) == 11);
    OK(devview_view_release(view)); /* the part holds the memory */
    CHECK(at(&info, 0, 0) == 1);
    OK(devview_view_release(part));
}

static void test_axes_move(void) {
    static const int32_t axes[] = {2, 0, 1};
    static const int64_t shape[] = {2, 2, 3};
    static const int64_t wide[] = {5, 3, 4};
    devview_view* view = matrix();
    devview_view* turned = NULL;
    devview_view* cube = NULL;
    devview_view* other = NULL;
    devview_view_info info;
    OK(devview_view_transpose(view, NULL, &turned));
    info = describe(turned);
    CHECK(info.shape[0] == 4 && info.shape[1] == 3 && at(&info, 3, 1) == 7);
    CHECK(info.f_contiguous == 1 && info.c_contiguous == 0);
    OK(devview_view_reshape(view, 3, shape, &cube));
    OK(devview_view_transpose(cube, axes, &other));
    info = describe(other);
    CHECK(info.shape[0] == 3 && info.shape[1] == 2 && info.shape[2] == 2 && info.strides[0] == 8);
    OK(devview_view_release(other));
    REFUSED(devview_view_reshape(turned, 1, (const int64_t[]){12}, &other), DEVVIEW_ERROR_LAYOUT,
            "need a copy");
    OK(devview_view_broadcast(view, 3, wide, &other));
    info = describe(other);
    CHECK(info.size == 60 && info.strides[0] == 0);
    OK(devview_view_release(other));
    OK(devview_view_insert_axis(view, 1, &other));
    CHECK(describe(other).ndim == 3 && describe(other).shape[1] == 1);
    OK(devview_view_release(cube));
    OK(devview_view_remove_axis(other, 1, &cube));
    CHECK(describe(cube).ndim == 2);
    OK(devview_view_release(cube));
    OK(devview_view_release(other));
    OK(devview_view_release(turned));
    OK(devview_view_release(view));
}

static void test_casts(void) {
    static const int64_t shape[] = {6, 4};
    devview_view* view = matrix();
    devview_view* bytes = NULL;
    devview_view* floats = NULL;
    devview_format* format = NULL;
    devview_format* byte = NULL;
    OK(devview_format_scalar('f', &format));
    OK(devview_format_scalar('B', &byte));
    OK(devview_view_cast(view, byte, -1, NULL, &bytes));
    CHECK(describe(bytes).ndim == 1 && describe(bytes).shape[0] == 96);
    OK(devview_view_cast(bytes, format, 2, shape, &floats));
    CHECK(describe(floats).shape[0] == 6 && describe(floats).itemsize == 4);
    OK(devview_view_release(floats));
    REFUSED(devview_view_cast(view, NULL, -1, NULL, &floats), DEVVIEW_ERROR_ARGUMENT, "format");
    REFUSED(devview_view_cast(view, format, 2, NULL, &floats), DEVVIEW_ERROR_ARGUMENT, "shape");
    REFUSED(devview_view_cast(view, format, -2, shape, &floats), DEVVIEW_ERROR_LAYOUT, "ndim -2");
    REFUSED(devview_view_cast(view, format, 1, shape, &floats), DEVVIEW_ERROR_LAYOUT, "96");
    OK(devview_format_release(format));
    OK(devview_format_release(byte));
    OK(devview_view_release(bytes));
    OK(devview_view_release(view));
}

static void test_fields_of_records(void) {
    particle particles[2] = {{7, {1, 2, 3}, 0.5}, {8, {4, 5, 6}, 0.25}};
    devview_view* table = view_over(particles, sizeof(particles), "T{h:id:(3)f:position:d:mass:}",
                                    1, (const int64_t[]){2});
    devview_view* position = NULL;
    devview_view* mass = NULL;
    devview_view_info info;
    CHECK(describe(table).itemsize == (int64_t)sizeof(particle));
    OK(devview_view_field(table, "position", &position));
    info = describe(position);
    CHECK(info.ndim == 2 && info.shape[0] == 2 && info.shape[1] == 3 && info.itemsize == 4);
    CHECK(info.data == &particles[0].position && info.strides[0] == (int64_t)sizeof(particle));
    OK(devview_view_field(table, "mass", &mass));
    CHECK(describe(mass).data == &particles[0].mass);
    OK(devview_view_release(mass));
    REFUSED(devview_view_field(table, "weight", &mass), DEVVIEW_ERROR_FORMAT, "'mass'");
    REFUSED(devview_view_field(table, NULL, &mass), DEVVIEW_ERROR_ARGUMENT, "name: null");
    OK(devview_view_release(position));
    OK(devview_view_release(table));
}

static void test_refused_views_of_views(void) {
    devview_view* view = matrix();
    devview_view* result = NULL;
    const devview_status layout = DEVVIEW_ERROR_LAYOUT;
    const int32_t twice[] = {0, 0};
    const int64_t shape[] = {5};
    REFUSED(devview_view_slice(view, 2, 0, 1, 1, &result), layout, "axis 2");
    REFUSED(devview_view_slice(view, -1, 0, 1, 1, &result), layout, "axis -1");
    REFUSED(devview_view_slice(view, 0, 0, 1, 0, &result), layout, "step 0");
    REFUSED(devview_view_index(view, 0, 3, &result), DEVVIEW_ERROR_ARGUMENT, "extent 3");
    REFUSED(devview_view_index(view, 0, INT64_MIN, &result), DEVVIEW_ERROR_ARGUMENT, "extent 3");
    REFUSED(devview_view_transpose(view, twice, &result), layout, "");
    REFUSED(devview_view_reshape(view, 1, shape, &result), layout, "5 items");
    REFUSED(devview_view_reshape(view, 65, shape, &result), layout, "ndim 65");
    REFUSED(devview_view_reshape(view, 1, NULL, &result), DEVVIEW_ERROR_ARGUMENT, "shape: null");
    REFUSED(devview_view_broadcast(view, 1, shape, &result), layout, "");
    REFUSED(devview_view_broadcast(view, 1, NULL, &result), DEVVIEW_ERROR_ARGUMENT, "shape: null");
    REFUSED(devview_view_insert_axis(view, 3, &result), layout, "");
    REFUSED(devview_view_remove_axis(view, 0, &result), layout, "");
    CHECK(result == NULL);
    OK(devview_view_release(view));
}

/* --- Handles --- */

#define FOR_EVERY_FUNCTION(view, status, words)                                                   \
    do {                                                                                          \
        devview_view_info info = describe_nothing;                                                \
        devview_view* result = NULL;                                                              \
        devview_allocation* owner = NULL;                                                         \
        struct DLManagedTensorVersioned* tensor = NULL;                                           \
        const int64_t shape[] = {12};                                                             \
        int32_t equal = 5;                                                                        \
        REFUSED(devview_view_retain(view), status, words);                                        \
        REFUSED(devview_view_describe(view, &info), status, words);                               \
        REFUSED(devview_view_allocation(view, &owner), status, words);                            \
        REFUSED(devview_view_slice(view, 0, 0, 1, 1, &result), status, words);                    \
        REFUSED(devview_view_index(view, 0, 0, &result), status, words);                          \
        REFUSED(devview_view_transpose(view, NULL, &result), status, words);                      \
        REFUSED(devview_view_reshape(view, 1, shape, &result), status, words);                    \
        REFUSED(devview_view_broadcast(view, 1, shape, &result), status, words);                  \
        REFUSED(devview_view_insert_axis(view, 0, &result), status, words);                       \
        REFUSED(devview_view_remove_axis(view, 0, &result), status, words);                       \
        REFUSED(devview_view_cast(view, NULL, -1, NULL, &result), status, words);                 \
        REFUSED(devview_view_field(view, "x", &result), status, words);                           \
        REFUSED(devview_view_readonly(view, &result), status, words);                             \
        REFUSED(devview_view_copy(view, view), status, words);                                    \
        REFUSED(devview_view_convert(view, view, 1), status, words);                              \
        REFUSED(devview_view_fill(view, shape), status, words);                                   \
        REFUSED(devview_view_equal(view, view, &equal), status, words);                           \
        REFUSED(devview_view_to_dlpack(view, &tensor), status, words);                            \
        CHECK(result == NULL && owner == NULL && tensor == NULL && equal == 5 && info.size == 0); \
    } while (0)

static const devview_view_info describe_nothing = {
    sizeof(devview_view_info), {0, 0}, 0, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0};

static void test_null_and_released_handles(void) {
    devview_view* view = matrix();
    OK(devview_view_release(NULL));
    FOR_EVERY_FUNCTION(NULL, DEVVIEW_ERROR_ARGUMENT, ": null");
    OK(devview_view_retain(view));
    OK(devview_view_release(view));
    OK(devview_view_release(view));
    REFUSED(devview_view_release(view), DEVVIEW_ERROR_RELEASED, "a released handle");
    FOR_EVERY_FUNCTION(view, DEVVIEW_ERROR_RELEASED, "a released handle");
}

static void test_results_have_a_place(void) {
    devview_view* view = matrix();
    const int64_t shape[] = {12};
    const devview_status bad = DEVVIEW_ERROR_ARGUMENT;
    devview_view_info info = describe_nothing;
    REFUSED(devview_view_allocation(view, NULL), bad, "null");
    REFUSED(devview_view_slice(view, 0, 0, 1, 1, NULL), bad, "null");
    REFUSED(devview_view_index(view, 0, 0, NULL), bad, "null");
    REFUSED(devview_view_transpose(view, NULL, NULL), bad, "null");
    REFUSED(devview_view_reshape(view, 1, shape, NULL), bad, "null");
    REFUSED(devview_view_broadcast(view, 1, shape, NULL), bad, "null");
    REFUSED(devview_view_insert_axis(view, 0, NULL), bad, "null");
    REFUSED(devview_view_remove_axis(view, 0, NULL), bad, "null");
    REFUSED(devview_view_cast(view, describe(view).format, -1, NULL, NULL), bad, "null");
    REFUSED(devview_view_field(view, "x", NULL), bad, "null");
    REFUSED(devview_view_readonly(view, NULL), bad, "null");
    REFUSED(devview_view_describe(view, NULL), bad, "info: null");
    info.struct_size -= 8;
    REFUSED(devview_view_describe(view, &info), DEVVIEW_ERROR_VERSION, "struct_size");
    info.struct_size += 16;
    REFUSED(devview_view_describe(view, &info), DEVVIEW_ERROR_VERSION, "struct_size");
    OK(devview_view_release(view));
}

int main(void) {
    test_a_described_view();
    test_a_scalar_and_nothing();
    test_strides_offsets_and_readonly();
    test_suboffsets_are_followed();
    test_bad_specs();
    test_slices_and_indices();
    test_axes_move();
    test_casts();
    test_fields_of_records();
    test_refused_views_of_views();
    test_null_and_released_handles();
    test_results_have_a_place();
    return finish();
}
