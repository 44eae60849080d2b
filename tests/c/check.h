/* What the C programs share: checks that count, refusals with their texts, the ledger at the end.
 */
#ifndef DEVVIEW_TESTS_C_CHECK_H
#define DEVVIEW_TESTS_C_CHECK_H

#include <stdio.h>
#include <string.h>

#include "devview/c_api.h"

static int failures = 0;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            printf("    last error: %s\n", devview_last_error());  \
            ++failures;                                            \
        }                                                          \
    } while (0)

#define OK(call) CHECK((call) == DEVVIEW_OK)

/* The call fails with this status, and its text holds these words. */
#define REFUSED(call, expected, words)                                                             \
    do {                                                                                           \
        devview_error details = {sizeof(devview_error), DEVVIEW_OK, NULL, 0, 0};                   \
        CHECK((call) == (expected));                                                               \
        CHECK(devview_last_error_details(&details) == DEVVIEW_OK && details.status == (expected)); \
        CHECK(strstr(devview_last_error(), (words)) != NULL);                                      \
    } while (0)

/* The result of a test program; nothing of it lives any more. */
static int finish(void) {
    size_t alive = 77;
    uint64_t errors = 77;
    OK(devview_live_allocations(&alive));
    OK(devview_release_errors(&errors));
    CHECK(alive == 0);
    CHECK(errors == 0);
    printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}

#endif
