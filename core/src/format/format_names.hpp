// What is checked about the names of a record's members.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "devview/format.hpp"

namespace devview::detail {

inline constexpr std::size_t kMaxName = 1024;

/// The name of a member while it is read: it lies in the format's text, where a ':' ends it; null
/// if there is none.
inline std::string_view draft_name(const FormatField& draft) noexcept {
    if (draft.name == nullptr) return {};
    const void* end = std::memchr(draft.name, ':', kMaxName + 1);
    return {draft.name, static_cast<std::size_t>(static_cast<const char*>(end) - draft.name)};
}

/// The first byte that is not UTF-8 (RFC 3629), or npos.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// The first draft whose name an earlier one has, or null. Empty names may repeat. Linear, also for
/// names that were made to collide.
const FormatField* find_duplicate(const FormatField* drafts, std::size_t count);

}  // namespace devview::detail
