// From exceptions to the statuses of the C interface, and the text that goes with them: for those
// who write C functions beside devview's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "devview/c_api/status.h"
#include "devview/export.hpp"

namespace devview::c_api {

/// A status that no other error stands for: DEVVIEW_ERROR_ARGUMENT, _VERSION and _SIZE.
class DEVVIEW_CORE_API Refusal : public std::runtime_error {
public:
    Refusal(devview_status status, const std::string& what)
        : std::runtime_error(what), status_(status) {}
    ~Refusal() override;
    devview_status status() const noexcept { return status_; }

private:
    devview_status status_;
};

/// Records the text (cut to a fixed length: nothing is allocated) for this thread; `status` again.
DEVVIEW_CORE_API devview_status refuse(devview_status status, const char* text,
                                       std::int64_t position = -1, std::int32_t code = 0) noexcept;

/// The same for the exception that is being handled.
DEVVIEW_CORE_API devview_status refuse_current_exception() noexcept;

/// Runs `body`, and lets no exception out. What it returns is the status; DEVVIEW_OK if nothing.
template <class Body>
devview_status guarded(Body&& body) noexcept {
    try {
        if constexpr (std::is_void_v<decltype(std::forward<Body>(body)())>) {
            std::forward<Body>(body)();
            return DEVVIEW_OK;
        } else {
            return std::forward<Body>(body)();
        }
    } catch (...) {
        return refuse_current_exception();
    }
}

/// @throws Refusal  `pointer` is null: "devview_view_slice: view: null".
inline void require(const void* pointer, const char* function, const char* name) {
    if (pointer != nullptr) return;
    throw Refusal(DEVVIEW_ERROR_ARGUMENT, std::string(function) + ": " + name + ": null");
}

/// The caller's structure is of a version that is known: its size is one of those. A structure
/// that grows keeps its earlier sizes here. @throws Refusal.
template <class Struct>
void require_struct(const Struct* given, const char* function, const char* name) {
    require(given, function, name);
    if (given->struct_size == sizeof(Struct)) return;
    throw Refusal(DEVVIEW_ERROR_VERSION, std::string(function) + ": " + name + ": struct_size " +
                                             std::to_string(given->struct_size) +
                                             ", known: " + std::to_string(sizeof(Struct)));
}

/// `text` into the caller's buffer, as devview_format_str() says. @throws Refusal.
DEVVIEW_CORE_API void write_text(const char* function, const std::string& text, char* buffer,
                                 std::size_t capacity, std::size_t* length);

}  // namespace devview::c_api
