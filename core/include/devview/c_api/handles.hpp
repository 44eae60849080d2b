// What the opaque handles of the C interface hold: for programs in C++ that take or give them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "devview/allocation.hpp"
#include "devview/c_api/errors.hpp"
#include "devview/c_api/memory.h"
#include "devview/c_api/view.h"
#include "devview/convert.hpp"
#include "devview/error.hpp"
#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview::c_api {

/// The format behind a handle; `missing` if it is null.
DEVVIEW_CORE_API Format format_of(const devview_format* handle, const Format& missing = {});

/// @throws Refusal  neither DEVVIEW_CAST_SAME_KIND nor DEVVIEW_CAST_UNSAFE.
DEVVIEW_CORE_API Casting casting_of(devview_casting casting, const char* function);

/// A stream of `device` by its number: none for DEVVIEW_NO_STREAM.
DEVVIEW_CORE_API Stream stream_of(devview_stream handle, Device device);
DEVVIEW_CORE_API devview_stream number_of(const Stream& stream) noexcept;

constexpr Device device_of(devview_device device) noexcept {
    return {static_cast<DeviceType>(device.type), device.id};
}
constexpr devview_device device_of(Device device) noexcept {
    return {static_cast<devview_device_type>(device.type), device.id};
}

/// A caller's block, which `adopt`, in the way of Allocation::adopt(), takes over. If this throws,
/// nothing was taken. @throws Refusal  what the block says cannot be.
DEVVIEW_CORE_API std::shared_ptr<Allocation> adopt_block(
    const devview_block* block, const char* function,
    const std::function<std::shared_ptr<Allocation>(Allocation::Block&&)>& adopt);

/// The places of handles, of one size: never given back to the system, so that a handle that was
/// released can be told from one that lives, and reused in the order in which they became free.
class DEVVIEW_CORE_API Places {
public:
    struct Place {
        std::atomic<std::uint32_t> references{0};
        Place* next = nullptr;
    };

    explicit Places(std::size_t size) noexcept : size_(size) {}
    Places(const Places&) = delete;
    Places& operator=(const Places&) = delete;
    /// @throws std::bad_alloc.
    Place* take();
    void give(Place* place) noexcept;

private:
    void add_places();

    std::size_t size_;
    Place* first_ = nullptr;
    Place* last_ = nullptr;
    std::size_t free_ = 0;
};

/// Counted handles that hold a T. Leak the object: handles outlive static destructors.
template <class T>
class Handles {
public:
    Handles() noexcept : places_(sizeof(Slot)) {}

    /// A place for one handle, taken before what it will hold is made: filling it cannot fail.
    class Room {
    public:
        /// @throws std::bad_alloc.
        explicit Room(Handles& handles) : places_(handles.places_), place_(places_.take()) {}
        ~Room() {
            if (place_ != nullptr) places_.give(place_);
        }
        Room(const Room&) = delete;
        Room& operator=(const Room&) = delete;
        /// The handle, with one reference; once.
        void* fill(T value) noexcept {
            auto* const slot = static_cast<Slot*>(std::exchange(place_, nullptr));
            ::new (slot->bytes) T(std::move(value));
            slot->references.store(1, std::memory_order_release);
            return slot;
        }

    private:
        Places& places_;
        Places::Place* place_;
    };

    T& get(const void* handle, const char* function, const char* name) const {
        require(handle, function, name);
        auto* const slot = slot_of(handle);
        if (slot->references.load(std::memory_order_acquire) == 0) refuse_released(function, name);
        return slot->value();
    }
    void retain(void* handle, const char* function, const char* name) {
        require(handle, function, name);
        add(*slot_of(handle), 1, function, name);
    }
    /// Null is ignored. What T's destructor runs is run without a lock.
    void release(void* handle, const char* function, const char* name) {
        if (handle == nullptr) return;
        Slot* const slot = slot_of(handle);
        if (add(*slot, -1, function, name) != 1) return;
        slot->value().~T();
        places_.give(slot);
    }

private:
    struct Slot : Places::Place {
        alignas(T) unsigned char bytes[sizeof(T)];
        T& value() noexcept { return *std::launder(reinterpret_cast<T*>(bytes)); }
    };
    static_assert(std::is_nothrow_move_constructible_v<T> && alignof(Slot) <= 16);

    static Slot* slot_of(const void* handle) noexcept {
        return static_cast<Slot*>(const_cast<void*>(handle));
    }
    [[noreturn]] static void refuse_released(const char* function, const char* name) {
        throw ReleasedError(std::string(function) + ": " + name + ": a released handle");
    }
    /// The references before; never from 0.
    static std::uint32_t add(Slot& slot, int change, const char* function, const char* name) {
        std::uint32_t found = slot.references.load(std::memory_order_relaxed);
        do {
            if (found == 0) refuse_released(function, name);
        } while (!slot.references.compare_exchange_weak(
            found, found + static_cast<std::uint32_t>(change), std::memory_order_acq_rel));
        return found;
    }

    Places places_;
};

using Owner = std::shared_ptr<Allocation>;
DEVVIEW_CORE_API Handles<View>& view_handles() noexcept;
DEVVIEW_CORE_API Handles<Owner>& allocation_handles() noexcept;

/// Runs `make`, which returns a View, and gives its handle out through `result`.
template <class Make>
void give_view(const char* function, devview_view** result, Make&& make) {
    require(result, function, "result");
    Handles<View>::Room room(view_handles());
    *result = static_cast<devview_view*>(room.fill(std::forward<Make>(make)()));
}

/// The same for an allocation.
template <class Make>
void give_allocation(const char* function, devview_allocation** result, Make&& make) {
    require(result, function, "result");
    Handles<Owner>::Room room(allocation_handles());
    *result = static_cast<devview_allocation*>(room.fill(std::forward<Make>(make)()));
}

/// What a handle stands for: a reference into it, for the time of a call.
/// @throws Refusal  null; ReleasedError  its last reference is gone. Both begin with `function`.
inline const View& view_in(const devview_view* handle, const char* function,
                           const char* name = "view") {
    return view_handles().get(handle, function, name);
}
inline const Owner& owner_in(const devview_allocation* handle, const char* function) {
    return allocation_handles().get(handle, function, "allocation");
}

}  // namespace devview::c_api
