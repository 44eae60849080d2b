// Device memory that two processes of one user view: shareable blocks, and handles to open them.
//
// A handle is a capability: 56 bytes that name a socket of the exporter and a random token. Opening
// one connects there; the memory's file descriptor and the view's description come back over the
// connection, which stays open as the importer's lease. The exporter keeps the block until every
// lease is closed, by the importer's release or by its death. Linux only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "devview/allocation.hpp"
#include "devview/device.hpp"
#include "devview/error.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview {

/// A handle that is no handle, was changed, is of this process, or whose memory or exporter is gone
/// (dv.HandleError, a ValueError).
class DEVVIEW_CUDA_API HandleError : public Error {
public:
    using Error::Error;
    ~HandleError() override;
};

/// As allocate(), but other processes can open the block. Each has a CUDA memory pool of its own,
/// so that an importer reaches nothing beside it and its memory goes back with it; the driver
/// rounds it up (2 MiB). cuda devices only.
/// @throws NameError  another device; DeviceError  the driver cannot share memory; OutOfMemory.
DEVVIEW_CUDA_API std::shared_ptr<Allocation> allocate_shareable(std::size_t nbytes, Device device,
                                                                const Stream& stream = {});

/// True for blocks of allocate_shareable().
DEVVIEW_CUDA_API bool is_shareable(const Allocation& allocation) noexcept;

/// The handle of `view`, any part and layout of a shareable block, for another process of this
/// user. The host waits for all work on the block so far. The handle keeps nothing alive, may be
/// opened any number of times while the block lives, and is stale afterwards.
/// @throws BufferError  the block is not shareable, or the format has no text; DeviceError.
DEVVIEW_CUDA_API std::string export_handle(const View& view);

/// The view that another process exported: same memory, format, layout; read-only if that was. All
/// views of one block share one import. What either process puts on a stream afterwards, the other
/// does not wait for: synchronise, then tell it. The memory stays while a view lives, also if the
/// exporter dies. `stream`: as allocate()'s; the exporter is told once it has passed the release.
/// @throws HandleError; DeviceError.
DEVVIEW_CUDA_API View import_handle(std::string_view handle, const Stream& stream = {});

}  // namespace devview
