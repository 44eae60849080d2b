// Transposes of what no cache holds: a tile is read in long pieces of the source's rows into the
// second cache, transposed strip by strip into the first, and leaves it in whole lines.
#include <algorithm>
#include <memory>
#include <new>

#include "src/copy/copy_moves.hpp"
#include "src/copy/copy_stream.hpp"
#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostRows = 1024;
constexpr std::int64_t kMostColumns = 512;
constexpr std::int64_t kSlack = 16;
constexpr std::int64_t kPiece = 2048;  // bytes of a row of the source that are read at once
constexpr std::int64_t kTileBytes = 128 << 10;  // of the second cache
constexpr std::int64_t kStripBytes = 128;
constexpr std::int64_t kAhead = 4;  // rows that are asked for in advance

class Tiles {
public:
    Tiles(const Task& task, const Kernels& kernels) noexcept : task_(task), kernels_(kernels) {
        const std::int64_t unit = task.unit;
        slack_ = task.inner == Inner::transpose ? 16 / unit - 1 : 0;
        across_ = across_step(task);
        width_ = std::min(task.across.extent,
                          std::min<std::int64_t>(kPiece / across_ & -16, kMostColumns));
        height_ = std::clamp<std::int64_t>(kTileBytes / (width_ * unit), kLine, kMostRows) & -kLine;
        strip_ = std::clamp<std::int64_t>(kStripBytes / unit, 4, kLine);
        // Not a multiple of many lines: columns of the tile would fall into few sets of the cache.
        const std::int64_t longest = std::min(task.across.extent, width_ + slack_) * unit;
        pitch_ = (((longest + kLine - 1) / kLine) | 1) * kLine;
        strip_pitch_ = (height_ + slack_) * unit + 2 * kLine;
        strip_pitch_ = (strip_pitch_ / kLine | 1) * kLine;
        const std::int64_t strip_bytes = (strip_ + slack_) * strip_pitch_;
        const std::int64_t tile_bytes = (height_ + slack_) * pitch_;
        const auto bytes = static_cast<std::size_t>(2 * tile_bytes + strip_bytes);
        memory_.reset(new (std::nothrow) char[bytes + kLine]);
        if (!memory_) return;
        const auto start = reinterpret_cast<std::uintptr_t>(memory_.get());
        buffer_ = memory_.get() + (-start & (kLine - 1));
        tile_ = buffer_ + strip_bytes;
        other_ = tile_ + tile_bytes;
        for (std::int64_t k = 0; k < height_ + slack_; ++k)
            tile_at_[k] = k * pitch_;
    }
    bool ready() const noexcept { return memory_ != nullptr; }

    void run(char* dst, const char* src) noexcept {
        Place at{};
        at.dst = dst;
        at.src = src;
        fit(at);
        read(at);
        for (bool more = true; more;) {
            Place following = at;
            more = advance(following);
            if (at.j == 0) start_rows(at);
            char* const made = tile_;
            std::swap(tile_, other_);
            strips(at, made, following, more ? following.height : 0);
            if (at.j + at.height == task_.along.extent) finish_rows(at);
            at = following;
        }
    }

private:
    /// One tile: `columns` rows of the destination from i on, `height` places of them from j on.
    struct Place {
        char* dst;
        const char* src;
        std::int64_t i;
        std::int64_t j;
        std::int64_t columns;
        std::int64_t height;
        std::int64_t outer[kMaxNdim];
    };

    /// What is left after a block is enough for a square, or is done with it.
    std::int64_t next(std::int64_t at, std::int64_t extent, std::int64_t step) const noexcept {
        return extent - at <= step + slack_ ? extent : at + step;
    }

