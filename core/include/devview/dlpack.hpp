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
/// export. Element strides are always filled, in the same block as the struct; byte_offset is 0.
/// Its deleter may be called from any thread, once; it drops the hold and touches nothing else.
/// `flags` (kIsCopied) are added to what the view says itself (kReadOnly, kSubbytePadded).
/// Does not synchronise: whoever hands the tensor over orders the consumer's stream first.
/// @throws BufferError  a format that DLPack cannot name (records, foreign byte order, objects),
/// strides that are no multiple of the itemsize, suboffsets; ReleasedError.
DEVVIEW_CORE_API DLManagedTensorVersioned* to_dlpack(const View& view, std::uint64_t flags = 0);

/// The same without version and flags. @throws BufferError  also for read-only memory and for
/// padded items under 8 bits, which the legacy struct cannot tell.
DEVVIEW_CORE_API DLManagedTensor* to_dlpack_legacy(const View& view);

/// A DLTensor of `view` that owns nothing: valid while the view is and `shape` and `strides`
/// (ndim values each, to be filled) are. The flags of the view are the result.
/// @throws BufferError, ReleasedError  as to_dlpack(); nothing has been written then.
DEVVIEW_CORE_API std::uint64_t describe_dlpack(const View& view, dlpack::Tensor& out,
                                               std::int64_t* shape, std::int64_t* strides);

/// DLPack's name of a format. @throws BufferError  it has none; the message names the format.
DEVVIEW_CORE_API dlpack::DataType dlpack_type(const Format& format);

/// The device of a tag; id 0 for cpu, pinned and managed memory, whatever the producer numbers.
/// @throws BufferError  a type that DLPack 1.3 does not have, or a negative id.
DEVVIEW_CORE_API Device dlpack_device(std::int64_t type, std::int64_t id);

/// What a DLTensor says, checked and copied: it may change or go afterwards. Owns nothing.
struct TensorDescription {
    void* data;  ///< of item [0, ..., 0]: byte_offset is added
    Format format;
    Layout layout;      ///< strides of axes below two items are those of a dense array
    Device device;      ///< id 0 for cpu, pinned and managed, whatever the producer numbers them
    ByteBounds bounds;  ///< relative to data
    bool readonly;
};

/// Reads every member once. Null strides are C-contiguous; unaligned data is legal.
/// @throws LayoutError, FormatError, BufferError (device)  naming the member, its value and the
/// limit. `flags` as of the managed tensor; 0 for a legacy one: items under 8 bits are packed.
DEVVIEW_CORE_API TensorDescription read_dlpack(const dlpack::Tensor& tensor, std::uint64_t flags);
/// @throws BufferError  also for null and for a major version other than 1, of which nothing else
/// is looked at.
DEVVIEW_CORE_API TensorDescription read_dlpack(const DLManagedTensorVersioned* tensor);
DEVVIEW_CORE_API TensorDescription read_dlpack(const DLManagedTensor* tensor);

/// What read_dlpack() finds of the usual tensor, in one pass: numbers in host memory on one to
/// three axes with strides, at least one item, no offset. Owns nothing.
struct HostTensor {
    char* data;
    const FormatNode* format;  ///< of static lifetime
    std::int64_t shape[Layout::kMaxSmall];
    std::int64_t strides[Layout::kMaxSmall];  ///< bytes
    ByteBounds bounds;                        ///< relative to data
    int ndim;
    bool readonly;

    char* begin() const noexcept { return data + bounds.low; }
    std::size_t nbytes() const noexcept {
        return static_cast<std::size_t>(bounds.high - bounds.low);
    }
    Layout layout() const noexcept { return Layout::small(ndim, shape, strides); }
};

/// False for any other tensor and where anything is wrong: read_dlpack() tells. Reads every member
/// once, too.
DEVVIEW_CORE_API bool read_host_tensor(const DLManagedTensorVersioned* tensor,
                                       HostTensor& out) noexcept;

/// Makes an allocation of a block; cuda/'s adopt_waiting where the memory may be a device's.
using Adopt = std::shared_ptr<Allocation> (*)(Allocation::Block&& block);

/// Takes `tensor` over: its deleter runs when the last view goes (a null one is legal).
/// Everything is checked first. If this throws, nothing was taken over: the deleter has not run and
/// is the caller's to call. `stream`: the one the memory is ready on.
/// @throws LayoutError, FormatError, BufferError  as read_dlpack().
DEVVIEW_CORE_API View from_dlpack(DLManagedTensorVersioned* tensor, Stream stream = {},
                                  Adopt adopt = &Allocation::adopt);
DEVVIEW_CORE_API View from_dlpack(DLManagedTensor* tensor, Stream stream = {},
                                  Adopt adopt = &Allocation::adopt);

/// Calls the deleter, if there is one, and reports what it throws (release_errors()).
DEVVIEW_CORE_API void delete_dlpack(DLManagedTensorVersioned* tensor) noexcept;
DEVVIEW_CORE_API void delete_dlpack(DLManagedTensor* tensor) noexcept;

}  // namespace devview
