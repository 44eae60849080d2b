// Kernels of any CPU, and the choice among those that the build has.
#include "src/copy/copy_kernels_any.hpp"
#include "src/machine/cpu_features.hpp"

namespace devview::copy {

const Kernels* portable_kernels() noexcept {
    static constexpr Kernels kernels = make_kernels("portable");
    return &kernels;
}

namespace {

const Kernels* choose() noexcept {
    const CpuKind kind = cpu_kind();
    if (kind >= CpuKind::avx512vbmi && avx512vbmi_kernels() != nullptr) return avx512vbmi_kernels();
    if (kind >= CpuKind::avx512 && avx512_kernels() != nullptr) return avx512_kernels();
    if (kind >= CpuKind::avx2 && avx2_kernels() != nullptr) return avx2_kernels();
    return portable_kernels();
}

}  // namespace

const Kernels& kernels() noexcept {
    static const Kernels& chosen = *choose();
    return chosen;
}

}  // namespace devview::copy
