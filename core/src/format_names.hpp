// What is checked about the names of a record's members.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace devview::detail {

/// The first byte that is not UTF-8 (RFC 3629), or npos.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// The first name that is there twice (the later of the two), or an empty view. Empty names may
/// repeat. Linear, also for names that were made to collide.
std::string_view find_duplicate(const std::vector<std::string_view>& names);

}  // namespace devview::detail
