// The byte ranges that live writable stagings will write back to.
#pragma once

#include <cstdint>

#include "devview/view.hpp"

namespace devview::cuda {

/// Holds the bytes of one view, between its first and its last item, for as long as it lives.
class WriteClaim {
public:
    WriteClaim() noexcept = default;
    /// @throws BufferError  the bytes overlap those of a claim that lives.
    explicit WriteClaim(const View& view);
    WriteClaim& operator=(WriteClaim&& other) noexcept;
    ~WriteClaim();

private:
    std::uintptr_t low_ = 0;
    std::uintptr_t high_ = 0;  ///< equal to low_: holds nothing
};

}  // namespace devview::cuda
