// Range checks and error texts that the layout files share; private to the core.
#pragma once

#include <cstdint>
#include <string>

#include "devview/layout.hpp"

namespace devview::detail {

/// LayoutError "where: axis N: what".
[[noreturn]] void fail(const char* where, int axis, const std::string& what);
/// LayoutError "where: what".
[[noreturn]] void fail(const char* where, const std::string& what);

/// ndim, itemsize, extents and their product in bytes, zeros taken as ones. @throws LayoutError
void check_shape(const char* where, int ndim, const std::int64_t* shape, std::int64_t itemsize);

/// LayoutError "where: shape (3,) to (4,)".
[[noreturn]] void fail_shapes(const char* where, const Layout& dst, const Layout& src);

/// @throws LayoutError  as above, unless both have the same shape.
inline void check_same_shape(const char* where, const Layout& dst, const Layout& src) {
    if (!dst.same_shape(src)) fail_shapes(where, dst, src);
}

}  // namespace devview::detail
