// Shuffles of bytes, where the CPU has them: programs, past the caches or not, and patterns; a part
// of copy_kernels_any.hpp.
#pragma once

#include "src/copy/copy_kernels.hpp"
#include "src/copy/copy_kernels_vector.hpp"

#if defined(__AVX2__)
namespace devview::copy {
namespace {

/// Asks for what a period reads.
inline void fetch_period(const char* src, std::int64_t advance) noexcept {
    for (std::int64_t at = 0; at < (advance < 0 ? -advance : advance); at += kLine)
        __builtin_prefetch(src + at);
}

/// One phase of a period, or of two at once: the second in the upper lane.
template <int kWindows>
inline __m256i two_periods(const Program& program, int first, int windows,
                           const char* src) noexcept {
    __m256i all = _mm256_setzero_si256();
    const int count = kWindows > 0 ? kWindows : windows;
    for (int k = first; k < first + count; ++k) {
        const char* const at = src + program.offsets[k];
        const __m256i mask = _mm256_broadcastsi128_si256(
            load_vector<__m128i>(reinterpret_cast<const char*>(program.mask(k))));
        all = _mm256_or_si256(all, _mm256_shuffle_epi8(two_lanes(at, at + program.advance), mask));
    }
    return all;
}

template <int kWindows>
inline void run_windows(const Program& program, char* dst, const char* src, std::int64_t periods,
                        std::int64_t ahead) noexcept {
    const std::int64_t nbytes = 16 * program.phases;
    std::int64_t k = 0;
    for (; k + 2 <= periods; k += 2) {
        if (ahead != 0) fetch_period(src + ahead, 2 * program.advance);
        if (program.phases == 1) {
            store_vector(dst, two_periods<kWindows>(program, 0, program.windows, src));
        } else {
            for (int phase = 0; phase < program.phases; ++phase) {
                const __m256i both = two_periods<kWindows>(
                    program, phase * (kWindows > 0 ? kWindows : program.windows), program.windows,
                    src);
                store_vector(dst + 16 * phase, _mm256_castsi256_si128(both));
                store_vector(dst + nbytes + 16 * phase, _mm256_extracti128_si256(both, 1));
            }
        }
        dst += 2 * nbytes;
        src += 2 * program.advance;
    }
    if (k == periods) return;
    for (int phase = 0; phase < program.phases; ++phase) {
        __m128i all = _mm_setzero_si128();
        for (int w = phase * program.windows; w < (phase + 1) * program.windows; ++w) {
            const auto mask = load_vector<__m128i>(reinterpret_cast<const char*>(program.mask(w)));
            all = _mm_or_si128(
                all, _mm_shuffle_epi8(load_vector<__m128i>(src + program.offsets[w]), mask));
        }
        store_vector(dst + 16 * phase, all);
    }
}

#if defined(__AVX512VBMI__)
/// A line picked from windows of as many bytes, which `load(k)` loads.
template <int kWindows, typename Load>
inline __m512i pick_line(int windows, const std::uint8_t* masks, const Load& load) noexcept {
    __m512i all = _mm512_setzero_si512();
    for (int k = 0; k < (kWindows > 0 ? kWindows : windows); ++k) {
        const __m512i mask = _mm512_load_si512(masks + k * kLine);
        all = _mm512_mask_permutexvar_epi8(all, ~_mm512_movepi8_mask(mask), mask, load(k));
    }
    return all;
}

/// Lines of a program, of one piece each; of a Program or a LineProgram.
template <int kWindows>
class WholeLines {
public:
    explicit WholeLines(const LineProgram& program) noexcept
        : WholeLines(program.lines, program.windows, program.offsets, program.masks) {}
    explicit WholeLines(const Program& program) noexcept
        : WholeLines(program.phases, program.windows, program.offsets, program.masks) {}

