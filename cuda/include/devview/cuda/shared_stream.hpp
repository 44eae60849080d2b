// Streams between libraries: the one that others are told of a view, and theirs that we are told.
#pragma once

#include <cstddef>
#include <memory>

#include "devview/allocation.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

/// The stream that others are told of `view`, and that work on it is put to: the view's own if we
/// hold it, else its allocation's if we do, else the legacy stream. Talks to the runtime for pinned
/// and managed memory alone. @throws DeviceError.
DEVVIEW_CUDA_API Stream shared_stream(const View& view);

/// The same, after the stream was made to wait for every use of the memory on other streams; what
/// others put there counts as a use from now on. The host does not wait. @throws DeviceError.
DEVVIEW_CUDA_API Stream join_shared_stream(const View& view);

/// The uses of a block whose home is somebody else's stream that lives at least as long as the
/// block: it may be waited for at any later time, and waits for all uses before the block is given
/// back. The CUDA Array Interface promises that of its `stream` (version 3, "Lifetime management"),
/// as does a caller who keeps the stream's owner beside the block. Nothing but this block may rely
/// on it, so the block's own stream is a raw one.
DEVVIEW_CUDA_API std::unique_ptr<StreamUses> make_uses_on_theirs(const Stream& home);

/// The uses of a block whose owner names no stream, and may do with it what it likes once it is
/// given back: the host waits for our work before that, if there was any.
DEVVIEW_CUDA_API std::unique_ptr<StreamUses> make_waiting_uses(const Stream& home);

/// Device memory that is ready, and later freed, on such a stream.
DEVVIEW_CUDA_API std::shared_ptr<Allocation> allocate_on_theirs(std::size_t nbytes,
                                                                const Stream& home);

}  // namespace devview::cuda
