// What the examples have in place of a test framework.
#pragma once

#include <cstdio>
#include <cstdlib>

// Ends the program with the line that does not hold.
#define REQUIRE(condition)                                                       \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)
