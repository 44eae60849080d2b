// What the emulator asks of the operating system: mappings, protection and forks. No policy here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace devview::cuda::emulator {

constexpr std::size_t kPage = 4096;

/// Sparse memory at two addresses: `user` may not be touched by the host, `alias` may.
struct DoubleMapping {
    std::uintptr_t user = 0;
    std::uintptr_t alias = 0;
    std::size_t nbytes = 0;  ///< 0: failed
    int file = -1;
};

/// @return nbytes 0 where the system refuses.
DoubleMapping map_twice(std::size_t nbytes) noexcept;
void unmap_twice(const DoubleMapping& mapping) noexcept;
/// Gives the pages of [offset, offset + nbytes) back; they read as zeros afterwards.
void punch(const DoubleMapping& mapping, std::size_t offset, std::size_t nbytes) noexcept;

/// Puts pages of `file` (multiples of kPage) in the place of the mapping's own. False if refused.
bool overlay(const DoubleMapping& mapping, std::size_t offset, std::size_t nbytes, int file,
             std::size_t file_offset) noexcept;

/// Fresh pages of host memory, `accessible` or not, and one more that never is. Null if refused.
void* map_host(std::size_t nbytes, bool accessible) noexcept;
/// Allows or forbids the host to touch pages of map_host; forbidding drops their content.
void protect_host(void* pages, std::size_t nbytes, bool accessible) noexcept;
void unmap_host(void* pages, std::size_t nbytes) noexcept;

/// `child` runs in every child of a fork.
void at_fork_in_child(void (*child)()) noexcept;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

}  // namespace devview::cuda::emulator
