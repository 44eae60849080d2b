// Chooses the axes and the kernel of a copy.
#include <algorithm>

#include "src/checked.hpp"
#include "src/copy/copy_deal.hpp"

namespace devview::copy {
namespace {

/// Bytes of a copy whose source is in no near cache.
constexpr std::int64_t kFetched = 1 << 20;
/// Longer units are rows of bytes.
constexpr std::int64_t kLongestMove = 32;
/// Bytes of a row that is worth starting a program.
constexpr std::int64_t kLeastPicked = 256;
/// Bytes of a copy that is worth making a pattern of some lines.
constexpr std::int64_t kLargePattern = 32 << 10;
/// Places whose offsets are kept.
constexpr std::int64_t kTable = 1024;

bool has_squares(std::int64_t unit) noexcept {
    return unit == 1 || unit == 2 || unit == 4 || unit == 8 || unit == 16;
}

/// A row, or a few, picked from the source by shuffles.
bool arrange_picks(Deal& deal, int across, int piece, Task& task) noexcept {
    const Axis& last = deal[deal.last()];
    if (last.extent * task.unit < kLeastPicked) return false;
    task.along.push_outside(last);
    if (!make_program(task.along, task.unit, piece, task.program, task.program_items)) {
        task.along = {};
        return false;
    }
    task.inner = Inner::program;
    deal.take(deal.last());
    if (across >= 0) task.across.push_outside(deal.take_forward(across));
    return true;
}

/// Few rows of the source, woven into one row.
bool arrange_weave(Deal& deal, int across, int piece, Task& task) noexcept {
    const Axis last = deal[deal.last()];
    const Axis rows = deal[across];
    if (rows.dst != last.extent * task.unit || rows.extent * rows.dst < kLeastPicked) return false;
    task.along.push_outside(last);
    task.along.push_outside(rows);
    if (!make_program(task.along, task.unit, piece, task.program, task.program_items)) {
        task.along = {};
        return false;
    }
    task.inner = Inner::program;
    deal.take(deal.last());
    deal.take(across);
    return true;
}

void arrange_squares(Deal& deal, int across, Task& task) noexcept {
    const bool dense =
        checked::magnitude(deal[across].src) == static_cast<std::uint64_t>(task.unit);
    task.across.push_outside(deal.take_forward(across));
    task.along.push_outside(deal.take(deal.last()));
    deal.extend_runs(task.unit, dense);
    const std::int64_t side = 16 / task.unit;
    // Items that fill a lane are moved as they are, unless their lines become lines.
    const bool squares = has_squares(task.unit) && (side > 1 || dense) &&
                         task.along.extent >= side && task.across.extent >= side;
    task.inner = squares ? Inner::transpose : Inner::moves;
}

/// How many of `extent` places make one part, `most` at most: as few parts as there can be, or one
/// more if none overlap then.
std::int64_t find_part(std::int64_t extent, std::int64_t most) noexcept {
    const std::int64_t parts = (extent + most - 1) / most;
    for (std::int64_t part = most; part * (parts + 1) >= extent; --part) {
        if (extent % part == 0) return part;
    }
    return most;
}

/// Axes inside that make a line or some more of the destination become one unit.
bool arrange_pattern(Deal& deal, const CopyPlan& plan, int piece, Task& task) noexcept {
    if (plan.count < (piece > 16 ? 3072 : 4096)) return false;
    const bool large = piece > 16 && plan.count * plan.unit >= kLargePattern;
    const std::int64_t most = large ? 8 * kLine : kLine;
    Deal tried = deal;
    AxisRun& along = task.along;
    for (int axis = tried.last(); axis >= 0; axis = tried.next_along(along.extent * task.unit)) {
        const std::int64_t made = along.extent * task.unit;
        if (made * tried[axis].extent > most) {
            const std::int64_t places = kLine / made;
            if (places > 1)
                along.push_outside(tried.split(axis, find_part(tried[axis].extent, places)));
            break;
        }
        along.push_outside(tried.take(axis));
    }
    const std::int64_t nbytes = along.extent * task.unit;
    if (!make_pattern(along, task.unit, piece, task.program)) {
        along = {};
        task.last_dst = task.last_src = 0;
        return false;
    }
    task.inner = Inner::pattern;
    task.unit = nbytes;
    along = {};
    deal = tried;
    const int axis = deal.next_along(nbytes);
    if (axis >= 0) along.push_outside(deal.take(axis));
    if (task.last_dst == 0) deal.extend_along(kTable);
    return true;
}

/// Units that are rows of smaller ones.
void arrange_runs(Deal& deal, Task& task) noexcept {
    const std::int64_t part = std::min<std::int64_t>(task.unit & -task.unit, 8);
    task.along.push_outside({task.unit / part, part, part});
    task.unit = part;
    task.inner = Inner::rows;
    if (deal.last() >= 0) task.across.push_outside(deal.take(deal.last()));
}

/// Rows that the source has, too, or that are one unit: nearer to each other than other axes bring.
bool arrange_rows(Deal& deal, Task& task) noexcept {
    const Axis& last = deal[deal.last()];
    const std::int64_t step = last.src / task.unit;
    if (!has_squares(task.unit) || last.src % task.unit != 0) return false;
    if (step < -2 || step > 2) return false;
    task.along.push_outside(deal.take(deal.last()));
    task.inner = Inner::rows;
    if (deal.last() >= 0) task.across.push_outside(deal.take(deal.last()));
    return true;
}

/// True if squares of items do it.
bool has_square_sides(const Deal& deal, int across, std::int64_t unit) noexcept {
    if (across < 0 || !has_squares(unit)) return false;
    const std::int64_t side = 16 / unit;
    return deal[across].extent >= side && deal[deal.last()].extent >= side;
}

/// Squares of which enough is there.
bool arrange_narrow(Deal& deal, int across, Task& task) noexcept {
    const std::int64_t side = 16 / task.unit;
    if (!has_squares(task.unit) || side < 4) return false;
    if (checked::magnitude(deal[across].src) != static_cast<std::uint64_t>(task.unit)) return false;
    Task made = task;
    Deal tried = deal;
    tried.deal_to(made);
    arrange_squares(tried, across, made);
    // A square costs as much as half of its items one by one.
    const std::int64_t least = side == 4 ? 3 : side / 2;
    if (made.along.extent < least || made.across.extent < least) return false;
    task = made;
    if (task.inner == Inner::moves) task.inner = Inner::narrow;
    deal = tried;
    deal.deal_to(task);
    return true;
}

/// True if so many places of the destination lie between neighbours of the source that lines are
/// gone from the first cache when the next item of them is read.
bool goes_far(const Deal& deal, int across, std::int64_t unit) noexcept {
    constexpr std::uint64_t kMostLines = 256;
    return across >= 0 &&
           checked::magnitude(deal[across].dst) / static_cast<std::uint64_t>(unit) > kMostLines;
}

/// Few channels that are woven together or taken apart.
bool arrange_program(Deal& deal, int across, int piece, Task& task) noexcept {
    const std::int64_t few = has_squares(task.unit) ? 16 / task.unit : 8;
    if ((across < 0 || deal[across].extent < few) && arrange_picks(deal, across, piece, task))
        return true;
    return across >= 0 && deal[deal.last()].extent < few &&
           arrange_weave(deal, across, piece, task);
}

/// True if what lies crosswise is a line or two of the destination.
bool is_in_lines(const Deal& deal, int across, std::int64_t row) noexcept {
    return across >= 0 && deal[across].dst == row && deal[across].extent * row <= 2 * kLine;
}

void arrange_axes(Deal& deal, const CopyPlan& plan, const Kernels& kernels, Task& task) noexcept {
    const Axis& last = deal[deal.last()];
    const bool fills = last.src == 0 && last.extent * plan.unit >= 16;
    const int across = fills ? -1 : deal.fastest_source();
    const std::int64_t row = last.extent * plan.unit;
    // Of items that fill a lane less than a line lies across: nothing is gained by squares.
    const bool along = across < 0 || (plan.unit == 16 && deal[across].extent * 16 < kLine);
    if (along && row >= kLine && arrange_rows(deal, task)) return;
    const bool longer = kernels.piece > 16;
    const bool in_lines = longer && is_in_lines(deal, across, row);
    if (in_lines && arrange_pattern(deal, plan, kernels.piece, task)) return;
    if (has_square_sides(deal, across, plan.unit)) return arrange_squares(deal, across, task);
    // To make a program takes as long as to move some hundred units.
    const bool shuffles = kernels.run_program != nullptr && plan.unit < 16 && plan.count >= 256;
    if (shuffles && arrange_program(deal, across, kernels.piece, task)) return;
    if (shuffles && longer && across >= 0 && arrange_program(deal, across, 16, task)) return;
    if (across >= 0 && plan.count >= 4096 && arrange_narrow(deal, across, task)) return;
    const bool picks = shuffles && !in_lines && !goes_far(deal, across, plan.unit);
    if (picks && arrange_pattern(deal, plan, kernels.piece, task)) return;
    if (shuffles && longer && across < 0 && arrange_program(deal, across, 16, task)) return;
    if (across < 0 && row > 8 && arrange_rows(deal, task)) return;
    if (across >= 0) return arrange_squares(deal, across, task);
    task.inner = Inner::moves;
    task.along.push_outside(deal.take(deal.last()));
    deal.extend_along(kTable);
}

/// The innermost axes, as one of `most` places at most: so many of them that it is worth a loop.
struct InnerOffsets {
    InnerOffsets(const AxisRun& run, std::int64_t Axis::*side, std::int64_t most) noexcept
        : axis(run.ndim - 1),
          extent(run.axes[axis].extent),
          step(run.axes[axis].*side),
          tabled(extent < kFew) {
        if (!tabled) return;
        while (axis > 0 && extent < kFew && extent * run.axes[axis - 1].extent <= most)
            extent *= run.axes[--axis].extent;
        table[0] = 0;
        std::int64_t made = 1;
        for (int k = run.ndim - 1; k >= axis; --k) {
            for (std::int64_t place = 1; place < run.axes[k].extent; ++place) {
                for (std::int64_t n = 0; n < made; ++n)
                    table[place * made + n] = table[n] + place * (run.axes[k].*side);
            }
            made *= run.axes[k].extent;
        }
    }
    /// Offsets of places [from, from + count).
    void put(std::int64_t* offsets, std::int64_t start, std::int64_t from,
             std::int64_t count) const noexcept {
        for (std::int64_t k = 0; tabled && k < count; ++k)
            offsets[k] = start + table[from + k];
        for (std::int64_t k = 0; !tabled && k < count; ++k)
            offsets[k] = start + (from + k) * step;
    }

