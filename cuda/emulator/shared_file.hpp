// Files of emulated memory that several processes map: their names, and who has them imported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace devview::cuda::emulator {

/// A sparse file of the name "devview-emulated-pool-ID", -1 if refused. `id` is random.
int make_shared_file(std::uint64_t id) noexcept;
bool grow_shared_file(int file, std::size_t nbytes) noexcept;
/// The id of such a file, 0 for any other; and its size.
std::uint64_t shared_file_id(int file) noexcept;
std::size_t shared_file_size(int file) noexcept;
/// The same file opened anew, so that its locks are apart from those of `file`; -1 if refused.
int reopen_shared_file(int file) noexcept;
int duplicate_file(int file) noexcept;
void close_file(int file) noexcept;
std::uint64_t random_number() noexcept;

/// Marks the block at `offset` as imported, as long as `file` (of its own opening) is open.
void mark_import(int file, std::size_t offset) noexcept;
void unmark_import(int file, std::size_t offset) noexcept;
/// Another process has it imported. Waits a moment for one that is dying.
bool imported_elsewhere(int file, std::size_t offset) noexcept;

}  // namespace devview::cuda::emulator
