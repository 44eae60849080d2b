// The process-wide table of formats in use: one node per spelling and itemsize.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "src/format/format_nodes.hpp"

namespace devview::detail {

/// The counted node of a spelling, or null. The caller gets a reference. Allocates nothing.
const FormatNode* find_interned(std::string_view spec, std::int64_t key_itemsize) noexcept;

/// Publishes `root` (one reference, for the caller), unless another thread was first: then its
/// node.
const FormatNode* intern(std::unique_ptr<FormatRoot> root);

/// Drops a reference; the last one takes the format out of the table and frees it.
void release_root(FormatRoot* root) noexcept;

}  // namespace devview::detail
