// Memory for one kind of object, kept for reuse by the thread that freed it.
#pragma once

#include <cstddef>
#include <new>

namespace devview {

/// Freed blocks of one size: a list of this thread, so that neither end takes a lock.
template <std::size_t size>
class FreeBlocks {
public:
    static void* take() noexcept {
        Block* const block = list.first;
        if (block == nullptr) return nullptr;
        list.first = block->next;
        --list.count;
        return block;
    }

    /// False if the block must go back to where it came from.
    static bool give(void* memory) noexcept {
        if (list.count >= kMost || !(list.opened || open())) return false;
        list.first = ::new (memory) Block{list.first};
        ++list.count;
        return true;
    }

private:
    static constexpr int kMost = 64;
    struct Block {
        Block* next;
    };
    struct List {
        Block* first = nullptr;
        int count = 0;
        bool opened = false;
        bool closed = false;  ///< the thread is ending
    };
    struct Closer {
        ~Closer() {
            list.opened = false;
            list.closed = true;
            while (void* const block = take())
                ::operator delete(block);
        }
        bool made = true;
    };
    static_assert(size >= sizeof(Block), "a free block holds the link to the next");

    static bool open() noexcept {
        if (list.closed) return false;
        static thread_local const Closer closer;  // the first use of a thread registers it
        return list.opened = closer.made;
    }

#if defined(__GLIBC__)
    // A few bytes of static TLS instead of a call for each access.
    [[gnu::tls_model("initial-exec")]]
#endif
    static inline thread_local List list{};
};

namespace recycled {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kUsed = false;  // a use after free must stay visible
#else
constexpr bool kUsed = true;
#endif

/// `size` bytes, for give<size>(), by any thread. @throws std::bad_alloc
template <std::size_t size>
void* take() {
    if (kUsed) {
        if (void* const block = FreeBlocks<size>::take()) return block;
    }
    return ::operator new(size);
}

template <std::size_t size>
void give(void* block) noexcept {
    if (kUsed && FreeBlocks<size>::give(block)) return;
    ::operator delete(block);
}

}  // namespace recycled

/// A standard allocator over them, for std::allocate_shared.
template <class T>
struct Recycled {
    using value_type = T;
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__, "plain operator new is used");

    Recycled() noexcept = default;
    template <class U>
    Recycled(const Recycled<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

    T* allocate(std::size_t count) {
        if (count == 1) return static_cast<T*>(recycled::take<sizeof(T)>());
        return static_cast<T*>(::operator new(count * sizeof(T)));
    }
    void deallocate(T* memory, std::size_t count) noexcept {
        if (count == 1) return recycled::give<sizeof(T)>(memory);
        ::operator delete(memory);
    }

    friend bool operator==(const Recycled&, const Recycled&) noexcept { return true; }
    friend bool operator!=(const Recycled&, const Recycled&) noexcept { return false; }
};

}  // namespace devview
