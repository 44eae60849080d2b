// memfd files and open file description locks of Linux; other systems refuse.
#include "emulator/shared_file.hpp"

#if defined(__linux__)

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace devview::cuda::emulator {
namespace {

constexpr const char* kName = "devview-emulated-pool-";

std::string link_of(int file) { return "/proc/self/fd/" + std::to_string(file); }

struct flock lock_at(std::size_t offset, int type) noexcept {
    struct flock lock {};
    lock.l_type = static_cast<short>(type);
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(offset);
    lock.l_len = 1;
    return lock;
}

}  // namespace

int make_shared_file(std::uint64_t id) noexcept {
    char name[64];
    std::snprintf(name, sizeof name, "%s%016llx", kName, static_cast<unsigned long long>(id));
    return memfd_create(name, MFD_CLOEXEC);
}

bool grow_shared_file(int file, std::size_t nbytes) noexcept {
    return ftruncate(file, static_cast<off_t>(nbytes)) == 0;
}

std::uint64_t shared_file_id(int file) noexcept {
    char target[128] = {};
    if (readlink(link_of(file).c_str(), target, sizeof target - 1) < 0) return 0;
    const std::string prefix = std::string("/memfd:") + kName;
    if (std::strncmp(target, prefix.c_str(), prefix.size()) != 0) return 0;
    return std::strtoull(target + prefix.size(), nullptr, 16);
}

std::size_t shared_file_size(int file) noexcept {
    struct stat told {};
    return fstat(file, &told) == 0 ? static_cast<std::size_t>(told.st_size) : 0;
}

int reopen_shared_file(int file) noexcept {
    return open(link_of(file).c_str(), O_RDWR | O_CLOEXEC);
}

int duplicate_file(int file) noexcept { return fcntl(file, F_DUPFD_CLOEXEC, 0); }

void close_file(int file) noexcept { close(file); }

std::uint64_t random_number() noexcept {
    std::uint64_t value = 0;
    while (value == 0 && getrandom(&value, sizeof value, 0) == sizeof value)
        continue;
    return value;
}

void mark_import(int file, std::size_t offset) noexcept {
    struct flock lock = lock_at(offset, F_RDLCK);
    fcntl(file, F_OFD_SETLK, &lock);
}

void unmark_import(int file, std::size_t offset) noexcept {
    struct flock lock = lock_at(offset, F_UNLCK);
    fcntl(file, F_OFD_SETLK, &lock);
}

bool imported_elsewhere(int file, std::size_t offset) noexcept {
    for (int attempt = 0; attempt < 100; ++attempt) {
        struct flock lock = lock_at(offset, F_WRLCK);
        if (fcntl(file, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return false;
        usleep(1000);
    }
    return true;
}

}  // namespace devview::cuda::emulator

#else

namespace devview::cuda::emulator {

int make_shared_file(std::uint64_t) noexcept { return -1; }
bool grow_shared_file(int, std::size_t) noexcept { return false; }
std::uint64_t shared_file_id(int) noexcept { return 0; }
std::size_t shared_file_size(int) noexcept { return 0; }
int reopen_shared_file(int) noexcept { return -1; }
int duplicate_file(int) noexcept { return -1; }
void close_file(int) noexcept {}
std::uint64_t random_number() noexcept { return 1; }
void mark_import(int, std::size_t) noexcept {}
void unmark_import(int, std::size_t) noexcept {}
bool imported_elsewhere(int, std::size_t) noexcept { return false; }

}  // namespace devview::cuda::emulator

#endif
