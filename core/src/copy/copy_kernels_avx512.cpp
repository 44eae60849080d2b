// Kernels of CPUs with AVX512; the build compiles this file alone for them.
#include "src/copy/copy_kernels.hpp"

#if defined(__AVX512BW__)
#include "src/copy/copy_kernels_any.hpp"
#endif

namespace devview::copy {

const Kernels* avx512_kernels() noexcept {
#if defined(__AVX512BW__)
    static constexpr Kernels kernels = make_kernels("avx512");
    return &kernels;
#else
    return nullptr;
#endif
}

}  // namespace devview::copy
