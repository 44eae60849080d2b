// How a device view's items are gathered and scattered: by memcpy, by pitched copies, or by a
// kernel.
#include "src/copy/packing.hpp"

#include <algorithm>
#include <utility>

#include "devview/error.hpp"
#include "src/copy/pitched_copy.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

constexpr std::int64_t kSmallestTemp = std::int64_t{1} << 20;

std::size_t bytes(std::int64_t n) noexcept { return static_cast<std::size_t>(n); }

}  // namespace

CopyPlan plan_to_dense(const Layout& layout, std::int64_t itemsize) {
    const Layout dense = Layout::contiguous(layout.ndim(), layout.shape(), itemsize);
    return plan_copy(dense, layout, itemsize, false);
}

CopyPlan exchange_sides(const CopyPlan& plan) noexcept {
    CopyPlan other = plan;
    std::swap(other.dst_shift, other.src_shift);
    std::copy_n(plan.dst_strides, plan.ndim, other.src_strides);
    std::copy_n(plan.src_strides, plan.ndim, other.dst_strides);
    return other;
}

void copy_on_device(const CopyPlan& plan, void* dst, const void* src, const Stream& stream) {
    const DeviceGuard guard(device_of(stream));
    if (plan.contiguous()) {
        check(runtime().MemcpyAsync(static_cast<char*>(dst) + plan.dst_shift,
                                    static_cast<const char*>(src) + plan.src_shift,
                                    bytes(plan.unit * plan.count), cudaMemcpyDeviceToDevice,
                                    handle_of(stream)),
              "memcpy");
    } else if (copies_pitched(plan)) {
        copy_pitched(plan, dst, src, cudaMemcpyDeviceToDevice, stream);
    } else {
        check(runtime().kernels.copy(plan, dst, src, handle_of(stream)), "copy kernel");
    }
}

Packing::Packing(void* data, const Layout& layout, std::int64_t itemsize, std::int64_t largest,
                 const Stream& stream)
    : data_(static_cast<char*>(data)),
      plan_(plan_to_dense(layout, itemsize)),
      way_(choose(plan_, largest)),
      largest_(largest),
      stream_(stream) {
    from_dense_ = exchange_sides(plan_);
}

Packing::Way Packing::choose(const CopyPlan& plan, std::int64_t largest) noexcept {
    if (plan.contiguous()) return Way::dense;
    if (plan.unit > largest) return Way::long_rows;
    return copies_pitched(plan) ? Way::rows : Way::packed;
}

std::int64_t Packing::grain() const noexcept {
    return way_ == Way::rows || way_ == Way::packed ? plan_.unit : 1;
}

void Packing::to_host(void* host, std::int64_t offset, std::int64_t nbytes) {
    move(static_cast<char*>(host), offset, nbytes, true);
}

void Packing::from_host(const void* host, std::int64_t offset, std::int64_t nbytes) {
    move(const_cast<char*>(static_cast<const char*>(host)), offset, nbytes, false);
}

void Packing::move(char* host, std::int64_t offset, std::int64_t nbytes, bool to_host) {
    if (nbytes == 0) return;
    const DeviceGuard guard(device_of(stream_));
    switch (way_) {
        case Way::dense:
            return memcpy(data_ + plan_.src_shift + offset, host, nbytes, to_host);
        case Way::rows:
            return move_rows(host, offset / plan_.unit, nbytes / plan_.unit, to_host);
        case Way::long_rows:
            return move_long_rows(host, offset, nbytes, to_host);
        case Way::packed:
            return move_packed(host, offset / plan_.unit, nbytes / plan_.unit, to_host);
    }
}

void Packing::memcpy(void* device, void* host, std::int64_t nbytes, bool to_host) {
    const auto kind = to_host ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice;
    check(runtime().MemcpyAsync(to_host ? host : device, to_host ? device : host, bytes(nbytes),
                                kind, handle_of(stream_)),
          "memcpy");
}

