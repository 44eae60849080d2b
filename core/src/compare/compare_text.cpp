// Rows of strings: code points of UCS-2 and UCS-4 in any order, and byte strings with a length.
#include <algorithm>
#include <cstring>

#include "src/compare/compare_rows.hpp"

namespace devview::detail {
namespace {

constexpr std::uint32_t kEnd = 0xffffffff;
constexpr std::uint32_t kNone = 0xfffffffe;
constexpr std::uint32_t kLastCodePoint = 0x10ffff;

/// The code points of one string; surrogates that make no pair stand for themselves.
class CodePoints {
public:
    CodePoints(const CompareScalar& scalar, const char* data) noexcept
        : wide_(scalar.code == 'w'),
          swapped_(scalar.swapped),
          at_(data),
          end_(data + scalar.size) {}

    std::uint32_t next() noexcept {
        if (at_ == end_) return kEnd;
        if (wide_) {
            const std::uint32_t point = unit<std::uint32_t>();
            return point > kLastCodePoint ? kNone : point;
        }
        const std::uint32_t high = unit<std::uint16_t>();
        if ((high & 0xfc00) != 0xd800 || at_ == end_) return high;
        const char* const behind = at_;
        const std::uint32_t low = unit<std::uint16_t>();
        if ((low & 0xfc00) == 0xdc00) return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
        at_ = behind;
        return high;
    }

private:
    template <typename T>
    std::uint32_t unit() noexcept {
        T value;
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        if (!swapped_) return value;
        return sizeof(T) == 2 ? __builtin_bswap16(static_cast<std::uint16_t>(value))
                              : __builtin_bswap32(value);
    }

    bool wide_;
    bool swapped_;
    const char* at_;
    const char* end_;
};

bool equal_text(CodePoints a, CodePoints b) noexcept {
    for (;;) {
        const std::uint32_t point = a.next();
        if (point != b.next() || point == kNone) return false;
        if (point == kEnd) return true;
    }
}

struct Bytes {
    const char* data;
    std::int64_t size;
};

Bytes bytes_of(const CompareScalar& scalar, const char* data) noexcept {
    if (scalar.kind != Kind::pascal) return {data, scalar.size};
    if (scalar.size == 0) return {data, 0};
    const std::int64_t length = static_cast<unsigned char>(*data);
    return {data + 1, std::min(length, scalar.size - 1)};
}

}  // namespace

bool equal_text_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                    std::int64_t b_stride, std::int64_t n) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        if (!equal_text({leaf.a, a + i * a_stride}, {leaf.b, b + i * b_stride})) return false;
    }
    return true;
}

bool equal_bytes_row(const CompareLeaf& leaf, const char* a, std::int64_t a_stride, const char* b,
                     std::int64_t b_stride, std::int64_t n) noexcept {
    for (std::int64_t i = 0; i < n; ++i) {
        const Bytes left = bytes_of(leaf.a, a + i * a_stride);
        const Bytes right = bytes_of(leaf.b, b + i * b_stride);
        if (left.size != right.size) return false;
        if (std::memcmp(left.data, right.data, static_cast<std::size_t>(left.size)) != 0) {
            return false;
        }
    }
    return true;
}

}  // namespace devview::detail
