// The loop that answers importers, and its start and end.
#include "src/ipc/server.hpp"

#include "devview/error.hpp"
#include "devview/ipc.hpp"

#if defined(__linux__)

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace devview::cuda {

namespace {

constexpr std::size_t kMostPeers = 1024;
constexpr std::size_t kLongestRequest = 64;

/// Signals are for the threads of the program: Python handles them on its main thread.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t old_{};
};

}  // namespace

IpcServer::Lease::Lease(std::shared_ptr<Allocation> allocation) {
    allocation->add_export();
    allocation_ = std::move(allocation);
}

IpcServer::Lease::~Lease() {
    if (allocation_) allocation_->drop_export();
}

IpcServer& IpcServer::get() {
    static IpcServer* const server = new IpcServer;
    return *server;
}

IpcServer::IpcServer() {
    pthread_atfork([] { get().before_fork(); }, [] { get().after_fork_in_parent(); },
                   [] { get().after_fork_in_child(); });
    std::atexit([] { get().stop_at_exit(); });
}

std::string IpcServer::add(const std::shared_ptr<Allocation>& allocation, SharedBlock* block,
                           const std::string& description) {
    const Id token = random_id();
    const Lock lock(mutex_);
    if (exiting_) throw HandleError("export_handle: the process is exiting");
    Handle handle;
    handle.token = token;
    handle.process = static_cast<std::int32_t>(getpid());
    const auto known =
        std::find_if(state_->exports.begin(), state_->exports.end(), [&](const Export& entry) {
            return entry.block == block && entry.description == description;
        });
    if (known == state_->exports.end()) {
        state_->exports.push_back({token, block, allocation, description});
    } else {
        handle.token = known->token;
    }
    if (!running_) start();
    handle.server = state_->id;
    return encode(handle);
}

/// Under the lock. If this throws, nothing listens and the export is without effect.
void IpcServer::start() {
    const Id id = random_id();
    Descriptor listener = listen_at(id);
    Descriptor bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!bell) throw HandleError("export_handle: no descriptor is left");
    state_->id = id;
    state_->listener = std::move(listener);
    state_->wake = std::move(bell);
    const SignalsBlocked blocked;
    std::thread([this] { run(); }).detach();
    running_ = true;
}

bool IpcServer::is_here(const Id& server) {
    const Lock lock(mutex_);
    return running_ && state_->id == server;
}

void IpcServer::forget(const SharedBlock* block) noexcept {
    const Lock lock(mutex_);
    auto& exports = state_->exports;
    exports.erase(std::remove_if(exports.begin(), exports.end(),
                                 [&](const Export& entry) { return entry.block == block; }),
                  exports.end());
    if (exports.empty() && running_) wake();
}

void IpcServer::wake() noexcept {
    const std::uint64_t one = 1;
    (void)!write(state_->wake.get(), &one, sizeof one);
}

/// Leases at exit stay as they are: the importers keep the memory, the system closes the sockets.
void IpcServer::stop_at_exit() noexcept {
    Lock lock(mutex_);
    exiting_ = true;
    if (!running_) return;
    wake();
    ended_.wait_for(lock, std::chrono::seconds(2), [this] { return !running_; });
}

/// The lock is held since before the fork. Descriptors are closed, so that importers see their
/// exporter's end; what holds memory is abandoned, since it is the parent's.
void IpcServer::after_fork_in_child() noexcept {
    for (Peer& peer : state_->peers)
        peer.socket = Descriptor{};
    for (Export& entry : state_->exports)
        entry.block->close_file();
    state_->listener = Descriptor{};
    state_->wake = Descriptor{};
    (void)state_.release();
    state_ = std::make_unique<State>();
    running_ = false;
    exiting_ = true;  // CUDA is not for this process
    mutex_.unlock();
}

/// True when the thread has nothing to do any more; it is no longer this one then.
bool IpcServer::ends() noexcept {
    const Lock lock(mutex_);
    if (!exiting_ && !state_->exports.empty()) return false;
    std::uint64_t rung = 0;
    (void)!read(state_->wake.get(), &rung, sizeof rung);
    state_->listener = Descriptor{};
    state_->wake = Descriptor{};
    if (!exiting_) state_->peers.clear();  // callers without a lease: those hold exports
    running_ = false;
    ended_.notify_all();
    return true;
}

