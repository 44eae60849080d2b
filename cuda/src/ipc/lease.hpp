// The importer's side of a lease: the open connection that keeps the exporter's block.
#pragma once

#include "src/ipc/socket.hpp"

namespace devview::cuda {

/// An open lease, ended by end(). In the child of a fork it is closed already, so that a child does
/// not keep its parent's leases.
class ImportLease {
public:
    /// @throws std::bad_alloc.
    static ImportLease* hold(Descriptor socket);
    /// May run on any thread, a host function's included: no CUDA call, no Python.
    static void end(void* lease) noexcept;

private:
    explicit ImportLease(Descriptor socket) noexcept : socket_(std::move(socket)) {}
    static void close_all_in_child() noexcept;

    Descriptor socket_;
    ImportLease* previous_ = nullptr;
    ImportLease* next_ = nullptr;
};

}  // namespace devview::cuda
