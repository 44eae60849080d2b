// A View as a managed tensor: one block with the struct, what it holds, shape and strides.
#include <new>
#include <string>
#include <utility>

#include "devview/dlpack.hpp"
#include "devview/error.hpp"
#include "src/memory/recycled.hpp"

namespace devview {

namespace {

using dlpack::DataType;
using dlpack::ManagedTensor;
using dlpack::ManagedTensorVersioned;

[[noreturn]] void refuse_format(const Format& format, const char* why) {
    throw BufferError("dlpack: format '" + std::string(format.text()) + "': " + why);
}

constexpr int kFewAxes = 4;

inline DataType type_of(const Format& format) {
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

/// The struct comes first: the deleter gets its address. Shape and strides follow. Tensors of few
/// axes come and go with each hand-over: theirs are blocks of one size, kept for reuse.
template <class Managed>
struct Exported {
    Managed tensor;
    std::shared_ptr<Allocation> allocation;
    bool small;  ///< a block of few axes; what the tensor says is its consumer's

    /// The tensor is filled by make().
    Exported(const std::shared_ptr<Allocation>& held, bool is_small) noexcept
        : allocation(held), small(is_small) {}

    static constexpr std::size_t bytes(int ndim) noexcept {
        return sizeof(Exported) + static_cast<std::size_t>(ndim) * 2 * sizeof(std::int64_t);
    }
    static void* take_block(int ndim) {
        if (ndim > kFewAxes) return ::operator new(bytes(ndim));
        return recycled::take<sizeof(Exported) + kFewAxes * 2 * sizeof(std::int64_t)>();
    }
    static void give_block(void* block, bool small) noexcept {
        if (small) {
            recycled::give<sizeof(Exported) + kFewAxes * 2 * sizeof(std::int64_t)>(block);
        } else {
            ::operator delete(block);
        }
    }

    static void destroy(Managed* tensor) noexcept {
        auto* const self = reinterpret_cast<Exported*>(tensor);
        const std::shared_ptr<Allocation> last = std::move(self->allocation);
        const bool small = self->small;
        self->~Exported();
        give_block(self, small);
        last->drop_export();  // the block itself, and with it user code, goes at the very end
    }
};

/// Strides in items. Axes below two items get a dense array's: their own means nothing, and
/// consumers read it as a stride all the same (pytorch#83158). False: a stride has no items.
inline bool fill_axes(const View& view, std::int64_t* shape, std::int64_t* strides) noexcept {
    // Every type of DLPack has 1, 2, 4, 8 or 16 bytes.
    const std::int64_t mask = view.itemsize() - 1;
    const int shift = __builtin_ctzll(static_cast<unsigned long long>(view.itemsize()));
    const std::int64_t* const extents = view.shape();
    const std::int64_t* const steps = view.strides();
    std::int64_t dense = 1;
    std::int64_t odd = 0;
    for (int axis = view.ndim() - 1; axis >= 0; --axis) {
        const std::int64_t extent = extents[axis];
        shape[axis] = extent;
        if (extent < 2) {
            strides[axis] = dense;
            continue;
        }
        strides[axis] = steps[axis] >> shift;
        odd |= steps[axis] & mask;
        dense *= extent;
    }
    return odd == 0;
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
    return type_of(view.format());
}

/// All but what the axes are.
void fill(const View& view, DataType type, dlpack::Tensor& out, std::int64_t* shape,
          std::int64_t* strides) noexcept {
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
    using Block = Exported<Managed>;
    struct Room {
        int ndim;
        bool small = ndim <= kFewAxes;
        void* block = Block::take_block(ndim);
        ~Room() {
            if (block != nullptr) Block::give_block(block, small);
        }
    } room{view.ndim()};
    auto* const axes =
        reinterpret_cast<std::int64_t*>(static_cast<char*>(room.block) + sizeof(Block));
    if (view.suboffsets() != nullptr || !fill_axes(view, axes, axes + view.ndim())) {
        require_item_strides(view);
    }
    view.allocation()->add_export();
    auto* const self =
        ::new (std::exchange(room.block, nullptr)) Block(view.allocation(), room.small);
    self->tensor.manager_ctx = self;
    self->tensor.deleter = &Block::destroy;
    fill(view, type, self->tensor.dl_tensor, axes, axes + view.ndim());
    return &self->tensor;
}

}  // namespace

DataType dlpack_type(const Format& format) { return type_of(format); }

std::uint64_t describe_dlpack(const View& view, dlpack::Tensor& out, std::int64_t* shape,
                              std::int64_t* strides) {
    const DataType type = require_tensor(view);
    require_item_strides(view);
    fill_axes(view, shape, strides);
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
