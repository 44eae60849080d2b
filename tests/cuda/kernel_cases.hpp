// Random cases for the strided kernels and what must come out, for any back end that runs them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "devview/copy_plan.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/layout.hpp"

namespace devview::cuda::test {

using Bytes = std::vector<unsigned char>;
using Values = std::vector<std::int64_t>;

/// A view's data pointer: `at` bytes into a block that holds all of the view.
struct Place {
    Bytes* block;
    std::int64_t at;

    unsigned char* data() const { return block->data() + at; }
};

/// The kernels under test, on blocks of host memory; a device back end carries them there and back.
class Kernels {
public:
    virtual ~Kernels() = default;
    virtual void pack(const CopyPlan& plan, Place dst, Place src, std::int64_t first,
                      std::int64_t units) = 0;
    virtual void unpack(const CopyPlan& plan, Place dst, Place src, std::int64_t first,
                        std::int64_t units) = 0;
    virtual void copy(const CopyPlan& plan, Place dst, Place src) = 0;
    virtual void fill(const CopyPlan& plan, Place dst, const FillItem& item) = 0;
    virtual void cast(const CopyPlan& plan, Place dst, const NumberType& to, Place src,
                      const NumberType& from) = 0;
    virtual void byteswap(const CopyPlan& plan, Place dst, Place src, unsigned part) = 0;
    /// Whether an item differs.
    virtual bool compare(const CopyPlan& plan, Place a, const NumberType& a_type, Place b,
                         const NumberType& b_type) = 0;
};

inline std::int64_t random_in(std::mt19937& random, std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

inline Bytes random_bytes(std::mt19937& random, std::int64_t count) {
    Bytes bytes(static_cast<std::size_t>(count));
    for (unsigned char& byte : bytes)
        byte = static_cast<unsigned char>(random());
    return bytes;
}

/// One side of a case: a layout somewhere in a block with bytes around it.
struct Side {
    Layout layout;
    Bytes block;
    std::int64_t at;

    Place place() { return {&block, at}; }
};

/// Axes in any order, with gaps and signs; items lie apart unless `broadcast` allows strides of 0.
inline Side random_side(std::mt19937& random, const Values& shape, std::int64_t itemsize,
                        bool broadcast) {
    std::vector<std::size_t> order(shape.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (random() % 2)
        std::shuffle(order.begin(), order.end(), random);
    else
        std::reverse(order.begin(), order.end());
    const std::int64_t grain = std::int64_t{1} << random_in(random, 0, 4);
    const bool gaps = random() % 2;
    Values strides(shape.size());
    std::int64_t span = itemsize, below = 0;
    for (const std::size_t axis : order) {
        std::int64_t step = span + (gaps ? grain * random_in(random, 0, 2) : 0);
        if (broadcast && random() % 6 == 0) step = 0;
        const std::int64_t reach = step * std::max<std::int64_t>(shape[axis] - 1, 0);
        const bool backwards = random() % 4 == 0;
        strides[axis] = backwards ? -step : step;
        if (backwards) below += reach;
        span += reach;
    }
    const std::int64_t at = 64 + below + (random() % 2 ? random_in(random, 0, 15) : -below % 16);
    return {Layout::strided(static_cast<int>(shape.size()), shape.data(), strides.data(), nullptr,
                            itemsize),
            random_bytes(random, at + span + 64), at};
}

inline Side dense_side(std::mt19937& random, const Values& shape, std::int64_t itemsize) {
    Layout layout = Layout::contiguous(static_cast<int>(shape.size()), shape.data(), itemsize);
    const std::int64_t nbytes = layout.nbytes(itemsize);
    const std::int64_t at = 64 + (random() % 2 ? random_in(random, 0, 15) : 0);
    return {std::move(layout), random_bytes(random, at + nbytes + 64), at};
}

inline Values random_shape(std::mt19937& random, std::int64_t most_items) {
    Values shape(static_cast<std::size_t>(random_in(random, 0, 9)));
    std::int64_t left = most_items;
    for (std::int64_t& extent : shape) {
        extent = random() % 60 == 0 ? 0 : random_in(random, 1, std::min<std::int64_t>(left, 7));
        left /= std::max<std::int64_t>(extent, 1);
    }
    std::shuffle(shape.begin(), shape.end(), random);
    return shape;
}

/// Byte offset of item `number` (C order).
inline std::int64_t item_offset(const Layout& layout, std::int64_t number) {
    std::int64_t offset = 0;
    for (int axis = layout.ndim() - 1; axis >= 0; --axis) {
        offset += number % layout.shape()[axis] * layout.strides()[axis];
        number /= layout.shape()[axis];
    }
    return offset;
}

/// The destination's block after an item-by-item copy.
inline Bytes expected_copy(const Side& dst, const Side& src, std::int64_t itemsize) {
    Bytes block = dst.block;
    for (std::int64_t number = 0; number < dst.layout.size(); ++number) {
        std::memcpy(block.data() + dst.at + item_offset(dst.layout, number),
                    src.block.data() + src.at + item_offset(src.layout, number),
                    static_cast<std::size_t>(itemsize));
    }
    return block;
}

inline void require_equal(const Bytes& result, const Bytes& expected, const std::string& what) {
    const auto [at, unused] = std::mismatch(result.begin(), result.end(), expected.begin());
    static_cast<void>(unused);
    if (at == result.end()) return;
    throw std::runtime_error(what + ": byte " + std::to_string(at - result.begin()) + " of " +
                             std::to_string(result.size()));
}

inline std::string describe(const char* what, const Side& dst, const Side& src,
                            std::int64_t itemsize) {
    const int ndim = dst.layout.ndim();
    return std::string(what) + " shape " + Layout::to_string(ndim, dst.layout.shape()) + " dst " +
           Layout::to_string(ndim, dst.layout.strides()) + " src " +
           Layout::to_string(ndim, src.layout.strides()) + " itemsize " + std::to_string(itemsize);
}

inline void check_copy(Kernels& kernels, std::mt19937& random, const Values& shape,
                       std::int64_t itemsize) {
    Side src = random_side(random, shape, itemsize, true);
    Side dst = random_side(random, shape, itemsize, false);
    const Bytes expected = expected_copy(dst, src, itemsize);
    kernels.copy(plan_copy(dst.layout, src.layout, itemsize), dst.place(), src.place());
    require_equal(dst.block, expected, describe("copy", dst, src, itemsize));
}

/// Calls run(first, units, bytes before) for slices that make up all units.
template <typename Run>
void in_slices(std::mt19937& random, const CopyPlan& plan, const Run& run) {
    std::int64_t first = 0;
    while (first < plan.count) {
        const std::int64_t left = plan.count - first;
        const std::int64_t units = random() % 2 ? left : random_in(random, 0, left);
        run(first, units, first * plan.unit);
        first += units;
    }
}

inline void check_pack(Kernels& kernels, std::mt19937& random, const Values& shape,
                       std::int64_t itemsize) {
    Side src = random_side(random, shape, itemsize, true);
    Side dst = dense_side(random, shape, itemsize);
    const Bytes expected = expected_copy(dst, src, itemsize);
    const CopyPlan plan = plan_copy(dst.layout, src.layout, itemsize, false);
    in_slices(random, plan, [&](std::int64_t first, std::int64_t units, std::int64_t before) {
        kernels.pack(plan, {&dst.block, dst.at + before}, src.place(), first, units);
    });
    require_equal(dst.block, expected, describe("pack", dst, src, itemsize));
}

inline void check_unpack(Kernels& kernels, std::mt19937& random, const Values& shape,
                         std::int64_t itemsize) {
    Side src = dense_side(random, shape, itemsize);
    Side dst = random_side(random, shape, itemsize, false);
    const Bytes expected = expected_copy(dst, src, itemsize);
    const CopyPlan plan = plan_copy(dst.layout, src.layout, itemsize, false);
    in_slices(random, plan, [&](std::int64_t first, std::int64_t units, std::int64_t before) {
        kernels.unpack(plan, dst.place(), {&src.block, src.at + before}, first, units);
    });
    require_equal(dst.block, expected, describe("unpack", dst, src, itemsize));
}

/// Items of whole parts, each part in the other order.
inline void check_byteswap(Kernels& kernels, std::mt19937& random, const Values& shape,
                           std::int64_t itemsize, unsigned part) {
    Side src = random_side(random, shape, itemsize, true);
    Side dst = random_side(random, shape, itemsize, false);
    Bytes expected = expected_copy(dst, src, itemsize);
    for (std::int64_t number = 0; number < dst.layout.size(); ++number) {
        unsigned char* const item = expected.data() + dst.at + item_offset(dst.layout, number);
        for (std::int64_t at = 0; at < itemsize; at += part)
            std::reverse(item + at, item + at + part);
    }
    kernels.byteswap(plan_copy(dst.layout, src.layout, itemsize), dst.place(), src.place(), part);
    require_equal(dst.block, expected,
                  describe(("byteswap of " + std::to_string(part)).c_str(), dst, src, itemsize));
}

inline void check_byteswaps(Kernels& kernels, unsigned seed, int rounds, std::int64_t most_items) {
    std::mt19937 random(seed);
    for (const unsigned part : {2u, 4u, 8u, 16u}) {
        for (const std::int64_t parts : {1, 2, 3}) {
            for (int round = 0; round < rounds; ++round) {
                check_byteswap(kernels, random, random_shape(random, most_items), part * parts,
                               part);
            }
        }
    }
}

inline void check_fill(Kernels& kernels, std::mt19937& random, const Values& shape,
                       std::int64_t itemsize) {
    const Values zeros(shape.size(), 0);
    Side src{Layout::strided(static_cast<int>(shape.size()), shape.data(), zeros.data(), nullptr,
                             itemsize),
             random_bytes(random, itemsize), 0};
    Side dst = random_side(random, shape, itemsize, false);
    const Bytes expected = expected_copy(dst, src, itemsize);
    FillItem item{itemsize, {}};
    std::memcpy(item.bytes, src.block.data(), src.block.size());
    kernels.fill(plan_copy(dst.layout, src.layout, itemsize), dst.place(), item);
    require_equal(dst.block, expected, describe("fill", dst, src, itemsize));
}

/// Every kernel on `rounds` random shapes of about `bytes` bytes at most.
inline void check_random(Kernels& kernels, unsigned seed, std::int64_t itemsize, int rounds,
                         std::int64_t bytes) {
    std::mt19937 random(seed);
    const std::int64_t most_items = std::max<std::int64_t>(bytes / itemsize, 4);
    for (int round = 0; round < rounds; ++round) {
        check_copy(kernels, random, random_shape(random, most_items), itemsize);
        check_pack(kernels, random, random_shape(random, most_items), itemsize);
        check_unpack(kernels, random, random_shape(random, most_items), itemsize);
        if (itemsize > kMaxFillBytes) continue;
        check_fill(kernels, random, random_shape(random, most_items), itemsize);
    }
}

/// A plan of `ndim` axes: `pairs` of extent 2 and the rest of extent 1, strides powers of two
/// apart.
inline CopyPlan deep_plan(std::mt19937& random, int ndim, int pairs, std::int64_t unit) {
    CopyPlan plan{};
    plan.ndim = ndim;
    plan.unit = unit;
    plan.count = std::int64_t{1} << pairs;
    std::vector<int> axes(static_cast<std::size_t>(ndim));
    std::iota(axes.begin(), axes.end(), 0);
    std::shuffle(axes.begin(), axes.end(), random);
    for (int axis = 0; axis < ndim; ++axis) {
        plan.extents[axis] = 1;
        plan.dst_strides[axis] = plan.src_strides[axis] = 1 << 20;
    }
    for (int pair = 0; pair < pairs; ++pair) {
        const int axis = axes[static_cast<std::size_t>(pair)];
        plan.extents[axis] = 2;
        plan.dst_strides[axis] = unit << pair;
        plan.src_strides[axis] = unit << (pairs - 1 - pair);
    }
    return plan;
}

/// The plan run as its definition reads.
inline void run_naively(const CopyPlan& plan, unsigned char* dst, const unsigned char* src) {
    for (std::int64_t number = 0; number < plan.count; ++number) {
        std::int64_t rest = number, to = plan.dst_shift, from = plan.src_shift;
        for (int axis = plan.ndim - 1; axis >= 0; --axis) {
            to += rest % plan.extents[axis] * plan.dst_strides[axis];
            from += rest % plan.extents[axis] * plan.src_strides[axis];
            rest /= plan.extents[axis];
        }
        std::memcpy(dst + to, src + from, static_cast<std::size_t>(plan.unit));
    }
}

inline void check_deep(Kernels& kernels, int ndim, std::int64_t unit) {
    std::mt19937 random(static_cast<unsigned>(unit));
    const CopyPlan plan = deep_plan(random, ndim, 6, unit);
    const std::int64_t nbytes = plan.count * unit;
    Bytes src = random_bytes(random, nbytes), dst = random_bytes(random, nbytes), expected = dst;
    run_naively(plan, expected.data(), src.data());
    kernels.copy(plan, {&dst, 0}, {&src, 0});
    require_equal(dst, expected, "copy of many axes");

    CopyPlan dense = plan;  // dense on one side, in the plan's order
    std::int64_t stride = unit;
    for (int axis = ndim - 1; axis >= 0; --axis) {
        dense.dst_strides[axis] = stride;
        stride *= plan.extents[axis];
    }
    run_naively(dense, expected.data(), src.data());
    in_slices(random, dense, [&](std::int64_t first, std::int64_t units, std::int64_t before) {
        kernels.pack(dense, {&dst, before}, {&src, 0}, first, units);
    });
    require_equal(dst, expected, "pack of many axes");
    Bytes back = random_bytes(random, nbytes);
    std::swap_ranges(dense.dst_strides, dense.dst_strides + ndim, dense.src_strides);
    in_slices(random, dense, [&](std::int64_t first, std::int64_t units, std::int64_t before) {
        kernels.unpack(dense, {&back, 0}, {&dst, before}, first, units);
    });
    require_equal(back, src, "unpack of many axes");

    if (unit > kMaxFillBytes) return;
    FillItem item{unit, {}};
    std::memcpy(item.bytes, src.data(), static_cast<std::size_t>(unit));
    kernels.fill(plan, {&dst, 0}, item);
    for (std::int64_t k = 0; k < plan.count; ++k) {
        std::memcpy(expected.data() + k * unit, src.data(), static_cast<std::size_t>(unit));
    }
    require_equal(dst, expected, "fill of many axes");
}

inline void check_deep_byteswap(Kernels& kernels, int ndim) {
    std::mt19937 random(static_cast<unsigned>(ndim));
    for (const unsigned part : {2u, 4u, 8u, 16u}) {
        const CopyPlan plan = deep_plan(random, ndim, 6, 2 * part);
        const std::int64_t nbytes = plan.count * plan.unit;
        Bytes src = random_bytes(random, nbytes), dst = random_bytes(random, nbytes),
              expected = dst;
        run_naively(plan, expected.data(), src.data());
        for (auto at = expected.begin(); at != expected.end(); at += part)
            std::reverse(at, at + part);
        kernels.byteswap(plan, {&dst, 0}, {&src, 0}, part);
        require_equal(dst, expected, "byteswap of many axes");
    }
}

/// Positions past 2^32: a broadcast source makes them without the memory.
inline void check_far(Kernels& kernels, unsigned seed, std::int64_t unit) {
    std::mt19937 random(seed);
    CopyPlan plan{};
    plan.ndim = 3;
    plan.unit = unit;
    const std::int64_t extents[3] = {3, (std::int64_t{1} << 33) + 1, 5};
    const std::int64_t strides[3] = {unit * 10, 0, unit * 2};
    std::copy_n(extents, 3, plan.extents);
    std::copy_n(strides, 3, plan.src_strides);
    plan.count = extents[0] * extents[1] * extents[2];
    Bytes src = random_bytes(random, unit * 30), dst = random_bytes(random, unit * 12);
    const std::int64_t first = extents[1] * extents[2] * 2 - 7;
    kernels.pack(plan, {&dst, 0}, {&src, 0}, first, 12);
    for (std::int64_t k = 0; k < 12; ++k) {
        const std::int64_t number = first + k;
        const std::int64_t from = number / 5 / extents[1] * strides[0] + number % 5 * strides[2];
        if (std::memcmp(dst.data() + k * unit, src.data() + from, static_cast<std::size_t>(unit)) !=
            0) {
            throw std::runtime_error("pack far into a plan: unit " + std::to_string(k));
        }
    }
}

/// A plain transposition of rows by columns, among `batches`, with gaps and offsets [bytes] that
/// are or are not multiples of a word.
struct Crossing {
    std::int64_t rows, columns, batches, itemsize;
    std::int64_t gap = 0;     ///< after each line, on both sides
    std::int64_t offset = 0;  ///< of both sides
    bool backwards = false;   ///< the source's columns
};

inline Side crossing_side(std::mt19937& random, const Crossing& c, bool transposed) {
    const std::int64_t inner = transposed ? c.rows : c.columns;
    const std::int64_t outer = transposed ? c.columns : c.rows;
    const std::int64_t line = inner * c.itemsize + c.gap;
    const std::int64_t plane = outer * line;
    const Values shape{c.batches, c.rows, c.columns};
    Values strides{plane, transposed ? c.itemsize : line, transposed ? line : c.itemsize};
    std::int64_t at = 64 + c.offset;
    if (transposed && c.backwards) {
        at += strides[2] * (c.columns - 1);
        strides[2] = -strides[2];
    }
    return {Layout::strided(3, shape.data(), strides.data(), nullptr, c.itemsize),
            random_bytes(random, 64 + c.offset + c.batches * plane + 64), at};
}

/// Both ways, by copy, pack and unpack; the latter two in slices that end anywhere.
inline void check_crossing(Kernels& kernels, std::mt19937& random, const Crossing& c) {
    for (const bool turned : {false, true}) {
        Side dst = crossing_side(random, c, turned), src = crossing_side(random, c, !turned);
        const Bytes expected = expected_copy(dst, src, c.itemsize);
        kernels.copy(plan_copy(dst.layout, src.layout, c.itemsize), dst.place(), src.place());
        require_equal(dst.block, expected, describe("crossing", dst, src, c.itemsize));
    }
    const Values shape{c.batches, c.rows, c.columns};
    Side strided = crossing_side(random, c, true), dense = dense_side(random, shape, c.itemsize);
    Bytes expected = expected_copy(dense, strided, c.itemsize);
    const CopyPlan pack = plan_copy(dense.layout, strided.layout, c.itemsize, false);
    in_slices(random, pack, [&](std::int64_t first, std::int64_t units, std::int64_t before) {
        kernels.pack(pack, {&dense.block, dense.at + before}, strided.place(), first, units);
    });
    require_equal(dense.block, expected, describe("crossing pack", dense, strided, c.itemsize));
    Side back = crossing_side(random, c, true);
    expected = expected_copy(back, dense, c.itemsize);
    const CopyPlan unpack = plan_copy(back.layout, dense.layout, c.itemsize, false);
    in_slices(random, unpack, [&](std::int64_t first, std::int64_t units, std::int64_t before) {
        kernels.unpack(unpack, back.place(), {&dense.block, dense.at + before}, first, units);
    });
    require_equal(back.block, expected, describe("crossing unpack", back, dense, c.itemsize));
}

/// Tiles of every item size: whole ones, odd ones, as words, and where words are not aligned.
/// `scale` 1 or more makes the sides longer.
inline void check_crossings(Kernels& kernels, unsigned seed, std::int64_t scale) {
    std::mt19937 random(seed);
    for (const std::int64_t itemsize : {1, 2, 4, 8, 16, 3, 12, 32}) {
        const std::int64_t word = itemsize < 4 ? 4 / itemsize : 1;
        const std::int64_t whole = 32 * word * scale;
        check_crossing(kernels, random, {whole, whole, 1, itemsize});
        check_crossing(kernels, random, {whole / 2 + word, whole + word, 2, itemsize, 16});
        check_crossing(kernels, random, {whole / 2 + word, whole, 1, itemsize, 0, 4});
        check_crossing(kernels, random, {33, 47 * scale, 1, itemsize, itemsize});
        check_crossing(kernels, random, {8, 65, 3, itemsize, 1});
        check_crossing(kernels, random, {40, 40, 1, itemsize, 0, 1});
        check_crossing(kernels, random, {whole, 33, 2, itemsize, 4 * itemsize, 0, true});
        check_crossing(kernels, random, {7, 100, 2, itemsize});
    }
}

/// One item to rows that begin and end anywhere, with bytes around them.
inline void check_rows_fill(Kernels& kernels, std::mt19937& random, std::int64_t itemsize,
                            std::int64_t rows, std::int64_t columns, std::int64_t pitch,
                            std::int64_t at) {
    const Values shape{rows, columns}, strides{pitch, itemsize}, still{0, 0};
    Side dst{Layout::strided(2, shape.data(), strides.data(), nullptr, itemsize),
             random_bytes(random, at + rows * pitch + 64), at};
    Side src{Layout::strided(2, shape.data(), still.data(), nullptr, itemsize),
             random_bytes(random, itemsize), 0};
    const Bytes expected = expected_copy(dst, src, itemsize);
    FillItem item{itemsize, {}};
    std::memcpy(item.bytes, src.block.data(), src.block.size());
    kernels.fill(plan_copy(dst.layout, src.layout, itemsize), dst.place(), item);
    require_equal(dst.block, expected, describe("fill of rows", dst, src, itemsize));
}

inline void check_rows_fills(Kernels& kernels, unsigned seed) {
    std::mt19937 random(seed);
    for (const std::int64_t itemsize : {1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 48, 64}) {
        const std::int64_t columns = 600 / itemsize + 7;
        const std::int64_t wide = (columns * itemsize + 79) / 16 * 16;
        for (const std::int64_t at : {64, 65, 64 + 3 * static_cast<int>(itemsize)}) {
            check_rows_fill(kernels, random, itemsize, 3, columns, wide, at);
            check_rows_fill(kernels, random, itemsize, 2, columns, wide + itemsize, at);
            check_rows_fill(kernels, random, itemsize, 1, columns, wide, at);
        }
    }
}

constexpr std::array<std::int64_t, 8> kOddItemsizes = {33, 48, 63, 64, 100, 1000, 4096, 4097};

}  // namespace devview::cuda::test
