// The rules of access, and what is said when one is broken.
#include "emulator/access.hpp"

#include <cstdio>
#include <string>

#if defined(__SANITIZE_THREAD__)
#define DEVVIEW_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DEVVIEW_UNDER_TSAN 1
#endif
#endif
#ifndef DEVVIEW_UNDER_TSAN
#define DEVVIEW_UNDER_TSAN 0
#endif

namespace devview::cuda::emulator {
namespace {

std::string hex(std::uintptr_t address) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%zx", static_cast<std::size_t>(address));
    return text;
}

std::string describe(const Block& block) {
    const char* places[] = {"pageable", "pinned", "device", "managed"};
    std::string text = "block of " + std::to_string(block.nbytes) + " bytes at " + hex(block.begin);
    text += std::string(" (") + places[static_cast<int>(block.place)];
    return text + (block.place == Place::device ? ", cuda:" + std::to_string(block.device) : "") +
           ")";
}

bool reachable(const Access& access, const Block& block) {
    if (block.place != Place::device || block.device == access.device) return true;
    if (access.actor == Actor::peer_copy) return true;
    if (block.pool) {
        // Stream-ordered memory follows its pool's access, not cudaDeviceEnablePeerAccess.
        const auto right = block.pool->access.find(access.device);
        if (right == block.pool->access.end()) return false;
        return right->second == cudaMemAccessFlagsProtReadWrite ||
               (right->second == cudaMemAccessFlagsProtRead && !access.writes);
    }
    return access.actor == Actor::copy ||
           machine().device(access.device)->peers.count(block.device) != 0;
}

// Empty if the access is right.
std::string problem(const Access& access, const Block* block, std::uintptr_t first,
                    std::size_t nbytes) {
    if (block) {
        if (nbytes > block->end() - first) return "runs over the end of the " + describe(*block);
        if (!block->ready)
            return "comes before the stream-ordered allocation of the " + describe(*block);
        if (!reachable(access, *block)) return "has no peer access to the " + describe(*block);
        return {};
    }
    if (place_of(first) != Place::pageable) {
        const auto freed = machine().blocks.find_freed(first);
        return freed ? "uses the freed " + describe(*freed) : "lies in no block";
    }
    if (access.actor == Actor::kernel) return "is pageable host memory in a kernel";
    return {};
}

}  // namespace

Place place_of(std::uintptr_t address) {
    if (const Block* block = machine().blocks.find(address)) return block->place;
    if (machine().device_address(address)) return Place::device;
    if (machine().host_pages.quarantined(address)) return Place::pinned;
    return Place::pageable;
}

Target resolve(const Access& access, const void* base, std::int64_t low, std::int64_t high) {
    const std::uintptr_t at = address_of(base);
    const std::uintptr_t first = at + static_cast<std::uintptr_t>(low);
    const auto nbytes = static_cast<std::size_t>(high - low);
    Block* block = machine().blocks.find(first);
    const std::string wrong = problem(access, block, first, nbytes);
    if (wrong.empty()) {
        Target target;
        target.at = reinterpret_cast<void*>(at + (block ? block->to_alias : 0));
        if (block && block->place != Place::device) {
            target.key = block->begin;
            ++block->users;
        }
        return target;
    }
    DeviceState& device = *machine().device(access.device);
    if (device.failure.empty()) {
        device.failure = std::string(access.name) + (access.writes ? " writes " : " reads ") +
                         std::to_string(nbytes) + " bytes at " + hex(first) + ": it " + wrong;
    }
    return {};
}

void let_go(const Target& target) {
    Block* block = target.key ? machine().blocks.find_begin(target.key) : nullptr;
    if (block && --block->users == 0) machine().unused.notify_all();
}

void wait_unused(Lock& lock, std::uintptr_t begin) {
    machine().unused.wait(lock, [begin] {
        const Block* block = machine().blocks.find_begin(begin);
        return !block || block->users == 0;
    });
}

#if DEVVIEW_UNDER_TSAN
extern "C" void AnnotateIgnoreReadsBegin(const char*, int);
extern "C" void AnnotateIgnoreReadsEnd(const char*, int);
extern "C" void AnnotateIgnoreWritesBegin(const char*, int);
extern "C" void AnnotateIgnoreWritesEnd(const char*, int);

DeviceWork::DeviceWork() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}
DeviceWork::~DeviceWork() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}
#else
DeviceWork::DeviceWork() = default;
DeviceWork::~DeviceWork() = default;
#endif

}  // namespace devview::cuda::emulator
