// One block of memory and the one call that gives it back.
//
// Ownership rules, once for the whole library:
//  1. Ownership is flat: every View of a block, sub-views included, shares one Allocation.
//  2. The block is given back when the last holder (view, export or handle) goes, in the dropping
//     thread, in that statement; or earlier by free(), which refuses while a view or export lives.
//  3. The release callback runs exactly once, with a stream that already waits for every other
//     stream the block was used on. No lock is held while it runs.
//     A stream that is capturing a graph can neither be waited for nor freed on: the release is
//     then made once its capture has ended, by whoever makes, frees or moves memory next.
//  4. Streams: an event is recorded at the release for streams that we hold, and after each use for
//     raw handles, since those may be destroyed or recycled by then. StreamUses does it, for cuda/.
//  5. Nothing here throws while giving back: failures are counted and told to one handler.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "devview/device.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"

namespace devview {

/// Gives a block back: `context` as it was adopted, and the stream to order the free on (none for
/// host memory). Called exactly once, from any thread.
using Release = void (*)(void* context, Stream stream) noexcept;

/// The streams that a block was used on, kept by whoever knows how to order them (cuda/).
class DEVVIEW_CORE_API StreamUses {
public:
    virtual ~StreamUses();
    /// The block was used on `stream` just now. Does not synchronise. @throws DeviceError.
    virtual void record(const Stream& stream) = 0;
    /// `stream` waits for all uses on other streams so far. Does not synchronise the host.
    virtual void order(const Stream& stream) = 0;
    /// The host waits for all uses so far. @throws DeviceError.
    virtual void wait() = 0;
    /// For the release: a stream that waits for every use. Failures are reported, not thrown.
    virtual Stream join() noexcept = 0;
    /// Before join(): true if a stream of the block cannot be waited for now. The release was then
    /// taken over together with this object (`self`), and is made later, exactly once.
    virtual bool postpone(std::unique_ptr<StreamUses>& self, Release release,
                          void* context) noexcept;
};

/// Who the memory of an allocation belongs to.
enum class Origin : std::uint8_t {
    devview,  ///< made by devview: counted in live_bytes
    foreign,  ///< somebody else's, kept alive by us: counted in foreign_bytes
};

class DEVVIEW_CORE_API Allocation {
public:
    /// Everything an allocation is made of; adopt() takes it over.
    struct Block {
        void* data = nullptr;
        std::size_t nbytes = 0;
        Device device{};
        Stream stream{};  ///< the stream it was made on and is given back on; none: host memory
        Release release = nullptr;  ///< null: nothing to give back
        void* context = nullptr;
        std::unique_ptr<StreamUses> uses{};
        Origin origin = Origin::foreign;
    };

    /// Takes `block` over. If this throws (std::bad_alloc), nothing was taken and the release never
    /// runs; afterwards it runs exactly once.
    static std::shared_ptr<Allocation> adopt(Block&& block);

    /// The same for a plain block: `release(data, stream)`.
    static std::shared_ptr<Allocation> adopt(void* data, std::size_t nbytes, Device device,
                                             Release release, Stream stream = {}) {
        Block block;
        block.data = data;
        block.nbytes = nbytes;
        block.device = device;
        block.stream = std::move(stream);
        block.release = release;
        block.context = data;
        return adopt(std::move(block));
    }

    /// The same with any callable `release(Stream)`; what it throws is reported, never passed on.
    template <class F, class = std::enable_if_t<std::is_invocable_v<F&, Stream>>>
    static std::shared_ptr<Allocation> adopt(void* data, std::size_t nbytes, Device device,
                                             F release, Stream stream = {});

    /// The same for foreign memory without streams, born with its first view, which is made next
    /// (View::Counted). This is the way of imports: no step that can be saved is taken.
    static std::shared_ptr<Allocation> adopt_viewed(void* data, std::size_t nbytes, Device device,
                                                    Release release, void* context);

    Allocation(const Allocation&) = delete;
    Allocation& operator=(const Allocation&) = delete;
    ~Allocation();

    void* data() const noexcept { return block_.data; }
    std::size_t nbytes() const noexcept { return block_.nbytes; }
    Device device() const noexcept { return block_.device; }
    const Stream& stream() const noexcept { return block_.stream; }
    Origin origin() const noexcept { return block_.origin; }
    /// Null for memory that no device works on asynchronously.
    StreamUses* uses() const noexcept { return block_.uses.get(); }
    Release release_function() const noexcept { return block_.release; }
    void* context() const noexcept { return block_.context; }

    std::int64_t views() const noexcept { return views_in(state_.load()); }
    std::int64_t exports() const noexcept { return exports_in(state_.load()); }
    bool freed() const noexcept { return (state_.load() & kFreed) != 0; }

    /// Counts of views and exports; View and the exporters keep them.
    /// @throws ReleasedError  the block was freed (or is being resized).
    void add_view() {
        if (state_.fetch_add(1, std::memory_order_acq_rel) & (kFreed | kBusy)) refuse_view();
    }
    void drop_view() noexcept { state_.fetch_sub(1, std::memory_order_acq_rel); }
    void add_export() {
        if (state_.fetch_add(kExport, std::memory_order_acq_rel) & (kFreed | kBusy)) {
            refuse_export();
        }
    }
    void drop_export() noexcept { state_.fetch_sub(kExport, std::memory_order_acq_rel); }

    // --- The same for a language binding that makes and drops them under one lock (Python's GIL):
    // no atomic read-modify-write, which is most of what a short-lived one costs. All bound views
    // together are one view to the state; a bound export belongs to a view that outlives it.

