// Counts every allocation of the process: what is alive, where, and how much it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "devview/allocation.hpp"
#include "devview/device.hpp"
#include "devview/export.hpp"

namespace devview {

/// The gauges of one device [bytes]. Foreign memory is kept alive by views, but is not ours.
struct MemoryGauge {
    std::size_t live_bytes = 0;
    std::size_t peak_bytes = 0;
    std::size_t blocks = 0;
    std::size_t foreign_bytes = 0;
    std::size_t foreign_blocks = 0;
    std::int64_t exports = 0;  ///< of all allocations of this device that live now
};

/// A living allocation, as it was when live() was called.
struct LiveAllocation {
    const void* data;
    std::size_t nbytes;
    Device device;
    std::int64_t views;
    std::int64_t exports;
    Origin origin;
    std::string made_at;
};

/// Consistent at any moment; costs a lock of a few nanoseconds for each allocation made or freed.
DEVVIEW_CORE_API MemoryGauge memory_gauge(Device device);
DEVVIEW_CORE_API std::vector<LiveAllocation> live_allocations();
DEVVIEW_CORE_API std::size_t live_allocation_count() noexcept;

}  // namespace devview
