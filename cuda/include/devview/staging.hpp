// A host copy of a device view for as long as a host consumer holds it.
#pragma once

#include <cstddef>
#include <memory>

#include "devview/cuda/memory.hpp"
#include "devview/export.hpp"
#include "devview/layout.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview {

/// Starts on construction, is ready after wait(), and is given back by finish() or the destructor.
///
/// The copy is dense in `order`, in one pinned block where it fits under the pinned limit, else in
/// pageable memory filled through pinned chunks (then it is complete on construction). Runtime
/// calls of a read-only staging: at most one kernel or one pitched copy, one copy device to host,
/// one event; the wait for that event is the only host synchronisation.
///
/// A writable staging claims its byte range: a second one that overlaps it is refused. finish()
/// writes it back, ordered on the view's stream, and returns without waiting (pinned) or when it is
/// done (pageable). Pinned and managed views are not copied: data() is the view's own memory.
class DEVVIEW_CUDA_API Staging {
public:
    /// @throws BufferError  read-only view asked writable, or an overlapping writable staging
    /// lives; ReleasedError, DeviceError, OutOfMemory (nothing is kept then).
    Staging(const View& source, bool writable, Order order = Order::C, const Stream& stream = {});
    ~Staging();
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    void* data() const noexcept;
    const Layout& layout() const noexcept;
    std::size_t nbytes() const noexcept;
    /// The copy lies in pinned memory (or is the view's own).
    bool pinned() const noexcept;
    bool writable() const noexcept;
    bool ready() const;
    /// Blocks until the copy is complete. @throws DeviceError.
    void wait();
    /// Writes back if writable, gives the pinned block and the claim back. Idempotent; everything
    /// is given back also if it throws. @throws DeviceError  the write-back failed.
    void finish();
    /// Gives everything back, writes nothing back.
    void discard() noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

inline std::unique_ptr<Staging> stage(const View& view, bool writable, const Stream& stream = {}) {
    return std::make_unique<Staging>(view, writable, Order::C, stream);
}

}  // namespace devview
