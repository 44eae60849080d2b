// The C interface when memory runs out, at every allocation in turn: a status, and nothing leaked.
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "devview/c_api.h"
#include "devview/dlpack_abi.hpp"

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

// As sweep(), in a new thread each: one that has freed blocks of these sizes would use them again.
template <class Call>
long sweep_in_threads(Call call) {
    EXPECT_EQ(call(), DEVVIEW_OK);
    for (long allocation = 0; allocation < 10000; ++allocation) {
        devview_status status = DEVVIEW_OK;
        std::string text;
        std::thread([&] {
            status = failing_at(allocation, call);
            text = devview_last_error();
        }).join();
        if (status == DEVVIEW_OK || testing::Test::HasFailure()) return allocation;
        EXPECT_EQ(status, DEVVIEW_ERROR_MEMORY) << "allocation " << allocation;
        EXPECT_EQ(text, "memory is exhausted");
    }
    return -1;
}

/// Every step from nothing to a sub-view, undone again.
devview_status make_and_undo() {
    devview_allocation* allocation = nullptr;
    devview_view* view = nullptr;
    devview_view* part = nullptr;
    const std::int64_t shape[] = {1, 1, 1, 1, 2};  // beyond what a layout holds without a block
    devview_view_spec spec{sizeof(spec), 5, nullptr, nullptr, shape, nullptr, nullptr, 0};
    devview_status status = devview_allocation_new(2, 0, &allocation);
    if (status == DEVVIEW_OK) status = devview_view_of(&spec, allocation, &view);
    if (status == DEVVIEW_OK) status = devview_view_slice(view, 4, 0, 1, 1, &part);
    EXPECT_EQ(part == nullptr, status != DEVVIEW_OK);
    devview_view_release(part);
    devview_view_release(view);
    devview_allocation_release(allocation);
    std::size_t live = 77;
    EXPECT_EQ(devview_live_allocations(&live), DEVVIEW_OK);
    EXPECT_EQ(live, 0u);
    return status;
}

TEST(CApiMemory, ViewsFailWithAStatus) { EXPECT_GE(sweep_in_threads(make_and_undo), 2); }

int releases = 0;
int expected_releases = 0;

// Nothing was taken if the status says so: the release is never called then.
TEST(CApiMemory, AdoptionTakesAllOrNothing) {
    char memory[8];
    devview_block block{sizeof(block), {DEVVIEW_CPU, 0}, memory, 8, DEVVIEW_NO_STREAM, {}, {}};
    block.release = [](void*, devview_stream) { ++releases; };
    releases = expected_releases = 0;
    const long failed = sweep_in_threads([&] {
        devview_allocation* allocation = nullptr;
        const devview_status status = devview_allocation_adopt(&block, &allocation);
        EXPECT_EQ(releases, expected_releases);
        if (status == DEVVIEW_OK) ++expected_releases;
        devview_allocation_release(allocation);
        EXPECT_EQ(releases, expected_releases);
        return status;
    });
    EXPECT_GE(failed, 2);
}

void count_deletion(dlpack::ManagedTensorVersioned*) { ++releases; }

TEST(CApiMemory, TensorsAreTakenOrNot) {
    float data[2] = {};
    std::int64_t shape[] = {2};
    dlpack::ManagedTensorVersioned tensor{};
    tensor.version = {dlpack::kMajor, dlpack::kMinor};
    tensor.deleter = &count_deletion;
    tensor.dl_tensor.data = data;
    tensor.dl_tensor.device = {DEVVIEW_CPU, 0};
    tensor.dl_tensor.ndim = 1;
    tensor.dl_tensor.dtype = {dlpack::kFloat, 32, 1};
    tensor.dl_tensor.shape = shape;
    releases = expected_releases = 0;
    const long failed = sweep_in_threads([&] {
        devview_view* view = nullptr;
        const devview_status status =
            devview_view_from_dlpack(reinterpret_cast<DLManagedTensorVersioned*>(&tensor), &view);
        EXPECT_EQ(releases, expected_releases);
        if (status == DEVVIEW_OK) ++expected_releases;
        devview_view_release(view);
        EXPECT_EQ(releases, expected_releases);
        return status;
    });
    EXPECT_GE(failed, 1);
}

}  // namespace
}  // namespace devview
