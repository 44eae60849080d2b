// The places of the C interface's handles, and what they hold.
#include "devview/c_api/handles.hpp"

#include <pthread.h>

#include <limits>
#include <mutex>

#include "src/memory/ledger_list.hpp"

namespace devview::c_api {

namespace {

constexpr std::size_t kAtOnce = 64;

// One lock for all places, free in the child of a fork. Nothing but links is changed under it.
SpinLock& places_lock() {
    static SpinLock* const lock = [] {
        auto* const made = new SpinLock;
        pthread_atfork([] { places_lock().lock(); }, [] { places_lock().unlock(); },
                       [] { places_lock().unlock(); });
        return made;
    }();
    return *lock;
}

/// A caller's release, with what it is called with.
struct Given {
    devview_release release;
    void* context;
};

void release_given(void* context, Stream stream) noexcept {
    const std::unique_ptr<Given> given(static_cast<Given*>(context));
    const auto call = [](void* told, Stream at) {
        const auto* const block = static_cast<const Given*>(told);
        block->release(block->context, number_of(at));
    };
    call_release(call, given.get(), std::move(stream));
}

/// A block that can be: what is asked of every adoption.
void check_block(const devview_block* block, const char* function) {
    require_struct(block, function, "block");
    const auto refuse_it = [&](const std::string& what) {
        throw Refusal(DEVVIEW_ERROR_ARGUMENT, std::string(function) + ": " + what);
    };
    const std::string bytes = std::to_string(block->nbytes);
    if (block->data == nullptr && block->nbytes != 0) refuse_it("data: null, with " + bytes);
    constexpr auto kLargest = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    const auto at = reinterpret_cast<std::uintptr_t>(block->data);
    if (block->nbytes > kLargest || at + block->nbytes < at) {
        refuse_it("nbytes: " + bytes + ", beyond the address space");
    }
    if (block->device.id < 0) {
        refuse_it("device: id " + std::to_string(block->device.id) + ", must not be negative");
    }
}

}  // namespace

Places::Place* Places::take() {
    for (;;) {
        {
            const std::lock_guard<SpinLock> lock(places_lock());
            // Half of the first places are kept back, so that none is given out again at once.
            if (free_ > kAtOnce / 2) {
                Place* const place = first_;
                first_ = place->next;
                --free_;
                place->next = nullptr;
                return place;
            }
        }
        add_places();
    }
}

void Places::add_places() {
    auto* const block = static_cast<unsigned char*>(::operator new(kAtOnce* size_));
    for (std::size_t i = 0; i < kAtOnce; ++i)
        give(::new (block + i * size_) Place);
}

void Places::give(Place* place) noexcept {
    const std::lock_guard<SpinLock> lock(places_lock());
    place->next = nullptr;
    (free_ == 0 ? first_ : last_->next) = place;
    last_ = place;
    ++free_;
}

Handles<View>& view_handles() noexcept {
    static auto* const handles = new Handles<View>;
    return *handles;
}

Handles<Owner>& allocation_handles() noexcept {
    static auto* const handles = new Handles<Owner>;
    return *handles;
}

Format format_of(const devview_format* handle, const Format& missing) {
    if (handle == nullptr) return missing;
    return Format::of_node(reinterpret_cast<const FormatNode*>(handle));
}

Casting casting_of(devview_casting casting, const char* function) {
    if (casting == DEVVIEW_CAST_SAME_KIND) return Casting::same_kind;
    if (casting == DEVVIEW_CAST_UNSAFE) return Casting::unsafe;
    throw Refusal(DEVVIEW_ERROR_ARGUMENT, std::string(function) + ": casting: " +
                                              std::to_string(casting) + ", limit 0 to 1");
}

Stream stream_of(devview_stream handle, Device device) {
    if (handle == DEVVIEW_NO_STREAM) return {};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a stream handle is an address.
    return Stream::raw(device, reinterpret_cast<void*>(handle == 0 ? 1 : handle));
}

devview_stream number_of(const Stream& stream) noexcept {
    return stream ? reinterpret_cast<devview_stream>(stream.handle()) : DEVVIEW_NO_STREAM;
}

std::shared_ptr<Allocation> adopt_block(
    const devview_block* block, const char* function,
    const std::function<std::shared_ptr<Allocation>(Allocation::Block&&)>& adopt) {
    check_block(block, function);
    Allocation::Block read;
    read.data = block->data;
    read.nbytes = block->nbytes;
    read.device = device_of(block->device);
    read.stream = stream_of(block->stream, read.device);
    if (block->release == nullptr) return adopt(std::move(read));
    auto given = std::make_unique<Given>(Given{block->release, block->context});
    read.release = &release_given;
    read.context = given.get();
    auto allocation = adopt(std::move(read));
    given.release();
    return allocation;
}

}  // namespace devview::c_api

using namespace devview::c_api;

devview_status devview_view_retain(devview_view* view) {
    return guarded([&] { view_handles().retain(view, "devview_view_retain", "view"); });
}

devview_status devview_view_release(devview_view* view) {
    return guarded([&] { view_handles().release(view, "devview_view_release", "view"); });
}

devview_status devview_allocation_retain(devview_allocation* allocation) {
    return guarded([&] {
        allocation_handles().retain(allocation, "devview_allocation_retain", "allocation");
    });
}

devview_status devview_allocation_release(devview_allocation* allocation) {
    return guarded([&] {
        allocation_handles().release(allocation, "devview_allocation_release", "allocation");
    });
}
