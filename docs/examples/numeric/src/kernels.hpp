// What the module offers, on views whose formats and ranks have been checked.
#pragma once

#include <devview/view.hpp>

namespace numeric {

/// y += a * x, in place.
void saxpy(float a, const devview::View& x, const devview::View& y);
/// The sum of x, a view of one double where x is.
devview::View reduce(const devview::View& x);
/// The mean of every item and its two neighbours, in new memory where x is; the ends are copied.
devview::View stencil(const devview::View& x);
/// True if there are kernels for a GPU in here.
bool compiled_for_gpu();

}  // namespace numeric
