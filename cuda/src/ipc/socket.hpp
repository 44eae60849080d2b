// What sharing between processes asks of the operating system: sockets, descriptors, random bytes.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace devview::cuda {

/// An open file, closed with its owner.
class Descriptor {
public:
    Descriptor() noexcept = default;
    explicit Descriptor(int file) noexcept : file_(file) {}
    Descriptor(Descriptor&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(file_, other.file_);
        return *this;
    }
    ~Descriptor();
    explicit operator bool() const noexcept { return file_ >= 0; }
    int get() const noexcept { return file_; }
    int release() noexcept { return std::exchange(file_, -1); }
    /// Another descriptor of the same file. @throws HandleError.
    Descriptor duplicate() const;

private:
    int file_ = -1;
};

using Id = std::array<unsigned char, 16>;

/// Bytes that nobody can guess. @throws HandleError.
Id random_id();

/// Sockets have names that no file system knows, made of an Id. Messages keep their borders.
Descriptor listen_at(const Id& id);
/// Empty if nobody listens there. @throws HandleError.
Descriptor connect_to(const Id& id);
/// The next caller, not blocking; empty if there is none.
Descriptor accept_from(int listener) noexcept;
/// Both ends belong to one user (SO_PEERCRED).
bool same_user(int socket) noexcept;

struct Message {
    std::string bytes{};
    Descriptor file{};
};

/// Never blocks and never raises SIGPIPE. `file` -1: none. False if it could not be sent.
bool send_message(int socket, const std::string& bytes, int file = -1) noexcept;
/// The next message of at most `limit` bytes; empty bytes: the other end has closed. Nothing: none
/// came within `timeout_ms` (0: none is there), it was too long, or the socket failed.
std::optional<Message> receive_message(int socket, std::size_t limit, int timeout_ms);

}  // namespace devview::cuda
