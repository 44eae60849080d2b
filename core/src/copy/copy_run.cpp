// Runs a task block by block: a strip of rows of the destination at a time, as wide as one or two
// lines of the source.
#include <algorithm>
#include <cstring>

#include "src/checked.hpp"
#include "src/copy/copy_moves.hpp"
#include "src/copy/copy_stream.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostRows = 1024;     // of the source in a block
constexpr std::int64_t kMostColumns = 64;    // rows of the destination in a strip
constexpr std::int64_t kMostLong = 512;      // where whole lines of the source are read along
constexpr std::int64_t kSlack = 16;          // most that goes with the last block beyond its size
constexpr std::int64_t kStripBytes = 128;    // of the source that are read along a strip
constexpr std::int64_t kBlock = 32 << 10;    // bytes of a block, in the first cache
constexpr std::int64_t kLongCopy = 8 << 10;  // what the C library does as well or better

/// True if a row is long and lines begin with a unit.
bool has_streamed_rows(const Task& task, const char* dst) noexcept {
    if (task.unit * task.along.extent < kLongRow) return false;
    if (task.along.axes[0].src == task.unit) return true;
    const auto bits =
        static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(dst)) | row_steps(task);
    return bits % task.unit == 0;
}

/// Units of every row of a program before those that can be streamed as they are made; -1 if there
/// are none, or rows differ.
std::int64_t find_program_start(const Task& task, const char* dst) noexcept {
    const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(dst));
    if (row_steps(task) % Program::kAlign != 0) return -1;
    const std::int64_t step = task.along.extent / task.along.axes[0].extent;
    const std::int64_t most = std::min(task.along.extent, kMostRows) / step;
    for (std::int64_t k = 0; k < std::min<std::int64_t>(most, Program::kAlign); ++k) {
        if ((address + k * step * task.unit) % Program::kAlign == 0) return k * step;
    }
    return -1;
}

/// Bytes of the source from a row to one of those that come `rows` later.
std::int64_t find_following(const Task& task, std::int64_t rows) noexcept {
    if (task.across.ndim == 0) return task.unit * task.along.extent;
    if (2 * rows <= task.across.extent) return rows * task.across.axes[0].src;
    rows = (rows + task.across.extent - 1) / task.across.extent;
    for (int k = task.outer.ndim - 1; k >= 0; --k) {
        const Axis& axis = task.outer.axes[k];
        if (2 * rows <= axis.extent || k == 0) return std::min(rows, axis.extent) * axis.src;
        rows = (rows + axis.extent - 1) / axis.extent;
    }
    return std::min(rows, task.across.extent) * task.across.axes[0].src;
}

void run_rows(const Task& task, const Kernels& kernels, char* dst, const char* src,
              bool streams) noexcept {
    Axis along = task.along.axes[0];
    std::int64_t unit = task.unit;
    if (streams && along.src == unit) {
        // Lines begin with any byte.
        along = {along.extent * unit, 1, 1};
        unit = 1;
    }
    const Axis across = task.across.ndim == 0 ? Axis{1, 0, 0} : task.across.axes[0];
    const std::int64_t nbytes_along = along.extent * unit;
    if (!streams && along.src == unit && nbytes_along >= kLongCopy) {
        return each_place(task.outer, dst, src, [&](char* to, const char* from) {
            for (std::int64_t k = 0; k < across.extent; ++k) {
                std::memcpy(to + k * across.dst, from + k * across.src,
                            static_cast<std::size_t>(nbytes_along));
            }
        });
    }
    const int size = __builtin_ctzll(static_cast<unsigned long long>(unit));
    RowPlane plane{};
    plane.dst_pitch = across.dst;
    plane.src_pitch = across.src;
    plane.step = along.src / unit;
    plane.extent = along.extent;
    plane.rows = across.extent;
    plane.streams = streams;
    if (task.ahead > 0) {
        const auto nbytes = along.extent * static_cast<std::int64_t>(checked::magnitude(along.src));
        if (nbytes >= 2 * task.ahead) {
            plane.ahead = task.ahead;
            plane.following = find_following(task, 1);
        } else {
            plane.following = find_following(task, task.ahead / std::max(nbytes, kLine) + 1);
        }
    }
    each_place(task.outer, dst, src, [&](char* to, const char* from) {
        plane.dst = to;
        plane.src = from;
        kernels.run_rows[size](plane);
    });
}

