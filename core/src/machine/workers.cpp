// One work at a time: parts are counted out to whoever comes, the caller among them.
#include "src/machine/workers.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include "devview/error.hpp"

namespace devview::workers {
namespace {

constexpr int kDefaultMost = 8;
// Parts beyond one a thread: a thread that comes late, or is put aside, holds up less.
constexpr int kPartsPerThread = 4;

struct Work {
    Part part = nullptr;
    void* context = nullptr;
    int parts = 0;
};

struct Pool {
    std::mutex mutex;
    std::condition_variable wake;
    std::condition_variable left;
    Work work;                ///< parts 0: none that may be entered
    std::uint64_t round = 0;  ///< of works: nobody enters one twice
    int inside = 0;           ///< threads at work
    int threads = 0;
    bool busy = false;
    std::atomic<int> next{0};
    Counts counts{};
};

// Never destroyed: threads sleep in it until the process is gone.
alignas(Pool) unsigned char pool_place[sizeof(Pool)];

Pool* make_pool() noexcept { return ::new (static_cast<void*>(pool_place)) Pool; }

Pool& pool() noexcept {
    static Pool* const made = [] {
        Pool* const first = make_pool();
        // Of a fork's child only the forking thread is left, and no lock is held by anybody.
        pthread_atfork(nullptr, nullptr, [] { make_pool(); });
        return first;
    }();
    return *std::launder(made);
}

void take_parts(Pool& shared, const Work& work) noexcept {
    for (;;) {
        const int part = shared.next.fetch_add(1, std::memory_order_relaxed);
        if (part >= work.parts) return;
        work.part(work.context, part);
    }
}

void* serve(void*) noexcept {
    Pool& shared = pool();
    std::unique_lock<std::mutex> lock(shared.mutex);
    for (std::uint64_t seen = 0;;) {
        shared.wake.wait(lock, [&] { return shared.work.parts != 0 && shared.round != seen; });
        seen = shared.round;
        const Work work = shared.work;
        ++shared.inside;
        lock.unlock();
        take_parts(shared, work);
        lock.lock();
        if (--shared.inside == 0) shared.left.notify_one();
    }
}

/// Threads run this library's code until the process ends: it must not be unloaded.
void keep_library() noexcept {
    Dl_info here{};
    if (dladdr(reinterpret_cast<void*>(&keep_library), &here) == 0 || here.dli_fname == nullptr) {
        return;
    }
    dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/// Signals are for the threads that the program knows (Python's handlers run in its main thread).
bool start_thread() noexcept {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
    pthread_t thread;
    const bool started = pthread_create(&thread, nullptr, serve, nullptr) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (started) pthread_detach(thread);
    return started;
}

/// Fewer threads than wanted are no error: the work is done by those there are.
void start_threads(Pool& shared, int wanted) noexcept {
    if (shared.threads == 0 && wanted > 0) keep_library();
    while (shared.threads < wanted && start_thread())
        ++shared.threads;
}

int available_cpus() noexcept {
#if defined(__linux__)
    cpu_set_t cpus;
    // Beyond 1024 CPUs this fails, and the cap holds anyway.
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) return CPU_COUNT(&cpus);
#endif
    return static_cast<int>(std::thread::hardware_concurrency());
}

int limit_of_environment() {
    const char* const text = std::getenv("DEVVIEW_NUM_THREADS");
    if (text == nullptr || *text == '\0') return std::clamp(available_cpus(), 1, kDefaultMost);
    int threads = 0;
    const char* const end = text + std::strlen(text);
    const auto [stopped, error] = std::from_chars(text, end, threads);
    if (error != std::errc() || stopped != end || threads < 1 || threads > kMostThreads) {
        throw LayoutError("DEVVIEW_NUM_THREADS: \"" + std::string(text) + "\", 1 to " +
                          std::to_string(kMostThreads) + " threads");
    }
    return threads;
}

/// True if the caller has the threads, and the work is theirs.
bool share(Pool& shared, const Work& work) noexcept {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    if (shared.busy) {
        ++shared.counts.inlined;
        return false;
    }
    // parts_for() has read the limit: it is known to be one.
    start_threads(shared, std::min(thread_limit(), work.parts) - 1);
    shared.busy = true;
    shared.work = work;
    shared.next.store(0, std::memory_order_relaxed);
    ++shared.round;
    ++shared.counts.works;
    shared.counts.parts += work.parts;
    return true;
}

void finish(Pool& shared) noexcept {
    std::unique_lock<std::mutex> lock(shared.mutex);
    shared.work = Work{};
    shared.left.wait(lock, [&] { return shared.inside == 0; });
    shared.busy = false;
}

}  // namespace

int thread_limit() {
    static const int limit = limit_of_environment();
    return limit;
}

int parts_for(std::int64_t nbytes, std::int64_t most) {
    if (nbytes < kLargeBytes || most < 2) return 1;
    const int limit = thread_limit();
    if (limit == 1) return 1;
    return static_cast<int>(
        std::min({nbytes / kPartBytes, most, std::int64_t{kPartsPerThread} * limit}));
}

void run(int parts, Part part, void* context) noexcept {
    const Work work{part, context, parts};
    Pool* const shared = parts > 1 ? &pool() : nullptr;
    if (shared == nullptr || !share(*shared, work)) {
        for (int k = 0; k < parts; ++k)
            part(context, k);
        return;
    }
    shared->wake.notify_all();
    take_parts(*shared, work);
    finish(*shared);
}

Counts counts() noexcept {
    Pool& shared = pool();
    const std::lock_guard<std::mutex> lock(shared.mutex);
    Counts found = shared.counts;
    found.threads = shared.threads;
    return found;
}

}  // namespace devview::workers
