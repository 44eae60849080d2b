// Kernels of CPUs with AVX2; the build compiles this file alone for them.
#include "src/copy/copy_kernels.hpp"

#if defined(__AVX2__)
#include "src/copy/copy_kernels_any.hpp"
#endif

namespace devview::copy {

const Kernels* avx2_kernels() noexcept {
#if defined(__AVX2__)
    static constexpr Kernels kernels = make_kernels("avx2");
    return &kernels;
#else
    return nullptr;
#endif
}

}  // namespace devview::copy
