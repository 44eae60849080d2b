// Rows of one number type on both sides: compared densely, by the widest vectors there are; what
// lies apart is gathered first, a few items at a time.
#include <algorithm>
#include <cstring>

#include "devview/byte_order.hpp"
#include "devview/small_numbers.hpp"
#include "src/compare/compare_rows.hpp"
#include "src/copy/copy_rows.hpp"
#include "src/machine/cpu_level.hpp"

namespace devview::detail {
namespace {

// Numbers whose differences are summed up before anybody asks: the loop over them vectorises.
constexpr std::int64_t kBlock = 1024;
// So few that the CPU reads the next ones from memory while it compares these.
constexpr std::int64_t kGathered = 256;

/// True if `n` dense numbers are equal.
using Block = bool (*)(const char* a, const char* b, std::int64_t n, const CompareLeaf& leaf);
template <typename Body>
using BlockCompiled =
    cpu::Compiled<Body, const char*, const char*, std::int64_t, const CompareLeaf&>;

// bool: every byte but 0 is true.
struct Truth {
    unsigned char byte;
    friend bool operator!=(Truth a, Truth b) noexcept { return (a.byte != 0) != (b.byte != 0); }
};

template <typename T, bool swapped>
DEVVIEW_ALWAYS_INLINE inline bool equal_numbers(const char* a, const char* b, std::int64_t n) {
    using Bits = WordOf<sizeof(T)>;  // as wide as the numbers: so it vectorises
    constexpr std::int64_t kSize = sizeof(T);
    Bits different = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const bool differ =
            load_number<T, swapped>(a + i * kSize) != load_number<T, swapped>(b + i * kSize);
        different = static_cast<Bits>(different | static_cast<Bits>(differ));
    }
    return different == 0;
}

/// Doubles four vectors at a time: twice as fast as what the compiler makes of the loop for SSE2.
inline bool equal_doubles(const char* a, const char* b, std::int64_t n) noexcept {
    typedef double Vector __attribute__((vector_size(16)));
    using Mask = decltype(Vector{} != Vector{});
    constexpr std::int64_t kSize = sizeof(double);
    constexpr std::int64_t kItems = 4 * sizeof(Vector) / sizeof(double);
    Mask different[4] = {};
    std::int64_t i = 0;
    for (; i + kItems <= n; i += kItems) {
        Vector left[4];
        Vector right[4];
        std::memcpy(left, a + i * kSize, sizeof left);
        std::memcpy(right, b + i * kSize, sizeof right);
        for (int k = 0; k < 4; ++k)
            different[k] |= left[k] != right[k];
    }
    const Mask all = different[0] | different[1] | different[2] | different[3];
    return (all[0] | all[1]) == 0 &&
           equal_numbers<double, false>(a + i * kSize, b + i * kSize, n - i);
}

template <typename T, bool swapped>
struct Numbers {
    template <cpu::Level level>
    DEVVIEW_ALWAYS_INLINE static bool run(const char* a, const char* b, std::int64_t n,
                                          const CompareLeaf&) {
        if constexpr (level == cpu::Level::portable && std::is_same_v<T, double> && !swapped) {
            return equal_doubles(a, b, n);
        } else {
            return equal_numbers<T, swapped>(a, b, n);
        }
    }
};

// The codes of one small float: equal where they are the same and no NaN, or zeros of either sign.
template <typename Code>
struct CodeRule {
    explicit CodeRule(const SmallFloat& format) noexcept
        : magnitude(static_cast<Code>(format.sign_bit - 1)),
          sign(static_cast<Code>(format.unsigned_zero ? 0 : format.sign_bit)),
          all(static_cast<Code>(magnitude | format.sign_bit)),
          largest(static_cast<Code>(format.infinity == SmallFloat::kNone ? format.max_finite
                                                                         : format.infinity)),
          only_nan(static_cast<Code>(format.nan)) {}

    bool differ(Code x, Code y) const noexcept {
        const bool nan = sign == 0 ? (x & all) == only_nan : (x & magnitude) > largest;
        const bool zeros = ((x | y) & all & ~sign) == 0;
        return (((x ^ y) & all) != 0 || nan) && !zeros;
    }

