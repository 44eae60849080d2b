// Next-fit over the live ranges, so that a freed address comes back as late as possible.
#include "emulator/arena.hpp"

#include <algorithm>
#include <cstring>

namespace devview::cuda::emulator {
namespace {

// Beyond this, filling would make large allocations slow and dense: only both ends are filled.
constexpr std::size_t kFillLimit = std::size_t{64} << 20;
constexpr std::size_t kNoGap = ~std::size_t{0};

}  // namespace

std::uintptr_t Arena::allocate(std::size_t nbytes) {
    if (!valid() || nbytes > mapping_.nbytes - 3 * kAlignment) return 0;
    const std::size_t extent = round_up(nbytes, kAlignment) + kAlignment;
    std::size_t offset = find_gap(cursor_, extent);
    if (offset == kNoGap) offset = find_gap(kAlignment, extent);
    if (offset == kNoGap) return 0;
    live_.emplace(offset, extent);
    count_chunks(offset, extent, +1);
    cursor_ = offset + extent;
    fill(offset, nbytes, kFresh);
    return mapping_.user + offset;
}

void Arena::release(std::uintptr_t address) {
    const auto range = live_.find(address - mapping_.user);
    const auto [offset, extent] = *range;
    live_.erase(range);
    // Of a large range the whole chunks are punched; its ends may share chunks with living ones.
    fill(offset, std::min(extent, kChunk), kFreed);
    if (extent > kChunk) fill(offset + extent - kChunk, kChunk, kFreed);
    count_chunks(offset, extent, -1);
}

std::uintptr_t Arena::allocate_shared(std::size_t nbytes, int file, std::size_t file_offset,
                                      bool fresh) {
    if (!valid() || nbytes > mapping_.nbytes - 4 * kPage) return 0;
    const std::size_t pages = round_up(nbytes, kPage);
    const std::size_t extent = pages + kPage;
    std::size_t offset = find_gap(cursor_, extent + kPage);
    if (offset == kNoGap) offset = find_gap(kAlignment, extent + kPage);
    if (offset == kNoGap) return 0;
    offset = round_up(offset, kPage);
    if (!overlay(mapping_, offset, pages, file, file_offset)) return 0;
    live_.emplace(offset, extent);
    count_chunks(offset, extent, +1);
    cursor_ = offset + extent;
    if (fresh) fill(offset, nbytes, kFresh);
    return mapping_.user + offset;
}

void Arena::release_shared(std::uintptr_t address, std::size_t nbytes, bool poisoned) {
    const auto range = live_.find(address - mapping_.user);
    const auto [offset, extent] = *range;
    live_.erase(range);
    if (poisoned) fill(offset, nbytes, kFreed);
    overlay(mapping_, offset, round_up(nbytes, kPage), mapping_.file, offset);
    count_chunks(offset, extent, -1);
}

std::size_t Arena::find_gap(std::size_t from, std::size_t extent) const {
    auto next = live_.upper_bound(from);
    if (next != live_.begin()) {
        const auto& [offset, length] = *std::prev(next);
        from = std::max(from, offset + length);
    }
    for (; next != live_.end() && next->first - from < extent; ++next) {
        from = next->first + next->second;
    }
    return from <= mapping_.nbytes && mapping_.nbytes - from >= extent ? from : kNoGap;
}

void Arena::fill(std::size_t offset, std::size_t nbytes, unsigned char value) noexcept {
    auto* at = reinterpret_cast<unsigned char*>(mapping_.alias + offset);
    if (nbytes <= kFillLimit) {
        std::memset(at, value, nbytes);
        return;
    }
    std::memset(at, value, kFillLimit / 2);
    std::memset(at + nbytes - kFillLimit / 2, value, kFillLimit / 2);
}

void Arena::count_chunks(std::size_t offset, std::size_t extent, int change) {
    const std::size_t last = (offset + extent - 1) / kChunk;
    std::size_t empty = 0;
    const auto punch_run = [&](std::size_t end) {
        if (empty) punch(mapping_, (end - empty) * kChunk, empty * kChunk);
        empty = 0;
    };
    for (std::size_t chunk = offset / kChunk; chunk <= last; ++chunk) {
        live_in_chunk_[chunk] += change;
        // The chunk at the cursor is about to be used: punching it each time would be slow.
        if (change < 0 && live_in_chunk_[chunk] == 0 && chunk != cursor_ / kChunk) {
            ++empty;
        } else {
            punch_run(chunk);
        }
    }
    punch_run(last + 1);
}

}  // namespace devview::cuda::emulator
