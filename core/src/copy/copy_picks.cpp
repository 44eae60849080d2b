// Rows made by shuffles of what no cache holds, past the caches: each from its own first whole line
// on, those that share lines of the source side by side.
#include <algorithm>

#include "src/checked.hpp"
#include "src/copy/copy_moves.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostRows = 16;
constexpr std::int64_t kTable = 1024;

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
            rounds = std::min(rounds, periods_from(heads[i]) / program_.periods);
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

    /// Periods whose windows, which are read whole, reach into what later periods need at most.
    std::int64_t periods_from(std::int64_t head) const noexcept {
        const auto advance = static_cast<std::int64_t>(checked::magnitude(task_.program.advance));
        const std::int64_t periods = (task_.along.extent - head) / task_.program_items;
        return std::max<std::int64_t>(periods - (task_.program.piece - 1 + advance) / advance, 0);
    }

    /// What the lines of a row leave.
    void ends(char* dst, const char* src, std::int64_t head, std::int64_t rounds) noexcept {
        moves(dst, src, 0, head);
        const std::int64_t done = rounds * program_.periods;
        const std::int64_t more = periods_from(head) - done;
        std::int64_t j = head + done * task_.program_items;
        if (more > 0) {
            const char* const from = src + j / repeated_ * task_.along.axes[0].src;
            kernels_.run_program(task_.program, dst + j * task_.unit, from, more, 0);
            j += more * task_.program_items;
        }
        moves(dst, src, j, task_.along.extent);
    }

    void moves(char* dst, const char* src, std::int64_t first, std::int64_t end) noexcept {
        const Axis* const axis = task_.along.ndim == 1 ? task_.along.axes : nullptr;
        const std::int64_t here = 0;
        for (std::int64_t j = first; j < end; j += kTable) {
            const std::int64_t count = std::min(kTable, end - j);
            find_offsets(task_.along, &Axis::src, j, count, src_at_);
            move_units({dst + j * task_.unit, &here, src, src_at_, count, 1, axis}, task_.unit, 0);
        }
    }

    const Task& task_;
    const Kernels& kernels_;
    const std::int64_t across_;
    const std::int64_t repeated_;  // units of a repetition
    std::int64_t most_;            // rows that go on together
    std::int64_t following_ = 0;   // bytes of the source to the rows after them
    LineProgram program_;
    std::int64_t src_at_[kTable];
};

}  // namespace

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
