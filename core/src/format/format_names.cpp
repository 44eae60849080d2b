// What is checked about the names of a record's members.
#include "src/format/format_names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "src/format/format_parser.hpp"

namespace devview::detail {
namespace {

constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

std::uint64_t random_base() {
    std::random_device device;
    return ((std::uint64_t{device()} << 32) | device()) % (kPrime - 256) + 256;
}

// a * b mod 2^61 - 1, for factors below 2^61, by halves of 32 and 29 bits.
std::uint64_t multiply(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t a_high = a >> 32;
    const std::uint64_t a_low = a & 0xffffffffU;
    const std::uint64_t b_high = b >> 32;
    const std::uint64_t b_low = b & 0xffffffffU;
    const std::uint64_t middle = a_high * b_low + a_low * b_high;
    std::uint64_t sum =
        ((a_high * b_high) << 3) + (middle >> 29) + ((middle & ((1U << 29) - 1)) << 32);
    const std::uint64_t low = a_low * b_low;
    sum += (low >> 61) + (low & kPrime);
    sum = (sum >> 61) + (sum & kPrime);
    return sum >= kPrime ? sum - kPrime : sum;
}

// A polynomial at a secret point: nobody can choose names that collide.
std::uint64_t keyed_hash(std::string_view text, std::uint64_t base) noexcept {
    constexpr std::size_t kChunk = 7;
    std::uint64_t hash = text.size();
    for (std::size_t i = 0; i < text.size(); i += kChunk) {
        std::uint64_t chunk = 0;
        std::memcpy(&chunk, text.data() + i, std::min(kChunk, text.size() - i));
        hash = multiply(hash, base) + chunk % kPrime;
        if (hash >= kPrime) hash -= kPrime;
    }
    return multiply(hash, base);
}

constexpr std::size_t kFew = 16;

const FormatField* find_duplicate_among_few(const FormatField* drafts, std::size_t count) noexcept {
    std::array<std::string_view, kFew> names;
    for (std::size_t i = 0; i < count; ++i) {
        names[i] = draft_name(drafts[i]);
        if (names[i].empty()) continue;
        for (std::size_t k = 0; k < i; ++k) {
            if (names[k] == names[i]) return drafts + i;
        }
    }
    return nullptr;
}

// A slot of the table: the member's number plus 1, and above it bits of its hash, so that names are
// rarely fetched from memory to be compared.
constexpr int kNumberBits = 17;
constexpr std::uint32_t kNumberMask = (std::uint32_t{1} << kNumberBits) - 1;
static_assert(kMaxParts < kNumberMask);

// The length of the UTF-8 sequence at the start of `text`, 0 if there is none.
std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length == 0 || lead > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    // Overlong forms, surrogates, and what lies behind U+10FFFF show in the second byte.
    const unsigned second = byte(1);
    if (lead == 0xe0 && second < 0xa0) return 0;
    if (lead == 0xed && second > 0x9f) return 0;
    if (lead == 0xf0 && second < 0x90) return 0;
    if (lead == 0xf4 && second > 0x8f) return 0;
    return length;
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) noexcept {
    std::size_t i = 0;
    while (i < text.size()) {
        const std::size_t length = utf8_length(text.substr(i));
        if (length == 0) return i;
        i += length;
    }
    return std::string_view::npos;
}

const FormatField* find_duplicate(const FormatField* drafts, std::size_t count) {
    if (count <= kFew) return find_duplicate_among_few(drafts, count);
    static const std::uint64_t kBase = random_base();
    std::size_t slots = 1;
    while (slots < 2 * count)
        slots *= 2;
    std::vector<std::uint32_t> table(slots, 0);
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view name = draft_name(drafts[i]);
        if (name.empty()) continue;
        const std::uint64_t hash = keyed_hash(name, kBase);
        const auto tag = static_cast<std::uint32_t>(hash >> 32) & ~kNumberMask;
        std::size_t slot = hash & (slots - 1);
        for (; table[slot] != 0; slot = (slot + 1) & (slots - 1)) {
            if ((table[slot] & ~kNumberMask) != tag) continue;
            if (draft_name(drafts[(table[slot] & kNumberMask) - 1]) == name) return drafts + i;
        }
        table[slot] = tag | static_cast<std::uint32_t>(i + 1);
    }
    return nullptr;
}

}  // namespace devview::detail
