// The ledger: an intrusive list of living allocations and the gauges of each device.
#include <pthread.h>

#include <algorithm>
#include <thread>

#include "src/memory/ledger_list.hpp"

namespace devview {

namespace {

/// Neighbours are stored one by one here, and so read: a load of both would wait for the stores.
void apart() noexcept { std::atomic_signal_fence(std::memory_order_acq_rel); }

}  // namespace

void SpinLock::lock() noexcept {
    while (flag_.test_and_set(std::memory_order_acquire))
        std::this_thread::yield();
}

Ledger& Ledger::get() noexcept {
    // Leaked: it must outlive every static view. The child of a fork gets the lock free.
    static Ledger* const ledger = [] {
        auto* const made = new Ledger;
        pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); },
                       [] { get().mutex_.unlock(); });
        return made;
    }();
    return *ledger;
}

MemoryGauge& Ledger::other_row(Device device) {
    for (Row& row : rows_) {
        if (row.device == device) return row.gauge;
    }
    rows_.push_back(Row{device, MemoryGauge{}});
    return rows_.back().gauge;
}

void Ledger::enter(Allocation& allocation) {
    const std::lock_guard<SpinLock> lock(mutex_);
    MemoryGauge& gauge = row(allocation.device());
    if (allocation.origin() == Origin::devview) {
        gauge.live_bytes += allocation.nbytes();
        gauge.peak_bytes = std::max(gauge.peak_bytes, gauge.live_bytes);
        ++gauge.blocks;
    } else {
        gauge.foreign_bytes += allocation.nbytes();
        apart();
        ++gauge.foreign_blocks;
    }
    allocation.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &allocation;
    first_ = &allocation;
    ++count_;
}

void Ledger::leave(Allocation& allocation) noexcept {
    const std::lock_guard<SpinLock> lock(mutex_);
    MemoryGauge& gauge = row(allocation.device());  // exists since enter()
    if (allocation.origin() == Origin::devview) {
        gauge.live_bytes -= allocation.nbytes();
        --gauge.blocks;
    } else {
        gauge.foreign_bytes -= allocation.nbytes();
        apart();
        --gauge.foreign_blocks;
    }
    (allocation.previous_ ? allocation.previous_->next_ : first_) = allocation.next_;
    if (allocation.next_ != nullptr) allocation.next_->previous_ = allocation.previous_;
    --count_;
}

void Ledger::exchange(Allocation& a, Allocation& b) noexcept {
    // Both are entered, on the same device: the sums stay, only the rows' owners change.
    const std::lock_guard<SpinLock> lock(mutex_);
    std::swap(a.block_, b.block_);
}

std::string Ledger::made_at(const Allocation& allocation) const {
    const std::lock_guard<SpinLock> lock(mutex_);
    return allocation.made_at_ ? *allocation.made_at_ : std::string();
}

void Ledger::set_made_at(Allocation& allocation, std::string where) {
    auto kept = std::make_unique<std::string>(std::move(where));
    const std::lock_guard<SpinLock> lock(mutex_);
    allocation.made_at_.swap(kept);
}

MemoryGauge Ledger::gauge(Device device) const {
    const std::lock_guard<SpinLock> lock(mutex_);
    MemoryGauge result = host_;
    if (device != Device{}) result = MemoryGauge{};
    for (const Row& row : rows_) {
        if (row.device == device) result = row.gauge;
    }
    for (const Allocation* a = first_; a != nullptr; a = a->next_) {
        if (a->device() == device) result.exports += a->exports();
    }
    return result;
}

std::vector<LiveAllocation> Ledger::live() const {
    std::vector<LiveAllocation> result;
    result.reserve(count() + 16);  // mostly enough: little is allocated under the lock
    const std::lock_guard<SpinLock> lock(mutex_);
    for (const Allocation* a = first_; a != nullptr; a = a->next_) {
        result.push_back({a->data(), a->nbytes(), a->device(), a->views(), a->exports(),
                          a->origin(), a->made_at_ ? *a->made_at_ : std::string()});
    }
    std::reverse(result.begin(), result.end());  // oldest first
    return result;
}

std::size_t Ledger::count() const noexcept {
    const std::lock_guard<SpinLock> lock(mutex_);
    return count_;
}

MemoryGauge memory_gauge(Device device) { return Ledger::get().gauge(device); }
std::vector<LiveAllocation> live_allocations() { return Ledger::get().live(); }
std::size_t live_allocation_count() noexcept { return Ledger::get().count(); }

}  // namespace devview