    /// @throws ReleasedError  as add_view().
    void add_bound_view() {
        const std::uint32_t count = bound_views_.load(std::memory_order_relaxed);
        if (count == 0) add_view();
        bound_views_.store(count + 1, std::memory_order_relaxed);
    }
    void drop_bound_view() noexcept {
        const std::uint32_t count = bound_views_.load(std::memory_order_relaxed) - 1;
        bound_views_.store(count, std::memory_order_relaxed);
        if (count == 0) drop_view();
    }
    /// A view that is counted already is a bound one from now on.
    void bind_view() noexcept {
        const std::uint32_t count = bound_views_.load(std::memory_order_relaxed);
        bound_views_.store(count + 1, std::memory_order_relaxed);
        if (count != 0) drop_view();
    }
    void add_bound_export() noexcept {
        bound_exports_.store(bound_exports_.load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    }
    void drop_bound_export() noexcept {
        bound_exports_.store(bound_exports_.load(std::memory_order_relaxed) - 1,
                             std::memory_order_relaxed);
    }

    /// Gives the block back now. Idempotent. @throws BufferError  naming how many views and exports
    /// live ("free: 2 views and 1 export of this allocation live, limit 0"); nothing is freed then.
    void free();

    /// The one user of an allocation while it lives: views, exports, free() and another resize are
    /// refused meanwhile. Reading data() and its like in other threads is the caller's to exclude
    /// around exchange().
    class DEVVIEW_CORE_API Exclusive {
    public:
        /// @throws BufferError  while anything views it ("resize: ..."), ReleasedError if freed.
        Exclusive(Allocation& allocation, const char* function);
        ~Exclusive();
        Exclusive(const Exclusive&) = delete;
        Exclusive& operator=(const Exclusive&) = delete;
        /// Exchanges the blocks of the two allocations, which are on the same device.
        void exchange(Allocation& other) noexcept;

    private:
        Allocation& allocation_;
    };

    /// Where the allocation was made (kept under dv.trace); empty if unknown.
    std::string made_at() const;
    void set_made_at(std::string where);

    /// A slot for the object that stands for this allocation in a language binding, not owned.
    std::atomic<void*> binding{nullptr};

    /// Only adopt() makes one.
    struct Key {
    private:
        friend class Allocation;
        Key() = default;
    };
    Allocation(Key, Block&& block) noexcept : block_(std::move(block)), state_(0) {}
    Allocation(Key, void* data, std::size_t nbytes, Device device, Release release,
               void* context) noexcept
        : block_{data, nbytes, device, {}, release, context, {}, Origin::foreign}, state_(1) {}

private:
    friend class Ledger;
    static constexpr std::uint64_t kViewMask = 0xffffffffu;
    static constexpr int kExportShift = 32;
    static constexpr std::uint64_t kExport = std::uint64_t{1} << kExportShift;
    static constexpr std::uint64_t kFreed = std::uint64_t{1} << 63;
    static constexpr std::uint64_t kBusy = std::uint64_t{1} << 62;  ///< an Exclusive lives

    std::int64_t views_in(std::uint64_t state) const noexcept {
        const auto bound = std::int64_t{bound_views_.load(std::memory_order_relaxed)};
        return static_cast<std::int64_t>(state & kViewMask) + (bound > 0 ? bound - 1 : 0);
    }
    std::int64_t exports_in(std::uint64_t state) const noexcept {
        return static_cast<std::int64_t>((state & ~(kFreed | kBusy)) >> kExportShift) +
               bound_exports_.load(std::memory_order_relaxed);
    }
    [[noreturn]] void refuse_view();
    [[noreturn]] void refuse_export();
    void claim(std::uint64_t bit, const char* function);
    void require_unused(std::uint64_t state, const char* function) const;
    void give_back() noexcept;

    Block block_;
    std::atomic<std::uint64_t> state_;           ///< freed and busy bits, exports, views
    std::atomic<std::uint32_t> bound_views_{0};  ///< written under the binding's lock alone
    std::atomic<std::uint32_t> bound_exports_{0};
    Allocation* previous_ = nullptr;  ///< the ledger's list
    Allocation* next_ = nullptr;
    std::unique_ptr<std::string> made_at_{};  ///< null: unknown
};

/// Failed releases so far in this process.
DEVVIEW_CORE_API std::uint64_t release_errors() noexcept;

/// Counts a failed release and tells the handler. `what` names the step and the error.
DEVVIEW_CORE_API void report_release_error(const char* what) noexcept;

/// Counts a failed release that was told elsewhere already (a Python callback that raised).
DEVVIEW_CORE_API void count_release_error() noexcept;

/// Calls `release`, and reports what it throws: here, so that callers may compile with
/// -fno-exceptions.
DEVVIEW_CORE_API void call_release(void (*release)(void* context, Stream stream), void* context,
                                   Stream stream) noexcept;

/// Who is told of failed releases (null: standard error). Must not throw; any thread.
DEVVIEW_CORE_API void set_release_error_handler(void (*handler)(const char* what)) noexcept;

template <class F, class>
std::shared_ptr<Allocation> Allocation::adopt(void* data, std::size_t nbytes, Device device,
                                              F release, Stream stream) {
    auto owned = std::make_unique<F>(std::move(release));
    Block block;
    block.data = data;
    block.nbytes = nbytes;
    block.device = device;
    block.stream = std::move(stream);
    block.context = owned.get();
    block.release = [](void* context, Stream at) noexcept {
        const std::unique_ptr<F> callable(static_cast<F*>(context));
        const auto call = [](void* f, Stream last) { (*static_cast<F*>(f))(std::move(last)); };
        call_release(call, context, std::move(at));
    };
    auto allocation = adopt(std::move(block));
    owned.release();
    return allocation;
}

}  // namespace devview
