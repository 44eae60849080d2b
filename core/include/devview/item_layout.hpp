// The layout of a view as typed code sees it: strides in items of one C++ type. Checks and
// arithmetic only; what is made of it (mdspan.hpp, say) is not here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/view.hpp"

namespace devview {

/// Which strides typed code can follow. Axes of one item never count: nothing is added up there.
enum class ItemStrides : std::uint8_t {
    c_contiguous,
    f_contiguous,
    unique,  ///< positive, and no two items in one place: in the order of their strides, each axis
             ///< steps past all that the ones before it reach. All slices of dense memory do.
    arbitrary,  ///< negative ones and zero, too
};

/// Who reads and writes the items.
enum class ItemReader : std::uint8_t {
    host,         ///< cpu, pinned and managed memory
    cuda_device,  ///< a kernel: CUDA's device, pinned and managed memory
};

/// What typed code wants of a view.
struct ItemRequest {
    const char* function;  ///< who asks, for errors
    const char* argument;  ///< how the caller's caller calls the view, for errors
    const Format& format;
    std::size_t alignment;  ///< of an item [bytes]
    bool writable;
    ItemReader reader;
    ItemStrides strides;
    std::uint64_t index_max;      ///< largest number of the index type
    int ndim;                     ///< 0 to 64
    const std::int64_t* extents;  ///< ndim entries, -1 where any will do
};

/// Checks `view` against `request` and writes its strides, counted in items, to `strides[ndim]`.
///
/// Axes of one item get the stride that a dense array would have, or 1 where the view is not dense;
/// empty views are dense. Returns the item, counted from the lowest address, at which data() lies:
/// 0 unless a stride is negative. Extents, strides and the number of items from the lowest to the
/// highest address all fit into the index type (zero extents taken as ones).
/// Does not synchronise.
/// @throws ReleasedError; FormatError  another format or byte order, packed items; BufferError
/// the device, or read-only memory; LayoutError  everything else. Each names the argument, what it
/// is and what was wanted.
DEVVIEW_CORE_API std::int64_t item_layout(const View& view, const ItemRequest& request,
                                          std::int64_t* strides);

}  // namespace devview