class TaskRun {
public:
    TaskRun(const Task& task, const Kernels& kernels, bool streams) noexcept
        : task_(task), kernels_(kernels) {
        const std::int64_t unit = task.unit;
        across_ = across_step(task);
        const std::int64_t reach = std::max(unit, across_);  // of the source for each column
        width_ = std::min(task.across.extent,
                          std::clamp<std::int64_t>(kStripBytes / reach, 16 / unit, kMostColumns));
        // Rows that are picked from the source one item at a time want to be long.
        const std::int64_t least = task.inner == Inner::transpose && across_ != unit ? 32 : 8;
        width_ = std::max(width_, std::min(task.across.extent, least));
        if (task.inner == Inner::transpose && task.along.ndim == 1 && across_ == unit) {
            // Lines that far apart fall into so few sets of the first cache that they drive each
            // other out before they are read to their ends.
            const std::int64_t conflicts = unit == 1 ? 512 : unit == 2 ? 1024 : 2048;
            meets_ = task.along.axes[0].src % conflicts == 0;
            if (meets_ && !streams) width_ = std::min(task.across.extent, kMostLong);
        }
        if (meets_ && !streams) {
            height_ = kMostRows;  // of which the kernel takes a line at a time
        } else if (task.inner == Inner::program) {
            const std::int64_t period = task.program_items * unit;
            height_ =
                std::max<std::int64_t>(kBlock / 2 / width_ / period & -2, 2) * task.program_items;
        } else {
            height_ =
                std::clamp<std::int64_t>(kBlock / (width_ * reach), kLine, kMostRows) & -kLine;
        }
        stages_ = task.inner == Inner::transpose && across_ != unit;
        const bool squares = task.inner == Inner::transpose || task.inner == Inner::narrow;
        fetches_ = task.ahead > 0 && (squares || task.inner == Inner::moves);
        slack_ = squares ? 16 / unit - 1 : 0;
        fills_ = task.inner == Inner::moves && task.across.ndim == 0 && task.along.ndim == 1 &&
                 task.along.axes[0].src == 0;
        one_block_ = task.inner != Inner::program && !fills_ &&
                     next(0, task.across.extent, width_) == task.across.extent &&
                     next(0, task.along.extent, height_) == task.along.extent;
        if (one_block_) find_tables(0, 0, task.across.extent, task.along.extent);
    }

    void run(char* dst, const char* src, bool streams) noexcept {
        each_place(task_.outer, dst, src, [&](char* to, const char* from) {
            if (streams) {
                stream_plane(to, from);
            } else {
                plane(to, from);
            }
        });
    }

private:
    /// What is left after a block is enough for a square, or is done with it.
    std::int64_t next(std::int64_t at, std::int64_t extent, std::int64_t step) const noexcept {
        return extent - at <= step + slack_ ? extent : at + step;
    }

    void find_tables(std::int64_t i, std::int64_t j, std::int64_t columns,
                     std::int64_t rows) noexcept {
        find_offsets(task_.across, &Axis::dst, i, columns, dst_at_);
        find_offsets(task_.along, &Axis::src, j, rows, src_at_);
    }

    void plane(char* dst, const char* src) noexcept {
        if (fills_) return rows::repeat(dst, src, task_.unit, task_.along.extent);
        if (one_block_) {
            return block(dst, dst_at_, src, src_at_, task_.along.extent, task_.across.extent);
        }
        for (std::int64_t i = 0; i < task_.across.extent;) {
            const std::int64_t after = next(i, task_.across.extent, width_);
            find_offsets(task_.across, &Axis::dst, i, after - i, dst_at_);
            for (std::int64_t j = 0; j < task_.along.extent;) {
                const std::int64_t end = next(j, task_.along.extent, height_);
                make(dst + j * task_.unit, dst_at_, src + i * across_, j, end - j, after - i);
                if (fetches_ && after < task_.across.extent) fetch_strip(src, after, end - j);
                j = end;
            }
            i = after;
        }
    }

    /// Rows of a program, from unit `start` on past the caches as they are made.
    void stream_program(char* dst, const char* src, std::int64_t start) noexcept {
        for (std::int64_t i = 0; i < task_.across.extent;) {
            const std::int64_t after = next(i, task_.across.extent, width_);
            const char* const from = src + i * across_;
            find_offsets(task_.across, &Axis::dst, i, after - i, dst_at_);
            find_offsets(task_.along, &Axis::src, 0, start, src_at_);
            moves(dst, dst_at_, from, src_at_, start, after - i);
            for (std::int64_t j = start; j < task_.along.extent; j += height_) {
                const std::int64_t rows = std::min(height_, task_.along.extent - j);
                pick(dst + j * task_.unit, dst_at_, from, j, rows, after - i, true);
            }
            i = after;
        }
    }

