// Threads for large work: what runs where, how many, and what happens at fork and exit.
#include "src/machine/workers.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "devview/error.hpp"

namespace devview::workers {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool kThreadSanitizer = false;
#endif

using Clock = std::chrono::steady_clock;

/// The limit is read once: each number of threads has a process of its own.
class Workers : public testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

[[noreturn]] void leave(bool passed) { _exit(passed ? 0 : 1); }

void set_threads(const char* number) { setenv("DEVVIEW_NUM_THREADS", number, 1); }

/// Waits until `count` reaches `wanted`; false after 20 s.
bool reaches(const std::atomic<int>& count, int wanted) {
    const auto end = Clock::now() + std::chrono::seconds(20);
    while (count.load() < wanted) {
        if (Clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

bool every_part_runs_once(int parts) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(parts));
    auto work = [&](int part) noexcept { ++runs[static_cast<std::size_t>(part)]; };
    run(parts, work);
    for (const auto& count : runs) {
        if (count != 1) return false;
    }
    return true;
}

/// Two parts that wait for each other end only on two threads.
bool two_meet() {
    std::atomic<int> here{0};
    std::atomic<bool> met{true};
    auto work = [&](int) noexcept {
        ++here;
        if (!reaches(here, 2)) met = false;
    };
    run(2, work);
    return met;
}

TEST_F(Workers, EveryPartRunsOnceWhateverTheThreads) {
    for (const char* threads : {"1", "2", "8"}) {
        EXPECT_EXIT(
            {
                set_threads(threads);
                bool passed = true;
                for (int round = 0; round < 200; ++round)
                    passed = passed && every_part_runs_once(1 + round % 37);
                leave(passed);
            },
            testing::ExitedWithCode(0), "")
            << threads;
    }
}

TEST_F(Workers, PartsRunSideBySide) {
    EXPECT_EXIT((set_threads("2"), leave(two_meet())), testing::ExitedWithCode(0), "");
}

TEST_F(Workers, AsManyThreadsAsAllowed) {
    const auto used = [](const char* threads) {
        set_threads(threads);
        std::mutex mutex;
        std::set<std::thread::id> ids;
        for (int round = 0; round < 50; ++round) {
            auto work = [&](int) noexcept {
                const std::lock_guard<std::mutex> lock(mutex);
                ids.insert(std::this_thread::get_id());
            };
            run(16, work);
        }
        return ids.size();
    };
    EXPECT_EXIT(leave(used("1") == 1 && counts().threads == 0), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(leave(used("3") <= 3 && counts().threads == 2), testing::ExitedWithCode(0), "");
}

TEST_F(Workers, SmallWorkAndOneThreadMakeOnePart) {
    EXPECT_EXIT(
        {
            set_threads("2");
            leave(parts_for(kLargeBytes - 1, 64) == 1 && parts_for(kLargeBytes, 64) == 4 &&
                  parts_for(std::int64_t{1} << 40, 64) == 8 && parts_for(kLargeBytes, 3) == 3);
        },
        testing::ExitedWithCode(0), "");
    EXPECT_EXIT((set_threads("1"), leave(parts_for(std::int64_t{1} << 40, 64) == 1)),
                testing::ExitedWithCode(0), "");
}

TEST_F(Workers, NestedWorkIsDoneByWhoeverCalls) {
    EXPECT_EXIT(
        {
            set_threads("4");
            std::atomic<int> inner{0};
            std::atomic<bool> same{true};
            auto work = [&](int) noexcept {
                const auto here = std::this_thread::get_id();
                auto nested = [&](int) noexcept {
                    ++inner;
                    if (std::this_thread::get_id() != here) same = false;
                };
                run(5, nested);
            };
            run(8, work);
            leave(inner == 40 && same && counts().works == 1 && counts().inlined == 8);
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(Workers, CallersAtOnceAllGetTheirWorkDone) {
    EXPECT_EXIT(
        {
            set_threads("3");
            std::atomic<bool> passed{true};
            std::vector<std::thread> callers;
            for (int k = 0; k < 4; ++k) {
                callers.emplace_back([&] {
                    for (int round = 0; round < 300; ++round) {
                        if (!every_part_runs_once(2 + round % 9)) passed = false;
                    }
                });
            }
            for (auto& caller : callers)
                caller.join();
            leave(passed && counts().works + counts().inlined == 1200);
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(Workers, ForkedChildHasThreadsOfItsOwn) {
    if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer starts no threads after a fork";
    EXPECT_EXIT(
        {
            set_threads("2");
            bool passed = two_meet();
            // Forked while another thread's work keeps the threads busy, too.
            std::atomic<bool> stop{false};
            std::thread busy([&] {
                while (!stop)
                    every_part_runs_once(8);
            });
            for (int k = 0; passed && k < 20; ++k) {
                const pid_t child = fork();
                if (child == 0) leave(counts().threads == 0 && two_meet() && two_meet());
                int status = 1;
                passed = waitpid(child, &status, 0) == child && status == 0;
            }
            stop = true;
            busy.join();
            leave(passed && two_meet());
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(Workers, ExitDoesNotWaitForWork) {
    EXPECT_EXIT(
        {
            set_threads("2");
            std::atomic<int> here{0};
            std::thread([&here] {
                auto work = [&here](int) noexcept {
                    ++here;
                    for (;;)
                        std::this_thread::sleep_for(std::chrono::seconds(1));
                };
                run(2, work);
            }).detach();
            if (!reaches(here, 2)) leave(false);
            std::exit(0);  // destructors and all
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(Workers, BadNumbersAreRefusedByName) {
    for (const char* bad : {"0", "-1", "257", "two", "2 ", "1.5", "99999999999999999999"}) {
        EXPECT_EXIT(
            {
                set_threads(bad);
                bool passed = parts_for(1, 64) == 1;  // small work never asks
                try {
                    parts_for(kLargeBytes, 64);
                    passed = false;
                } catch (const LayoutError& error) {
                    const std::string text =
                        "DEVVIEW_NUM_THREADS: \"" + std::string(bad) + "\", 1 to 256 threads";
                    passed = passed && error.what() == text;
                }
                leave(passed);
            },
            testing::ExitedWithCode(0), "")
            << bad;
    }
}

}  // namespace
}  // namespace devview::workers
