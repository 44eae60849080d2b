// Abstract Unix sockets of Linux; other systems refuse.
#include "src/ipc/socket.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "devview/ipc.hpp"

#if defined(__linux__)

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace devview::cuda {

namespace {

[[noreturn]] void fail(const char* what) {
    throw HandleError(std::string("share memory: ") + what + ": " + std::strerror(errno));
}

struct Address {
    sockaddr_un name{};
    socklen_t length = 0;
};

/// A first byte of 0 makes the name abstract (unix(7)): it goes with its socket.
Address address_of(const Id& id) {
    static const char kDigits[] = "0123456789abcdef";
    std::string name("\0devview-", 9);
    for (const unsigned char byte : id) {
        name += kDigits[byte >> 4];
        name += kDigits[byte & 15];
    }
    Address address;
    address.name.sun_family = AF_UNIX;
    std::memcpy(address.name.sun_path, name.data(), name.size());
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    return address;
}

Descriptor make_socket(int flags) {
    Descriptor made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
    if (!made) fail("socket");
    return made;
}

constexpr std::size_t kControl = CMSG_SPACE(sizeof(int));

/// The descriptor that came with a message; more than one do not fit and are closed by the system.
Descriptor file_in(msghdr& message) noexcept {
    const cmsghdr* const part = CMSG_FIRSTHDR(&message);
    if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
        part->cmsg_len != CMSG_LEN(sizeof(int))) {
        return Descriptor{};
    }
    int file = -1;
    std::memcpy(&file, CMSG_DATA(part), sizeof file);
    return Descriptor(file);
}

/// True once there is something to read.
bool wait_readable(int socket, int timeout_ms) noexcept {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
    while (true) {
        pollfd entry{socket, POLLIN, 0};
        const int ready = poll(&entry, 1, timeout_ms);
        if (ready >= 0 || errno != EINTR) return ready > 0;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
        timeout_ms = left.count() > 0 ? static_cast<int>(left.count()) : 0;
    }
}

}  // namespace

Descriptor::~Descriptor() {
    if (file_ >= 0) close(file_);
}

Descriptor Descriptor::duplicate() const {
    Descriptor copy(fcntl(file_, F_DUPFD_CLOEXEC, 0));
    if (!copy) fail("dup");
    return copy;
}

Id random_id() {
    Id id{};
    if (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) fail("getrandom");
    return id;
}

Descriptor listen_at(const Id& id) {
    Descriptor made = make_socket(SOCK_NONBLOCK);
    const Address at = address_of(id);
    if (bind(made.get(), reinterpret_cast<const sockaddr*>(&at.name), at.length) != 0) fail("bind");
    if (listen(made.get(), 128) != 0) fail("listen");
    return made;
}

Descriptor connect_to(const Id& id) {
    Descriptor made = make_socket(0);
    const Address at = address_of(id);
    while (connect(made.get(), reinterpret_cast<const sockaddr*>(&at.name), at.length) != 0) {
        if (errno == ECONNREFUSED || errno == ENOENT) return Descriptor{};
        if (errno != EINTR) fail("connect");
    }
    return made;
}

Descriptor accept_from(int listener) noexcept {
    return Descriptor(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

bool same_user(int socket) noexcept {
    ucred peer{};
    socklen_t length = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.uid == geteuid();
}

bool send_message(int socket, const std::string& bytes, int file) noexcept {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[kControl] = {};
    if (file >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &file, sizeof file);
    }
    ssize_t sent = -1;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent == static_cast<ssize_t>(bytes.size());
}

std::optional<Message> receive_message(int socket, std::size_t limit, int timeout_ms) {
    if (!wait_readable(socket, timeout_ms)) return std::nullopt;
    Message result;
    result.bytes.resize(limit);
    iovec part{result.bytes.data(), limit};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[kControl] = {};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = -1;
    do {
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    // The other end has closed without reading what was sent to it.
    if (got < 0 && errno == ECONNRESET) got = 0;
    if (got < 0) return std::nullopt;
    result.file = file_in(message);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return std::nullopt;
    result.bytes.resize(static_cast<std::size_t>(got));
    return result;
}

}  // namespace devview::cuda

#else

namespace devview::cuda {

namespace {

[[noreturn]] void refuse() { throw HandleError("share memory: not supported on this system"); }

}  // namespace

Descriptor::~Descriptor() = default;
Descriptor Descriptor::duplicate() const { refuse(); }
Id random_id() { refuse(); }
Descriptor listen_at(const Id&) { refuse(); }
Descriptor connect_to(const Id&) { refuse(); }
Descriptor accept_from(int) noexcept { return Descriptor{}; }
bool same_user(int) noexcept { return false; }
bool send_message(int, const std::string&, int) noexcept { return false; }
std::optional<Message> receive_message(int, std::size_t, int) { return std::nullopt; }

}  // namespace devview::cuda

#endif
