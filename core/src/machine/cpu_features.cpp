// Asks the CPU what it has.
#include "src/machine/cpu_features.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "devview/error.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace devview {
namespace {

/// None: no word that is known.
std::optional<CpuKind> kind_of(const char* text) noexcept {
    if (text == nullptr || *text == '\0') return CpuKind::avx512vbmi;
    if (std::strcmp(text, "portable") == 0) return CpuKind::portable;
    if (std::strcmp(text, "avx2") == 0) return CpuKind::avx2;
    if (std::strcmp(text, "avx512") == 0) return CpuKind::avx512;
    if (std::strcmp(text, "avx512vbmi") == 0) return CpuKind::avx512vbmi;
    return std::nullopt;
}

bool refuse_unknown_kind() {
    const char* const text = std::getenv("DEVVIEW_CPU");
    if (kind_of(text)) return true;
    throw LayoutError("DEVVIEW_CPU: \"" + std::string(text) +
                      "\", portable, avx2, avx512 or avx512vbmi");
}

}  // namespace

CpuKind detected_cpu_kind() noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
    // f16c by hand: clang 14 has no word for it.
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
    if (!(f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
          __builtin_cpu_supports("bmi2"))) {
        return CpuKind::portable;
    }
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    if (!wide) return CpuKind::avx2;
    return __builtin_cpu_supports("avx512vbmi") ? CpuKind::avx512vbmi : CpuKind::avx512;
#else
    return CpuKind::portable;
#endif
}

CpuKind cpu_kind() noexcept {
    static const CpuKind kind = std::min(
        kind_of(std::getenv("DEVVIEW_CPU")).value_or(CpuKind::avx512vbmi), detected_cpu_kind());
    return kind;
}

void check_cpu_kind() { [[maybe_unused]] static const bool known = refuse_unknown_kind(); }

}  // namespace devview
