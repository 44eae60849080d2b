// Writing one item to every place of a view.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "devview/copy.hpp"
#include "devview/copy_plan.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "src/copy/chunked_copy.hpp"
#include "src/copy/packed_items.hpp"
#include "src/copy/packing.hpp"
#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"

namespace devview {

using namespace cuda;

namespace {

void check_fill(const View& dst) {
    if (dst.released()) throw ReleasedError("fill: a released view");
    if (dst.readonly()) throw BufferError("fill: the view is read-only");
    if (!host_accessible(dst.device()) && dst.device().type != DeviceType::cuda) {
        throw NameError("fill: " + to_string(dst.device()) + ": not a device that devview fills");
    }
}

bool bytes_are_equal(const void* item, std::int64_t nbytes) noexcept {
    const auto* const first = static_cast<const unsigned char*>(item);
    return std::all_of(first, first + nbytes, [&](unsigned char byte) { return byte == *first; });
}

/// Every place reads the same item: its strides are zero, so that the plan's unit is one item.
CopyPlan plan_of_one_item(const View& dst) {
    const std::array<std::int64_t, kMaxNdim> still{};
    const Layout item =
        Layout::strided(dst.ndim(), dst.shape(), still.data(), nullptr, dst.itemsize());
    return plan_copy(dst.layout(), item, dst.itemsize());
}

void fill_with_bytes(const CopyPlan& dense, const View& dst, int byte, const Stream& stream) {
    check(runtime().MemsetAsync(static_cast<char*>(dst.data()) + dense.dst_shift, byte,
                                static_cast<std::size_t>(dense.unit), handle_of(stream)),
          "memset");
}

void fill_with_kernel(const View& dst, const void* item, const Stream& stream) {
    FillItem value{dst.itemsize(), {}};
    std::memcpy(value.bytes, item, static_cast<std::size_t>(value.nbytes));
    const CopyPlan plan = plan_of_one_item(dst);
    check(runtime().kernels.fill(plan, dst.data(), value, handle_of(stream)), "fill kernel");
}

/// Items too large for a kernel's parameters: one goes to the device and is broadcast there.
void fill_with_copies(const View& dst, const void* item, const Stream& stream) {
    require_no_capture("fill", stream, "the host waits for a copy of an item of this size");
    const std::int64_t itemsize = dst.itemsize();
    const DeviceTemp temp(static_cast<std::size_t>(itemsize), stream);
    const Layout one;
    chunked_to_device({temp.data(), one}, {const_cast<void*>(item), one}, itemsize, stream);
    const CopyPlan plan = plan_of_one_item(dst);
    check(runtime().kernels.copy(plan, dst.data(), temp.data(), handle_of(stream)), "copy kernel");
}

void fill_on_device(const View& dst, const void* item, const Stream& asked) {
    if (dst.suboffsets()) throw LayoutError("fill: suboffsets on " + to_string(dst.device()));
    Work work(work_stream(dst.device().id, asked, dst.stream()));
    work.uses(*dst.allocation());
    const CopyPlan dense = plan_copy(dst.layout(), dst.layout(), dst.itemsize());
    if (dense.contiguous() && bytes_are_equal(item, dst.itemsize())) {
        fill_with_bytes(dense, dst, *static_cast<const unsigned char*>(item), work.stream());
    } else if (dst.itemsize() <= kMaxFillBytes) {
        fill_with_kernel(dst, item, work.stream());
    } else {
        fill_with_copies(dst, item, work.stream());
    }
    work.done();
}

}  // namespace

void fill(const View& dst, const void* item, const Stream& stream) {
    check_fill(dst);
    const bool on_device = dst.device().type == DeviceType::cuda;
    if (on_device && stream) require_stream_on(stream, dst.device().id);
    if (dst.nbytes() == 0) return;
    if (is_packed(dst)) return fill_packed(dst, item, stream);
    if (on_device) return fill_on_device(dst, item, stream);
    wait_for_host(*dst.allocation());
    fill_host(dst.data(), dst.layout(), item, dst.itemsize());
}

}  // namespace devview
