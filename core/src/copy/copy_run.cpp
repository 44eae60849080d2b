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

constexpr std::int64_t kMostRows = 1024;      // of the source in a block
constexpr std::int64_t kMostColumns = 64;     // rows of the destination in a strip
constexpr std::int64_t kMostLong = 512;       // where whole lines of the source are read along
constexpr std::int64_t kSlack = 16;           // most that goes with the last block beyond its size
constexpr std::int64_t kStripBytes = 128;     // of the source that are read along a strip
constexpr std::int64_t kBlock = 32 << 10;     // bytes of a block, in the first cache
constexpr std::int64_t kFollowed = 32 << 10;  // bytes of a long row
constexpr std::int64_t kRowsAhead = 16;       // that are asked for
constexpr std::int64_t kLongCopy = 8 << 10;   // what the C library does as well or better

/// True if a row is long and lines begin with a unit.
bool has_streamed_rows(const Task& task, const char* dst) noexcept {
    if (task.unit * task.along.extent < kLongRow) return false;
    if (task.along.axes[0].src == task.unit) return true;
    const auto bits =
        static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(dst)) | row_steps(task);
    return bits % task.unit == 0;
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
        if (nbytes >= kFollowed && along.src > 0) {
            // The CPU asks by itself.
        } else if (nbytes >= 2 * task.ahead) {
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
            // Lines are read whole: larger items', and where they fall into so few sets of the
            // first cache that they drive each other out before they are read to their ends.
            const std::int64_t conflicts = unit == 1 ? 512 : unit == 2 ? 1024 : 2048;
            whole_lines_ =
                task.along.axes[0].src % conflicts == 0 ||
                (unit > 2 && std::min(task.along.extent, task.across.extent) * unit >= kLine);
            if (whole_lines_ && !streams) width_ = std::min(task.across.extent, kMostLong);
        }
        if (whole_lines_ && !streams) {
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
        finds_columns_ = task.across.extent > kMostLong + kSlack;
        if (!finds_columns_) find_offsets(task.across, &Axis::dst, 0, task.across.extent, dst_at_);
        finds_rows_ = task.inner == Inner::program || task.along.extent > kMostRows + kSlack;
        if (!finds_rows_) find_offsets(task.along, &Axis::src, 0, task.along.extent, src_at_);
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

    /// Where columns [i, i + count) are; until it is asked again.
    const std::int64_t* columns_from(std::int64_t i, std::int64_t count) noexcept {
        if (!finds_columns_) return dst_at_ + i;
        find_offsets(task_.across, &Axis::dst, i, count, dst_at_);
        return dst_at_;
    }
    const std::int64_t* rows_from(std::int64_t j, std::int64_t count) noexcept {
        if (!finds_rows_) return src_at_ + j;
        find_offsets(task_.along, &Axis::src, j, count, src_at_);
        return src_at_;
    }

    void plane(char* dst, const char* src) noexcept {
        if (fills_) return rows::repeat(dst, src, task_.unit, task_.along.extent);
        if (one_block_) {
            block(dst, dst_at_, src, src_at_, task_.along.extent, task_.across.extent);
            return last_pattern(dst, src);
        }
        for (std::int64_t i = 0; i < task_.across.extent;) {
            const std::int64_t after = next(i, task_.across.extent, width_);
            const std::int64_t* const dst_at = columns_from(i, after - i);
            for (std::int64_t j = 0; j < task_.along.extent;) {
                const std::int64_t end = next(j, task_.along.extent, height_);
                make(dst + j * task_.unit, dst_at, src + i * across_, j, end - j, after - i);
                if (fetches_ && after < task_.across.extent) fetch_strip(src, after, j, end - j);
                j = end;
            }
            i = after;
        }
        last_pattern(dst, src);
    }

    void last_pattern(char* dst, const char* src) const noexcept {
        if (task_.last_dst == 0) return;
        kernels_.run_pattern(task_.program, dst + task_.last_dst, task_.unit, src, &task_.last_src,
                             1);
    }

    void stream_plane(char* dst, const char* src) noexcept {
        LineRow rows[kMostColumns + kSlack];
        std::int64_t buffer_at[kMostColumns + kSlack];
        alignas(kLine) char buffer[kBufferBytes];
        for (std::int64_t i = 0; i < task_.across.extent;) {
            const std::int64_t after = next(i, task_.across.extent, width_);
            const std::int64_t columns = after - i;
            const std::int64_t pitch = ((height_ + slack_) * task_.unit + 3 * kLine - 1) & -kLine;
            const std::int64_t* const dst_at = columns_from(i, columns);
            for (std::int64_t k = 0; k < columns; ++k)
                rows[k].start(dst + dst_at[k]);
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
        if (task_.inner == Inner::program) {
            return pick_places(task_, kernels_, {dst, dst_at, src, j, rows, columns}, task_.ahead);
        }
        block(dst, dst_at, src, rows_from(j, rows), rows, columns);
    }

    /// Asks for what the strip from column `first` on reads of the last block's rows.
    void fetch_strip(const char* src, std::int64_t first, std::int64_t j,
                     std::int64_t rows) const noexcept {
        const std::int64_t* const src_at = finds_rows_ ? src_at_ : src_at_ + j;
        const std::int64_t nbytes = (next(first, task_.across.extent, width_) - first) * across_;
        for (std::int64_t k = 0; k < rows; ++k) {
            const char* const from = src + src_at[k] + first * across_;
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
            const Transpose* const squares =
                whole_lines_ ? kernels_.transpose_lines : kernels_.transpose;
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
                for (std::int64_t k = 0; k < rows; ++k) {
                    if (task_.ahead > 0 && k + kRowsAhead < rows)
                        __builtin_prefetch(src + src_at[k + kRowsAhead]);
                    move(tile_ + k * 16, src + src_at[k]);
                }
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

    // A block with its slack, and of each row what is left of a line and the padding.
    static constexpr std::int64_t kBufferBytes = 2 * kBlock;
    const Task& task_;
    const Kernels& kernels_;
    std::int64_t width_;
    std::int64_t height_;
    std::int64_t across_;
    std::int64_t slack_;
    bool whole_lines_ = false;
    bool stages_;
    bool fetches_;
    bool fills_;
    bool one_block_;
    bool finds_columns_;  // again and again
    bool finds_rows_;
    std::int64_t dst_at_[kMostLong + kSlack];
    std::int64_t src_at_[kMostRows + kSlack];
    std::int64_t tile_at_[kMostRows + kSlack];
    std::int64_t made_at_[kMostColumns + kSlack];
    alignas(kLine) char tile_[9 * kBlock / 4];  // 79 columns of one byte make two lines
};

}  // namespace

bool has_long_rows(const Task& task, const char* dst) noexcept {
    if (task.inner == Inner::rows) return has_streamed_rows(task, dst);
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
