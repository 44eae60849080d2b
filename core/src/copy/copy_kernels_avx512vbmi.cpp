// Kernels of CPUs with AVX512 VBMI; the build compiles this file alone for them.
#include "src/copy/copy_kernels.hpp"

#if defined(__AVX512VBMI__)
#include "src/copy/copy_kernels_any.hpp"
#endif

namespace devview::copy {

const Kernels* avx512vbmi_kernels() noexcept {
#if defined(__AVX512VBMI__)
    static constexpr Kernels kernels = make_kernels("avx512vbmi");
    return &kernels;
#else
    return nullptr;
#endif
}

}  // namespace devview::copy