    static constexpr std::int64_t kFew = 16;
    static constexpr std::int64_t kMost = 128;
    int axis;  // the outermost of them
    std::int64_t extent;
    std::int64_t step;  // of the last axis
    bool tabled;
    std::int64_t table[kMost];
};

}  // namespace

void find_offsets(const AxisRun& run, std::int64_t Axis::*side, std::int64_t first,
                  std::int64_t count, std::int64_t* offsets) noexcept {
    if (run.ndim == 0) {
        offsets[0] = 0;
        return;
    }
    if (run.ndim == 1) {
        const std::int64_t step = run.axes[0].*side;
        for (std::int64_t k = 0; k < count; ++k)
            offsets[k] = (first + k) * step;
        return;
    }
    const InnerOffsets inner(run, side, std::min(count, InnerOffsets::kMost));
    std::int64_t at[kMaxNdim];
    std::int64_t outside = first / inner.extent;
    std::int64_t offset = 0;
    for (int k = inner.axis - 1; k >= 0; --k) {
        at[k] = outside % run.axes[k].extent;
        outside /= run.axes[k].extent;
        offset += at[k] * (run.axes[k].*side);
    }
    for (std::int64_t from = first % inner.extent;; from = 0) {
        const std::int64_t piece = std::min(count, inner.extent - from);
        inner.put(offsets, offset, from, piece);
        count -= piece;
        if (count == 0) return;
        offsets += piece;
        for (int k = inner.axis - 1; k >= 0; --k) {
            offset += run.axes[k].*side;
            if (++at[k] < run.axes[k].extent) break;
            offset -= run.axes[k].*side * run.axes[k].extent;
            at[k] = 0;
        }
    }
}

CopyPlan inner_plan(const CopyPlan& plan, int first, std::int64_t extent) noexcept {
    CopyPlan part;
    part.ndim = plan.ndim - first;
    part.unit = plan.unit;
    part.dst_shift = part.src_shift = 0;
    std::copy_n(plan.extents + first, part.ndim, part.extents);
    std::copy_n(plan.dst_strides + first, part.ndim, part.dst_strides);
    std::copy_n(plan.src_strides + first, part.ndim, part.src_strides);
    part.extents[0] = extent;
    part.count = 1;
    for (int k = 0; k < part.ndim; ++k)
        part.count *= part.extents[k];
    return part;
}

void arrange_task(const CopyPlan& plan, const Kernels& kernels, Task& task) noexcept {
    task.unit = plan.unit;
    task.dst_shift = 0;
    task.src_shift = 0;
    task.last_dst = task.last_src = 0;
    task.program_items = 0;
    task.ahead = plan.count * plan.unit >= kFetched ? kAhead : 0;
    Deal deal(plan, task);
    if (plan.unit > kLongestMove || plan.ndim == 0) {
        arrange_runs(deal, task);
        return deal.keep_outer();
    }
    task.inner = Inner::walk;
    if (deal[deal.last()].dst != plan.unit) return;
    arrange_axes(deal, plan, kernels, task);
    deal.keep_outer();
}

}  // namespace devview::copy
