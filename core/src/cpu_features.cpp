// Asks the CPU what it has.
#include "cpu_features.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace devview {
namespace {

CpuKind asked_kind() noexcept {
    const char* const asked = std::getenv("DEVVIEW_CPU");
    if (asked != nullptr && std::strcmp(asked, "portable") == 0) return CpuKind::portable;
    if (asked != nullptr && std::strcmp(asked, "avx2") == 0) return CpuKind::avx2;
    return CpuKind::avx512;
}

}  // namespace

CpuKind detected_cpu_kind() noexcept {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) return CpuKind::portable;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
    return wide ? CpuKind::avx512 : CpuKind::avx2;
#else
    return CpuKind::portable;
#endif
}

CpuKind cpu_kind() noexcept {
    static const CpuKind kind = std::min(asked_kind(), detected_cpu_kind());
    return kind;
}

}  // namespace devview
