// DLPack 1.3 both ways: a View becomes a managed tensor, a managed tensor becomes a View.
#pragma once

#include <cstdint>
#include <memory>

#include "devview/allocation.hpp"
#include "devview/dlpack_abi.hpp"
#include "devview/export.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview {

/// A managed tensor that shares `view`'s memory and holds its allocation, which counts it as an
/// export. Element strides are always filled. Its deleter may be called from any thread, once;
/// `flags` (kIsCopied) are added to what the view says itself (kReadOnly, kSubbytePadded).
/// Does not synchronise: see order_for_consumer().
/// @throws BufferError  a format that DLPack cannot name (records, foreign byte order, objects),
/// strides that are no multiple of the itemsize, suboffsets; ReleasedError.
DEVVIEW_CORE_API DLManagedTensorVersioned* to_dlpack(const View& view, std::uint64_t flags = 0);

/// The same without version and flags. @throws BufferError  also for read-only memory, which the
/// legacy struct cannot tell, and for packed items under 8 bits.
DEVVIEW_CORE_API DLManagedTensor* to_dlpack_legacy(const View& view);

/// What a DLTensor says, checked and copied: it may change or go afterwards. Owns nothing.
struct TensorDescription {
    void* data;  ///< of item [0, ..., 0]: byte_offset is added
    Format format;
    Layout layout;
    Device device;
    ByteBounds bounds;  ///< relative to data
};

/// @throws LayoutError, FormatError, BufferError (device, dtype)  naming the member, its value and
/// the limit. `flags` as of the managed tensor; legacy: kSubbytePadded for types under 8 bits.
DEVVIEW_CORE_API TensorDescription read_dlpack(const dlpack::Tensor& tensor, std::uint64_t flags);

/// Makes an allocation of a block; cuda/'s adopt_device for device memory.
using Adopt = std::shared_ptr<Allocation> (*)(Allocation::Block&& block);

/// Takes `tensor` over: its deleter runs when the last view goes (a null one is legal).
/// Everything is checked first. If this throws, nothing was taken over: the deleter has not run and
/// is the caller's to call. `stream`: the one the memory is ready on.
/// @throws LayoutError, FormatError, BufferError  also for a major version other than 1.
DEVVIEW_CORE_API View from_dlpack(DLManagedTensorVersioned* tensor, Stream stream = {},
                                  Adopt adopt = &Allocation::adopt);
DEVVIEW_CORE_API View from_dlpack(DLManagedTensor* tensor, Stream stream = {},
                                  Adopt adopt = &Allocation::adopt);

}  // namespace devview
