// Cases for the compare kernel against the host's comparison, for any back end.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/number_formats.hpp"
#include "cuda/cast_cases.hpp"
#include "cuda/kernel_cases.hpp"
#include "devview/compare.hpp"
#include "devview/copy_plan.hpp"

namespace devview::cuda::test {

using devview::test::real_formats;

inline CopyPlan compare_plan(const Layout& a, const Format& a_format, const Layout& b,
                             const Format& b_format) {
    const bool one_size = a_format.itemsize() == b_format.itemsize();
    return plan_pairs(a, b, one_size ? a_format.itemsize() : 0);
}

inline bool equal_on_host(const Side& a, const Format& a_format, const Side& b,
                          const Format& b_format) {
    return equal_host(*a_format.node(), a.layout, a.block.data() + a.at, *b_format.node(), b.layout,
                      b.block.data() + b.at);
}

inline void check_compare(Kernels& kernels, Side& a, const Format& a_format, Side& b,
                          const Format& b_format) {
    constexpr NumberType bytes{Number::none, FloatKind::ieee, 0, false, false};
    const bool as_bytes = equal_as_bytes(*a_format.node(), *b_format.node());
    const Bytes a_before = a.block, b_before = b.block;
    const bool different = kernels.compare(compare_plan(a.layout, a_format, b.layout, b_format),
                                           a.place(), as_bytes ? bytes : type_of(a_format),
                                           b.place(), as_bytes ? bytes : type_of(b_format));
    if (different == equal_on_host(a, a_format, b, b_format)) {
        throw std::runtime_error(
            describe(("compare '" + a_format.str() + "' with '" + b_format.str() + "'").c_str(), a,
                     b, b_format.itemsize()));
    }
    require_equal(a.block, a_before, "compare wrote to its left side");
    require_equal(b.block, b_before, "compare wrote to its right side");
}

/// Small numbers that both formats hold exactly, so that equal ones are common; then one changes.
inline void check_compare_of(Kernels& kernels, std::mt19937& random, const Values& shape,
                             const Format& a_format, const Format& b_format) {
    Side a = random_side(random, shape, a_format.itemsize(), true);
    Side b = random_side(random, shape, b_format.itemsize(), true);
    const std::int64_t items = a.layout.size();
    for (std::int64_t number = 0; number < items; ++number) {
        const std::int64_t one = 1;
        convert_host(a.block.data() + a.at + item_offset(a.layout, number), Layout(), a_format,
                     &one, Layout(), Format("q"));
        convert_host(b.block.data() + b.at + item_offset(b.layout, number), Layout(), b_format,
                     &one, Layout(), Format("q"));
    }
    check_compare(kernels, a, a_format, b, b_format);
    if (items == 0) return;
    Side& changed = random() % 2 ? a : b;
    const std::int64_t at =
        changed.at + item_offset(changed.layout, random_in(random, 0, items - 1));
    const Format& format = &changed == &a ? a_format : b_format;
    const auto byte = at + random_in(random, 0, format.itemsize() - 1);
    changed.block[static_cast<std::size_t>(byte)] ^= static_cast<unsigned char>(1u << random() % 8);
    check_compare(kernels, a, a_format, b, b_format);
    mix_in_small_numbers(random, a, a_format);
    check_compare(kernels, a, a_format, b, b_format);
}

inline void check_compares(Kernels& kernels, unsigned seed, int rounds, std::int64_t most_items) {
    std::mt19937 random(seed);
    for (const Format& a : number_formats()) {
        for (const Format& b : number_formats()) {
            for (int round = 0; round < rounds; ++round)
                check_compare_of(kernels, random, random_shape(random, most_items), a, b);
        }
    }
}

/// The bits of a side's one item, and of every lane of a few of them.
inline void put_everywhere(Side& side, const Format& format, const double& value) {
    for (std::int64_t number = 0; number < side.layout.size(); ++number) {
        convert_host(side.block.data() + side.at + item_offset(side.layout, number), Layout(),
                     format, &value, Layout(), Format("d"));
    }
}

/// NaN, zeros of both signs, infinities and limits, in one of several equal neighbours.
inline void check_special_numbers(Kernels& kernels) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    const double values[] = {0.0,    -0.0,   1,       -1,     nan, infinity, -infinity,
                             0x1p53, 0x1p63, -0x1p63, 0x1p64, 255, 0.5};
    const std::int64_t items = 9;
    for (const Format& a_format : real_formats()) {
        for (const Format& b_format : real_formats()) {
            Side a{Layout::contiguous(1, &items, a_format.itemsize()),
                   Bytes(static_cast<std::size_t>(items * a_format.itemsize())), 0};
            Side b{Layout::contiguous(1, &items, b_format.itemsize()),
                   Bytes(static_cast<std::size_t>(items * b_format.itemsize())), 0};
            for (const double left : values) {
                for (const double right : values) {
                    put_everywhere(a, a_format, 1);
                    put_everywhere(b, b_format, 1);
                    convert_host(a.block.data() + 6 * a_format.itemsize(), Layout(), a_format,
                                 &left, Layout(), Format("d"));
                    convert_host(b.block.data() + 6 * b_format.itemsize(), Layout(), b_format,
                                 &right, Layout(), Format("d"));
                    check_compare(kernels, a, a_format, b, b_format);
                }
            }
        }
    }
}

