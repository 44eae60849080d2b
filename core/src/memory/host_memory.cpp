// Host blocks: aligned heap memory, zeroed lazily by the system where it is large.
#include "devview/host_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "devview/error.hpp"
#include "devview/ledger.hpp"

namespace devview {

namespace {

// From here on fresh pages beat a memset: glibc maps such blocks anyway (M_MMAP_THRESHOLD_MAX/2).
constexpr std::size_t kMappedZeros = std::size_t{16} << 20;
// Two huge pages of x86-64; NumPy asks from here on, too.
constexpr std::size_t kHugePages = std::size_t{4} << 20;

[[noreturn]] void out_of_memory(std::size_t nbytes) {
    const std::size_t used = memory_gauge(Device{}).live_bytes;
    throw OutOfMemory("allocate: cpu: " + std::to_string(nbytes) + " bytes requested, " +
                          std::to_string(used) + " used",
                      nbytes, used, 0);
}

/// Asks for huge pages, which the first write to a large block is far fewer of. Only a wish: what
/// comes of it is the same memory.
void prefer_huge_pages(void* data, std::size_t nbytes) noexcept {
#if defined(MADV_HUGEPAGE)
    if (nbytes < kHugePages) return;
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<std::uintptr_t>(data);
    const std::uintptr_t from = (first + page - 1) / page * page;
    const std::uintptr_t to = (first + nbytes) / page * page;
    if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#else
    (void)data;
    (void)nbytes;
#endif
}

void* aligned_block(std::size_t nbytes) {
    // PTRDIFF_MAX is the largest object; the C library refuses more with an unclear errno.
    constexpr auto kLargest = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    void* data = nullptr;
    if (nbytes > kLargest - kHostAlignment ||
        posix_memalign(&data, kHostAlignment, nbytes == 0 ? 1 : nbytes) != 0) {
        out_of_memory(nbytes);
    }
    prefer_huge_pages(data, nbytes);
    return data;
}

std::shared_ptr<Allocation> own(void* data, std::size_t nbytes, void* context, Release release) {
    Allocation::Block block;
    block.data = data;
    block.nbytes = nbytes;
    block.release = release;
    block.context = context;
    block.origin = Origin::devview;
    try {
        return Allocation::adopt(std::move(block));
    } catch (...) {
        release(context, Stream{});
        throw;
    }
}

struct Mapping {
    void* address;
    std::size_t nbytes;
};

}  // namespace

std::shared_ptr<Allocation> allocate_host(std::size_t nbytes) {
    void* const data = aligned_block(nbytes);
    return own(data, nbytes, data, [](void* block, Stream) noexcept { std::free(block); });
}

std::shared_ptr<Allocation> allocate_host_zeroed(std::size_t nbytes) {
    if (nbytes < kMappedZeros) {
        auto allocation = allocate_host(nbytes);
        std::memset(allocation->data(), 0, nbytes);
        return allocation;
    }
    auto mapping = std::make_unique<Mapping>();
    void* const data =
        mmap(nullptr, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) out_of_memory(nbytes);
    *mapping = Mapping{data, nbytes};
    return own(data, nbytes, mapping.release(), [](void* context, Stream) noexcept {
        const std::unique_ptr<Mapping> held(static_cast<Mapping*>(context));
        munmap(held->address, held->nbytes);
    });
}

}  // namespace devview
