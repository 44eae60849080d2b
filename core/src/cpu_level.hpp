// One loop compiled for several levels of the CPU, chosen at run time; private to the core.
#pragma once

#include <utility>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#include <cpuid.h>
#define DEVVIEW_CPU_LEVELS 1
// What x86-64-v3 and v4 have and loops over numbers use. Functions that such a function calls are
// compiled for it only where they are inlined.
#define DEVVIEW_FOR_AVX2 __attribute__((target("avx2,bmi,bmi2,f16c")))
#define DEVVIEW_FOR_AVX512 \
    __attribute__((target("avx2,bmi,bmi2,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")))
#else
#define DEVVIEW_CPU_LEVELS 0
#define DEVVIEW_FOR_AVX2
#define DEVVIEW_FOR_AVX512
#endif
#define DEVVIEW_ALWAYS_INLINE __attribute__((always_inline))

namespace devview::cpu {

enum class Level { plain, avx2, avx512 };

/// The highest that this CPU and its system have.
inline Level level() noexcept {
#if DEVVIEW_CPU_LEVELS
    static const Level found = [] {
        // f16c by hand: clang 14 has no word for it.
        unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
        const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
        const bool avx2 = f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                          __builtin_cpu_supports("bmi2");
        const bool avx512 =
            __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
        const Level most = avx2 && avx512 ? Level::avx512 : avx2 ? Level::avx2 : Level::plain;
#if defined(DEVVIEW_MOST_CPU_LEVEL)  // to build for a lesser CPU than this one
        return most < Level{DEVVIEW_MOST_CPU_LEVEL} ? most : Level{DEVVIEW_MOST_CPU_LEVEL};
#else
        return most;
#endif
    }();
    return found;
#else
    return Level::plain;
#endif
}

/// A function for each level.
template <typename Function>
struct Levels {
    Function plain;
    Function avx2;
    Function avx512;

    Function at(Level level) const noexcept {
        return level == Level::avx512 ? avx512 : level == Level::avx2 ? avx2 : plain;
    }
};

// Body::run<level>(arguments...) must be inlined for the level to reach it.
template <typename Body, typename... Arguments>
struct Compiled {
    using Result = decltype(Body::template run<Level::plain>(std::declval<Arguments>()...));
    using Function = Result (*)(Arguments...);

    static Result plain(Arguments... arguments) {
        return Body::template run<Level::plain>(arguments...);
    }
    DEVVIEW_FOR_AVX2 static Result avx2(Arguments... arguments) {
        return Body::template run<Level::avx2>(arguments...);
    }
    DEVVIEW_FOR_AVX512 static Result avx512(Arguments... arguments) {
        return Body::template run<Level::avx512>(arguments...);
    }
#if DEVVIEW_CPU_LEVELS
    static constexpr Levels<Function> kAll{plain, avx2, avx512};
#else
    static constexpr Levels<Function> kAll{plain, plain, plain};
#endif
};

}  // namespace devview::cpu
