// How a plan is run on the host: which axes are read along, which are written along, and by which
// kernel; private to the core.
#pragma once

#include <algorithm>

#include "devview/copy_plan.hpp"
#include "src/copy/copy_kernels.hpp"
#include "src/copy/copy_rows.hpp"

namespace devview::copy {

using rows::Axis;

/// Axes that are walked as one, outermost first.
struct AxisRun {
    int ndim = 0;
    std::int64_t extent = 1;  ///< product of the extents
    Axis axes[kMaxNdim];

    void push_outside(const Axis& axis) noexcept {
        for (int k = ndim++; k > 0; --k)
            axes[k] = axes[k - 1];
        axes[0] = axis;
        extent *= axis.extent;
    }
};

/// Calls plane(dst, src) at every place of the axes.
template <typename Plane>
void each_place(const AxisRun& outer, char* dst, const char* src, const Plane& plane) noexcept {
    std::int64_t at[kMaxNdim];
    std::fill_n(at, outer.ndim, 0);
    for (;;) {
        plane(dst, src);
        int k = outer.ndim - 1;
        for (; k >= 0; --k) {
            const Axis& axis = outer.axes[k];
            dst += axis.dst;
            src += axis.src;
            if (++at[k] < axis.extent) break;
            at[k] = 0;
            dst -= axis.dst * axis.extent;
            src -= axis.src * axis.extent;
        }
        if (k < 0) return;
    }
}

/// Bytes from the start of a run to `count` of its places, from `first` on.
void find_offsets(const AxisRun& run, std::int64_t Axis::*side, std::int64_t first,
                  std::int64_t count, std::int64_t* offsets) noexcept;

/// Bytes of a row of the destination that are worth streaming by themselves.
constexpr std::int64_t kLongRow = 1024;

enum class Inner {
    transpose,  ///< squares of items
    narrow,     ///< squares of items of which only some rows or columns are there
    rows,       ///< rows that go on by few units of the source, or by none
    program,    ///< shuffles of bytes along `along`
    pattern,    ///< shuffles of bytes for each place of `along`, whose unit is a whole pattern
    moves,      ///< unit by unit
    walk,       ///< unit by unit to a destination with gaps (copy_walk.hpp)
};

/// Rows of the destination, dense along `along`, one for each place of `across`.
struct Task {
    Inner inner;
    std::int64_t unit;
    AxisRun along;   ///< dense in the destination
    AxisRun across;  ///< one axis, or dense in the source
    AxisRun outer;
    std::int64_t dst_shift;  ///< bytes from the first unit, beyond the plan's shifts
    std::int64_t src_shift;
    Program program;
    std::int64_t program_items;  ///< units of a period
    /// Bytes to the last pattern of a row, where it overlaps the one before, 0: none.
    std::int64_t last_dst;
    std::int64_t last_src;
    std::int64_t ahead;  ///< bytes of the source that are asked for in advance, 0: none
};

/// What lies in no near cache is asked for so many bytes in advance.
constexpr std::int64_t kAhead = 1024;

/// Bytes of the source from one place across to the next.
inline std::int64_t across_step(const Task& task) noexcept {
    return task.across.ndim == 0 ? 0 : task.across.axes[task.across.ndim - 1].src;
}

/// The steps between rows of the destination, or-ed: what divides it, if a power of two, divides
/// them all.
inline std::int64_t row_steps(const Task& task) noexcept {
    std::int64_t steps = 0;
    for (const AxisRun* const run : {&task.across, &task.outer}) {
        for (int k = 0; k < run->ndim; ++k)
            steps |= run->axes[k].dst;
    }
    return steps;
}

/// Axes [first, plan.ndim) of a plan, `extent` places of the first.
CopyPlan inner_plan(const CopyPlan& plan, int first, std::int64_t extent) noexcept;

/// Chooses for a plan, on these kernels.
void arrange_task(const CopyPlan& plan, const Kernels& kernels, Task& task) noexcept;

/// The pattern that packs the units at the places of `along`, which repeats after the last axis or
/// the last two, of pieces of `piece` bytes. False if unit by unit is as fast.
bool make_program(const AxisRun& along, std::int64_t unit, int piece, Program& program,
                  std::int64_t& items) noexcept;

/// The pattern that packs all places of `along` at once; reads nothing between or beyond them but
/// what lies between the first and the last. False if unit by unit is as fast.
bool make_pattern(const AxisRun& along, std::int64_t unit, int piece, Program& program) noexcept;

/// Places [first, first + count) along `columns` rows of the destination, which begin at
/// dst + dst_at[i]; the source's first row begins at src.
struct Places {
    char* dst;
    const std::int64_t* dst_at;
    const char* src;
    std::int64_t first;
    std::int64_t count;
    std::int64_t columns;
};

/// Moves them unit by unit.
void move_places(const Task& task, const Places& places) noexcept;

/// Makes those of a program by its shuffles, as far as their windows, which are read whole, hold
/// what later periods need at most, and moves the rest. What comes `ahead` bytes later is asked
/// for, unless 0.
void pick_places(const Task& task, const Kernels& kernels, const Places& places,
                 std::int64_t ahead) noexcept;

/// The same program for whole lines.
void make_line_program(const Program& program, LineProgram& made) noexcept;

/// How a plan was run.
enum class Route {
    none,     ///< not: nothing to do, or not this way
    dense,    ///< one memcpy
    repeats,  ///< parts that are copies of one another, each made once
    walk,     ///< unit by unit to a destination with gaps
    blocks,   ///< in blocks of the first cache, written where they belong
    rows,     ///< by rows that go past the caches as they are made
    strips,   ///< in blocks whose rows leave past the caches
    lines,    ///< by squares of whole lines, past the caches
    shifted,  ///< by some lines of each row, past the caches
    picks,    ///< by shuffles that make whole lines, past the caches
    tiles,    ///< by tiles of the second cache, past the caches
    pieces,   ///< piece by piece of a dense destination, past the caches
    runs,     ///< dense runs, past the caches from where they lie
};

/// Runs a task whose `inner` is not `walk`; `streams`: rows go past the caches where they are long.
Route run_task(const Task& task, const Kernels& kernels, char* dst, const char* src,
               bool streams) noexcept;

/// Runs a transpose past the caches whose rows begin alike in their lines; false if it is none.
bool stream_lines(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept;

/// As above, whose rows begin anywhere; false if it is none, or they are short.
bool stream_shifted(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept;

/// Runs a program whose rows are long past the caches; false if it is none, or lines do not begin
/// with a repetition.
bool stream_picks(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept;

/// Runs a transpose whose rows are long past the caches; false if it is none, or memory is short.
bool stream_tiles(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept;

/// Runs a plan of long dense units past the caches, where another axis is the nearest on either
/// side; false where it is none.
bool stream_runs(const CopyPlan& plan, const Kernels& kernels, char* dst, const char* src) noexcept;
/// Runs a plan whose source stands still on an axis; false if there is none that is worth it.
bool run_repeats(const CopyPlan& plan, const Kernels& kernels, char* dst, const char* src,
                 bool streams) noexcept;

/// Runs a plan past the caches where its destination is dense; Route::none where it is not.
Route stream_pieces(const CopyPlan& plan, const Kernels& kernels, char* dst,
                    const char* src) noexcept;

/// True if run_task() can stream the task's rows by itself.
bool has_long_rows(const Task& task, const char* dst) noexcept;

/// run_host() by these kernels.
Route run_plan(const CopyPlan& plan, char* dst, const char* src, std::int64_t whole,
               const Kernels& kernels) noexcept;

}  // namespace devview::copy