    template <typename Put>
    void round(char* dst, const char* src, const Put& put) const noexcept {
        const int windows = kWindows > 0 ? kWindows : windows_;
        for (int line = 0; line < lines_; ++line) {
            const int at = line * windows;
            const auto load = [&](int k) noexcept {
                return _mm512_loadu_si512(src + offsets_[at + k]);
            };
            put(dst + line * kLine, pick_line<kWindows>(windows, masks_ + at * kLine, load));
        }
    }
    void round(char* dst, const char* src) const noexcept { round(dst, src, PutVector<true>()); }

private:
    WholeLines(int lines, int windows, const std::int64_t* offsets,
               const std::uint8_t* masks) noexcept
        : lines_(lines), windows_(windows), offsets_(offsets), masks_(masks) {}
    const int lines_;
    const int windows_;
    const std::int64_t* const offsets_;
    const std::uint8_t* const masks_;
};

template <int kWindows>
inline void run_lines(const Program& program, char* dst, const char* src, std::int64_t periods,
                      std::int64_t ahead) noexcept {
    const WholeLines<kWindows> lines(program);
    for (std::int64_t k = 0; k < periods; ++k) {
        if (ahead != 0) fetch_period(src + ahead, program.advance);
        lines.round(dst, src, PutVector<false>());
        dst += program.phases * kLine;
        src += program.advance;
    }
}
#endif

inline void run_program(const Program& program, char* dst, const char* src, std::int64_t periods,
                        std::int64_t ahead) noexcept {
#if defined(__AVX512VBMI__)
    if (program.piece == kLine) {
        const auto run = program.windows == 1   ? run_lines<1>
                         : program.windows == 2 ? run_lines<2>
                         : program.windows == 3 ? run_lines<3>
                                                : run_lines<0>;
        return run(program, dst, src, periods, ahead);
    }
#endif
    if (program.windows == 1) return run_windows<1>(program, dst, src, periods, ahead);
    if (program.windows == 2) return run_windows<2>(program, dst, src, periods, ahead);
    if (program.windows == 3) return run_windows<3>(program, dst, src, periods, ahead);
    if (program.windows == 4) return run_windows<4>(program, dst, src, periods, ahead);
    run_windows<0>(program, dst, src, periods, ahead);
}

inline VectorOf<std::uint64_t, 32> picked(VectorOf<std::uint64_t, 32> from,
                                          VectorOf<std::uint64_t, 32> mask) noexcept {
    return reinterpret_cast<VectorOf<std::uint64_t, 32>>(
        _mm256_shuffle_epi8(reinterpret_cast<__m256i>(from), reinterpret_cast<__m256i>(mask)));
}
#if defined(__AVX512BW__)
inline VectorOf<std::uint64_t, 64> picked(VectorOf<std::uint64_t, 64> from,
                                          VectorOf<std::uint64_t, 64> mask) noexcept {
    return reinterpret_cast<VectorOf<std::uint64_t, 64>>(
        _mm512_shuffle_epi8(reinterpret_cast<__m512i>(from), reinterpret_cast<__m512i>(mask)));
}
#endif

/// Lines of a program, each in one vector or two.
template <int kWindows>
class AnyLines {
public:
    explicit AnyLines(const LineProgram& program) noexcept
        : program_(program), windows_(kWindows > 0 ? kWindows : program.windows) {}

    void round(char* dst, const char* src) const noexcept {
        for (int line = 0; line < program_.lines; ++line) {
            for (int piece = 0; piece < 4; piece += kVectorBytes / 16) {
                stream_vector(dst + line * kLine + 16 * piece,
                              pieces(4 * line * windows_ + piece, src));
            }
        }
    }

private:
    using V = VectorOf<std::uint64_t, kVectorBytes>;

    V pieces(int first, const char* src) const noexcept {
        V all{};
        for (int k = 0; k < (kWindows > 0 ? kWindows : windows_); ++k) {
            const int at = first + 4 * k;
            const auto mask =
                load_vector<V>(reinterpret_cast<const char*>(program_.masks + 16 * at));
            all |= picked(gather_lanes<std::uint64_t>(src, program_.offsets + at, 1,
                                                      static_cast<V*>(nullptr)),
                          mask);
        }
        return all;
    }

