// Transposes of what no cache holds, to rows that begin alike in their lines: the source is read
// along its rows, as many of them as a line of the destination takes, and every line is written
// from the registers.
#include <algorithm>

#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostColumns = 512;  // whose offsets are found at once
constexpr std::int64_t kFewLines = 3;       // of a row of the destination, from its first on

class Lines {
public:
    Lines(const Task& task, const Kernels& kernels, std::int64_t head) noexcept
        : task_(task),
          kernels_(kernels),
          size_(__builtin_ctzll(static_cast<unsigned long long>(task.unit))),
          side_(16 / task.unit),
          items_(kLine / task.unit),
          head_(head) {
        const Axis& outermost = task.across.axes[0];
        if (outermost.dst != task.along.extent * task.unit) return;
        seam_ = outermost.src;
        apart_ = task.across.extent / outermost.extent;
    }

    void run(char* dst, const char* src) noexcept {
        each_place(task_.outer, dst, src, [&](char* to, const char* from) { plane(to, from); });
    }

private:
    /// Places of the source's and the destination's columns.
    struct Columns {
        std::int64_t first;
        std::int64_t end;
    };

    void plane(char* dst, const char* src) noexcept {
        const std::int64_t extent = task_.along.extent;
        const std::int64_t columns = task_.across.extent;
        std::int64_t j = head_;
        for (std::int64_t lines = 1; j + items_ <= extent; j += lines * items_) {
            lines = std::min<std::int64_t>(kMostLines, (extent - j) / items_);
            whole_lines(dst, src, j, lines, {0, columns});
        }
        // What is left of a row shares its line with the row that follows it.
        if (seam_ != 0 && j < extent && columns - apart_ >= items_)
            whole_lines(dst, src, j, 1, {0, columns - apart_});
        const std::int64_t alone =
            seam_ == 0 || columns - apart_ < items_ ? columns : std::max(apart_, side_);
        if (head_ > 0) part_lines(dst, src, 0, std::max(head_, side_), {0, alone});
        const std::int64_t rest = j < extent ? std::max(extent - j, side_) : 0;
        if (rest > 0) part_lines(dst, src, extent - rest, rest, {columns - alone, columns});
    }

    void find_rows(std::int64_t j, std::int64_t rows) noexcept {
        const std::int64_t here = std::min(rows, task_.along.extent - j);
        find_offsets(task_.along, &Axis::src, j, here, src_at_);
        if (here == rows) return;
        find_offsets(task_.along, &Axis::src, 0, rows - here, src_at_ + here);
        for (std::int64_t k = here; k < rows; ++k)
            src_at_[k] += seam_;
    }

    /// Items of the first row's line before `src`.
    std::int64_t into_line(const char* src) const noexcept {
        const auto byte = reinterpret_cast<std::uintptr_t>(src + src_at_[0]) % kLine;
        return (static_cast<std::int64_t>(byte) + task_.unit - 1) / task_.unit;
    }

    template <typename Run>
    void each_columns(char* dst, const char* src, Columns columns, const Run& run) noexcept {
        for (std::int64_t i = columns.first; i < columns.end;) {
            const char* const from = src + i * task_.unit;
            // What is left after a block is enough for a square, or is done with it. Blocks end
            // with lines of the source.
            const bool last = columns.end - i < kMostColumns + items_;
            const std::int64_t count = last ? columns.end - i : kMostColumns - into_line(from);
            find_offsets(task_.across, &Axis::dst, i, count, dst_at_);
            run(dst, from, count);
            i += count;
        }
    }

    void whole_lines(char* dst, const char* src, std::int64_t j, std::int64_t lines,
                     Columns columns) noexcept {
        find_rows(j, lines * items_);
        each_columns(dst + j * task_.unit, src, columns,
                     [&](char* to, const char* from, std::int64_t count) {
                         kernels_.stream_squares[size_](to, dst_at_, from, src_at_, count, lines);
                     });
    }

    void part_lines(char* dst, const char* src, std::int64_t j, std::int64_t rows,
                    Columns columns) noexcept {
        find_rows(j, rows);
        each_columns(dst + j * task_.unit, src, columns,
                     [&](char* to, const char* from, std::int64_t count) {
                         kernels_.transpose[size_](to, dst_at_, from, src_at_, rows, count);
                     });
    }

    const Task& task_;
    const Kernels& kernels_;
    const int size_;
    const std::int64_t side_;   // items of a lane
    const std::int64_t items_;  // of a line
    const std::int64_t head_;   // of each row, before its first whole line
    std::int64_t seam_ = 0;     // of the source, to the row of the destination that follows
    std::int64_t apart_ = 0;    // columns from a row to that one
    std::int64_t dst_at_[kMostColumns + kLine];
    std::int64_t src_at_[kMostLines * kLine];
};

}  // namespace

bool stream_lines(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept {
    if (task.inner != Inner::transpose || across_step(task) != task.unit) return false;
    if (task.across.extent * task.unit < kLine) return false;
    dst += task.dst_shift;
    src += task.src_shift;
    const auto phase = static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(dst) %
                                                 static_cast<std::uintptr_t>(kLine));
    if (phase % task.unit != 0 || row_steps(task) % kLine != 0) return false;
    if (task.along.extent * task.unit - phase < kFewLines * kLine) return false;
    Lines(task, kernels, phase / task.unit).run(dst, src);
    return true;
}

}  // namespace devview::copy