/// Whole slices by one copy, and one more where the range begins or ends inside a slice.
void Packing::move_rows(char* host, std::int64_t first, std::int64_t rows, bool to_host) {
    const std::int64_t slice = plan_.ndim == 2 ? plan_.extents[1] : rows;
    while (rows > 0) {
        const std::int64_t begun = plan_.ndim == 2 ? first % slice : 0;
        const std::int64_t whole = rows / slice * slice;
        const std::int64_t part = begun == 0 && whole > 0 ? whole : std::min(slice - begun, rows);
        move_box(host, first, part, to_host);
        host += part * plan_.unit;
        first += part;
        rows -= part;
    }
}

/// Rows of one slice, or of several whole ones.
void Packing::move_box(char* host, std::int64_t first, std::int64_t rows, bool to_host) {
    CopyPlan box = to_host ? plan_ : from_dense_;
    box.dst_shift = box.src_shift = 0;
    box.count = rows;
    const int inner = plan_.ndim - 1;
    if (inner == 0 || rows <= plan_.extents[inner]) {
        box.ndim = 1;
        box.extents[0] = rows;
        box.dst_strides[0] = box.dst_strides[inner];
        box.src_strides[0] = box.src_strides[inner];
    } else {
        box.extents[0] = rows / plan_.extents[inner];
    }
    char* const device = unit_at(first);
    if (to_host) {
        copy_pitched(box, host, device, cudaMemcpyDeviceToHost, stream_);
    } else {
        copy_pitched(box, device, host, cudaMemcpyHostToDevice, stream_);
    }
}

/// Rows longer than a range: parts of one or a few rows, each dense.
void Packing::move_long_rows(char* host, std::int64_t offset, std::int64_t nbytes, bool to_host) {
    while (nbytes > 0) {
        const std::int64_t in_row = offset % plan_.unit;
        const std::int64_t part = std::min(plan_.unit - in_row, nbytes);
        memcpy(unit_at(offset / plan_.unit) + in_row, host, part, to_host);
        host += part;
        offset += part;
        nbytes -= part;
    }
}

/// Room for the longest range; less where the device has no more, so that a view can be staged from
/// a device that is full.
void Packing::make_temp() {
    std::int64_t size = std::min(largest_, nbytes());
    while (!temp_.data()) {
        try {
            temp_ = DeviceTemp(bytes(size), stream_);
        } catch (const OutOfMemory&) {
            if (size / 2 < std::max(plan_.unit, kSmallestTemp)) throw;
            size /= 2;
        }
    }
}

void Packing::move_packed(char* host, std::int64_t first, std::int64_t units, bool to_host) {
    make_temp();
    const std::int64_t room = static_cast<std::int64_t>(temp_.nbytes()) / plan_.unit;
    while (units > 0) {
        const std::int64_t part = std::min(room, units);
        move_part(host, first, part, to_host);
        host += part * plan_.unit;
        first += part;
        units -= part;
    }
}

void Packing::move_part(char* host, std::int64_t first, std::int64_t units, bool to_host) {
    const std::int64_t nbytes = units * plan_.unit;
    const KernelTable& kernels = runtime().kernels;
    const cudaStream_t handle = handle_of(stream_);
    if (to_host) {
        check(kernels.pack(plan_, temp_.data(), data_, first, units, handle), "pack kernel");
        memcpy(temp_.data(), host, nbytes, true);
    } else {
        memcpy(temp_.data(), host, nbytes, false);
        check(kernels.unpack(from_dense_, data_, temp_.data(), first, units, handle),
              "unpack kernel");
    }
}

char* Packing::unit_at(std::int64_t unit) const noexcept {
    char* at = data_ + plan_.src_shift;
    for (int axis = plan_.ndim - 1; axis >= 0; --axis) {
        at += unit % plan_.extents[axis] * plan_.src_strides[axis];
        unit /= plan_.extents[axis];
    }
    return at;
}

}  // namespace devview::cuda
