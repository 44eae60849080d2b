// The list behind the ledger's figures; Allocation enters and leaves it.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "devview/ledger.hpp"

namespace devview {

/// Held for a few instructions on the path of every import; a mutex costs twice as much there.
class SpinLock {
public:
    void lock() noexcept;
    void unlock() noexcept { flag_.clear(std::memory_order_release); }

private:
    std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

/// One per process, never destroyed (blocks may be given back after main).
class Ledger {
public:
    static Ledger& get() noexcept;

    void enter(Allocation& allocation);
    void leave(Allocation& allocation) noexcept;
    /// Exchanges the blocks of two entered allocations and their figures with them.
    void exchange(Allocation& a, Allocation& b) noexcept;

    std::string made_at(const Allocation& allocation) const;
    void set_made_at(Allocation& allocation, std::string where);

    MemoryGauge gauge(Device device) const;
    std::vector<LiveAllocation> live() const;
    std::size_t count() const noexcept;

private:
    struct Row {
        Device device;
        MemoryGauge gauge;
    };
    /// Of host memory without a search: it is what every import asks for.
    MemoryGauge& row(Device device) { return device == Device{} ? host_ : other_row(device); }
    MemoryGauge& other_row(Device device);

    mutable SpinLock mutex_;
    Allocation* first_ = nullptr;
    std::size_t count_ = 0;
    MemoryGauge host_;  // of Device{}
    std::vector<Row> rows_;
};

}  // namespace devview
