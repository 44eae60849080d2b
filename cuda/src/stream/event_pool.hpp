// The pool of idle events, for those who trim.
#pragma once

namespace devview::cuda {

/// Destroys the idle events.
void drop_idle_events();

}  // namespace devview::cuda
