// Threads that large work on host memory is shared with: started on first use, asleep in between;
// private to the core.
#pragma once

#include <cstdint>

namespace devview::workers {

/// One part of the work, 0 <= part < parts; runs on any thread, never twice.
using Part = void (*)(void* context, int part) noexcept;

/// Below these, work does not pay for waking a thread, nor a part for being one [bytes read and
/// written].
constexpr std::int64_t kLargeBytes = std::int64_t{4} << 20;
constexpr std::int64_t kPartBytes = std::int64_t{1} << 20;
/// DEVVIEW_NUM_THREADS goes up to this.
constexpr int kMostThreads = 256;

/// Threads that work may run on, the caller among them: DEVVIEW_NUM_THREADS, else the CPUs that the
/// process may run on, at most 8 - fewer fill the memory's channels already. Read once.
/// @throws LayoutError  DEVVIEW_NUM_THREADS is no number from 1 to kMostThreads.
int thread_limit();

/// The parts that work on `nbytes` is best cut into, at most `most`; 1: not worth a thread.
/// @throws LayoutError  as thread_limit(), where the work is large.
int parts_for(std::int64_t nbytes, std::int64_t most);

/// Calls part(context, k) for every k below `parts` and returns when all are done. The caller takes
/// parts, too; where the threads are busy with another caller's work, or this is part of a work, it
/// takes them all. A forked child starts threads of its own.
void run(int parts, Part part, void* context) noexcept;

/// As above, for a callable that is called with the number of the part; it must not throw.
template <typename Work>
void run(int parts, Work& work) noexcept {
    run(
        parts, [](void* context, int part) noexcept { (*static_cast<Work*>(context))(part); },
        &work);
}

/// The extent that a part has of `extent`, cut as evenly as whole numbers go.
struct Span {
    std::int64_t first;
    std::int64_t count;
};
constexpr Span span_of(std::int64_t extent, int parts, int part) noexcept {
    const std::int64_t each = extent / parts;
    const std::int64_t longer = extent % parts;
    const std::int64_t first = each * part + (part < longer ? part : longer);
    return {first, each + (part < longer ? 1 : 0)};
}

/// What the threads have done, for tests.
struct Counts {
    std::int64_t works;    ///< shared with threads
    std::int64_t parts;    ///< of those works
    std::int64_t inlined;  ///< works of more than one part that their caller did alone
    int threads;           ///< started and not the caller
};
Counts counts() noexcept;

}  // namespace devview::workers
