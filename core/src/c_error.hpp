// From exceptions to the statuses of the C interface, and the text that goes with them.
#pragma once

#include <cstdint>
#include <utility>

#include "devview/c_api.h"

namespace devview::detail {

/// Records the text (cut to a fixed length: nothing is allocated) for this thread; `status` again.
devview_status refuse(devview_status status, const char* text, std::int64_t position = -1) noexcept;

/// The same for the exception that is being handled.
devview_status refuse_current_exception() noexcept;

/// Runs `body`, which returns a status, and lets no exception out.
template <class Body>
devview_status guarded(Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (...) {
        return refuse_current_exception();
    }
}

}  // namespace devview::detail
