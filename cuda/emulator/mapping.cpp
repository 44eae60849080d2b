// Mappings by POSIX calls (memfd on Linux); other systems refuse, and emulated memory is exhausted.
#include "emulator/mapping.hpp"

#if defined(__unix__) || defined(__APPLE__)

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

namespace devview::cuda::emulator {
namespace {

int anonymous_file() noexcept {
#if defined(__linux__)
    return memfd_create("devview-emulated-device", MFD_CLOEXEC);
#else
    static int serial = 0;
    char name[64];
    std::snprintf(name, sizeof name, "/devview-%d-%d", static_cast<int>(getpid()), serial++);
    const int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    shm_unlink(name);
    return file;
#endif
}

void* map(std::size_t nbytes, int protection, int flags, int file) noexcept {
    void* pages = mmap(nullptr, nbytes, protection, flags, file, 0);
    return pages == MAP_FAILED ? nullptr : pages;
}

}  // namespace

DoubleMapping map_twice(std::size_t nbytes) noexcept {
    DoubleMapping result;
    const int file = anonymous_file();
    if (file < 0) return result;
    void* user = nullptr;
    void* alias = nullptr;
    if (ftruncate(file, static_cast<off_t>(nbytes)) == 0) {
        user = map(nbytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file);
        alias = map(nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file);
    }
    if (!user || !alias) {
        if (user) munmap(user, nbytes);
        if (alias) munmap(alias, nbytes);
        close(file);
        return result;
    }
#if defined(MADV_DONTDUMP)
    // A core file would otherwise hold the whole sparse device.
    madvise(alias, nbytes, MADV_DONTDUMP);
#endif
    result.user = reinterpret_cast<std::uintptr_t>(user);
    result.alias = reinterpret_cast<std::uintptr_t>(alias);
    result.nbytes = nbytes;
    result.file = file;
    return result;
}

void unmap_twice(const DoubleMapping& mapping) noexcept {
    if (mapping.nbytes == 0) return;
    munmap(reinterpret_cast<void*>(mapping.user), mapping.nbytes);
    munmap(reinterpret_cast<void*>(mapping.alias), mapping.nbytes);
    close(mapping.file);
}

void punch(const DoubleMapping& mapping, std::size_t offset, std::size_t nbytes) noexcept {
#if defined(__linux__)
    fallocate(mapping.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(nbytes));
#else
    (void)mapping, (void)offset, (void)nbytes;
#endif
}

bool overlay(const DoubleMapping& mapping, std::size_t offset, std::size_t nbytes, int file,
             std::size_t file_offset) noexcept {
    const auto at = static_cast<off_t>(file_offset);
    constexpr int kFlags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
    void* const user = reinterpret_cast<void*>(mapping.user + offset);
    void* const alias = reinterpret_cast<void*>(mapping.alias + offset);
    return mmap(user, nbytes, PROT_NONE, kFlags, file, at) == user &&
           mmap(alias, nbytes, PROT_READ | PROT_WRITE, kFlags, file, at) == alias;
}

void* map_host(std::size_t nbytes, bool accessible) noexcept {
    const std::size_t pages = round_up(nbytes, kPage);
    void* memory = map(pages + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (memory && accessible) protect_host(memory, pages, true);
    return memory;
}

void protect_host(void* pages, std::size_t nbytes, bool accessible) noexcept {
    const std::size_t rounded = round_up(nbytes, kPage);
    if (!accessible) madvise(pages, rounded, MADV_DONTNEED);
    mprotect(pages, rounded, accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
}

void unmap_host(void* pages, std::size_t nbytes) noexcept {
    munmap(pages, round_up(nbytes, kPage) + kPage);
}

void at_fork_in_child(void (*child)()) noexcept { pthread_atfork(nullptr, nullptr, child); }

}  // namespace devview::cuda::emulator

#else

namespace devview::cuda::emulator {

DoubleMapping map_twice(std::size_t) noexcept { return {}; }
void unmap_twice(const DoubleMapping&) noexcept {}
void punch(const DoubleMapping&, std::size_t, std::size_t) noexcept {}
bool overlay(const DoubleMapping&, std::size_t, std::size_t, int, std::size_t) noexcept {
    return false;
}
void* map_host(std::size_t, bool) noexcept { return nullptr; }
void protect_host(void*, std::size_t, bool) noexcept {}
void unmap_host(void*, std::size_t) noexcept {}
void at_fork_in_child(void (*)()) noexcept {}

}  // namespace devview::cuda::emulator

#endif
