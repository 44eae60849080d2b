/* A table of one's own, handed out by columns: plain C, no Python, no C++ compiler. */
#include <stdio.h>
#include <stdlib.h>

#include "devview/cuda/c_api.h"

/* [check] */
static void check(devview_status status) {
    if (status == DEVVIEW_OK) return;
    fprintf(stderr, "status %d: %s\n", (int)status, devview_last_error());
    exit(1);
}
/* [check end] */

/* [release] */
struct table {
    double values[3][4];
    int released;
};

static void release_table(void* context, devview_stream stream) {
    (void)stream; /* host memory: DEVVIEW_NO_STREAM, nothing uses it any more */
    ((struct table*)context)->released++;
}
/* [release end] */

/* [column] */
static devview_view* column_of(struct table* table, int64_t index) {
    const int64_t shape[] = {3, 4};
    devview_allocation* memory = NULL;
    devview_format* doubles = NULL;
    devview_view *all = NULL, *column = NULL;

    const devview_block block = {.struct_size = sizeof block,
                                 .device = {DEVVIEW_CPU, 0},
                                 .data = table->values,
                                 .nbytes = sizeof table->values,
                                 .stream = DEVVIEW_NO_STREAM,
                                 .release = release_table,
                                 .context = table};
    check(devview_allocation_adopt(&block, &memory));
    check(devview_format_parse("d", -1, &doubles));
    const devview_view_spec spec = {
        .struct_size = sizeof spec, .ndim = 2, .format = doubles, .shape = shape};
    check(devview_view_of(&spec, memory, &all));
    check(devview_view_index(all, 1, index, &column));
    /* Every handle is a reference: the column holds the table alone from here on. */
    check(devview_view_release(all));
    check(devview_format_release(doubles));
    check(devview_allocation_release(memory));
    return column;
}
/* [column end] */

/* [sum] */
static double sum(const devview_view* view) {
    devview_view_info info = {.struct_size = sizeof info};
    double total = 0;
    int64_t i;
    check(devview_view_describe(view, &info));
    for (i = 0; i < info.shape[0]; ++i)
        total += *(const double*)((const char*)info.data + i * info.strides[0]);
    return total;
}
/* [sum end] */

int main(void) {
    struct table table = {{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}}, 0};
    devview_view* column = column_of(&table, 2);
    const double here = sum(column);
    /* [device] */
    const devview_device gpu = {DEVVIEW_CUDA, 0}, cpu = {DEVVIEW_CPU, 0};
    const devview_cuda_emulator emulator = {.struct_size = sizeof emulator, .devices = 1};
    devview_view *there = NULL, *back = NULL;
    check(devview_cuda_emulate(&emulator)); /* leave it out where there is a GPU */
    check(devview_cuda_view_to(column, gpu, DEVVIEW_C_ORDER, DEVVIEW_NO_STREAM, &there));
    check(devview_view_release(column));
    if (table.released != 1) return 2; /* the copy on the device needs it no more */
    check(devview_cuda_view_to(there, cpu, DEVVIEW_C_ORDER, DEVVIEW_NO_STREAM, &back));
    check(devview_view_release(there));
    /* [device end] */
    printf("%g on the host, %g by way of the device\n", here, sum(back));
    check(devview_view_release(back));
    return 0;
}
