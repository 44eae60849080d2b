// The functor that converts numbers by value, and its launch; one source for GPU and host.
#pragma once

#include <cstdint>

#include "devview/cuda/runtime.hpp"
#include "devview/number.hpp"
#include "kernels/dispatch.hpp"
#include "kernels/functors.hpp"

namespace devview::cuda::kernels {

DEVVIEW_HD inline std::uint64_t reversed_bytes(std::uint64_t bits, unsigned size) {
    std::uint64_t result = 0;
    for (unsigned byte = 0; byte < size; ++byte) {
        result = result << 8 | (bits & 0xff);
        bits >>= 8;
    }
    return result;
}

/// One side of a cast: the bits of numbers of `size` bytes, in native order once loaded.
struct NumberAccess {
    unsigned size;
    bool aligned;  ///< every address is a multiple of `size`
    bool swapped;

    DEVVIEW_HD std::uint64_t load(const unsigned char* src) const {
        const std::uint64_t bits = aligned ? load_aligned(src) : load_bytes(src);
        return swapped ? reversed_bytes(bits, size) : bits;
    }
    DEVVIEW_HD void store(unsigned char* dst, std::uint64_t bits) const {
        if (swapped) bits = reversed_bytes(bits, size);
        if (aligned) return store_aligned(dst, bits);
        for (unsigned byte = 0; byte < size; ++byte)
            dst[byte] = static_cast<unsigned char>(bits >> 8 * byte);
    }

private:
    DEVVIEW_HD std::uint64_t load_aligned(const unsigned char* src) const {
        switch (size) {
            case 1:
                return *src;
            case 2:
                return load_unit<std::uint16_t>(src);
            case 4:
                return load_unit<std::uint32_t>(src);
            default:
                return load_unit<std::uint64_t>(src);
        }
    }
    DEVVIEW_HD std::uint64_t load_bytes(const unsigned char* src) const {
        std::uint64_t bits = 0;
        for (unsigned byte = 0; byte < size; ++byte)
            bits |= std::uint64_t{src[byte]} << 8 * byte;
        return bits;
    }
    DEVVIEW_HD void store_aligned(unsigned char* dst, std::uint64_t bits) const {
        switch (size) {
            case 1:
                *dst = static_cast<unsigned char>(bits);
                break;
            case 2:
                store_unit(dst, static_cast<std::uint16_t>(bits));
                break;
            case 4:
                store_unit(dst, static_cast<std::uint32_t>(bits));
                break;
            default:
                store_unit(dst, bits);
        }
    }
};

/// Number by number; the types are the same for all threads, so that no warp diverges over them.
template <typename Index, std::size_t max_axes>
struct StridedCast {
    Axes<Index, max_axes, 2> axes;
    unsigned char* dst;
    const unsigned char* src;
    NumberType to;
    NumberType from;
    NumberAccess writes;
    NumberAccess reads;

    DEVVIEW_HD void operator()(Index position) const {
        std::int64_t offsets[2];
        axes.locate(position, offsets);
        unsigned char* const at = dst + offsets[0];
        const unsigned char* const source = src + offsets[1];
        std::uint64_t part = convert_number(to, from, reads.load(source));
        if (!to.is_complex && !from.is_complex) return writes.store(at, part);
        const std::uint64_t other =
            from.is_complex ? convert_number(to, from, reads.load(source + reads.size)) : 0;
        if (!to.is_complex) return writes.store(at, part | other);  // to bool
        writes.store(at, part);
        writes.store(at + writes.size, other);
    }
};

inline NumberAccess access_to(const NumberType& type, const void* data, const CopyPlan& plan,
                              const std::int64_t* strides) {
    std::uint64_t bits = reinterpret_cast<std::uintptr_t>(data);
    for (int axis = 0; axis < plan.ndim; ++axis)
        bits |= static_cast<std::uint64_t>(strides[axis]);
    return {type.part_size, bits % type.part_size == 0, type.swapped};
}

/// Converts every item of a plan_items(). `each` as for the other kernels.
template <typename Each>
void run_cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
              const NumberType& from, const Each& each) {
    if (plan.count == 0) return;
    auto* const target = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const auto* const source = static_cast<const unsigned char*>(src) + plan.src_shift;
    const auto launch = [&](auto types) {
        using T = decltype(types);
        using Index = typename T::Index;
        const StridedCast<Index, T::kAxes> functor{
            make_axes<Index, T::kAxes, 2>(plan, plan.unit, {plan.dst_strides, plan.src_strides}),
            target,
            source,
            to,
            from,
            access_to(to, target, plan, plan.dst_strides),
            access_to(from, source, plan, plan.src_strides)};
        each(static_cast<Index>(plan.count), functor);
    };
    if (has_many_axes(plan)) {
        launch(Types<std::uint8_t, std::uint64_t, kAllAxes>{});
    } else if (plan.count <= INT32_MAX) {
        launch(Types<std::uint8_t, std::uint32_t, kFewAxes>{});
    } else {
        launch(Types<std::uint8_t, std::uint64_t, kFewAxes>{});
    }
}

}  // namespace devview::cuda::kernels
