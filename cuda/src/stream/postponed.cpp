// The list of releases that wait for a capture to end.
#include "src/stream/postponed.hpp"

#include <atomic>
#include <list>
#include <mutex>
#include <utility>

#include "devview/cuda/runtime.hpp"
#include "src/runtime/check.hpp"

namespace devview::cuda {

namespace {

struct Postponed {
    std::unique_ptr<StreamUses> uses{};
    Release release = nullptr;
    void* context = nullptr;
};

struct Waiting {
    std::mutex mutex{};
    std::list<Postponed> releases{};
    std::atomic<std::size_t> count{0};
};

/// Leaked on purpose: releases may come after static destructors.
Waiting& waiting() {
    static Waiting* const all = [] {
        auto* made = new Waiting;
        at_restart([] { run_postponed(); });
        return made;
    }();
    return *all;
}

/// Of many releases that wait for one capture, these are looked at in one call.
constexpr std::size_t kMostRefused = 8;

/// The oldest one, in a list of its own, or none.
std::list<Postponed> take_oldest(Waiting& all) {
    std::list<Postponed> taken;
    const std::lock_guard lock(all.mutex);
    if (all.releases.empty()) return taken;
    taken.splice(taken.end(), all.releases, all.releases.begin());
    all.count.fetch_sub(1);
    return taken;
}

}  // namespace

bool postpone(std::unique_ptr<StreamUses>& uses, Release release, void* context) noexcept {
    std::list<Postponed> kept;
    try {
        kept.emplace_back();
        Waiting& all = waiting();
        kept.back() = {std::move(uses), release, context};
        const std::lock_guard lock(all.mutex);
        all.releases.splice(all.releases.end(), kept);
        all.count.fetch_add(1);
        return true;
    } catch (const std::exception& error) {
        report_release_error(error.what());
        if (!kept.empty() && kept.back().uses) uses = std::move(kept.back().uses);
        return false;
    }
}

void run_postponed() noexcept {
    thread_local bool running = false;  // a release may free or move other memory
    if (running || !runtime_chosen() || driver_gone()) return;  // in a fork they are the parent's
    Waiting& all = waiting();
    const std::size_t waiting_now = all.count.load();
    if (waiting_now == 0) return;
    running = true;
    std::size_t refused = 0;
    for (std::size_t k = 0; k < waiting_now && refused < kMostRefused; ++k) {
        std::list<Postponed> taken = take_oldest(all);
        if (taken.empty()) break;
        Postponed& oldest = taken.front();
        if (oldest.uses->postpone(oldest.uses, oldest.release, oldest.context)) {
            ++refused;  // it went to the end of the list
            continue;
        }
        Stream at = oldest.uses->join();
        oldest.uses.reset();
        oldest.release(oldest.context, std::move(at));
    }
    running = false;
}

}  // namespace devview::cuda
