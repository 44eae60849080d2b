// The set of claimed ranges of this process: disjoint, so that a map by address finds every
// overlap.
#include "src/stream/write_claims.hpp"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "devview/error.hpp"

namespace devview::cuda {

namespace {

struct Claims {
    std::mutex mutex{};
    std::map<std::uintptr_t, std::uintptr_t> high_of{};  ///< by low
};

/// Leaked on purpose: stagings may end after static destructors.
Claims& claims() {
    static Claims* const all = new Claims;
    return *all;
}

[[noreturn]] void refuse(std::uintptr_t low, std::uintptr_t high) {
    throw BufferError("stage: writable staging of bytes [" + std::to_string(low) + ", " +
                      std::to_string(high) + ") overlaps one that lives");
}

}  // namespace

WriteClaim::WriteClaim(const View& view) {
    const ByteBounds bounds = view.layout().bounds(view.itemsize());
    if (bounds.low == bounds.high) return;
    const auto base = reinterpret_cast<std::uintptr_t>(view.data());
    const std::uintptr_t low = base + static_cast<std::uintptr_t>(bounds.low);
    const std::uintptr_t high = base + static_cast<std::uintptr_t>(bounds.high);
    Claims& all = claims();
    const std::lock_guard lock(all.mutex);
    const auto above = all.high_of.lower_bound(low);
    if (above != all.high_of.end() && above->first < high) refuse(low, high);
    if (above != all.high_of.begin() && std::prev(above)->second > low) refuse(low, high);
    all.high_of.emplace_hint(above, low, high);
    low_ = low;
    high_ = high;
}

WriteClaim& WriteClaim::operator=(WriteClaim&& other) noexcept {
    std::swap(low_, other.low_);
    std::swap(high_, other.high_);
    return *this;
}

WriteClaim::~WriteClaim() {
    if (low_ == high_) return;
    Claims& all = claims();
    const std::lock_guard lock(all.mutex);
    all.high_of.erase(low_);
}

}  // namespace devview::cuda
