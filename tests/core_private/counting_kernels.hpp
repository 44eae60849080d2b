// Kernels of every kind of CPU that this one runs, with their calls counted, and copies by them
// that are checked against one memcpy for each item.
#pragma once

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "copy_model.hpp"
#include "devview/copy_plan.hpp"
#include "src/copy/copy_task.hpp"
#include "src/machine/cpu_features.hpp"

namespace devview::test {

using copy::Inner;
using copy::Kernels;
using copy::Route;

constexpr std::int64_t kHuge = std::int64_t{1} << 40;  // a copy that no cache holds

inline std::vector<const Kernels*> usable_kernels() {
    std::vector<const Kernels*> usable{copy::portable_kernels()};
    if (copy::avx2_kernels() != nullptr && detected_cpu_kind() >= CpuKind::avx2)
        usable.push_back(copy::avx2_kernels());
    if (copy::avx512_kernels() != nullptr && detected_cpu_kind() >= CpuKind::avx512)
        usable.push_back(copy::avx512_kernels());
    if (copy::avx512vbmi_kernels() != nullptr && detected_cpu_kind() >= CpuKind::avx512vbmi)
        usable.push_back(copy::avx512vbmi_kernels());
    return usable;
}

// --- Kernels that count their calls.

struct Calls {
    std::array<int, 5> transpose{};
    std::array<int, 5> lines{};
    std::array<int, 5> squares{};
    std::array<int, 5> shifted{};
    int program = 0;
    std::int64_t picked_lines = 0;
    int pattern = 0;
    int stream = 0;
    int gather = 0;
    std::array<int, 5> rows{};
    int fence = 0;
};
inline Calls calls;
inline const Kernels* counted = nullptr;

template <std::size_t kSize>
void count_transpose(char* dst, const std::int64_t* dst_at, const char* src,
                     const std::int64_t* src_at, std::int64_t rows, std::int64_t columns) noexcept {
    ++calls.transpose[kSize];
    counted->transpose[kSize](dst, dst_at, src, src_at, rows, columns);
}

template <std::size_t kSize>
void count_lines(char* dst, const std::int64_t* dst_at, const char* src, const std::int64_t* src_at,
                 std::int64_t rows, std::int64_t columns) noexcept {
    ++calls.lines[kSize];
    counted->transpose_lines[kSize](dst, dst_at, src, src_at, rows, columns);
}

template <std::size_t kSize>
void count_squares(char* dst, const std::int64_t* dst_at, const char* src,
                   const std::int64_t* src_at, std::int64_t columns, std::int64_t lines) noexcept {
    ++calls.squares[kSize];
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst + dst_at[0]) % 64, 0U);
    EXPECT_GE(columns << kSize, 64);
    counted->stream_squares[kSize](dst, dst_at, src, src_at, columns, lines);
}

template <std::size_t kSize>
void count_shifted(char* dst, const std::int64_t* dst_at, const std::int64_t* skipped, char* kept,
                   const char* src, const std::int64_t* src_at, std::int64_t columns,
                   std::int64_t lines) noexcept {
    ++calls.shifted[kSize];
    for (std::int64_t k = 0; k < columns; ++k)
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst + dst_at[k] + skipped[k]) % 64, 0U);
    EXPECT_LE(lines, copy::kMostLines);
    counted->stream_shifted[kSize](dst, dst_at, skipped, kept, src, src_at, columns, lines);
}

template <std::size_t kSize>
void count_rows(const copy::RowPlane& plane) noexcept {
    ++calls.rows[kSize];
    counted->run_rows[kSize](plane);
}

template <std::size_t... kSize>
void count_sizes(Kernels& counting, std::index_sequence<kSize...> /*sizes*/) {
    ((counting.transpose[kSize] = count_transpose<kSize>,
      counting.transpose_lines[kSize] = count_lines<kSize>,
      counting.stream_squares[kSize] = count_squares<kSize>,
      counting.stream_shifted[kSize] = count_shifted<kSize>,
      counting.run_rows[kSize] = count_rows<kSize>),
     ...);
}

