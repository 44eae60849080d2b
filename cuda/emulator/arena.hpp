// The addresses and bytes of one emulated device; who owns a block and when is not known here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "emulator/mapping.hpp"

namespace devview::cuda::emulator {

/// Hands out ranges aligned to 512 bytes, with a gap behind each. A freed range is poisoned and not
/// handed out again before the addresses behind the last one are used up.
class Arena {
public:
    static constexpr std::size_t kAlignment = 512;  // cudaMalloc gives at least 256.
    static constexpr unsigned char kFresh = 0xCB;
    static constexpr unsigned char kFreed = 0xDD;

    explicit Arena(std::size_t nbytes)
        : mapping_(map_twice(nbytes)), live_in_chunk_(nbytes / kChunk + 1) {}
    ~Arena() { unmap_twice(mapping_); }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    bool valid() const noexcept { return mapping_.nbytes != 0; }
    std::size_t nbytes() const noexcept { return mapping_.nbytes; }
    bool contains(std::uintptr_t address) const noexcept {
        return address - mapping_.user < mapping_.nbytes;
    }
    /// What to add to a user address for the one that may be touched (modulo 2^64).
    std::uintptr_t to_alias() const noexcept { return mapping_.alias - mapping_.user; }

    /// A user address, the bytes filled with kFresh; 0 if no gap is wide enough.
    std::uintptr_t allocate(std::size_t nbytes);
    /// Takes back what allocate gave.
    void release(std::uintptr_t address);

    /// The same with pages of a shared file, from `file_offset` on, in the place of the arena's.
    std::uintptr_t allocate_shared(std::size_t nbytes, int file, std::size_t file_offset,
                                   bool fresh);
    /// `poisoned`: the block itself is freed, not an import of it.
    void release_shared(std::uintptr_t address, std::size_t nbytes, bool poisoned);

private:
    static constexpr std::size_t kChunk = std::size_t{1} << 20;

    std::size_t find_gap(std::size_t from, std::size_t extent) const;
    void fill(std::size_t offset, std::size_t nbytes, unsigned char value) noexcept;
    void count_chunks(std::size_t offset, std::size_t extent, int change);

    DoubleMapping mapping_;
    std::map<std::size_t, std::size_t> live_{};  ///< offset to extent, gap included
    std::vector<int> live_in_chunk_;
    std::size_t cursor_ = kAlignment;  ///< a gap before the first block, too
};

}  // namespace devview::cuda::emulator
