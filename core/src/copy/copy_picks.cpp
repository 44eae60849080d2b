// Rows made by shuffles: where they lie, or past the caches, each from its own first whole line on,
// those that share lines of the source side by side.
#include <algorithm>

#include "src/checked.hpp"
#include "src/copy/copy_moves.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostRows = 16;

/// Periods from place `first` on whose windows hold what later periods need at most.
std::int64_t periods_from(const Task& task, std::int64_t first) noexcept {
    const auto advance = static_cast<std::int64_t>(checked::magnitude(task.program.advance));
    const std::int64_t periods = (task.along.extent - first) / task.program_items;
    return std::max<std::int64_t>(periods - (task.program.piece - 1 + advance) / advance, 0);
}

class Picks {
public:
    Picks(const Task& task, const Kernels& kernels) noexcept
        : task_(task),
          kernels_(kernels),
          across_(across_step(task)),
          repeated_(task.along.extent / task.along.axes[0].extent) {
        make_line_program(task.program, program_);
        const bool together = across_ <= kLine && across_ != 0;
        most_ = together ? kMostRows : 1;
        const AxisRun& next = together || task.across.ndim == 0 ? task.outer : task.across;
        if (next.ndim > 0) following_ = next.axes[next.ndim - 1].src;
    }

    void run(char* dst, const char* src) noexcept {
        each_place(task_.outer, dst, src, [&](char* to, const char* from) {
            for (std::int64_t i = 0; i < task_.across.extent; i += most_)
                rows(to, from + i * across_, i, std::min(most_, task_.across.extent - i));
        });
    }

private:
    void rows(char* dst, const char* src, std::int64_t first, std::int64_t count) noexcept {
        std::int64_t dst_at[kMostRows];
        std::int64_t heads[kMostRows];  // units before the first whole line
        char* lines[kMostRows];
        const char* from[kMostRows];
        find_offsets(task_.across, &Axis::dst, first, count, dst_at);
        std::int64_t rounds = checked::kMax;
        for (std::int64_t i = 0; i < count; ++i) {
            heads[i] = find_head(dst + dst_at[i]);
            lines[i] = dst + dst_at[i] + heads[i] * task_.unit;
            from[i] = src + i * across_ + heads[i] / repeated_ * task_.along.axes[0].src;
            rounds = std::min(rounds, periods_from(task_, heads[i]) / program_.periods);
        }
        stream(lines, from, count, rounds);
        for (std::int64_t i = 0; i < count; ++i) {
            ends(dst + dst_at[i], src + i * across_, heads[i], rounds);
        }
    }

    /// The last rounds ask for the beginning of the rows that follow.
    void stream(char** lines, const char** from, std::int64_t count, std::int64_t rounds) noexcept {
        const std::int64_t ahead = program_.advance < 0 ? -task_.ahead : task_.ahead;
        const std::int64_t last = std::min(rounds, ahead / program_.advance);
        kernels_.stream_program(program_, lines, from, count, rounds - last, ahead);
        for (std::int64_t i = 0; i < count; ++i) {
            lines[i] += (rounds - last) * program_.lines * kLine;
            from[i] += (rounds - last) * program_.advance;
        }
        const std::int64_t reach = task_.along.extent / repeated_ * task_.along.axes[0].src;
        kernels_.stream_program(program_, lines, from, count, last, following_ - reach + ahead);
    }

    std::int64_t find_head(const char* dst) const noexcept {
        std::int64_t head = 0;
        while (reinterpret_cast<std::uintptr_t>(dst + head * task_.unit) % kLine != 0)
            head += repeated_;
        return head;
    }

    /// What the lines of a row leave.
    void ends(char* dst, const char* src, std::int64_t head, std::int64_t rounds) noexcept {
        const std::int64_t here = 0;
        const std::int64_t done = head + rounds * program_.periods * task_.program_items;
        move_places(task_, {dst, &here, src, 0, head, 1});
        pick_places(task_, kernels_,
                    {dst + done * task_.unit, &here, src, done, task_.along.extent - done, 1}, 0);
    }

    const Task& task_;
    const Kernels& kernels_;
    const std::int64_t across_;
    const std::int64_t repeated_;  // units of a repetition
    std::int64_t most_;            // rows that go on together
    std::int64_t following_ = 0;   // bytes of the source to the rows after them
    LineProgram program_;
};

}  // namespace

void move_places(const Task& task, const Places& places) noexcept {
    constexpr std::int64_t kTable = 1024;
    std::int64_t src_at[kTable];
    const Axis* const axis = task.along.ndim == 1 ? task.along.axes : nullptr;
    for (std::int64_t at = 0; at < places.count; at += kTable) {
        const std::int64_t count = std::min(kTable, places.count - at);
        find_offsets(task.along, &Axis::src, places.first + at, count, src_at);
        move_units({places.dst + at * task.unit, places.dst_at, places.src, src_at, count,
                    places.columns, axis},
                   task.unit, across_step(task));
    }
}

void pick_places(const Task& task, const Kernels& kernels, const Places& places,
                 std::int64_t ahead) noexcept {
    const std::int64_t items = task.program_items;
    const std::int64_t periods = std::min(periods_from(task, places.first), places.count / items);
    std::int64_t start = 0;
    find_offsets(task.along, &Axis::src, places.first, 1, &start);
    if (task.program.advance < 0) ahead = -ahead;
    for (std::int64_t i = 0; i < places.columns && periods > 0; ++i) {
        kernels.run_program(task.program, places.dst + places.dst_at[i],
                            places.src + i * across_step(task) + start, periods,
                            i == 0 ? ahead : 0);
    }
    Places rest = places;
    rest.dst += periods * items * task.unit;
    rest.first += periods * items;
    rest.count -= periods * items;
    move_places(task, rest);
}

bool stream_picks(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept {
    if (task.inner != Inner::program || task.along.extent * task.unit < kLongRow) return false;
    dst += task.dst_shift;
    const std::int64_t repeated = task.along.extent / task.along.axes[0].extent * task.unit;
    const std::int64_t least = std::min(repeated & -repeated, kLine);
    // Every row has a line that begins with a repetition.
    const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(dst));
    if ((address | row_steps(task)) % least != 0) return false;
    Picks(task, kernels).run(dst, src + task.src_shift);
    return true;
}

}  // namespace devview::copy
