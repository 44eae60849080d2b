// Copies of boxes of bytes (rows with pitches, slices of rows) and fills, between any two places.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/access.hpp"

namespace devview::cuda::emulator {

/// One side of a copy: rows `pitch` apart, slices of rows `slice` apart.
struct Side {
    const void* base = nullptr;
    std::size_t pitch = 0;
    std::size_t slice = 0;
};

struct Box {
    std::size_t width = 0;  ///< bytes of a row
    std::size_t height = 1;
    std::size_t depth = 1;

    bool empty() const noexcept { return width == 0 || height == 0 || depth == 0; }
};

/// Enqueues a copy; returns when CUDA's rules say that the call may ("API synchronization
/// behavior").
cudaError_t submit_copy(const char* name, const Side& dst, const Side& src, const Box& box,
                        cudaMemcpyKind kind, cudaStream_t stream, Actor actor);
cudaError_t submit_fill(const char* name, void* dst, int value, std::size_t nbytes,
                        cudaStream_t stream);

}  // namespace devview::cuda::emulator
