// Rows of the destination that leave in whole lines, past the caches; private to the core.
#pragma once

#include <algorithm>
#include <cstring>

#include "src/copy/copy_kernels.hpp"

namespace devview::copy {

/// How far a row of the destination has come. The line that is not full yet is kept until it is.
class RowEnd {
public:
    void start(char* dst) noexcept {
        phase_ = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(dst) % kLine);
        head_ = phase_;
        line_ = dst - phase_;
    }
    /// Where the destination goes on.
    const char* position() const noexcept { return line_ + phase_; }
    void finish() noexcept {
        copy(line_, kept_, head_, std::max(head_, phase_));
        head_ = phase_;
    }

protected:
    static void copy(char* dst, const char* src, std::int64_t first, std::int64_t end) noexcept {
        std::memcpy(dst + first, src + first, static_cast<std::size_t>(end - first));
    }

    std::int64_t phase_;
    std::int64_t head_;  // bytes of the first line that belong to others
    char* line_;
    char kept_[kLine];
};

/// A row whose bytes are made in a buffer, which is aligned to a line, from where `begin()` says:
/// their places in their lines are those of the destination.
class LineRow : public RowEnd {
public:
    char* begin(char* buffer) const noexcept { return buffer + phase_; }

    /// `nbytes` have been made in `buffer`.
    void push(char* buffer, std::int64_t nbytes, const Kernels& kernels) noexcept {
        const std::int64_t end = phase_ + nbytes;
        const std::int64_t full = end & -kLine;
        if (phase_ > head_) copy(buffer, kept_, head_, phase_);
        std::int64_t first = 0;
        if (head_ != 0 && full != 0) {
            copy(line_, buffer, head_, kLine);
            head_ = 0;
            first = kLine;
        }
        if (full > first) kernels.stream(line_ + first, buffer + first, full - first);
        std::memcpy(kept_, buffer + full, kLine);
        line_ += full;
        phase_ = end - full;
    }
};

/// A row of dense runs, from where they lie; a line that two of them share is put together first.
class RunRow : public RowEnd {
public:
    void push(const char* src, std::int64_t nbytes, const Kernels& kernels) noexcept {
        if (phase_ > 0) {
            const std::int64_t part = std::min(kLine - phase_, nbytes);
            std::memcpy(kept_ + phase_, src, static_cast<std::size_t>(part));
            src += part;
            nbytes -= part;
            phase_ += part;
            if (phase_ < kLine) return;
            push_line(kernels);
        }
        const std::int64_t full = nbytes & -kLine;
        if (full > 0) kernels.stream(line_, src, full);
        line_ += full;
        phase_ = nbytes - full;
        copy(kept_, src + full, 0, phase_);
    }

private:
    void push_line(const Kernels& kernels) noexcept {
        if (head_ > 0) {
            copy(line_, kept_, head_, kLine);
        } else {
            kernels.stream(line_, kept_, kLine);
        }
        head_ = phase_ = 0;
        line_ += kLine;
    }
};

}  // namespace devview::copy
