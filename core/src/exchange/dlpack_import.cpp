// A managed tensor as a View: everything that it says is checked before it is taken over.
#include <exception>
#include <limits>
#include <string>
#include <utility>

#include "devview/dlpack.hpp"
#include "devview/error.hpp"
#include "devview/packed.hpp"
#include "src/checked.hpp"
#include "src/format/format_nodes.hpp"
#include "src/layout/layout_check.hpp"

namespace devview {

namespace {

using detail::fail;

constexpr const char* kWhere = "dlpack";

// What a process can address at most (x86-64 with five levels): a reach beyond it is no memory,
// whatever int64 holds (numpy#32219).
constexpr std::int64_t kMaxReach = std::int64_t{1} << 56;

std::string number(std::int64_t value) { return std::to_string(value); }

bool is_packed(dlpack::DataType type, std::uint64_t flags) noexcept {
    return type.bits < 8 && (flags & dlpack::kSubbytePadded) == 0;
}

/// Of packed items lanes are more of them (float4_e2m1fnx2 is a byte with two), else not known.
Format read_format(dlpack::DataType type, std::uint64_t flags) {
    if (!is_packed(type, flags)) return Format::from_dlpack(type.code, type.bits, type.lanes);
    if (type.lanes == 0 || (type.lanes > 1 && type.lanes * type.bits % 8 != 0)) {
        throw FormatError("dlpack: dtype: " + number(type.lanes) + " lanes of " +
                              number(type.bits) + " bits fill no bytes",
                          0);
    }
    return Format::from_dlpack(type.code, type.bits).packed();
}

/// Byte strides, the producer's copied before they are looked at: it may write to them meanwhile.
Layout read_layout(int ndim, const std::int64_t* shape, const std::int64_t* strides,
                   std::int64_t itemsize) {
    if (ndim < 0) fail(kWhere, "ndim " + number(ndim) + ", minimum 0");
    if (ndim > kMaxNdim) fail(kWhere, "ndim " + number(ndim) + ", limit " + number(kMaxNdim));
    if (ndim > 0 && shape == nullptr) fail(kWhere, "shape null, ndim " + number(ndim));
    std::int64_t extents[kMaxNdim];
    std::int64_t steps[kMaxNdim];
    extents[0] = 0;  // of no axes nothing is read, which gcc does not see
    for (int axis = 0; axis < ndim; ++axis)
        extents[axis] = shape[axis];
    detail::check_shape(kWhere, ndim, extents, itemsize);
    std::int64_t dense = itemsize;
    for (int axis = ndim - 1; axis >= 0; --axis) {
        if (strides == nullptr || extents[axis] < 2) {
            steps[axis] = dense;
        } else if (const std::int64_t items = strides[axis];
                   !checked::mul(items, itemsize, steps[axis])) {
            fail(kWhere, axis,
                 "stride " + number(items) + " items of " + number(itemsize) +
                     " bytes, limit 2**63 bytes");
        }
        if (extents[axis] > 1) dense *= extents[axis];
    }
    return Layout::strided(ndim, extents, steps, nullptr, itemsize);
}

/// With the lanes of packed items on the last axis, or on one of their own.
Layout with_lanes(const Layout& layout, const Format& format, std::int64_t lanes) {
    require_packable(kWhere, format, layout);
    if (lanes == 1) return layout;
    const int ndim = layout.ndim() == 0 ? 1 : layout.ndim();
    std::int64_t extents[kMaxNdim] = {1};
    for (int axis = 0; axis < layout.ndim(); ++axis)
        extents[axis] = layout.shape()[axis];
    if (!checked::mul(extents[ndim - 1], lanes, extents[ndim - 1])) {
        fail(kWhere, ndim - 1, "extent times " + number(lanes) + " lanes, limit 2**63");
    }
    return Layout::contiguous(ndim, extents, 1);
}

/// What read_layout() and Layout::bounds() find of `ndim` axes, in one pass, where nothing is wrong
/// or empty. False: they have to look. A number that the compiler knows: it unrolls.
template <int ndim>
bool read_axes(const dlpack::Tensor& tensor, std::int64_t itemsize, HostTensor& read) noexcept {
    const std::int64_t* const shape = tensor.shape;
    const std::int64_t* const strides = tensor.strides;
    if (shape == nullptr || strides == nullptr) return false;
    std::int64_t dense = itemsize;
    std::int64_t low = 0;
    std::int64_t high = itemsize;
    for (int axis = ndim - 1; axis >= 0; --axis) {
        const std::int64_t extent = shape[axis];
        std::int64_t step = 0;
        std::int64_t reach = 0;
        if (extent < 1 || !checked::mul(strides[axis], itemsize, step)) return false;
        if (extent < 2) step = dense;
        if (!checked::mul(extent - 1, step, reach) || !checked::mul(dense, extent, dense)) {
            return false;
        }
        if (reach < 0 ? !checked::add(low, reach, low) : !checked::add(high, reach, high)) {
            return false;
        }
        read.shape[axis] = extent;
        read.strides[axis] = step;
    }
    std::int64_t span = 0;
    if (__builtin_sub_overflow(high, low, &span) || span > kMaxReach) return false;
    read.ndim = ndim;
    read.bounds = {low, high};
    return true;
}

bool read_small(const dlpack::Tensor& tensor, std::int64_t itemsize, HostTensor& read) noexcept {
    switch (tensor.ndim) {
        case 1:
            return read_axes<1>(tensor, itemsize, read);
        case 2:
            return read_axes<2>(tensor, itemsize, read);
        case 3:
            return read_axes<3>(tensor, itemsize, read);
        default:
            return false;
    }
}

/// True if the bytes of `bounds` around `data` lie in the address space.
bool is_addressable(const void* data, const ByteBounds& bounds) noexcept {
    const auto first = reinterpret_cast<std::uintptr_t>(data);
    std::uintptr_t end = 0;
    return checked::magnitude(bounds.low) <= first &&
           !__builtin_add_overflow(first, static_cast<std::uintptr_t>(bounds.high), &end);
}

/// The address of the first item. Bounds may reach below it: strides may be negative.
void* read_data(void* data, std::uint64_t byte_offset, const ByteBounds& bounds) {
    const auto base = reinterpret_cast<std::uintptr_t>(data);
    const bool empty = bounds.low == bounds.high;
    if (data == nullptr && !empty) {
        fail(kWhere, "data null, " + number(bounds.high - bounds.low) + " bytes of items");
    }
    if (bounds.high - bounds.low > kMaxReach) {
        fail(kWhere,
             "shape and strides reach " + number(bounds.high - bounds.low) + " bytes, limit 2**56");
    }
    std::uintptr_t first = 0;
    if (byte_offset > static_cast<std::uint64_t>(checked::kMax) ||
        __builtin_add_overflow(base, byte_offset, &first)) {
        fail(kWhere, "byte_offset " + std::to_string(byte_offset) + " from address " +
                         std::to_string(base) + " leaves the address space");
    }
    if (!is_addressable(reinterpret_cast<const void*>(first), bounds)) {
        fail(kWhere, "bytes [" + number(bounds.low) + ", " + number(bounds.high) +
                         ") from address " + std::to_string(first) + " leave the address space");
    }
    return static_cast<char*>(data) + byte_offset;
}

template <class Managed>
void call_deleter(Managed* tensor) noexcept {
    try {
        if (tensor->deleter != nullptr) tensor->deleter(tensor);
    } catch (const std::exception& error) {
        report_release_error(error.what());
    } catch (...) {
        report_release_error("dlpack: the deleter threw an unknown exception");
    }
}

template <class Managed>
View take_over(Managed* tensor, Stream stream, Adopt adopt) {
    TensorDescription read = read_dlpack(dlpack::tag(tensor));
    Allocation::Block block;
    block.data = static_cast<char*>(read.data) + read.bounds.low;
    block.nbytes = static_cast<std::size_t>(read.bounds.high - read.bounds.low);
    block.device = read.device;
    block.stream = std::move(stream);
    block.release = [](void* context, Stream) noexcept {
        call_deleter(static_cast<Managed*>(context));
    };
    block.context = tensor;
    return View(adopt(std::move(block)), read.data, std::move(read.format), std::move(read.layout),
                read.readonly);
}

[[noreturn]] void refuse_device_type(std::int64_t type) {
    throw BufferError("dlpack: device type " + number(type) + ", unknown to DLPack 1.3");
}

}  // namespace

Device dlpack_device(std::int64_t type, std::int64_t id) {
    constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();
    if (id < 0 || id > kMaxId) {
        throw BufferError("dlpack: device id " + number(id) + ", minimum 0, limit " +
                          number(kMaxId));
    }
    if (type < 0 || type > kMaxId) refuse_device_type(type);
    const Device device{static_cast<DeviceType>(type), static_cast<std::int32_t>(id)};
    switch (device.type) {
        case DeviceType::cpu:
        case DeviceType::cuda_host:
        case DeviceType::cuda_managed:
            return {device.type, 0};  // XLA numbers its CPU devices, CuPy tells the GPU of managed
        case DeviceType::cuda:
        case DeviceType::opencl:
        case DeviceType::vulkan:
        case DeviceType::metal:
        case DeviceType::vpi:
        case DeviceType::rocm:
        case DeviceType::rocm_host:
        case DeviceType::ext_dev:
        case DeviceType::oneapi:
        case DeviceType::webgpu:
        case DeviceType::hexagon:
        case DeviceType::maia:
        case DeviceType::trainium:
            return device;
    }
    refuse_device_type(type);
}

bool read_host_tensor(const DLManagedTensorVersioned* managed, HostTensor& out) noexcept {
    const auto* const all = dlpack::abi(managed);
    if (all == nullptr || all->version.major != dlpack::kMajor) return false;
    const std::uint64_t flags = all->flags;
    const dlpack::Tensor& tensor = all->dl_tensor;
    if ((flags & dlpack::kSubbytePadded) != 0 || tensor.byte_offset != 0 ||
        tensor.device.type != static_cast<std::int32_t>(DeviceType::cpu) || tensor.device.id < 0) {
        return false;
    }
    // One by one, as producers store them: a wider load would wait for the stores.
    const std::uint8_t code = tensor.dtype.code;
    const std::uint8_t bits = tensor.dtype.bits;
    out.format = tensor.dtype.lanes == 1 && bits >= 8 ? detail::dlpack_node(code, bits) : nullptr;
    out.data = static_cast<char*>(tensor.data);
    out.readonly = (flags & dlpack::kReadOnly) != 0;
    return out.format != nullptr && out.data != nullptr &&
           read_small(tensor, out.format->itemsize, out) && is_addressable(out.data, out.bounds);
}

TensorDescription read_dlpack(const dlpack::Tensor& tensor, std::uint64_t flags) {
    const dlpack::DataType type = tensor.dtype;  // once: the producer may write to it
    TensorDescription read{nullptr,          read_format(type, flags),
                           Layout(),         dlpack_device(tensor.device.type, tensor.device.id),
                           ByteBounds{0, 0}, (flags & dlpack::kReadOnly) != 0};
    const std::int64_t itemsize = read.format.itemsize();
    read.layout = read_layout(tensor.ndim, tensor.shape, tensor.strides, itemsize);
    if (read.format.is_packed()) read.layout = with_lanes(read.layout, read.format, type.lanes);
    read.bounds = byte_bounds(read.format, read.layout);
    read.data = read_data(tensor.data, tensor.byte_offset, read.bounds);
    return read;
}

TensorDescription read_dlpack(const DLManagedTensorVersioned* managed) {
    const auto* const tensor = dlpack::abi(managed);
    if (tensor == nullptr) throw BufferError("dlpack: the managed tensor is null");
    const dlpack::Version version = tensor->version;
    // Minor versions only add enumerators, and those are looked at one by one.
    if (version.major != dlpack::kMajor) {
        throw BufferError("dlpack: version " + std::to_string(version.major) + "." +
                          std::to_string(version.minor) + ", major version 1 is understood");
    }
    return read_dlpack(tensor->dl_tensor, tensor->flags);
}

TensorDescription read_dlpack(const DLManagedTensor* managed) {
    if (managed == nullptr) throw BufferError("dlpack: the managed tensor is null");
    return read_dlpack(dlpack::abi(managed)->dl_tensor, 0);
}

View from_dlpack(DLManagedTensorVersioned* tensor, Stream stream, Adopt adopt) {
    return take_over(dlpack::abi(tensor), std::move(stream), adopt);
}

View from_dlpack(DLManagedTensor* tensor, Stream stream, Adopt adopt) {
    return take_over(dlpack::abi(tensor), std::move(stream), adopt);
}

void delete_dlpack(DLManagedTensorVersioned* tensor) noexcept { call_deleter(dlpack::abi(tensor)); }
void delete_dlpack(DLManagedTensor* tensor) noexcept { call_deleter(dlpack::abi(tensor)); }

}  // namespace devview
