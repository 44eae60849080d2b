// Lookup by interval, and the memory of what was freed.
#include "emulator/blocks.hpp"

#include "emulator/mapping.hpp"

namespace devview::cuda::emulator {

Block* Blocks::find(std::uintptr_t address) noexcept {
    auto next = live_.upper_bound(address);
    if (next == live_.begin()) return nullptr;
    Block& block = std::prev(next)->second;
    return address < block.end() ? &block : nullptr;
}

Block* Blocks::find_begin(std::uintptr_t address) noexcept {
    const auto found = live_.find(address);
    return found == live_.end() ? nullptr : &found->second;
}

Block& Blocks::add(Block block) {
    auto stale = freed_.lower_bound(block.begin);
    if (stale != freed_.begin() && std::prev(stale)->second.end() > block.begin) --stale;
    while (stale != freed_.end() && stale->first < block.end())
        stale = freed_.erase(stale);
    return live_[block.begin] = std::move(block);
}

void Blocks::remove(std::uintptr_t begin) {
    const auto found = live_.find(begin);
    Block& block = freed_[begin] = std::move(found->second);
    block.pool.reset();
    live_.erase(found);
    freed_order_.push_back(begin);
    if (freed_order_.size() <= kRemembered) return;
    freed_.erase(freed_order_.front());
    freed_order_.pop_front();
}

void Blocks::forget_freed() {
    freed_.clear();
    freed_order_.clear();
}

std::optional<Block> Blocks::find_freed(std::uintptr_t address) const {
    const auto next = freed_.upper_bound(address);
    if (next == freed_.begin()) return std::nullopt;
    const Block& block = std::prev(next)->second;
    return address < block.end() ? std::optional<Block>(block) : std::nullopt;
}

void* HostPages::allocate(std::size_t nbytes, bool accessible) noexcept {
    return map_host(nbytes, accessible);
}

void HostPages::open(void* pages, std::size_t nbytes) noexcept {
    protect_host(pages, nbytes, true);
}

void HostPages::release(void* pages, std::size_t nbytes) {
    protect_host(pages, nbytes, false);
    const auto begin = reinterpret_cast<std::uintptr_t>(pages);
    quarantine_.emplace(begin, nbytes);
    order_.push_back(begin);
    nbytes_ += nbytes;
    while (order_.size() > kRanges || nbytes_ > kBytes) {
        const auto oldest = quarantine_.find(order_.front());
        unmap_host(reinterpret_cast<void*>(oldest->first), oldest->second);
        nbytes_ -= oldest->second;
        quarantine_.erase(oldest);
        order_.pop_front();
    }
}

bool HostPages::quarantined(std::uintptr_t address) const noexcept {
    auto next = quarantine_.upper_bound(address);
    if (next == quarantine_.begin()) return false;
    const auto& [begin, nbytes] = *std::prev(next);
    return address - begin < nbytes;
}

}  // namespace devview::cuda::emulator