    void fit(Place& place) const noexcept {
        place.columns = next(place.i, task_.across.extent, width_) - place.i;
        // After a shorter first tile, rows that begin alike in their lines are made in whole lines.
        const auto phase = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(place.dst) %
                                                     static_cast<std::uintptr_t>(kLine));
        const bool first = place.j == 0 && phase % task_.unit == 0;
        const std::int64_t step = first ? height_ - phase / task_.unit : height_;
        place.height = next(place.j, task_.along.extent, step) - place.j;
    }

    /// To the next tile; false after the last one.
    bool advance(Place& place) const noexcept {
        place.j += place.height;
        if (place.j == task_.along.extent) {
            place.j = 0;
            place.i += place.columns;
        }
        if (place.i == task_.across.extent) {
            place.i = 0;
            if (!advance_outer(place)) return false;
        }
        fit(place);
        return true;
    }

    bool advance_outer(Place& place) const noexcept {
        for (int k = task_.outer.ndim - 1; k >= 0; --k) {
            const Axis& axis = task_.outer.axes[k];
            place.dst += axis.dst;
            place.src += axis.src;
            if (++place.outer[k] < axis.extent) return true;
            place.outer[k] = 0;
            place.dst -= axis.dst * axis.extent;
            place.src -= axis.src * axis.extent;
        }
        return false;
    }

    void start_rows(const Place& at) noexcept {
        find_offsets(task_.across, &Axis::dst, at.i, at.columns, dst_at_);
        for (std::int64_t k = 0; k < at.columns; ++k)
            rows_[k].start(at.dst + dst_at_[k]);
    }

    void finish_rows(const Place& at) noexcept {
        for (std::int64_t k = 0; k < at.columns; ++k)
            rows_[k].finish();
    }

    /// Asks for rows [first, end) of a tile.
    void fetch(const Place& at, std::int64_t first, std::int64_t end) const noexcept {
        const char* const from = at.src + at.i * across_;
        const std::int64_t nbytes = at.columns * across_;
        for (std::int64_t k = first; k < end; ++k) {
            for (std::int64_t byte = 0; byte < nbytes; byte += kLine)
                __builtin_prefetch(from + src_at_[k] + byte, 0, 2);
        }
    }

    void read(const Place& at) noexcept {
        find_offsets(task_.along, &Axis::src, at.j, at.height, src_at_);
        for (std::int64_t k = 0; k < at.height; ++k) {
            fetch(at, std::min(k + kAhead, at.height), std::min(k + kAhead + 1, at.height));
            read_rows(at, k, k + 1);
        }
    }

    /// Rows [first, end) of a tile, whose offsets are found.
    void read_rows(const Place& at, std::int64_t first, std::int64_t end) noexcept {
        stage_rows(tile_ + first * pitch_, pitch_, at.src + at.i * across_, src_at_ + first,
                   end - first, at.columns, task_.unit, across_, kernels_);
    }

    /// Transposes the tile `made`; meanwhile the lines of the one that follows are on their way.
    void strips(const Place& at, const char* made, const Place& following,
                std::int64_t rows) noexcept {
        if (rows > 0) find_offsets(task_.along, &Axis::src, following.j, rows, src_at_);
        std::int64_t fetched = 0;
        for (std::int64_t i = 0; i < at.columns;) {
            const std::int64_t after = next(i, at.columns, strip_);
            const std::int64_t end = rows * after / at.columns;
            fetch(following, fetched, end);
            strip(made + i * task_.unit, i, after - i, at.height);
            if (fetched < end) read_rows(following, fetched, end);
            fetched = end;
            i = after;
        }
    }

    void strip(const char* from, std::int64_t first, std::int64_t columns,
               std::int64_t height) noexcept {
        LineRow* const rows = rows_ + first;
        for (std::int64_t k = 0; k < columns; ++k)
            dst_at_[k] = rows[k].begin(buffer_ + k * strip_pitch_) - buffer_;
        if (task_.inner == Inner::transpose) {
            const int size = __builtin_ctzll(static_cast<unsigned long long>(task_.unit));
            kernels_.transpose[size](buffer_, dst_at_, from, tile_at_, height, columns);
        } else {
            move_units({buffer_, dst_at_, from, tile_at_, height, columns, nullptr}, task_.unit,
                       task_.unit);
        }
        for (std::int64_t k = 0; k < columns; ++k)
            rows[k].push(buffer_ + k * strip_pitch_, height * task_.unit, kernels_);
    }

    const Task& task_;
    const Kernels& kernels_;
    std::int64_t across_;
    std::int64_t slack_;
    std::int64_t width_;
    std::int64_t height_;
    std::int64_t strip_;
    std::int64_t pitch_;
    std::int64_t strip_pitch_;
    std::unique_ptr<char[]> memory_;
    char* buffer_ = nullptr;
    char* tile_ = nullptr;   // being read
    char* other_ = nullptr;  // being transposed
    LineRow rows_[kMostColumns + kSlack];
    std::int64_t dst_at_[kMostColumns + kSlack];
    std::int64_t src_at_[kMostRows + kSlack];
    std::int64_t tile_at_[kMostRows + kSlack];
};

}  // namespace

bool stream_tiles(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept {
    if (task.inner != Inner::transpose && task.inner != Inner::moves) return false;
    const std::int64_t across = across_step(task);
    // What is read along a row at once is otherwise so short that strips do as well.
    if (across < task.unit || across > kLine || task.across.extent * across < 2 * kStripBytes) {
        return false;
    }
    Tiles tiles(task, kernels);
    if (!tiles.ready()) return false;
    tiles.run(dst, src);
    return true;
}

}  // namespace devview::copy
