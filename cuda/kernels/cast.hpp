// The functor that converts any numbers by value, and the launch of casts; one source for GPU and
// host.
#pragma once

#include <cstdint>

#include "devview/cuda/runtime.hpp"
#include "devview/number.hpp"
#include "kernels/cast_pairs.hpp"
#include "kernels/dispatch.hpp"

namespace devview::cuda::kernels {

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
struct StridedCast {
    Axes<Index, kAllAxes, 2> axes;
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
        const bool any = from.is_complex && !to.is_complex;  // to bool: whether a part is not zero
        const unsigned parts = from.is_complex || to.is_complex ? 2 : 1;
        std::uint64_t made = 0;
        DEVVIEW_ROLLED  // the conversion is long
            for (unsigned part = 0; part < parts; ++part) {
            const bool is_there = part == 0 || from.is_complex;
            const std::uint64_t bits =
                is_there ? convert_number(to, from, reads.load(source + part * reads.size)) : 0;
            made = any ? made | bits : bits;
            if (!any) writes.store(at + part * writes.size, made);
        }
        if (any) writes.store(at, made);
    }
};

inline NumberAccess access_to(const NumberType& type, const Walk& walk, int side,
                              const void* data) {
    std::uint64_t bits = reinterpret_cast<std::uintptr_t>(data);
    for (int axis = 0; axis < walk.ndim; ++axis)
        bits |= static_cast<std::uint64_t>(walk.strides[side][axis]);
    return {type.part_size, bits % type.part_size == 0, type.swapped};
}

template <typename Each>
void run_any_cast(const Walk& walk, const NumberType& to, const NumberType& from, const Each& each,
                  std::int64_t count) {
    const NumberAccess writes = access_to(to, walk, 0, walk.dst);
    const NumberAccess reads = access_to(from, walk, 1, walk.src);
    in_pieces(walk, 0, count, kMostPositions,
              [&](const Walk& piece, Index, Index part, std::int64_t) {
                  each(part, StridedCast{make_axes<kAllAxes, 2>(piece), piece.dst, piece.src, to,
                                         from, writes, reads});
              });
}

/// Converts every item of a plan_items(). `each` as for the other kernels.
template <typename Each>
void run_cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
              const NumberType& from, const Each& each) {
    if (plan.count == 0) return;
    auto* const target = static_cast<unsigned char*>(dst) + plan.dst_shift;
    const auto* const source = static_cast<const unsigned char*>(src) + plan.src_shift;
    const Walk walk = make_walk(plan, plan.unit, target, source);
    const bool common = !has_many_axes(plan) && run_pair_cast(walk, to, from, each, plan.count);
    if (!common) run_any_cast(walk, to, from, each, plan.count);
}

}  // namespace devview::cuda::kernels
