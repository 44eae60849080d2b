// A View as a managed tensor: one block with the struct, what it holds, shape and strides.
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include "devview/dlpack.hpp"
#include "devview/error.hpp"

namespace devview {

namespace {

using dlpack::DataType;
using dlpack::ManagedTensor;
using dlpack::ManagedTensorVersioned;

[[noreturn]] void refuse_format(const Format& format, const char* why) {
    throw BufferError("dlpack: format '" + std::string(format.text()) + "': " + why);
}

/// The struct comes first: the deleter gets its address. Shape and strides follow.
template <class Managed>
struct Exported {
    Managed tensor;
    std::shared_ptr<Allocation> allocation;

    std::int64_t* extents() noexcept { return reinterpret_cast<std::int64_t*>(this + 1); }

    static void destroy(Managed* tensor) noexcept {
        auto* const self = reinterpret_cast<Exported*>(tensor);
        const std::shared_ptr<Allocation> last = std::move(self->allocation);
        self->~Exported();
        std::free(self);
        last->drop_export();  // the block itself, and with it user code, goes at the very end
    }
};

/// Strides in items. Axes below two items get a dense array's: their own means nothing, and
/// consumers read it as a stride all the same (pytorch#83158).
void fill_axes(const View& view, std::int64_t* shape, std::int64_t* strides) noexcept {
    // Every type of DLPack has 1, 2, 4, 8 or 16 bytes.
    const int shift = __builtin_ctzll(static_cast<unsigned long long>(view.itemsize()));
    std::int64_t dense = 1;
    for (int axis = view.ndim() - 1; axis >= 0; --axis) {
        const std::int64_t extent = view.shape()[axis];
        shape[axis] = extent;
        strides[axis] = extent < 2 ? dense : view.strides()[axis] >> shift;
        if (extent > 1) dense *= extent;
    }
}

void require_item_strides(const View& view) {
    if (view.suboffsets() != nullptr) throw BufferError("dlpack: the view has suboffsets");
    const std::int64_t mask = view.itemsize() - 1;
    for (int axis = 0; axis < view.ndim(); ++axis) {
        if (view.shape()[axis] < 2 || (view.strides()[axis] & mask) == 0) continue;
        throw BufferError("dlpack: axis " + std::to_string(axis) + ": stride " +
                          std::to_string(view.strides()[axis]) +
                          " bytes, no multiple of the itemsize " + std::to_string(view.itemsize()));
    }
}

std::uint64_t flags_of(const View& view, DataType type) noexcept {
    const bool padded = type.bits < 8 && !view.format().is_packed();
    return (view.readonly() ? dlpack::kReadOnly : 0) | (padded ? dlpack::kSubbytePadded : 0);
}

/// Everything that can be refused, before anything is made.
DataType require_tensor(const View& view) {
    if (view.released()) throw ReleasedError("dlpack: the view was released");
    const DataType type = dlpack_type(view.format());
    require_item_strides(view);
    return type;
}

void fill(const View& view, DataType type, dlpack::Tensor& out, std::int64_t* shape,
          std::int64_t* strides) noexcept {
    fill_axes(view, shape, strides);
    // dlpack.h: "When the tensor size is 0, data should be NULL".
    out.data = view.size() == 0 ? nullptr : view.data();
    out.device = {static_cast<std::int32_t>(view.device().type), view.device().id};
    out.ndim = view.ndim();
    out.dtype = type;
    out.shape = shape;
    out.strides = strides;
    out.byte_offset = 0;
}

template <class Managed>
Managed* make(const View& view, DataType type) {
    const std::size_t axes = static_cast<std::size_t>(view.ndim()) * 2 * sizeof(std::int64_t);
    void* const block = std::malloc(sizeof(Exported<Managed>) + axes);
    if (block == nullptr) throw std::bad_alloc();
    try {
        view.allocation()->add_export();
    } catch (...) {
        std::free(block);
        throw;
    }
    auto* const self = ::new (block) Exported<Managed>{Managed{}, view.allocation()};
    self->tensor.manager_ctx = self;
    self->tensor.deleter = &Exported<Managed>::destroy;
    fill(view, type, self->tensor.dl_tensor, self->extents(), self->extents() + view.ndim());
    return &self->tensor;
}

}  // namespace

DataType dlpack_type(const Format& format) {
    const FormatNode& node = *format.node();
    const auto named = [&](dlpack::Code code) {
        if (node.byteorder != ByteOrder::native) {
            refuse_format(format, "DLPack has native byte order only");
        }
        return DataType{code, static_cast<std::uint8_t>(node.bits), 1};
    };
    switch (node.kind) {
        case Kind::boolean:
            return {dlpack::kBool, 8, 1};
        case Kind::integer:
            return named(dlpack::kInt);
        case Kind::unsigned_integer:
            return named(dlpack::kUInt);
        case Kind::floating:
            if (node.code == 'g') refuse_format(format, "DLPack has no long double");
            return named(static_cast<dlpack::Code>(node.float_kind));
        case Kind::complex_floating:
            if (node.bits > 128) refuse_format(format, "DLPack has no complex long double");
            return named(dlpack::kComplex);
        default:
            refuse_format(format, "DLPack has numbers only");
    }
}

std::uint64_t describe_dlpack(const View& view, dlpack::Tensor& out, std::int64_t* shape,
                              std::int64_t* strides) {
    const DataType type = require_tensor(view);
    fill(view, type, out, shape, strides);
    return flags_of(view, type);
}

DLManagedTensorVersioned* to_dlpack(const View& view, std::uint64_t flags) {
    const DataType type = require_tensor(view);
    auto* const tensor = make<ManagedTensorVersioned>(view, type);
    tensor->version = {dlpack::kMajor, dlpack::kMinor};
    tensor->flags = flags | flags_of(view, type);
    return dlpack::tag(tensor);
}

DLManagedTensor* to_dlpack_legacy(const View& view) {
    const DataType type = require_tensor(view);
    const std::uint64_t flags = flags_of(view, type);
    if (flags & dlpack::kReadOnly) {
        throw BufferError(
            "dlpack: read-only memory in a legacy capsule, which cannot say so; "
            "max_version=(1, 0) asks for one that can");
    }
    if (flags & dlpack::kSubbytePadded) {
        refuse_format(view.format(), "padded items under 8 bits need max_version=(1, 1) or later");
    }
    return dlpack::tag(make<ManagedTensor>(view, type));
}

}  // namespace devview
