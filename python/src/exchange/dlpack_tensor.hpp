// DLPack's managed tensors as this module makes and takes them: with the GIL and the end in mind.
#pragma once

#include <string>

#include "devview/dlpack.hpp"
#include "python.hpp"

namespace devview::python {

/// The name of a foreign capsule for a message: anything may stand in it, or nothing ("null").
std::string shown_name(const char* name);

/// The release of memory that came as a versioned managed tensor (`context`): runs its deleter.
void release_versioned(void* context, Stream) noexcept;

/// Before a consumer gets a view's memory: its `stream` (none: the legacy one) waits for what was
/// done to the memory, and counts as a user of it from then on unless it may go away. The host does
/// not wait, but for pinned and managed memory without a stream: their consumer may be the host.
void order_for_consumer(const View& view, const Stream& stream);

/// The host waits for what was done to the memory.
void wait_on_host(const View& view);

/// to_dlpack() and to_dlpack_legacy(), with a deleter that lets the GIL go, if its thread has it,
/// where giving the memory back may take a driver lock. @throws as those.
DLManagedTensorVersioned* export_tensor(const View& view, std::uint64_t flags = 0);
DLManagedTensor* export_legacy_tensor(const View& view);

/// Whether memory is where the tensor says: asks the driver, without the GIL.
/// @throws DeviceError, BufferError.
void require_place(const TensorDescription& read);

/// The same for host memory: asks only a driver that is in use.
void require_host(const HostTensor& read);

/// A view of `tensor`, which is taken over whatever happens: its deleter has run if this throws.
/// `read` is what read_dlpack() and require_place() found good. The deleter runs when the last view
/// goes, with or without the GIL, and never after the interpreter has ended: it may need it.
View take_tensor(DLManagedTensorVersioned* tensor, TensorDescription&& read, Stream stream);
View take_tensor(DLManagedTensor* tensor, TensorDescription&& read, Stream stream);

/// The same for what read_host_tensor() and require_host() found good, as a View object in `room`
/// (new reference), or as a View.
class NewView;
PyObject* new_host_view(NewView& room, DLManagedTensorVersioned* tensor, const HostTensor& read);
View take_host_tensor(DLManagedTensorVersioned* tensor, const HostTensor& read);

/// The three steps for a tensor that is the caller's own to give back.
View take_tensor(DLManagedTensorVersioned* tensor, Stream stream);

}  // namespace devview::python