inline Kernels counting(const Kernels& kernels) {
    counted = &kernels;
    calls = {};
    Kernels counting = kernels;
    count_sizes(counting, std::make_index_sequence<5>());
    if (kernels.run_program != nullptr) {
        counting.run_program = [](const copy::Program& program, char* dst, const char* src,
                                  std::int64_t periods, std::int64_t ahead) noexcept {
            ++calls.program;
            counted->run_program(program, dst, src, periods, ahead);
        };
        counting.stream_program = [](const copy::LineProgram& program, char* const* dst,
                                     const char* const* src, std::int64_t rows, std::int64_t rounds,
                                     std::int64_t ahead) noexcept {
            calls.picked_lines += rows * rounds * program.lines;
            for (std::int64_t i = 0; i < rows; ++i)
                EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst[i]) % 64, 0U);
            counted->stream_program(program, dst, src, rows, rounds, ahead);
        };
    }
    if (kernels.run_pattern != nullptr) {
        counting.run_pattern = [](const copy::Program& program, char* dst, std::int64_t nbytes,
                                  const char* src, const std::int64_t* src_at,
                                  std::int64_t count) noexcept {
            ++calls.pattern;
            counted->run_pattern(program, dst, nbytes, src, src_at, count);
        };
    }
    counting.stream = [](char* dst, const char* src, std::int64_t nbytes) noexcept {
        ++calls.stream;
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dst) % 64, 0U);
        EXPECT_EQ(nbytes % 64, 0);
        counted->stream(dst, src, nbytes);
    };
    counting.gather_rows = [](char* dst, std::int64_t pitch, const char* src,
                              const std::int64_t* src_at, std::int64_t nbytes,
                              std::int64_t count) noexcept {
        ++calls.gather;
        EXPECT_GE(nbytes, 16);
        counted->gather_rows(dst, pitch, src, src_at, nbytes, count);
    };
    counting.fence = []() noexcept {
        ++calls.fence;
        counted->fence();
    };
    return counting;
}

/// A copy by these kernels, checked against one memcpy per item; bytes around the destination stay.
inline Route copied(const Kernels& kernels, const Layout& to, const Layout& from,
                    std::int64_t itemsize, std::int64_t whole, int misaligned = 0) {
    constexpr int kGuard = 128;
    std::mt19937 random(5);
    Block src(from, itemsize, misaligned % 7);
    randomise(random, src);
    Block dst(to, itemsize, misaligned);
    dst.bytes.insert(dst.bytes.begin(), kGuard, 'x');
    dst.bytes.insert(dst.bytes.end(), kGuard, 'x');
    dst.origin += kGuard;
    Block expected = dst;
    copy_naively(expected, src, itemsize);
    const CopyPlan plan = plan_copy(to, from, itemsize);
    const Route route = copy::run_plan(plan, dst.data(), src.data(), whole, kernels);
    EXPECT_EQ(dst.bytes == expected.bytes, true)
        << kernels.name << " itemsize " << itemsize << " "
        << Layout::to_string(to.ndim(), to.shape()) << " "
        << Layout::to_string(to.ndim(), to.strides()) << " from "
        << Layout::to_string(to.ndim(), from.strides());
    return route;
}

/// The source of a dense (rows, columns) that is stored by columns.
inline Layout columns_first(std::int64_t rows, std::int64_t columns, std::int64_t itemsize) {
    return strided({rows, columns}, {itemsize, itemsize * rows}, itemsize);
}

/// What a copy of `itemsize` is made of where the CPU shuffles bytes.
inline Inner inner_of(const Layout& to, const Layout& from, std::int64_t itemsize,
                      const Kernels& kernels) {
    copy::Task task;
    copy::arrange_task(plan_copy(to, from, itemsize), kernels, task);
    return task.inner;
}

}  // namespace devview::test
