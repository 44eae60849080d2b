// Transposes of what no cache holds: a tile is read in long pieces of the source's rows into the
// second cache, transposed strip by strip into the first, and leaves it in whole lines.
#include <algorithm>
#include <memory>
#include <new>

#include "copy_moves.hpp"
#include "copy_stream.hpp"
#include "copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostRows = 1024;
constexpr std::int64_t kMostColumns = 512;
constexpr std::int64_t kSlack = 16;
constexpr std::int64_t kPiece = 2048;  // bytes of a row of the source that are read at once
constexpr std::int64_t kTileBytes = 256 << 10;  // of the second cache
constexpr std::int64_t kStripBytes = 128;
constexpr std::int64_t kAhead = 4;  // rows that are asked for in advance

class Tiles {
public:
    Tiles(const Task& task, const Kernels& kernels) noexcept : task_(task), kernels_(kernels) {
        const std::int64_t unit = task.unit;
        slack_ = task.inner == Inner::transpose ? 16 / unit - 1 : 0;
        width_ =
            std::min(task.across.extent, std::min<std::int64_t>(kPiece / unit & -16, kMostColumns));
        height_ = std::clamp<std::int64_t>(kTileBytes / (width_ * unit), kLine, kMostRows) & -kLine;
        strip_ = std::clamp<std::int64_t>(kStripBytes / unit, 4, kLine);
        // Not a multiple of many lines: columns of the tile would fall into few sets of the cache.
        const std::int64_t longest = std::min(task.across.extent, width_ + slack_) * unit;
        pitch_ = (((longest + kLine - 1) / kLine) | 1) * kLine;
        strip_pitch_ = (height_ + slack_) * unit + 2 * kLine & -kLine;
        strip_pitch_ = (strip_pitch_ / kLine | 1) * kLine;
        const std::int64_t strip_bytes = (strip_ + slack_) * strip_pitch_;
        const auto bytes = static_cast<std::size_t>((height_ + slack_) * pitch_ + strip_bytes);
        memory_.reset(new (std::nothrow) char[bytes + kLine]);
        if (!memory_) return;
        const auto start = reinterpret_cast<std::uintptr_t>(memory_.get());
        buffer_ = memory_.get() + (-start & (kLine - 1));
        tile_ = buffer_ + strip_bytes;
        for (std::int64_t k = 0; k < height_ + slack_; ++k)
            tile_at_[k] = k * pitch_;
    }
    bool ready() const noexcept { return memory_ != nullptr; }

    void run(int axis, char* dst, const char* src) noexcept {
        if (axis == task_.outer.ndim) return plane(dst, src);
        const Axis& outer = task_.outer.axes[axis];
        for (std::int64_t k = 0; k < outer.extent; ++k)
            run(axis + 1, dst + k * outer.dst, src + k * outer.src);
    }

private:
    /// What is left after a block is enough for a square, or is done with it.
    std::int64_t next(std::int64_t at, std::int64_t extent, std::int64_t step) const noexcept {
        return extent - at <= step + slack_ ? extent : at + step;
    }

    void plane(char* dst, const char* src) noexcept {
        for (std::int64_t i = 0; i < task_.across.extent;) {
            const std::int64_t after = next(i, task_.across.extent, width_);
            columns_ = after - i;
            find_offsets(task_.across, &Axis::dst, i, columns_, dst_at_);
            for (std::int64_t k = 0; k < columns_; ++k)
                rows_[k].start(dst + dst_at_[k]);
            for (std::int64_t j = 0; j < task_.along.extent;) {
                const std::int64_t end = next(j, task_.along.extent, height_);
                tile(src + i * task_.unit, j, end - j);
                j = end;
            }
            for (std::int64_t k = 0; k < columns_; ++k)
                rows_[k].finish();
            i = after;
        }
    }

    void tile(const char* src, std::int64_t j, std::int64_t height) noexcept {
        find_offsets(task_.along, &Axis::src, j, height, src_at_);
        for (std::int64_t k = 0; k < height; ++k) {
            for (std::int64_t at = 0; k + kAhead < height && at < columns_ * task_.unit;
                 at += kLine)
                __builtin_prefetch(src + src_at_[k + kAhead] + at, 0, 2);
            read_row(tile_ + k * pitch_, src + src_at_[k]);
        }
        for (std::int64_t i = 0; i < columns_;) {
            const std::int64_t after = next(i, columns_, strip_);
            strip(i, after - i, height);
            i = after;
        }
    }

    void read_row(char* to, const char* from) const noexcept {
        const std::int64_t nbytes = columns_ * task_.unit;
        const std::int64_t here = 0;
        if (nbytes >= 16) return kernels_.gather_rows(to, 0, from, &here, nbytes, 1);
        std::memcpy(to, from, static_cast<std::size_t>(nbytes));
    }

    void strip(std::int64_t first, std::int64_t columns, std::int64_t height) noexcept {
        LineRow* const rows = rows_ + first;
        for (std::int64_t k = 0; k < columns; ++k)
            dst_at_[k] = rows[k].begin(buffer_ + k * strip_pitch_) - buffer_;
        const char* const from = tile_ + first * task_.unit;
        if (task_.inner == Inner::transpose) {
            const int size = __builtin_ctzll(static_cast<unsigned long long>(task_.unit));
            kernels_.transpose[size](buffer_, dst_at_, from, tile_at_, height, columns);
        } else {
            move_units({buffer_, dst_at_, from, tile_at_, height, columns}, task_.unit, task_.unit,
                       kernels_);
        }
        for (std::int64_t k = 0; k < columns; ++k)
            rows[k].push(buffer_ + k * strip_pitch_, height * task_.unit, kernels_);
    }

    const Task& task_;
    const Kernels& kernels_;
    std::int64_t slack_;
    std::int64_t width_;
    std::int64_t height_;
    std::int64_t strip_;
    std::int64_t pitch_;
    std::int64_t strip_pitch_;
    std::int64_t columns_ = 0;
    std::unique_ptr<char[]> memory_;
    char* buffer_ = nullptr;
    char* tile_ = nullptr;
    LineRow rows_[kMostColumns + kSlack];
    std::int64_t dst_at_[kMostColumns + kSlack];
    std::int64_t src_at_[kMostRows + kSlack];
    std::int64_t tile_at_[kMostRows + kSlack];
};

}  // namespace

bool stream_tiles(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept {
    const bool dense = task.across.axes[task.across.ndim - 1].src == task.unit;
    if (task.inner != Inner::transpose && !(task.inner == Inner::moves && dense)) return false;
    Tiles tiles(task, kernels);
    if (!tiles.ready()) return false;
    tiles.run(0, dst, src);
    return true;
}

}  // namespace devview::copy
