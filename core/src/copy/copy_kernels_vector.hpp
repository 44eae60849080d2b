// Vectors of the copies' kernels, and squares of items in their lanes. As copy_kernels_any.hpp,
// which includes it: compiled for each kind of CPU, all in an unnamed namespace.
#pragma once

#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "src/copy/copy_kernels.hpp"

namespace devview::copy {
namespace {

#if defined(__AVX512BW__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

/// Bytes that one shuffle moves anywhere among them.
#if defined(__AVX512VBMI__)
constexpr int kShuffledBytes = 64;
#else
constexpr int kShuffledBytes = 16;
#endif

/// `bytes` bytes of items T, in lanes of 16.
template <typename T, int kBytes>
struct Vector {
    typedef T Type __attribute__((vector_size(kBytes)));
};
template <typename T, int kBytes>
using VectorOf = typename Vector<T, kBytes>::Type;

template <typename V>
inline V load_vector(const char* from) noexcept {
    V value;
    std::memcpy(&value, from, sizeof(V));
    return value;
}

template <typename V>
inline void store_vector(char* to, const V& value) noexcept {
    std::memcpy(to, &value, sizeof(V));
}

/// As above, past the caches; `to` is aligned to the vector.
template <typename V>
inline void stream_vector(char* to, const V& value) noexcept {
#if defined(__AVX512BW__)
    if constexpr (sizeof(V) == 64) {
        return _mm512_stream_si512(reinterpret_cast<__m512i*>(to),
                                   reinterpret_cast<__m512i>(value));
    }
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32) {
        return _mm256_stream_si256(reinterpret_cast<__m256i*>(to),
                                   reinterpret_cast<__m256i>(value));
    }
#endif
#if defined(__x86_64__)
    if constexpr (sizeof(V) == 16) {
        return _mm_stream_si128(reinterpret_cast<__m128i*>(to), reinterpret_cast<__m128i>(value));
    }
#endif
    store_vector(to, value);
}

template <bool kStreams>
struct PutVector {
    template <typename V>
    void operator()(char* to, const V& value) const noexcept {
        if constexpr (kStreams) {
            stream_vector(to, value);
        } else {
            store_vector(to, value);
        }
    }
};

template <typename T>
inline VectorOf<T, 16> gather_lanes(const char* src, const std::int64_t* at, std::int64_t /*step*/,
                                    VectorOf<T, 16>* /*tag*/) noexcept {
    return load_vector<VectorOf<T, 16>>(src + at[0]);
}

#if defined(__AVX2__)
inline __m256i two_lanes(const char* low, const char* high) noexcept {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_vector<__m128i>(low)),
                                   load_vector<__m128i>(high), 1);
}

template <typename T>
inline VectorOf<T, 32> gather_lanes(const char* src, const std::int64_t* at, std::int64_t step,
                                    VectorOf<T, 32>* /*tag*/) noexcept {
    return reinterpret_cast<VectorOf<T, 32>>(two_lanes(src + at[0], src + at[step]));
}
#endif

#if defined(__AVX512BW__)
/// By the compilers' own vectors: GCC 12 warns of its intrinsic's undefined operand.
template <typename V, std::size_t... kItem>
inline auto join(V low, V high, std::index_sequence<kItem...> /*items*/) noexcept {
    return __builtin_shufflevector(low, high, kItem...);
}

template <typename T>
inline VectorOf<T, 64> gather_lanes(const char* src, const std::int64_t* at, std::int64_t step,
                                    VectorOf<T, 64>* /*tag*/) noexcept {
    const auto low = gather_lanes<T>(src, at, step, static_cast<VectorOf<T, 32>*>(nullptr));
    const auto high =
        gather_lanes<T>(src, at + 2 * step, step, static_cast<VectorOf<T, 32>*>(nullptr));
    return join(low, high, std::make_index_sequence<64 / sizeof(T)>());
}
#endif

/// In each lane: a[first], b[first], a[first + 1], b[first + 1], ...
template <typename T, int kBytes, std::size_t kFirst, std::size_t... kItem>
inline VectorOf<T, kBytes> interleave(VectorOf<T, kBytes> a, VectorOf<T, kBytes> b,
                                      std::index_sequence<kItem...> /*items*/) noexcept {
    constexpr std::size_t kLane = 16 / sizeof(T);
    return __builtin_shufflevector(
        a, b,
        (kItem / kLane * kLane + kFirst + kItem % kLane / 2 + kItem % 2 * sizeof...(kItem))...);
}

/// Vectors of one square. Loops over them are written as folds: the compilers leave long loops as
/// they are, and then keep the vectors in memory.
template <typename T, int kBytes, std::size_t kSide = 16 / sizeof(T)>
struct Square {
    using V = VectorOf<T, kBytes>;
    using Items = std::make_index_sequence<kBytes / sizeof(T)>;
    V rows[kSide];

    template <std::size_t... k>
    void load(const char* src, const std::int64_t* src_at,
              std::index_sequence<k...> /*k*/) noexcept {
        ((rows[k] = gather_lanes<T>(src, src_at + k, kSide, static_cast<V*>(nullptr))), ...);
    }
    template <std::size_t... k>
    void store(char* dst, const std::int64_t* dst_at,
               std::index_sequence<k...> /*k*/) const noexcept {
        (store_vector(dst + dst_at[k], rows[k]), ...);
    }
    template <std::size_t... k>
    Square interleaved(std::index_sequence<k...> /*k*/) const noexcept {
        Square to;
        ((to.rows[2 * k] = interleave<T, kBytes, 0>(rows[k], rows[k + kSide / 2], Items()),
          to.rows[2 * k + 1] =
              interleave<T, kBytes, kSide / 2>(rows[k], rows[k + kSide / 2], Items())),
         ...);
        return to;
    }
    template <std::size_t kRound>
    Square transposed() const noexcept {
        if constexpr (kRound == 1) {
            return *this;
        } else {
            return interleaved(std::make_index_sequence<kSide / 2>())
                .template transposed<kRound / 2>();
        }
    }
};

}  // namespace
}  // namespace devview::copy
