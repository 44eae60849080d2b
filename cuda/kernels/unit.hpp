// The widest things that one thread moves at once; one source for GPU and host.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "devview/host_device.hpp"

// nvcc's host compiler would warn of the pragma.
#ifdef __CUDA_ARCH__
#define DEVVIEW_UNROLL _Pragma("unroll")
#define DEVVIEW_ROLLED _Pragma("unroll 1")
#else
#define DEVVIEW_UNROLL
#define DEVVIEW_ROLLED
#endif

namespace devview::cuda::kernels {

/// Moves as one 128-bit access on a GPU.
struct alignas(16) Unit16 {
    std::uint64_t low, high;
};

/// Reads one unit; the pointer is aligned to it. The host may not alias types, the GPU must.
template <typename Unit>
DEVVIEW_HD inline Unit load_unit(const unsigned char* src) {
#ifdef __CUDA_ARCH__
    return *reinterpret_cast<const Unit*>(src);
#else
    assert(reinterpret_cast<std::uintptr_t>(src) % sizeof(Unit) == 0);
    Unit unit;
    std::memcpy(&unit, src, sizeof(Unit));
    return unit;
#endif
}

template <typename Unit>
DEVVIEW_HD inline void store_unit(unsigned char* dst, Unit unit) {
#ifdef __CUDA_ARCH__
    *reinterpret_cast<Unit*>(dst) = unit;
#else
    assert(reinterpret_cast<std::uintptr_t>(dst) % sizeof(Unit) == 0);
    std::memcpy(dst, &unit, sizeof(Unit));
#endif
}

/// The low `size` bytes in the other order; the rest becomes 0.
DEVVIEW_HD inline std::uint64_t reversed_bytes(std::uint64_t bits, unsigned size) {
#ifdef __CUDA_ARCH__
    const auto low = __byte_perm(static_cast<std::uint32_t>(bits), 0, 0x0123);
    const auto high = __byte_perm(static_cast<std::uint32_t>(bits >> 32), 0, 0x0123);
    return (std::uint64_t{low} << 32 | high) >> (64 - 8 * size);
#else
    std::uint64_t result = 0;
    for (unsigned byte = 0; byte < size; ++byte) {
        result = result << 8 | (bits & 0xff);
        bits >>= 8;
    }
    return result;
#endif
}

}  // namespace devview::cuda::kernels