    void stream_plane(char* dst, const char* src) noexcept {
        if (task_.inner == Inner::program) {
            const std::int64_t start = find_program_start(task_, dst);
            if (start >= 0) return stream_program(dst, src, start);
        }
        LineRow rows[kMostColumns + kSlack];
        std::int64_t buffer_at[kMostColumns + kSlack];
        alignas(kLine) char buffer[kBufferBytes];
        for (std::int64_t i = 0; i < task_.across.extent;) {
            const std::int64_t after = next(i, task_.across.extent, width_);
            const std::int64_t columns = after - i;
            const std::int64_t pitch = ((height_ + slack_) * task_.unit + 3 * kLine - 1) & -kLine;
            find_offsets(task_.across, &Axis::dst, i, columns, dst_at_);
            for (std::int64_t k = 0; k < columns; ++k)
                rows[k].start(dst + dst_at_[k]);
            for (std::int64_t j = 0; j < task_.along.extent;) {
                const std::int64_t end = next(j, task_.along.extent, height_);
                for (std::int64_t k = 0; k < columns; ++k)
                    buffer_at[k] = rows[k].begin(buffer + k * pitch) - buffer;
                make(buffer, buffer_at, src + i * across_, j, end - j, columns);
                for (std::int64_t k = 0; k < columns; ++k)
                    rows[k].push(buffer + k * pitch, (end - j) * task_.unit, kernels_);
                j = end;
            }
            for (std::int64_t k = 0; k < columns; ++k)
                rows[k].finish();
            i = after;
        }
    }

    /// `rows` places along from `j` on, of `columns` rows of the destination.
    void make(char* dst, const std::int64_t* dst_at, const char* src, std::int64_t j,
              std::int64_t rows, std::int64_t columns) noexcept {
        if (task_.inner == Inner::program) return pick(dst, dst_at, src, j, rows, columns, false);
        if (!one_block_) find_offsets(task_.along, &Axis::src, j, rows, src_at_);
        block(dst, dst_at, src, src_at_, rows, columns);
    }

    /// Asks for what the strip from column `first` on reads of the last block's rows.
    void fetch_strip(const char* src, std::int64_t first, std::int64_t rows) const noexcept {
        const std::int64_t nbytes = (next(first, task_.across.extent, width_) - first) * across_;
        for (std::int64_t k = 0; k < rows; ++k) {
            const char* const from = src + src_at_[k] + first * across_;
            for (std::int64_t at = 0; at < nbytes; at += kLine)
                __builtin_prefetch(from + at);
        }
    }

    void block(char* dst, const std::int64_t* dst_at, const char* src, const std::int64_t* src_at,
               std::int64_t rows, std::int64_t columns) noexcept {
        if (task_.inner == Inner::pattern) {
            return kernels_.run_pattern(task_.program, dst + dst_at[0], task_.unit, src, src_at,
                                        rows);
        }
        if (task_.inner == Inner::moves) return moves(dst, dst_at, src, src_at, rows, columns);
        if (task_.inner == Inner::narrow) return narrow(dst, dst_at, src, src_at, rows, columns);
        const int size = __builtin_ctzll(static_cast<unsigned long long>(task_.unit));
        if (!stages_) {
            const Transpose* const squares = meets_ ? kernels_.transpose_lines : kernels_.transpose;
            return squares[size](dst, dst_at, src, src_at, rows, columns);
        }
        const std::int64_t width = columns * task_.unit;
        const std::int64_t pitch = (width + kLine - 1) & -kLine;
        stage_rows(tile_, pitch, src, src_at, rows, columns, task_.unit, across_, kernels_);
        for (std::int64_t k = 0; k < rows; ++k)
            tile_at_[k] = k * pitch;
        kernels_.transpose[size](dst, dst_at, tile_, tile_at_, rows, columns);
    }