    const LineProgram& program_;
    const int windows_;
};

/// Lines whose pieces are all alike: masks and offsets stay in registers.
template <int kWindows>
class AlikeLines {
public:
    explicit AlikeLines(const LineProgram& program) noexcept : step_(program.advance / 4) {
        for (int k = 0; k < kWindows; ++k) {
            masks_[k] = load_vector<V>(reinterpret_cast<const char*>(program.masks + 64 * k));
            offsets_[k] = program.offsets[4 * k];
        }
    }
    void round(char* dst, const char* src) const noexcept {
        const std::int64_t steps[] = {0, step_, 2 * step_, 3 * step_};
        for (int piece = 0; piece < 4; piece += kVectorBytes / 16) {
            V all{};
            for (int k = 0; k < kWindows; ++k) {
                all |= picked(gather_lanes<std::uint64_t>(src + offsets_[k], steps + piece, 1,
                                                          static_cast<V*>(nullptr)),
                              masks_[k]);
            }
            stream_vector(dst + 16 * piece, all);
        }
    }

private:
    using V = VectorOf<std::uint64_t, kVectorBytes>;
    const std::int64_t step_;
    V masks_[std::size_t{kWindows}];
    std::int64_t offsets_[std::size_t{kWindows}];
};

template <typename Lines>
inline void stream_rounds(const LineProgram& program, char* const* dst, const char* const* src,
                          std::int64_t rows, std::int64_t rounds, std::int64_t ahead) noexcept {
    const Lines lines(program);
    const std::int64_t nbytes = program.lines * kLine;
    for (std::int64_t k = 0; k < rounds; ++k) {
        const std::int64_t from = k * program.advance;
        if (ahead != 0) fetch_period(src[0] + from + ahead, program.advance);
        for (std::int64_t i = 0; i < rows; ++i)
            lines.round(dst[i] + k * nbytes, src[i] + from);
    }
}

template <int kWindows>
inline auto choose_rounds(const LineProgram& program) noexcept {
#if defined(__AVX512VBMI__)
    if (program.piece == kLine) return stream_rounds<WholeLines<kWindows>>;
#endif
    if constexpr (kWindows > 0) {
        if (program.lines == 1) return stream_rounds<AlikeLines<kWindows>>;
    }
    return stream_rounds<AnyLines<kWindows>>;
}

inline void stream_program(const LineProgram& program, char* const* dst, const char* const* src,
                           std::int64_t rows, std::int64_t rounds, std::int64_t ahead) noexcept {
    const auto run = program.windows == 1   ? choose_rounds<1>(program)
                     : program.windows == 2 ? choose_rounds<2>(program)
                     : program.windows == 3 ? choose_rounds<3>(program)
                     : program.windows == 4 ? choose_rounds<4>(program)
                                            : choose_rounds<0>(program);
    run(program, dst, src, rows, rounds, ahead);
}

template <int kWindows>
inline void run_pieces(const Program& program, char* dst, std::int64_t nbytes, const char* src,
                       const std::int64_t* src_at, std::int64_t count) noexcept {
    const int windows = kWindows > 0 ? kWindows : program.windows;
    for (std::int64_t k = 0; k < count; ++k, dst += nbytes) {
        const char* const from = src + src_at[k];
        int at = 0;
        for (int phase = 0; phase < program.phases; ++phase) {
            __m128i all = _mm_setzero_si128();
            for (const int end = at + windows; at < end; ++at) {
                const __m128i mask = _mm_load_si128(
                    reinterpret_cast<const __m128i*>(static_cast<const void*>(program.mask(at))));
                const auto window = load_vector<__m128i>(from + program.offsets[at]);
                all = _mm_or_si128(all, _mm_shuffle_epi8(window, mask));
            }
            store_vector(dst + program.places[phase], all);
        }
    }
}

#if defined(__AVX512VBMI__)
template <int kWindows>
inline void run_long_pieces(const Program& program, char* dst, std::int64_t nbytes, const char* src,
                            const std::int64_t* src_at, std::int64_t count) noexcept {
    const int windows = kWindows > 0 ? kWindows : program.windows;
    const std::uint64_t all = ~std::uint64_t{0};
    const std::uint64_t written = nbytes < kLine ? all >> (kLine - nbytes) : all;
    for (std::int64_t k = 0; k < count; ++k, dst += nbytes) {
        const char* const from = src + src_at[k];
        for (int phase = 0; phase < program.phases; ++phase) {
            const int first = phase * windows;
            const auto load = [&](int window) noexcept {
                return _mm512_maskz_loadu_epi8(program.reads[first + window],
                                               from + program.offsets[first + window]);
            };
            const __m512i made = pick_line<kWindows>(windows, program.mask(first), load);
            // What is written too far is written again, but by the last pieces.
            if (nbytes >= kLine || (count - k) * nbytes >= kLine) {
                _mm512_storeu_si512(dst + program.places[phase], made);
            } else {
                _mm512_mask_storeu_epi8(dst, written, made);
            }
        }
    }
}
#endif

inline void run_pattern(const Program& program, char* dst, std::int64_t nbytes, const char* src,
                        const std::int64_t* src_at, std::int64_t count) noexcept {
#if defined(__AVX512VBMI__)
    if (program.piece == kLine) {
        const auto run = program.windows == 1   ? run_long_pieces<1>
                         : program.windows == 2 ? run_long_pieces<2>
                                                : run_long_pieces<0>;
        return run(program, dst, nbytes, src, src_at, count);
    }
#endif
    if (program.windows == 1) return run_pieces<1>(program, dst, nbytes, src, src_at, count);
    if (program.windows == 2) return run_pieces<2>(program, dst, nbytes, src, src_at, count);
    if (program.windows == 3) return run_pieces<3>(program, dst, nbytes, src, src_at, count);
    if (program.windows == 4) return run_pieces<4>(program, dst, nbytes, src, src_at, count);
    run_pieces<0>(program, dst, nbytes, src, src_at, count);
}

}  // namespace
}  // namespace devview::copy
#endif
