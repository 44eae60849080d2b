/* Formats through the C interface, by a program that knows nothing else of this project: walks the
 * descriptors of nested records, prints them, compares with what the compiler says. C99. */
#include "check.h"

/* --- A text that grows to the end of its buffer --- */

typedef struct text {
    char bytes[2048];
    size_t length;
} text;

static void append(text* out, const char* piece) {
    const size_t room = sizeof(out->bytes) - 1 - out->length;
    size_t length = strlen(piece);
    if (length > room) length = room;
    memcpy(out->bytes + out->length, piece, length);
    out->length += length;
    out->bytes[out->length] = '\0';
}

static void append_number(text* out, int64_t number) {
    char digits[32];
    sprintf(digits, "%lld", (long long)number);
    append(out, digits);
}

/* "{a@0:i4 b@8:[2,3]f8}/24": members with offsets, sizes behind the kind. */
static void print_node(text* out, const devview_format_node* node) {
    static const char* const kinds[] = {"?", "i", "u",  "f", "Z",     "c",      "s",      "p",
                                        "U", "P", "fn", "O", "bits:", "opaque", "record", "array"};
    int32_t i;
    if (node->version != DEVVIEW_FORMAT_NODE_VERSION || node->kind > DEVVIEW_KIND_ARRAY) {
        append(out, "<unknown>");
        return;
    }
    if (node->kind == DEVVIEW_KIND_ARRAY) {
        for (i = 0; i < node->ndim; ++i) {
            append(out, i == 0 ? "[" : ",");
            append_number(out, node->shape[i]);
        }
        append(out, "]");
        print_node(out, node->element);
        return;
    }
    if (node->kind == DEVVIEW_KIND_RECORD) {
        append(out, "{");
        for (i = 0; i < node->field_count; ++i) {
            const devview_format_field* field = &node->fields[i];
            if (i > 0) append(out, " ");
            append(out, field->name);
            append(out, "@");
            append_number(out, field->offset);
            if (field->format->kind == DEVVIEW_KIND_BITS) {
                append(out, ".");
                append_number(out, field->bit_offset);
            }
            append(out, ":");
            print_node(out, field->format);
        }
        append(out, "}/");
        append_number(out, node->itemsize);
        return;
    }
    if (node->byteorder == DEVVIEW_ORDER_LITTLE) append(out, "little ");
    if (node->byteorder == DEVVIEW_ORDER_BIG) append(out, "big ");
    append(out, kinds[node->kind]);
    append_number(out, node->kind == DEVVIEW_KIND_BITS ? node->bits : node->itemsize);
    if (node->kind == DEVVIEW_KIND_FLOATING && node->float_kind != DEVVIEW_FLOAT_IEEE) {
        append(out, "#");
        append_number(out, node->float_kind);
    }
    if (node->element != NULL) {
        append(out, "->");
        print_node(out, node->element);
    }
}

static void check_walk(const char* spec, int64_t itemsize, const char* expected) {
    text out = {{0}, 0};
    devview_format* format = NULL;
    const devview_format_node* node = NULL;
    CHECK(devview_format_parse(spec, itemsize, &format) == DEVVIEW_OK);
    CHECK(devview_format_describe(format, DEVVIEW_FORMAT_NODE_VERSION, &node) == DEVVIEW_OK);
    if (node == NULL) return;
    CHECK(strcmp(node->text, spec) == 0);
    print_node(&out, node);
    if (strcmp(out.bytes, expected) != 0) {
        printf("%s\n    is       %s\n    expected %s\n", spec, out.bytes, expected);
        ++failures;
    }
    CHECK(devview_format_release(format) == DEVVIEW_OK);
}

static void test_walks(void) {
    check_walk("i", -1, "i4");
    check_walk("Zd", -1, "Z16");
    check_walk("(2,3)e", -1, "[2,3]f2");
    check_walk("5s", -1, "s5");
    check_walk("&&d", -1, "P8->P8->f8");
    check_walk("T{H:bfloat16:}", -1, "f2#4");
    check_walk("T{B:float8_e5m2:}", -1, "f1#12");
    check_walk("T{3t:a:5t:b:2t:c:}", -1, "{a@0.0:bits:3 b@0.3:bits:5 c@1.0:bits:2}/2");
    check_walk("T{i:a:d:b:}", -1, "{a@0:i4 b@8:f8}/16");
    check_walk("T{i:a:d:b:}", 24, "{a@0:i4 b@8:f8}/24");
    check_walk("bi", -1, "{@0:i1 @4:i4}/8");
    check_walk("T{B:tag:T{T{h:x:h:y:}:at:(2)T{f:re:f:im:}:pair:}:deep:P:next:}", -1,
               "{tag@0:u1 deep@4:{at@0:{x@0:i2 y@2:i2}/4 pair@4:[2]{re@0:f4 im@4:f4}/8}/20 "
               "next@24:P8}/32");
}

