// Devices, allocations and the ledger through the C interface.
#include "devview/c_api/memory.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "devview/c_api/errors.hpp"
#include "devview/c_api/handles.hpp"
#include "devview/device.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "devview/ledger.hpp"

using namespace devview;
using namespace devview::c_api;

namespace {

void require_flags(std::uint32_t flags, const char* function) {
    if ((flags & ~std::uint32_t{DEVVIEW_ZEROED}) == 0) return;
    throw Refusal(DEVVIEW_ERROR_ARGUMENT,
                  std::string(function) + ": flags: " + std::to_string(flags) + ", limit 1");
}

/// What Resize of cuda/ does, for memory of allocate_host().
void resize_host(Allocation& allocation, std::size_t nbytes) {
    Allocation::Exclusive exclusive(allocation, "resize");
    const Device device = allocation.device();
    if (allocation.origin() != Origin::devview || device != Device{}) {
        throw BufferError("resize: memory of " + to_string(device) +
                          (device == Device{} ? " that devview has not allocated"
                                              : ", is resized by devview_cuda_allocation_resize"));
    }
    if (nbytes == allocation.nbytes()) return;
    const Owner other = allocate_host(nbytes);
    std::memcpy(other->data(), allocation.data(), std::min(nbytes, allocation.nbytes()));
    exclusive.exchange(*other);
}

}  // namespace

devview_status devview_device_parse(const char* name, devview_device* device) {
    return guarded([&] {
        require(name, "devview_device_parse", "name");
        require(device, "devview_device_parse", "device");
        *device = device_of(parse_device(name));
    });
}

devview_status devview_device_str(devview_device device, char* buffer, size_t capacity,
                                  size_t* length) {
    return guarded([&] {
        write_text("devview_device_str", to_string(device_of(device)), buffer, capacity, length);
    });
}

devview_status devview_allocation_new(size_t nbytes, uint32_t flags,
                                      devview_allocation** allocation) {
    constexpr const char* kName = "devview_allocation_new";
    return guarded([&] {
        require_flags(flags, kName);
        give_allocation(kName, allocation, [&] {
            return (flags & DEVVIEW_ZEROED) != 0 ? allocate_host_zeroed(nbytes)
                                                 : allocate_host(nbytes);
        });
    });
}

devview_status devview_allocation_adopt(const devview_block* block,
                                        devview_allocation** allocation) {
    constexpr const char* kName = "devview_allocation_adopt";
    return guarded([&] {
        give_allocation(kName, allocation, [&] {
            return adopt_block(block, kName, [&](Allocation::Block&& read) {
                if (is_cuda(read.device)) {
                    throw BufferError(std::string(kName) + ": device: " + to_string(read.device) +
                                      ", is adopted by devview_cuda_allocation_adopt");
                }
                return Allocation::adopt(std::move(read));
            });
        });
    });
}

devview_status devview_allocation_describe(const devview_allocation* allocation,
                                           devview_allocation_info* info) {
    constexpr const char* kName = "devview_allocation_describe";
    return guarded([&] {
        const Allocation& block = *owner_in(allocation, kName);
        require_struct(info, kName, "info");
        info->device = device_of(block.device());
        info->data = block.data();
        info->nbytes = block.nbytes();
        info->stream = number_of(block.stream());
        info->views = block.views();
        info->exports = block.exports();
        info->foreign = block.origin() == Origin::foreign ? 1 : 0;
        info->freed = block.freed() ? 1 : 0;
    });
}

devview_status devview_allocation_resize(devview_allocation* allocation, size_t nbytes) {
    return guarded(
        [&] { resize_host(*owner_in(allocation, "devview_allocation_resize"), nbytes); });
}

devview_status devview_allocation_free(devview_allocation* allocation) {
    return guarded([&] {
        // Held: the callback may release the handle.
        const Owner owner = owner_in(allocation, "devview_allocation_free");
        owner->free();
    });
}

devview_status devview_memory_describe(devview_device device, devview_memory_info* info) {
    return guarded([&] {
        require_struct(info, "devview_memory_describe", "info");
        const MemoryGauge gauge = memory_gauge(device_of(device));
        info->live_bytes = gauge.live_bytes;
        info->peak_bytes = gauge.peak_bytes;
        info->blocks = gauge.blocks;
        info->foreign_bytes = gauge.foreign_bytes;
        info->foreign_blocks = gauge.foreign_blocks;
        info->exports = gauge.exports;
    });
}

devview_status devview_live_allocations(size_t* count) {
    return guarded([&] {
        require(count, "devview_live_allocations", "count");
        *count = live_allocation_count();
    });
}

devview_status devview_release_errors(uint64_t* count) {
    return guarded([&] {
        require(count, "devview_release_errors", "count");
        *count = release_errors();
    });
}
