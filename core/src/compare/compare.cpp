// Views compared: walked as a copy is, in rows and tiles, on threads where they are large.
#include "devview/compare.hpp"

#include <atomic>
#include <cstring>

#include "devview/copy_plan.hpp"
#include "src/checked.hpp"
#include "src/compare/compare_tree.hpp"
#include "src/copy/copy_walk.hpp"
#include "src/copy/plan_parts.hpp"

namespace devview {
namespace {

using detail::Comparison;
using detail::equal_row;
using detail::Row;
using rows::Axis;

constexpr std::int64_t kMostParts = 1 << 16;

/// A plan on its way: how its items compare, and how its axes are walked.
struct Planes {
    const Comparison& comparison;
    std::int64_t b_size;  ///< bytes of an item of b
    rows::Walk walk;
};

bool equal_rows(const Comparison& comparison, const char* a, const char* b, Axis along,
                Axis other) noexcept {
    for (std::int64_t k = 0; k < other.extent; ++k) {
        const Row row{a + k * other.dst, along.dst, b + k * other.src, along.src, along.extent};
        if (!equal_row(comparison, row)) return false;
    }
    return true;
}

/// Rows in blocks so short that the next row finds its lines in the cache.
bool equal_short_rows(const Comparison& comparison, const char* a, const char* b, Axis along,
                      Axis other) noexcept {
    const auto step = std::max(checked::magnitude(along.src), checked::magnitude(along.dst));
    const auto fitting =
        static_cast<std::uint64_t>(rows::kBlockBytes) / std::max<std::uint64_t>(step, 1);
    const std::int64_t block = std::max(static_cast<std::int64_t>(fitting), rows::kShort);
    for (std::int64_t at = 0; at < along.extent; at += block) {
        const Axis part{std::min(block, along.extent - at), along.dst, along.src};
        if (!equal_rows(comparison, a + at * along.dst, b + at * along.src, part, other)) {
            return false;
        }
    }
    return true;
}

// Crosswise: tiles of b are turned to lie as a does.
constexpr std::int64_t kTileBytes = 32768;
constexpr std::int64_t kTileSide = 64;
constexpr std::int64_t kLine = 64;

bool equal_tiles(const Planes& planes, const char* a, const char* b) noexcept {
    const std::int64_t size = planes.b_size;
    const Axis& along = planes.walk.along;
    const Axis& other = planes.walk.other;
    const std::int64_t tall = std::min(kTileSide, std::max(kLine / size, kTileSide / 2));
    const std::int64_t wide = std::min(kTileSide, kTileBytes / (tall * size));
    alignas(64) char tile[kTileBytes];
    for (std::int64_t i = 0; i < along.extent; i += wide) {
        const std::int64_t width = std::min(wide, along.extent - i);
        for (std::int64_t k = 0; k < other.extent; k += tall) {
            const std::int64_t height = std::min(tall, other.extent - k);
            const Axis across{height, width * size, other.src};
            run_host(plane_plan(size, across, {width, size, along.src}), tile,
                     b + i * along.src + k * other.src);
            if (!equal_rows(planes.comparison, a + i * along.dst + k * other.dst, tile,
                            {width, along.dst, size}, {height, other.dst, width * size})) {
                return false;
            }
        }
    }
    return true;
}

bool equal_plane(const Planes& planes, const char* a, const char* b) noexcept {
    const rows::Walk& walk = planes.walk;
    // Of larger items a line has but a few.
    const bool small = planes.b_size > 0 && planes.b_size <= kLine;
    if (walk.pattern == rows::Pattern::kTiles && small) return equal_tiles(planes, a, b);
    if (walk.pattern == rows::Pattern::kRows) {
        return equal_rows(planes.comparison, a, b, walk.along, walk.other);
    }
    return equal_short_rows(planes.comparison, a, b, walk.along, walk.other);
}

bool equal_planes(const Planes& planes, int axis, const char* a, const char* b) noexcept {
    if (axis == planes.walk.ndim) return equal_plane(planes, a, b);
    const Axis& outer = planes.walk.outer[axis];
    for (std::int64_t i = 0; i < outer.extent; ++i) {
        if (!equal_planes(planes, axis + 1, a + i * outer.dst, b + i * outer.src)) return false;
    }
    return true;
}

bool equal_plan(const Comparison& comparison, std::int64_t b_size, const CopyPlan& plan,
                const char* a, const char* b) noexcept {
    a += plan.dst_shift;
    b += plan.src_shift;
    if (plan.ndim == 0) return equal_row(comparison, {a, 0, b, 0, 1});
    return equal_planes({comparison, b_size, rows::arrange(plan)}, 0, a, b);
}

struct Sides {
    const Comparison& comparison;
    const Layout& a;
    const Layout& b;
    std::int64_t b_size;
    int ndim;  ///< axes that are walked one by one: up to the last that no plan can say
    CopyPlan plan;
    PlanCut cut;
};

/// The first part alone: what differs soon wakes no thread.
bool equal_in_parts(const Sides& sides, const char* a, const char* b) noexcept {
    const auto equal_part = [&](const CopyPlan& part) noexcept {
        return equal_plan(sides.comparison, sides.b_size, part, a, b);
    };
    if (sides.cut.parts == 1) return equal_part(sides.plan);
    if (!equal_part(sides.cut.part(sides.plan, 0))) return false;
    std::atomic<bool> equal{true};
    auto work = [&](int index) noexcept {
        if (!equal.load(std::memory_order_relaxed)) return;
        if (!equal_part(sides.cut.part(sides.plan, index + 1))) {
            equal.store(false, std::memory_order_relaxed);
        }
    };
    workers::run(sides.cut.parts - 1, work);
    return equal;
}

std::int64_t suboffset(const Layout& layout, int axis) noexcept {
    return layout.suboffsets() == nullptr ? -1 : layout.suboffsets()[axis];
}

const char* follow(const char* at, std::int64_t suboffset) noexcept {
    if (suboffset < 0) return at;
    const char* pointer = nullptr;
    std::memcpy(&pointer, at, sizeof pointer);
    return pointer + suboffset;
}

bool equal_axes(const Sides& sides, int axis, const char* a, const char* b) noexcept {
    if (axis == sides.ndim) {
        return equal_in_parts(sides, a, b);
    }
    for (std::int64_t i = 0; i < sides.a.shape()[axis]; ++i) {
        if (!equal_axes(sides, axis + 1,
                        follow(a + i * sides.a.strides()[axis], suboffset(sides.a, axis)),
                        follow(b + i * sides.b.strides()[axis], suboffset(sides.b, axis)))) {
            return false;
        }
    }
    return true;
}

/// A plan cannot follow pointers, and takes an axis on which its first side stands still as said by
/// the last item of the other.
int axes_without_plan(const Layout& a, const Layout& b) noexcept {
    int ndim = a.ndim();
    for (; ndim > 0; --ndim) {
        const int axis = ndim - 1;
        const bool still = a.strides()[axis] == 0 && b.strides()[axis] != 0 && a.shape()[axis] > 1;
        if (still || suboffset(a, axis) >= 0 || suboffset(b, axis) >= 0) break;
    }
    return ndim;
}

Layout axes_from(const Layout& layout, int axis) {
    return Layout::strided(layout.ndim() - axis, layout.shape() + axis, layout.strides() + axis,
                           nullptr, 1);
}

}  // namespace

bool comparable(const FormatNode& a, const FormatNode& b) {
    return detail::compare_formats(a, b).kind != Comparison::Kind::never;
}

bool equal_as_bytes(const FormatNode& a, const FormatNode& b) {
    const Comparison both = detail::compare_formats(a, b);
    return detail::is_bitwise(both) && both.leaf.a.size == a.itemsize && a.itemsize == b.itemsize;
}

bool same_shape(const Layout& a, const Layout& b) noexcept {
    if (a.ndim() != b.ndim()) return false;
    for (int axis = 0; axis < a.ndim(); ++axis) {
        if (a.shape()[axis] != b.shape()[axis]) return false;
        if (a.shape()[axis] == 0) return true;
    }
    return true;
}

bool equal_host(const FormatNode& a_format, const Layout& a_layout, const void* a,
                const FormatNode& b_format, const Layout& b_layout, const void* b) {
    if (!same_shape(a_layout, b_layout)) return false;
    if (a_layout.size() == 0) return true;
    const Comparison comparison = detail::compare_formats(a_format, b_format);
    if (comparison.kind == Comparison::Kind::never) return false;
    if (comparison.kind == Comparison::Kind::always) return true;
    const int ndim = axes_without_plan(a_layout, b_layout);
    if (axes_without_plan(b_layout, a_layout) < ndim) {
        return equal_host(b_format, b_layout, b, a_format, a_layout, a);
    }
    const CopyPlan plan = plan_items(axes_from(a_layout, ndim), axes_from(b_layout, ndim));
    std::int64_t nbytes = 0;
    if (!checked::mul(plan.count, a_format.itemsize + b_format.itemsize, nbytes)) nbytes = 0;
    const Sides sides{comparison,
                      a_layout,
                      b_layout,
                      b_format.itemsize,
                      ndim,
                      plan,
                      cut_plan(plan, nbytes, Cutting::items, kMostParts)};
    return equal_axes(sides, 0, static_cast<const char*>(a), static_cast<const char*>(b));
}

}  // namespace devview
