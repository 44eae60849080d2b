// Every block that is alive, on devices and pinned or managed on the host, found by any address in
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>

namespace devview::cuda::emulator {

struct PoolState;

enum class Place { pageable, pinned, device, managed };

struct Block {
    std::uintptr_t begin = 0;
    std::size_t nbytes = 0;
    Place place = Place::device;
    int device = 0;                     ///< where it lives, or the current one when it was made
    std::shared_ptr<PoolState> pool{};  ///< null: plain
    std::size_t file_offset = 0;        ///< in the file of a pool that has one
    std::uintptr_t to_alias = 0;        ///< added to an address gives the touchable one
    bool ready = true;                  ///< its stream-ordered allocation has run
    bool free_queued = false;
    std::uint64_t capture = 0;  ///< owned by the graph of this capture; `ready` while it is in use
    int users = 0;  ///< operations that touch its pages at this moment (host pages only)

    std::uintptr_t end() const noexcept { return begin + nbytes; }
};

/// Guarded by the machine's mutex.
class Blocks {
public:
    /// The block that `address` lies in; null if none.
    Block* find(std::uintptr_t address) noexcept;
    /// The block that begins at `address`.
    Block* find_begin(std::uintptr_t address) noexcept;
    Block& add(Block block);
    void remove(std::uintptr_t begin);
    /// Freed blocks are no longer known, since their addresses may be anything now.
    void forget_freed();

    /// A freed block that `address` lay in, of the latest 65536, for messages.
    std::optional<Block> find_freed(std::uintptr_t address) const;
    const std::map<std::uintptr_t, Block>& live() const noexcept { return live_; }

private:
    static constexpr std::size_t kRemembered = 65536;

    std::map<std::uintptr_t, Block> live_{};
    std::map<std::uintptr_t, Block> freed_{};  ///< none overlaps a living one
    std::deque<std::uintptr_t> freed_order_{};
};

/// Pages of pinned and managed blocks; freed ones stay unreadable for a while.
class HostPages {
public:
    /// Null if the system refuses.
    void* allocate(std::size_t nbytes, bool accessible) noexcept;
    static void open(void* pages, std::size_t nbytes) noexcept;
    void release(void* pages, std::size_t nbytes);
    bool quarantined(std::uintptr_t address) const noexcept;

private:
    static constexpr std::size_t kRanges = 4096;
    static constexpr std::size_t kBytes = std::size_t{16} << 30;

    std::map<std::uintptr_t, std::size_t> quarantine_{};
    std::deque<std::uintptr_t> order_{};
    std::size_t nbytes_ = 0;
};

}  // namespace devview::cuda::emulator
