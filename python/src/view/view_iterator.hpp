// iter(v): an object that goes through the first axis.
#pragma once

#include "python.hpp"

namespace devview::python {

/// Before the first view is iterated.
void make_view_iterator_type();

}  // namespace devview::python
