// One plane of a walk converted: gathered, byte-swapped, converted, scattered in blocks that stay
// in the first cache; private to the core.
#pragma once

#include "src/convert/convert_runs.hpp"
#include "src/copy/copy_walk.hpp"

namespace devview::convert {

/// Converts the two innermost axes of `walk`.
void convert_plane(const NumberConversion& conversion, const rows::Walk& walk, char* dst,
                   const char* src) noexcept;

}  // namespace devview::convert