/* --- What the compiler says --- */

struct inner {
    char tag;
    double values[3];
};
struct outer {
    short id;
    struct inner inners[2];
    unsigned char flags;
};

static void test_layout_is_the_compilers(void) {
    devview_format* format = NULL;
    const devview_format_node* node = NULL;
    CHECK(devview_format_parse("T{h:id:(2)T{c:tag:(3)d:values:}:inners:B:flags:}", -1, &format) ==
          DEVVIEW_OK);
    CHECK(devview_format_describe(format, 1, &node) == DEVVIEW_OK);
    if (node == NULL) return;
    CHECK(node->itemsize == (int64_t)sizeof(struct outer));
    CHECK(node->field_count == 3);
    CHECK(node->fields[1].offset == (int64_t)offsetof(struct outer, inners));
    CHECK(node->fields[2].offset == (int64_t)offsetof(struct outer, flags));
    CHECK(node->fields[1].format->element->itemsize == (int64_t)sizeof(struct inner));
    CHECK(node->fields[1].format->element->fields[1].offset ==
          (int64_t)offsetof(struct inner, values));
    CHECK(devview_format_release(format) == DEVVIEW_OK);
}

/* --- Handles --- */

static void test_parts_outlive_the_whole(void) {
    devview_format* whole = NULL;
    devview_format* part = NULL;
    const devview_format_node* node = NULL;
    CHECK(devview_format_parse("T{T{h:x:h:y:}:at:}", -1, &whole) == DEVVIEW_OK);
    CHECK(devview_format_describe(whole, 1, &node) == DEVVIEW_OK);
    if (node == NULL) return;
    CHECK(devview_format_of_node(node->fields[0].format, &part) == DEVVIEW_OK);
    CHECK(devview_format_retain(whole) == DEVVIEW_OK);
    CHECK(devview_format_release(whole) == DEVVIEW_OK);
    CHECK(devview_format_release(whole) == DEVVIEW_OK);
    CHECK(devview_format_describe(part, 1, &node) == DEVVIEW_OK);
    CHECK(strcmp(node->fields[1].name, "y") == 0);
    CHECK(devview_format_release(part) == DEVVIEW_OK);
    CHECK(devview_format_release(NULL) == DEVVIEW_OK);
}

static void test_equality_and_hash(void) {
    devview_format* a = NULL;
    devview_format* b = NULL;
    int32_t equal = -1;
    uint64_t hash_a = 1;
    uint64_t hash_b = 2;
    CHECK(devview_format_from_dlpack(0, 64, 1, &a) == DEVVIEW_OK);
    CHECK(devview_format_scalar('q', &b) == DEVVIEW_OK);
    CHECK(devview_format_equal(a, b, &equal) == DEVVIEW_OK && equal == 1);
    CHECK(devview_format_hash(a, &hash_a) == DEVVIEW_OK);
    CHECK(devview_format_hash(b, &hash_b) == DEVVIEW_OK);
    CHECK(hash_a == hash_b);
    devview_format_release(b);
    CHECK(devview_format_scalar('d', &b) == DEVVIEW_OK);
    CHECK(devview_format_equal(a, b, &equal) == DEVVIEW_OK && equal == 0);
    devview_format_release(a);
    devview_format_release(b);
}

static void test_str_fits_or_tells_its_length(void) {
    devview_format* format = NULL;
    char buffer[16];
    size_t length = 0;
    CHECK(devview_format_parse("T{<i:a:x3x<d:b:}", -1, &format) == DEVVIEW_OK);
    CHECK(devview_format_str(format, NULL, 0, &length) == DEVVIEW_OK && length == 11);
    memset(buffer, '#', sizeof(buffer));
    CHECK(devview_format_str(format, buffer, 11, &length) == DEVVIEW_ERROR_SIZE);
    CHECK(buffer[0] == '#' && length == 11);
    CHECK(strcmp(devview_last_error(), "devview_format_str: buffer: 11 bytes, needed 12") == 0);
    CHECK(devview_format_str(format, buffer, 12, NULL) == DEVVIEW_OK);
    CHECK(strcmp(buffer, "T{i:a:d:b:}") == 0 && buffer[12] == '#');
    devview_format_release(format);
}

/* --- Refusals --- */

static void check_refused(devview_status status, devview_status expected, int64_t position) {
    devview_error error = {sizeof(devview_error), DEVVIEW_OK, NULL, 0, 0};
    CHECK(status == expected);
    CHECK(devview_last_error_details(&error) == DEVVIEW_OK);
    CHECK(error.status == expected);
    CHECK(error.position == position);
    CHECK(error.text == devview_last_error() && error.text[0] != '\0');
}

