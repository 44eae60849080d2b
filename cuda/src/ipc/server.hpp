// The exporter's side of sharing: one thread that answers importers and holds their leases.
//
// It runs while exported blocks live, ends by itself after the last, and at exit; a fork's child
// has none, and none of its descriptors. No lock is held while a block is given back.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devview/allocation.hpp"
#include "src/ipc/shared_block.hpp"

namespace devview::cuda {

class IpcServer {
public:
    /// Leaked on purpose: blocks may go after static destructors.
    static IpcServer& get();

    /// The handle of what `description` says of `allocation`, whose block is `block`: the same
    /// bytes for the same description. Keeps nothing alive. @throws HandleError.
    std::string add(const std::shared_ptr<Allocation>& allocation, SharedBlock* block,
                    const std::string& description);
    /// The block goes: its handles are stale from here on.
    void forget(const SharedBlock* block) noexcept;
    /// True if `server` is this process's.
    bool is_here(const Id& server);

private:
    using Lock = std::unique_lock<std::mutex>;

    struct Export {
        Id token;
        SharedBlock* block;
        std::weak_ptr<Allocation> allocation;
        std::string description;
    };
    /// Keeps a block for an importer, and counts as an export of it.
    class Lease {
    public:
        Lease() noexcept = default;
        explicit Lease(std::shared_ptr<Allocation> allocation);
        Lease(Lease&& other) noexcept : allocation_(std::move(other.allocation_)) {}
        Lease& operator=(Lease&& other) noexcept {
            std::swap(allocation_, other.allocation_);
            return *this;
        }
        ~Lease();
        explicit operator bool() const noexcept { return allocation_ != nullptr; }
        const Allocation* operator->() const noexcept { return allocation_.get(); }

    private:
        std::shared_ptr<Allocation> allocation_{};
    };
    struct Peer {
        Descriptor socket;
        Lease lease;
    };
    /// What a fork's child must drop without giving anything back.
    struct State {
        Id id{};
        Descriptor listener{};
        Descriptor wake{};
        std::vector<Export> exports{};
        std::vector<Peer> peers{};
    };

    IpcServer();
    void start();
    void run() noexcept;
    bool ends() noexcept;
    std::vector<int> sockets() const;
    void accept_callers() noexcept;
    bool serve(int socket);
    bool answer(int socket, const Id& token);
    void drop(int socket) noexcept;
    void wake() noexcept;
    void stop_at_exit() noexcept;
    void before_fork() { mutex_.lock(); }
    void after_fork_in_parent() { mutex_.unlock(); }
    void after_fork_in_child() noexcept;

    std::mutex mutex_{};
    std::condition_variable ended_{};
    bool running_ = false;
    bool exiting_ = false;
    std::unique_ptr<State> state_ = std::make_unique<State>();
};

}  // namespace devview::cuda
