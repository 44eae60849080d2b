// Random cases for the cast kernel against the host's conversion, for any back end.
#pragma once

#include <string>
#include <vector>

#include "core/number_formats.hpp"
#include "cuda/kernel_cases.hpp"
#include "devview/convert.hpp"

namespace devview::cuda::test {

using devview::test::bits_at;
using devview::test::is_nan;
using devview::test::number_formats;
using devview::test::type_of;

/// A device may give a NaN another payload: all are made equal.
inline void unify_nans(Side& side, const Format& format) {
    const NumberType type = type_of(format);
    for (std::int64_t number = 0; number < side.layout.size(); ++number) {
        unsigned char* const item = side.block.data() + side.at + item_offset(side.layout, number);
        for (int part = 0; part < (type.is_complex ? 2 : 1); ++part) {
            unsigned char* const at = item + part * type.part_size;
            if (is_nan(type, bits_at(type, at)))
                std::fill_n(at, type.part_size, static_cast<unsigned char>(0xff));
        }
    }
}

/// Half of the items become small numbers; random bits are out of most types' range.
inline void mix_in_small_numbers(std::mt19937& random, Side& side, const Format& format) {
    for (std::int64_t number = 0; number < side.layout.size(); ++number) {
        if (random() % 2) continue;
        const std::int64_t value = random_in(random, -300, 300);
        convert_host(side.block.data() + side.at + item_offset(side.layout, number), Layout(),
                     format, &value, Layout(), Format("q"));
    }
}

inline void check_cast_between(Kernels& kernels, Side dst, const Format& to, Side& src,
                               const Format& from) {
    Side expected = dst;
    convert_host(expected.block.data() + expected.at, expected.layout, to,
                 src.block.data() + src.at, src.layout, from);
    kernels.cast(plan_items(dst.layout, src.layout), dst.place(), type_of(to), src.place(),
                 type_of(from));
    unify_nans(dst, to);
    unify_nans(expected, to);
    require_equal(dst.block, expected.block,
                  describe(("cast '" + from.str() + "' to '" + to.str() + "'").c_str(), dst, src,
                           to.itemsize()));
}

inline void check_cast(Kernels& kernels, std::mt19937& random, const Values& shape,
                       const Format& to, const Format& from) {
    Side src = random_side(random, shape, from.itemsize(), true);
    mix_in_small_numbers(random, src, from);
    check_cast_between(kernels, random_side(random, shape, to.itemsize(), false), to, src, from);
}

/// Every pair of formats on `rounds` random shapes of `most_items` items at most.
inline void check_casts(Kernels& kernels, unsigned seed, int rounds, std::int64_t most_items) {
    std::mt19937 random(seed);
    const std::vector<Format> formats = number_formats();
    for (const Format& from : formats) {
        for (const Format& to : formats) {
            if (from == to || !convertible(from, to, Casting::unsafe)) continue;
            for (int round = 0; round < rounds; ++round)
                check_cast(kernels, random, random_shape(random, most_items), to, from);
        }
    }
}

/// More axes than a small functor holds, none of which merge.
inline void check_deep_cast(Kernels& kernels, int ndim) {
    std::mt19937 random(static_cast<unsigned>(ndim));
    const Format from("h"), to("d");
    CopyPlan plan = deep_plan(random, ndim, 6, 1);
    for (int axis = 0; axis < ndim; ++axis) {
        plan.dst_strides[axis] *= to.itemsize();
        plan.src_strides[axis] *= from.itemsize();
    }
    Bytes src = random_bytes(random, plan.count * from.itemsize());
    Bytes dst(static_cast<std::size_t>(plan.count * to.itemsize())), expected = dst;
    for (std::int64_t number = 0; number < plan.count; ++number) {
        std::int64_t rest = number, at = 0, source = 0;
        for (int axis = ndim - 1; axis >= 0; --axis) {
            at += rest % plan.extents[axis] * plan.dst_strides[axis];
            source += rest % plan.extents[axis] * plan.src_strides[axis];
            rest /= plan.extents[axis];
        }
        std::int16_t value = 0;
        std::memcpy(&value, src.data() + source, sizeof value);
        const double wide = value;
        std::memcpy(expected.data() + at, &wide, sizeof wide);
    }
    kernels.cast(plan, {&dst, 0}, type_of(to), {&src, 0}, type_of(from));
    require_equal(dst, expected, "cast of many axes");
}

/// Every pair on rows that lie dense on both sides, or begin off the grain of 16 bytes.
inline void check_row_casts(Kernels& kernels, unsigned seed) {
    std::mt19937 random(seed);
    for (const char* from_spec : {"B", "i", "q", "e", "f", "d", "T{H:bfloat16:}"}) {
        for (const char* to_spec : {"B", "i", "q", "e", "f", "d", "T{H:bfloat16:}"}) {
            const Format from(from_spec), to(to_spec);
            if (from == to) continue;
            for (const std::int64_t offset : {0, 1, 2}) {
                for (const std::int64_t columns : {1, 7, 8, 31, 64}) {
                    const Values shape{3, columns};
                    const auto side = [&](std::int64_t size) {
                        const Values strides{(columns + 8) * size / 16 * 16 + 16, size};
                        const std::int64_t at = 64 + offset * size;
                        return Side{Layout::strided(2, shape.data(), strides.data(), nullptr, size),
                                    random_bytes(random, at + 3 * strides[0] + 64), at};
                    };
                    Side src = side(from.itemsize()), dst = side(to.itemsize());
                    mix_in_small_numbers(random, src, from);
                    check_cast_between(kernels, dst, to, src, from);
                }
            }
        }
    }
}

/// All numbers of up to 16 bits to all formats.
inline void check_every_short_number(Kernels& kernels) {
    for (const Format& from : number_formats()) {
        if (from.itemsize() > 2) continue;
        const std::int64_t numbers = std::int64_t{1} << 8 * from.itemsize();
        Side src{Layout::contiguous(1, &numbers, from.itemsize()), {}, 0};
        for (std::int64_t number = 0; number < numbers; ++number) {
            src.block.push_back(static_cast<unsigned char>(number));
            if (from.itemsize() == 2) src.block.push_back(static_cast<unsigned char>(number >> 8));
        }
        for (const Format& to : number_formats()) {
            if (from == to || !convertible(from, to, Casting::unsafe)) continue;
            Side dst{Layout::contiguous(1, &numbers, to.itemsize()),
                     Bytes(static_cast<std::size_t>(numbers * to.itemsize())), 0};
            check_cast_between(kernels, dst, to, src, from);
        }
    }
}

}  // namespace devview::cuda::test