std::vector<int> IpcServer::sockets() const {
    std::vector<int> result;
    for (const Peer& peer : state_->peers)
        result.push_back(peer.socket.get());
    return result;
}

void IpcServer::run() noexcept {
    while (!ends()) {
        try {
            std::vector<pollfd> entries;
            {
                const Lock lock(mutex_);
                entries.push_back({state_->wake.get(), POLLIN, 0});
                entries.push_back({state_->listener.get(), POLLIN, 0});
                for (const int socket : sockets())
                    entries.push_back({socket, POLLIN, 0});
            }
            if (poll(entries.data(), entries.size(), -1) < 0) continue;
            for (std::size_t k = 2; k < entries.size(); ++k) {
                if (entries[k].revents != 0 && !serve(entries[k].fd)) drop(entries[k].fd);
            }
            if (entries[1].revents != 0) accept_callers();
        } catch (const std::exception&) {
            // Out of memory: the callers wait, and give up after a while.
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
}

void IpcServer::accept_callers() noexcept {
    while (true) {
        const Lock lock(mutex_);
        Descriptor caller = accept_from(state_->listener.get());
        if (!caller) return;
        if (!same_user(caller.get()) || state_->peers.size() >= kMostPeers) continue;
        try {
            state_->peers.push_back({std::move(caller), Lease{}});
        } catch (const std::exception&) {
            return;
        }
    }
}

/// False: the connection ends. Once there is a lease, only the other end may end it.
bool IpcServer::serve(int socket) {
    const std::optional<Message> message = receive_message(socket, kLongestRequest, 0);
    if (message && message->bytes.empty()) return false;
    {
        const Lock lock(mutex_);
        for (const Peer& peer : state_->peers) {
            if (peer.socket.get() == socket && peer.lease) return message.has_value();
        }
    }
    const std::optional<Id> token = message ? token_of(message->bytes) : std::nullopt;
    return token && answer(socket, *token);
}

bool IpcServer::answer(int socket, const Id& token) {
    Lease lease;
    std::string description;
    Descriptor file;
    std::shared_ptr<Allocation> allocation;  // outlives the lock: it may be the last holder
    {
        const Lock lock(mutex_);
        for (const Export& entry : state_->exports) {
            if (entry.token != token) continue;
            allocation = entry.allocation.lock();
            if (!allocation) break;
            try {
                Lease taken(allocation);
                // A resize has given the allocation another block.
                if (SharedBlock::of(*allocation) != entry.block) break;
                file = entry.block->file().duplicate();
                description = entry.description;
                lease = std::move(taken);
            } catch (const Error&) {
                // freed, being resized, or no descriptor is left
            }
            break;
        }
    }
    if (!lease) {
        send_message(socket, stale_answer());
        return false;
    }
    {
        // Before the answer: the importer may die at any moment after it.
        const Lock lock(mutex_);
        for (Peer& peer : state_->peers) {
            if (peer.socket.get() == socket) peer.lease = std::move(lease);
        }
    }
    return send_message(socket, description, file.get());
}

void IpcServer::drop(int socket) noexcept {
    Peer gone;  // given back after the lock
    const Lock lock(mutex_);
    auto& peers = state_->peers;
    const auto found = std::find_if(peers.begin(), peers.end(),
                                    [&](const Peer& peer) { return peer.socket.get() == socket; });
    if (found == peers.end()) return;
    std::swap(gone, *found);
    peers.erase(found);
}

}  // namespace devview::cuda

#else

namespace devview::cuda {

IpcServer& IpcServer::get() {
    static IpcServer server;
    return server;
}
IpcServer::IpcServer() = default;
IpcServer::Lease::~Lease() = default;
std::string IpcServer::add(const std::shared_ptr<Allocation>&, SharedBlock*, const std::string&) {
    throw HandleError("export_handle: not supported on this system");
}
void IpcServer::forget(const SharedBlock*) noexcept {}
bool IpcServer::is_here(const Id&) { return false; }

}  // namespace devview::cuda

#endif