/// Strings, records and arrays of integers: where one byte differs, anywhere.
inline void check_compared_bytes(Kernels& kernels, unsigned seed, int rounds) {
    std::mt19937 random(seed);
    for (const char* spec : {"c", "3s", "16s", "100s", "(5)H", "T{i:a:i:b:}", "T{q:a:(3)h:b:}"}) {
        const Format format(spec);
        if (!equal_as_bytes(*format.node(), *format.node())) continue;
        for (int round = 0; round < rounds; ++round) {
            const Values shape = random_shape(random, 100);
            Side a = random_side(random, shape, format.itemsize(), false);
            Side b = random_side(random, shape, format.itemsize(), false);
            b.block = expected_copy(b, a, format.itemsize());
            check_compare(kernels, a, format, b, format);
            if (a.layout.size() == 0) continue;
            const auto byte = b.at +
                              item_offset(b.layout, random_in(random, 0, a.layout.size() - 1)) +
                              random_in(random, 0, format.itemsize() - 1);
            b.block[static_cast<std::size_t>(byte)] ^= 1;
            check_compare(kernels, a, format, b, format);
        }
    }
}

/// More axes than a small functor holds, none of which merge; bytes, and numbers of two sizes.
inline void check_deep_compare(Kernels& kernels, int ndim) {
    std::mt19937 random(static_cast<unsigned>(ndim));
    const NumberType bytes{Number::none, FloatKind::ieee, 0, false, false};
    for (const std::int64_t unit : {1, 4, 6}) {
        CopyPlan plan = deep_plan(random, ndim, 6, unit);
        Bytes a = random_bytes(random, plan.count * unit), b = a;
        std::copy_n(plan.dst_strides, ndim, plan.src_strides);
        if (kernels.compare(plan, {&a, 0}, bytes, {&b, 0}, bytes)) {
            throw std::runtime_error("equal bytes on many axes differ");
        }
        b[static_cast<std::size_t>(random_in(random, 0, plan.count * unit - 1))] ^= 1;
        if (!kernels.compare(plan, {&a, 0}, bytes, {&b, 0}, bytes)) {
            throw std::runtime_error("different bytes on many axes are equal");
        }
    }
    CopyPlan plan = deep_plan(random, ndim, 6, 1);
    std::copy_n(plan.dst_strides, ndim, plan.src_strides);
    for (int axis = 0; axis < ndim; ++axis) {
        plan.dst_strides[axis] *= 2;
        plan.src_strides[axis] *= 8;
    }
    Bytes a = random_bytes(random, plan.count * 2), b;
    for (std::int64_t number = 0; number < plan.count; ++number) {
        std::int16_t value = 0;
        std::memcpy(&value, a.data() + 2 * number, sizeof value);
        const double wide = value;
        const auto* const at = reinterpret_cast<const unsigned char*>(&wide);
        b.insert(b.end(), at, at + sizeof wide);
    }
    const NumberType shorts = type_of(Format("h")), doubles = type_of(Format("d"));
    if (kernels.compare(plan, {&a, 0}, shorts, {&b, 0}, doubles)) {
        throw std::runtime_error("equal numbers on many axes differ");
    }
    a[7] ^= 0x40;
    if (!kernels.compare(plan, {&a, 0}, shorts, {&b, 0}, doubles)) {
        throw std::runtime_error("different numbers on many axes are equal");
    }
}

}  // namespace devview::cuda::test