    /// Rows and columns that a square lacks are made up, and left where nobody looks.
    void narrow(char* dst, const std::int64_t* dst_at, const char* src, const std::int64_t* src_at,
                std::int64_t rows, std::int64_t columns) noexcept {
        const std::int64_t unit = task_.unit;
        const std::int64_t side = 16 / unit;
        for (std::int64_t k = 0; k < std::max(rows, side); ++k)
            tile_at_[k] = src_at[k < rows ? k : 0];
        if (columns < side) {
            rows::with_move(columns * unit, [&](const auto& move) {
                for (std::int64_t k = 0; k < rows; ++k)
                    move(tile_ + k * 16, src + src_at[k]);
            });
            for (std::int64_t k = 0; k < std::max(rows, side); ++k)
                tile_at_[k] = (k < rows ? k : 0) * 16;
            src = tile_;
        }
        const bool whole = rows >= side;
        char* const made = tile_ + sizeof(tile_) / 2;
        for (std::int64_t k = 0; k < std::max(columns, side); ++k)
            made_at_[k] = !whole ? k * 16 : k < columns ? dst_at[k] : made - dst;
        const int size = __builtin_ctzll(static_cast<unsigned long long>(unit));
        kernels_.transpose[size](whole ? dst : made, made_at_, src, tile_at_, std::max(rows, side),
                                 std::max(columns, side));
        if (whole) return;
        rows::with_move(rows * unit, [&](const auto& move) {
            for (std::int64_t k = 0; k < columns; ++k)
                move(dst + dst_at[k], made + k * 16);
        });
    }

    void moves(char* dst, const std::int64_t* dst_at, const char* src, const std::int64_t* src_at,
               std::int64_t rows, std::int64_t columns) const noexcept {
        const Axis* const axis = task_.along.ndim == 1 ? task_.along.axes : nullptr;
        move_units({dst, dst_at, src, src_at, rows, columns, axis}, task_.unit, across_);
    }

    void pick(char* dst, const std::int64_t* dst_at, const char* src, std::int64_t j,
              std::int64_t rows, std::int64_t columns, bool streams) noexcept {
        const std::int64_t items = task_.program_items;
        const auto advance = static_cast<std::int64_t>(checked::magnitude(task_.program.advance));
        // Windows are read whole, up to 15 bytes into what later periods need.
        const std::int64_t readable = (task_.along.extent - j) / items - (15 + advance) / advance;
        const std::int64_t periods = std::clamp<std::int64_t>(readable, 0, rows / items);
        std::int64_t start = 0;
        find_offsets(task_.along, &Axis::src, j, 1, &start);
        const std::int64_t ahead = task_.program.advance < 0 ? -task_.ahead : task_.ahead;
        for (std::int64_t i = 0; i < columns && periods > 0; ++i) {
            kernels_.run_program(task_.program, dst + dst_at[i], src + i * across_ + start, periods,
                                 i == 0 ? ahead : 0, streams);
        }
        const std::int64_t done = periods * items;
        for (std::int64_t at = done; at < rows; at += kMostRows) {
            const std::int64_t rest = std::min(rows - at, kMostRows);
            find_offsets(task_.along, &Axis::src, j + at, rest, src_at_);
            moves(dst + at * task_.unit, dst_at, src, src_at_, rest, columns);
        }
    }

    // A block with its slack, and of each row what is left of a line and the padding.
    static constexpr std::int64_t kBufferBytes = 2 * kBlock;
    const Task& task_;
    const Kernels& kernels_;
    std::int64_t width_;
    std::int64_t height_;
    std::int64_t across_;
    std::int64_t slack_;
    bool meets_ = false;
    bool stages_;
    bool fetches_;
    bool fills_;
    bool one_block_;
    std::int64_t dst_at_[kMostLong + kSlack];
    std::int64_t src_at_[kMostRows + kSlack];
    std::int64_t tile_at_[kMostRows + kSlack];
    std::int64_t made_at_[kMostColumns + kSlack];
    alignas(kLine) char tile_[9 * kBlock / 4];  // 79 columns of one byte make two lines
};

}  // namespace

bool has_long_rows(const Task& task, const char* dst) noexcept {
    if (task.inner == Inner::rows) return has_streamed_rows(task, dst);
    if (task.inner == Inner::program && task.along.extent * task.unit >= kLongRow &&
        find_program_start(task, dst) >= 0) {
        return true;
    }
    return task.across.extent > 1 && task.along.extent * task.unit >= kLongRow;
}

Route run_task(const Task& task, const Kernels& kernels, char* dst, const char* src,
               bool streams) noexcept {
    dst += task.dst_shift;
    src += task.src_shift;
    streams = streams && has_long_rows(task, dst);
    if (task.inner == Inner::rows) {
        run_rows(task, kernels, dst, src, streams);
        return streams ? Route::rows : Route::blocks;
    }
    if (streams && stream_tiles(task, kernels, dst, src)) return Route::tiles;
    TaskRun(task, kernels, streams).run(dst, src, streams);
    return streams ? Route::strips : Route::blocks;
}

}  // namespace devview::copy
