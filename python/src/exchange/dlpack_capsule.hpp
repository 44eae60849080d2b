// DLPack's capsules: their names, which say who owns the tensor, and the hand-over.
#pragma once

#include <functional>

#include "exchange/dlpack_tensor.hpp"

namespace devview::python {

/// A capsule that owns `tensor` until a consumer renames it (new reference). Takes the tensor over;
/// null, with the tensor deleted and a Python error set, if there is no memory for it.
PyObject* new_capsule(DLManagedTensorVersioned* tensor) noexcept;
PyObject* new_capsule(DLManagedTensor* tensor) noexcept;

/// The tensor of an unconsumed capsule as a view; the capsule is renamed, once, and owns nothing
/// afterwards. If the tensor is refused, the capsule still owns it and its destructor deletes it.
/// `stream_on` gives the stream that the memory is ready on for the tensor's device, or throws.
/// @throws BufferError  no capsule, another name, consumed before or meanwhile; as read_dlpack()
/// and require_place().
View take_capsule(PyObject* capsule, const std::function<Stream(Device)>& stream_on);

/// The same for a versioned capsule of what read_host_tensor() takes, in one pass: as a View object
/// (new reference), or as a View. Null or a released view, without an error and with nothing done,
/// for any other. @throws BufferError  as take_capsule().
PyObject* new_capsule_view(PyObject* capsule);
View take_host_capsule(PyObject* capsule);

}  // namespace devview::python
