// One loop compiled for several levels of the CPU, chosen at run time; private to the core.
#pragma once

#include <utility>

#include "src/machine/cpu_features.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
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

using Level = CpuKind;

/// A function for each level.
template <typename Function>
struct Levels {
    Function portable;
    Function avx2;
    Function avx512;

    Function at(Level level) const noexcept {
        return level == Level::avx512 ? avx512 : level == Level::avx2 ? avx2 : portable;
    }
};

// Body::run<level>(arguments...) must be inlined for the level to reach it.
template <typename Body, typename... Arguments>
struct Compiled {
    using Result = decltype(Body::template run<Level::portable>(std::declval<Arguments>()...));
    using Function = Result (*)(Arguments...);

    static Result portable(Arguments... arguments) {
        return Body::template run<Level::portable>(arguments...);
    }
    DEVVIEW_FOR_AVX2 static Result avx2(Arguments... arguments) {
        return Body::template run<Level::avx2>(arguments...);
    }
    DEVVIEW_FOR_AVX512 static Result avx512(Arguments... arguments) {
        return Body::template run<Level::avx512>(arguments...);
    }
#if DEVVIEW_CPU_LEVELS
    static constexpr Levels<Function> kAll{portable, avx2, avx512};
#else
    static constexpr Levels<Function> kAll{portable, portable, portable};
#endif
};

}  // namespace devview::cpu
