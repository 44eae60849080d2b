// Exactly-once release of a block, the counts that guard it, and the report of failed releases.
#include "devview/allocation.hpp"

#include <cstdio>

#include "devview/error.hpp"
#include "src/memory/ledger_list.hpp"
#include "src/memory/recycled.hpp"

namespace devview {

namespace {

std::atomic<std::uint64_t> failed_releases{0};
std::atomic<void (*)(const char*)> failure_handler{nullptr};

std::string counted(std::int64_t n, const char* noun) {
    return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

}  // namespace

StreamUses::~StreamUses() = default;

bool StreamUses::postpone(std::unique_ptr<StreamUses>&, Release, void*) noexcept { return false; }

std::shared_ptr<Allocation> Allocation::adopt(Block&& block) {
    // allocate_shared is the only step that can fail before the block is ours; if the ledger's row
    // cannot be made afterwards, the block goes back to the caller untouched.
    auto allocation =
        std::allocate_shared<Allocation>(Recycled<Allocation>{}, Key{}, std::move(block));
    try {
        Ledger::get().enter(*allocation);
    } catch (...) {
        block = std::move(allocation->block_);
        allocation->state_.store(kFreed);
        throw;
    }
    return allocation;
}

std::shared_ptr<Allocation> Allocation::adopt_viewed(void* data, std::size_t nbytes, Device device,
                                                     Release release, void* context) {
    auto allocation = std::allocate_shared<Allocation>(Recycled<Allocation>{}, Key{}, data, nbytes,
                                                       device, release, context);
    try {
        Ledger::get().enter(*allocation);
    } catch (...) {
        allocation->state_.store(kFreed);
        throw;
    }
    return allocation;
}

Allocation::~Allocation() {
    if (!freed()) give_back();  // nobody else can claim it any more
}

void Allocation::require_unused(std::uint64_t state, const char* function) const {
    const std::string where(function);
    if (state & kFreed) throw ReleasedError(where + ": the allocation was freed");
    if (state & kBusy) throw BufferError(where + ": the allocation is being resized");
    if (state == 0) return;
    throw BufferError(where + ": " + counted(views_in(state), "view") + " and " +
                      counted(exports_in(state), "export") + " of this allocation live, limit 0");
}

/// Sets `bit` at a moment when nothing uses the block.
void Allocation::claim(std::uint64_t bit, const char* function) {
    std::uint64_t state = 0;
    while (!state_.compare_exchange_weak(state, bit, std::memory_order_acq_rel)) {
        require_unused(state, function);
        state = 0;
    }
}

void Allocation::give_back() noexcept {
    Ledger::get().leave(*this);
    if (block_.release == nullptr) return;
    if (block_.uses == nullptr) return block_.release(block_.context, block_.stream);
    if (block_.uses->postpone(block_.uses, block_.release, block_.context)) return;
    Stream at = block_.uses->join();
    block_.uses.reset();
    block_.release(block_.context, std::move(at));
}

void Allocation::refuse_view() {
    const std::uint64_t state = state_.fetch_sub(1, std::memory_order_acq_rel);
    throw ReleasedError((state & kFreed) ? "view: the allocation was freed"
                                         : "view: the allocation is being resized");
}

void Allocation::refuse_export() {
    state_.fetch_sub(kExport, std::memory_order_acq_rel);
    throw ReleasedError("export: the allocation was freed or is being resized");
}

void Allocation::free() {
    if (freed()) return;
    try {
        claim(kFreed, "free");
    } catch (const ReleasedError&) {
        return;  // another thread was first
    }
    give_back();
}

Allocation::Exclusive::Exclusive(Allocation& allocation, const char* function)
    : allocation_(allocation) {
    allocation.claim(kBusy, function);
}

Allocation::Exclusive::~Exclusive() {
    allocation_.state_.fetch_and(~kBusy, std::memory_order_acq_rel);
}

void Allocation::Exclusive::exchange(Allocation& other) noexcept {
    Ledger::get().exchange(allocation_, other);
}

std::string Allocation::made_at() const { return Ledger::get().made_at(*this); }

void Allocation::set_made_at(std::string where) {
    Ledger::get().set_made_at(*this, std::move(where));
}

std::uint64_t release_errors() noexcept { return failed_releases.load(); }

void count_release_error() noexcept { failed_releases.fetch_add(1); }

void report_release_error(const char* what) noexcept {
    count_release_error();
    if (auto* const handler = failure_handler.load()) {
        handler(what);
    } else {
        std::fprintf(stderr, "devview: a release failed: %s\n", what);
    }
}

void call_release(void (*release)(void* context, Stream stream), void* context,
                  Stream stream) noexcept {
    try {
        release(context, std::move(stream));
    } catch (const std::exception& error) {
        report_release_error(error.what());
    } catch (...) {
        report_release_error("release: unknown exception");
    }
}

void set_release_error_handler(void (*handler)(const char* what)) noexcept {
    failure_handler.store(handler);
}

}  // namespace devview