static void test_bad_formats(void) {
    devview_format* format = NULL;
    check_refused(devview_format_parse("T{iy}", -1, &format), DEVVIEW_ERROR_FORMAT, 3);
    CHECK(strcmp(devview_last_error(), "format: position 3: unknown code 'y'") == 0);
    check_refused(devview_format_parse("ii", 4, &format), DEVVIEW_ERROR_FORMAT, 2);
    check_refused(devview_format_parse("i", -2, &format), DEVVIEW_ERROR_FORMAT, 1);
    check_refused(devview_format_parse("i", INT64_MAX, &format), DEVVIEW_ERROR_FORMAT, 1);
    check_refused(devview_format_scalar('T', &format), DEVVIEW_ERROR_FORMAT, 0);
    check_refused(devview_format_from_dlpack(99, 8, 1, &format), DEVVIEW_ERROR_FORMAT, 0);
    check_refused(devview_format_from_dlpack(0, 8, 4, &format), DEVVIEW_ERROR_FORMAT, 0);
    CHECK(format == NULL);
}

static void test_bad_arguments(void) {
    devview_format* format = NULL;
    const devview_format_node* node = NULL;
    devview_format_node later;
    int32_t equal = 7;
    uint64_t hash = 7;
    char buffer[4];
    size_t length = 7;
    const devview_status bad = DEVVIEW_ERROR_ARGUMENT;
    check_refused(devview_format_parse(NULL, -1, &format), bad, -1);
    check_refused(devview_format_parse("i", -1, NULL), bad, -1);
    check_refused(devview_format_scalar('i', NULL), bad, -1);
    check_refused(devview_format_from_dlpack(0, 8, 1, NULL), bad, -1);
    check_refused(devview_format_of_node(NULL, &format), bad, -1);
    check_refused(devview_format_retain(NULL), bad, -1);
    check_refused(devview_format_describe(NULL, 1, &node), bad, -1);
    check_refused(devview_format_str(NULL, buffer, sizeof(buffer), &length), bad, -1);
    check_refused(devview_format_equal(NULL, NULL, &equal), bad, -1);
    check_refused(devview_format_hash(NULL, &hash), bad, -1);
    CHECK(devview_format_scalar('i', &format) == DEVVIEW_OK);
    check_refused(devview_format_describe(format, 1, NULL), bad, -1);
    check_refused(devview_format_describe(format, 0, &node), DEVVIEW_ERROR_VERSION, -1);
    check_refused(devview_format_describe(format, 3, &node), DEVVIEW_ERROR_VERSION, -1);
    check_refused(devview_format_str(format, NULL, 4, &length), bad, -1);
    check_refused(devview_format_equal(format, NULL, &equal), bad, -1);
    check_refused(devview_format_equal(format, format, NULL), bad, -1);
    check_refused(devview_format_hash(format, NULL), bad, -1);
    CHECK(node == NULL && equal == 7 && hash == 7 && length == 7);
    CHECK(devview_format_describe(format, 1, &node) == DEVVIEW_OK);
    if (node == NULL) return;
    check_refused(devview_format_of_node(node, NULL), bad, -1);
    later = *node;
    later.version = 3;
    devview_format_release(format);
    format = NULL;
    check_refused(devview_format_of_node(&later, &format), DEVVIEW_ERROR_VERSION, -1);
    CHECK(format == NULL);
}

static void test_details_know_their_size(void) {
    devview_error error = {sizeof(devview_error) + 8, 55, NULL, 77, 66};
    CHECK(devview_last_error_details(NULL) == DEVVIEW_ERROR_ARGUMENT);
    CHECK(devview_last_error_details(&error) == DEVVIEW_ERROR_VERSION);
    error.struct_size = 4;
    CHECK(devview_last_error_details(&error) == DEVVIEW_ERROR_VERSION);
    CHECK(error.status == 55 && error.text == NULL && error.position == 77);
    /* Version 1 ended before `code`. */
    error.struct_size = offsetof(devview_error, code);
    CHECK(devview_last_error_details(&error) == DEVVIEW_OK);
    CHECK(error.status != 55 && error.text != NULL && error.code == 66);
    error.struct_size = sizeof(error);
    CHECK(devview_last_error_details(&error) == DEVVIEW_OK && error.code == 0);
}

int main(void) {
    CHECK(devview_c_api_version() == DEVVIEW_C_API_VERSION);
    CHECK(strcmp(devview_last_error(), "") == 0);
    test_walks();
    test_layout_is_the_compilers();
    test_parts_outlive_the_whole();
    test_equality_and_hash();
    test_str_fits_or_tells_its_length();
    test_bad_formats();
    test_bad_arguments();
    test_details_know_their_size();
    return finish();
}
