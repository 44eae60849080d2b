// The C interface when memory runs out, at every allocation in turn: a status, and nothing leaked.
#include <cstdlib>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "devview/c_api.h"

namespace {

// Of this thread: allocations until one fails (negative: none does), and those that are alive.
thread_local long countdown = -1;
thread_local long alive = 0;

void* allocate(std::size_t size) {
    if (countdown == 0) throw std::bad_alloc();
    if (countdown > 0) --countdown;
    void* block = std::malloc(size == 0 ? 1 : size);
    if (block == nullptr) throw std::bad_alloc();
    ++alive;
    return block;
}

void deallocate(void* block) noexcept {
    if (block == nullptr) return;
    --alive;
    std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void operator delete(void* block) noexcept { deallocate(block); }
void operator delete(void* block, std::size_t) noexcept { deallocate(block); }

namespace devview {
namespace {

template <class Call>
devview_status failing_at(long allocation, Call call) {
    countdown = allocation;
    const devview_status status = call();
    countdown = -1;
    return status;
}

// Fails at the first allocation, at the second, ... until the call gets through. How many failed.
template <class Call>
long sweep(Call call) {
    EXPECT_EQ(call(), DEVVIEW_OK);  // tables that the process keeps are made here
    for (long allocation = 0; allocation < 10000; ++allocation) {
        const long before = alive;
        const devview_status status = failing_at(allocation, call);
        EXPECT_EQ(alive, before) << "allocation " << allocation;
        if (status == DEVVIEW_OK || testing::Test::HasFailure()) return allocation;
        EXPECT_EQ(status, DEVVIEW_ERROR_MEMORY) << "allocation " << allocation;
        EXPECT_STREQ(devview_last_error(), "memory is exhausted");
    }
    return -1;
}

TEST(CApiMemory, ParseFailsWithAStatus) {
    std::string spec = "T{";
    for (int i = 0; i < 100; ++i)
        spec += "(2)<h:memory" + std::to_string(i) + ":";
    spec += "}";
    const long failed = sweep([&] {
        devview_format* format = nullptr;
        const devview_status status = devview_format_parse(spec.c_str(), -1, &format);
        EXPECT_EQ(format == nullptr, status != DEVVIEW_OK);
        devview_format_release(format);
        return status;
    });
    EXPECT_GE(failed, 5);
}

TEST(CApiMemory, ErrorsFailWithAStatusToo) {
    const long failed = sweep([] {
        devview_format* format = nullptr;
        const devview_status status = devview_format_parse("T{i:a:y}", -1, &format);
        return status == DEVVIEW_ERROR_FORMAT ? DEVVIEW_OK : status;
    });
    EXPECT_GE(failed, 3);
}

TEST(CApiMemory, StrFailsWithAStatus) {
    devview_format* format = nullptr;
    ASSERT_EQ(devview_format_parse("T{i:a_name_that_is_no_short_string:d:b:}", -1, &format),
              DEVVIEW_OK);
    const long failed = sweep([&] {
        std::size_t length = 77;
        const devview_status status = devview_format_str(format, nullptr, 0, &length);
        EXPECT_EQ(length == 77, status != DEVVIEW_OK);
        return status;
    });
    EXPECT_GE(failed, 1);
    devview_format_release(format);
}

}  // namespace
}  // namespace devview
