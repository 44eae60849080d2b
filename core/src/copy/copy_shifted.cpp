// Transposes of what no cache holds, to rows whose lines begin anywhere: some lines of each row are
// made in the first cache behind the last one made before, from where their whole lines leave.
#include <algorithm>

#include "src/copy/copy_task.hpp"

namespace devview::copy {
namespace {

constexpr std::int64_t kMostColumns = 1024;
constexpr std::int64_t kPiece = 4 << 10;  // bytes of a row of the source that are read along
constexpr std::int64_t kFewLines = 8;     // of a row of the destination

class Shifted {
public:
    Shifted(const Task& task, const Kernels& kernels) noexcept
        : task_(task),
          kernels_(kernels),
          size_(__builtin_ctzll(static_cast<unsigned long long>(task.unit))),
          items_(kLine / task.unit),
          width_(std::min(kPiece / task.unit, kMostColumns)) {}

    void run(char* dst, const char* src) noexcept {
        each_place(task_.outer, dst, src, [&](char* to, const char* from) { plane(to, from); });
    }

private:
    void plane(char* dst, const char* src) noexcept {
        const std::int64_t extent = task_.across.extent;
        for (std::int64_t i = 0; i < extent;) {
            // What is left after a piece is enough for a line, or is done with it.
            const std::int64_t end = extent - i < width_ + items_ ? extent : i + width_;
            find_offsets(task_.across, &Axis::dst, i, end - i, dst_at_);
            columns(dst, src + i * task_.unit, end - i);
            i = end;
        }
    }

    void columns(char* dst, const char* src, std::int64_t count) noexcept {
        const std::int64_t extent = task_.along.extent;
        part_lines(dst, src, 0, items_, count);
        for (std::int64_t k = 0; k < count; ++k)
            skipped_[k] = k * kLine;
        kernels_.transpose[size_](kept_, skipped_, src, src_at_, items_, count);
        for (std::int64_t k = 0; k < count; ++k) {
            const auto at = reinterpret_cast<std::uintptr_t>(dst + dst_at_[k]);
            skipped_[k] = static_cast<std::int64_t>(-at % static_cast<std::uintptr_t>(kLine));
        }
        std::int64_t j = 0;
        for (std::int64_t lines = 1; extent - j >= 2 * items_; j += lines * items_) {
            lines = std::min(kMostLines, (extent - j) / items_ - 1);
            find_offsets(task_.along, &Axis::src, j + items_, lines * items_, src_at_);
            kernels_.stream_shifted[size_](dst + j * task_.unit, dst_at_, skipped_, kept_, src,
                                           src_at_, count, lines);
        }
        part_lines(dst, src, j, extent - j, count);
    }

    void part_lines(char* dst, const char* src, std::int64_t j, std::int64_t rows,
                    std::int64_t count) noexcept {
        find_offsets(task_.along, &Axis::src, j, rows, src_at_);
        kernels_.transpose[size_](dst + j * task_.unit, dst_at_, src, src_at_, rows, count);
    }

    const Task& task_;
    const Kernels& kernels_;
    const int size_;
    const std::int64_t items_;  // of a line
    const std::int64_t width_;
    std::int64_t dst_at_[kMostColumns + kLine];
    std::int64_t skipped_[kMostColumns + kLine];  // of each row, before its first whole line
    std::int64_t src_at_[kMostLines * kLine];
    alignas(kLine) char kept_[(kMostColumns + kLine) * kLine];
};

}  // namespace

bool stream_shifted(const Task& task, const Kernels& kernels, char* dst, const char* src) noexcept {
    if (task.inner != Inner::transpose || across_step(task) != task.unit) return false;
    if (task.across.extent * task.unit < kLine) return false;
    if (task.along.extent * task.unit < kFewLines * kLine) return false;
    Shifted(task, kernels).run(dst + task.dst_shift, src + task.src_shift);
    return true;
}

}  // namespace devview::copy
