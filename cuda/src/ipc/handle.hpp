// The bytes that travel between processes: the handle, the request, and the description of a view.
//
// Everything read here may be forged. Nothing is unpickled or trusted: sizes, ranges and texts are
// checked, and the memory itself is asked of the driver.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "devview/cuda/runtime.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"
#include "src/ipc/socket.hpp"

namespace devview::cuda {

/// Where to ask, and for what. Random tokens need no signature; the check sum tells what was cut or
/// changed on its way from what is stale.
struct Handle {
    Id server{};
    Id token{};
    std::int32_t process = 0;  ///< for messages only: numbers of processes are used again
};

constexpr std::size_t kHandleBytes = 56;
std::string encode(const Handle& handle);
/// @throws HandleError.
Handle decode_handle(std::string_view bytes);

/// What an importer sends.
std::string request_for(const Id& token);
std::optional<Id> token_of(const std::string& request);

/// One device, as every process sees it.
struct PciPlace {
    std::int32_t domain = 0, bus = 0, device = 0;
    bool operator==(const PciPlace& other) const noexcept {
        return domain == other.domain && bus == other.bus && device == other.device;
    }
};

/// What the exporter answers.
struct Description {
    Id block{};  ///< the same for all handles of one block
    bool emulated = false;
    bool readonly = false;
    std::int32_t device = 0;  ///< its number at the exporter's
    PciPlace place{};
    std::int64_t nbytes = 0;  ///< of the block
    std::int64_t offset = 0;  ///< of the view's data pointer
    cudaMemPoolPtrExportData pointer{};
    Format format{};
    Layout layout{};
};

constexpr std::size_t kLongestDescription = 32768;
/// @throws BufferError  the format has no text that gives it back, or a very long one.
std::string encode(const Description& description);
/// What is sent for a token that is of no living view.
std::string stale_answer();
/// @throws HandleError  stale, or nothing that encode() has made.
Description decode_description(const std::string& bytes);

}  // namespace devview::cuda