    Code magnitude;
    Code sign;
    Code all;
    Code largest;
    Code only_nan;
};

template <typename Code, bool swapped>
struct Codes {
    template <cpu::Level>
    DEVVIEW_ALWAYS_INLINE static bool run(const char* a, const char* b, std::int64_t n,
                                          const CompareLeaf& leaf) {
        constexpr std::int64_t kSize = sizeof(Code);
        const CodeRule<Code> rule(small_float(leaf.a.float_kind));
        Code different = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const Code x = load_number<Code, swapped>(a + i * kSize);
            const Code y = load_number<Code, swapped>(b + i * kSize);
            different = static_cast<Code>(different | static_cast<Code>(rule.differ(x, y)));
        }
        return different == 0;
    }
};

// Items of one size, whatever they mean.
template <std::int64_t size>
using UnitOf =
    std::conditional_t<size == 16, rows::Bytes16, WordOf<static_cast<std::size_t>(size)>>;

template <std::int64_t size>
const char* gathered(char* buffer, const char* from, std::int64_t stride, std::int64_t n) noexcept {
    if (stride == size) return from;
    rows::row(rows::Exact<UnitOf<size>>{}, buffer, from, {n, size, stride});
    return buffer;
}

/// Items of `size` bytes, `parts` numbers each.
template <typename Body, std::int64_t size, int parts>
bool equal_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
               std::int64_t b_stride, std::int64_t n) noexcept {
    const Block block = BlockCompiled<Body>::kAll.at(cpu_kind());
    const bool dense = a_stride == size && b_stride == size;
    const std::int64_t most = dense ? kBlock / parts : kGathered;
    alignas(64) char buffers[2][static_cast<std::size_t>(kGathered * size)];
    for (std::int64_t at = 0; at < n; at += most) {
        const std::int64_t count = std::min(most, n - at);
        const char* const left = gathered<size>(buffers[0], a + at * a_stride, a_stride, count);
        const char* const right = gathered<size>(buffers[1], b + at * b_stride, b_stride, count);
        if (!block(left, right, count * parts, leaf)) return false;
    }
    return true;
}

template <typename T, bool swapped>
CompareRow row_of(bool pairs) noexcept {
    constexpr std::int64_t kSize = sizeof(T);
    using Body = Numbers<T, swapped>;
    return pairs ? equal_row<Body, 2 * kSize, 2> : equal_row<Body, kSize, 1>;
}

template <typename T>
CompareRow bits_row() noexcept {
    return equal_row<Numbers<T, false>, sizeof(T), 1>;
}

}  // namespace

CompareRow same_number_row(const CompareScalar& a, const CompareScalar& b, bool pairs) noexcept {
    if (a.kind == Kind::boolean && b.kind == Kind::boolean) {
        return pairs ? nullptr : equal_row<Numbers<Truth, false>, 1, 1>;
    }
    if (a.kind != Kind::floating || b.kind != Kind::floating || a.swapped != b.swapped) {
        return nullptr;
    }
    if (a.code == b.code && a.code == 'f') {
        return a.swapped ? row_of<float, true>(pairs) : row_of<float, false>(pairs);
    }
    if (a.code == b.code && a.code == 'd') {
        return a.swapped ? row_of<double, true>(pairs) : row_of<double, false>(pairs);
    }
    if (pairs || a.size > 2 || a.size != b.size || a.float_kind != b.float_kind) return nullptr;
    if (a.size == 1) return equal_row<Codes<std::uint8_t, false>, 1, 1>;
    return a.swapped ? equal_row<Codes<std::uint16_t, true>, 2, 1>
                     : equal_row<Codes<std::uint16_t, false>, 2, 1>;
}

bool equal_bits_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                    std::int64_t b_stride, std::int64_t n) noexcept {
    const std::int64_t size = leaf.a.size;
    if (a_stride == size && b_stride == size) {
        return std::memcmp(a, b, static_cast<std::size_t>(size * n)) == 0;
    }
    CompareRow row = nullptr;
    if (size == 1) row = bits_row<std::uint8_t>();
    if (size == 2) row = bits_row<std::uint16_t>();
    if (size == 4) row = bits_row<std::uint32_t>();
    if (size == 8) row = bits_row<std::uint64_t>();
    if (row != nullptr) return row(leaf, a, a_stride, b, b_stride, n);
    for (std::int64_t i = 0; i < n; ++i) {
        if (std::memcmp(a + i * a_stride, b + i * b_stride, static_cast<std::size_t>(size)) != 0) {
            return false;
        }
    }
    return true;
}

}  // namespace devview::detail
