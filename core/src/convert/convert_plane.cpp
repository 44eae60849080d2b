// Blocks of a plane: what lies dense and native is converted in place, the rest through buffers.
#include "src/convert/convert_plane.hpp"

#include <algorithm>

#include "src/copy/plan_parts.hpp"

namespace devview::convert {
namespace {

using rows::Axis;

/// A block's buffer; a conversion cuts it smaller where it has steps in between.
constexpr std::int64_t kBufferBytes = 16384;
constexpr std::int64_t kLine = 64;
/// Items that are gathered at a time: so few that the CPU reads the next ones from memory while it
/// converts these.
constexpr std::int64_t kGathered = 256;
/// A row of a block that is worth a call of the conversion.
constexpr std::int64_t kRowItems = 32;

template <typename Move>
void scatter(const Move& move, char* dst, const char* dense, Axis along, Axis other) noexcept {
    const std::int64_t unit = move.unit();
    rows::plane_of_rows(move, dst, dense, {along.extent, along.dst, unit},
                        {other.extent, other.dst, along.extent * unit});
}

void scatter(char* dst, const char* dense, Axis along, Axis other, std::int64_t size) noexcept {
    switch (size) {
        case 1:
            return scatter(rows::Exact<std::uint8_t>{}, dst, dense, along, other);
        case 2:
            return scatter(rows::Exact<std::uint16_t>{}, dst, dense, along, other);
        case 4:
            return scatter(rows::Exact<std::uint32_t>{}, dst, dense, along, other);
        case 8:
            return scatter(rows::Exact<std::uint64_t>{}, dst, dense, along, other);
        case 16:
            return scatter(rows::Exact<rows::Bytes16>{}, dst, dense, along, other);
        default:
            return scatter(rows::Any{size}, dst, dense, along, other);
    }
}

/// The extents of blocks; more items than the conversion's buffers hold only where none are used.
struct Blocks {
    std::int64_t along;
    std::int64_t other;
};

bool dense_source(const NumberConversion& conversion, const rows::Walk& walk) noexcept {
    return walk.along.src == conversion.src_size();
}

bool dense_target(const NumberConversion& conversion, const rows::Walk& walk) noexcept {
    return walk.along.dst == conversion.dst_size();
}

Blocks choose_blocks(const NumberConversion& conversion, const rows::Walk& walk) noexcept {
    constexpr std::int64_t kShortRow = 64;
    const std::int64_t most = kBufferBytes / std::max(conversion.src_size(), conversion.dst_size());
    if (walk.pattern == rows::Pattern::kTiles) {  // lines of the source are read whole
        const std::int64_t side = std::max(kLine / conversion.src_size(), kRowItems);
        const std::int64_t other = std::min({walk.other.extent, side, most});
        // Rows that are converted to their place need no buffer there.
        const bool in_place = dense_target(conversion, walk) && walk.along.extent >= kRowItems;
        const std::int64_t items = in_place ? kBufferBytes / conversion.src_size() : most;
        return {std::min(walk.along.extent, items / other), other};
    }
    if (walk.pattern == rows::Pattern::kBlocks) {
        const std::int64_t other = std::min(walk.other.extent, rows::kShort);
        return {std::min(walk.along.extent, most / other), other};
    }
    if (walk.along.extent >= kShortRow && dense_source(conversion, walk) &&
        dense_target(conversion, walk)) {
        return {walk.along.extent, 1};
    }
    const std::int64_t along = std::min(walk.along.extent, most);
    return {along, std::min(walk.other.extent, most / along)};
}

/// A block that lies dense at `src`.
void convert_dense(const NumberConversion& conversion, const rows::Walk& walk, Axis along,
                   Axis other, char* dst, const char* src) noexcept {
    const std::int64_t count = along.extent * other.extent;
    const bool fits = count * conversion.dst_size() <= kBufferBytes;
    if (dense_target(conversion, walk) &&
        (other.extent == 1 || along.extent >= kRowItems || !fits)) {
        const std::int64_t row = along.extent * conversion.src_size();
        for (std::int64_t k = 0; k < other.extent; ++k)
            conversion.run(dst + k * other.dst, src + k * row, along.extent);
        return;
    }
    alignas(64) char made[kBufferBytes];
    conversion.run(made, src, count);
    scatter(dst, made, along, other, conversion.dst_size());
}

// Not inlined: GCC would take the buffer for read before it is written, where an extent is 0.
__attribute__((noinline)) void convert_gathered(const NumberConversion& conversion,
                                                const rows::Walk& walk, Axis along, Axis other,
                                                char* dst, const char* src, char* buffer) noexcept {
    const std::int64_t size = conversion.src_size();
    const Axis row{along.extent, size, along.src};
    const Axis across{other.extent, along.extent * size, other.src};
    run_host(plane_plan(size, across, row), buffer, src);
    convert_dense(conversion, walk, along, other, dst, buffer);
}

void convert_block(const NumberConversion& conversion, const rows::Walk& walk, Axis along,
                   Axis other, char* dst, const char* src) noexcept {
    if (other.extent == 1 && dense_source(conversion, walk)) {
        return convert_dense(conversion, walk, along, other, dst, src);
    }
    alignas(64) char buffer[kBufferBytes];
    convert_gathered(conversion, walk, along, other, dst, src, buffer);
}

/// Rows whose items lie apart on a side: in steps of few, see kGathered.
template <typename T>
void convert_strided(const NumberConversion& conversion, const rows::Walk& walk, char* dst,
                     const char* src) noexcept {
    constexpr std::int64_t kSize = sizeof(T);
    constexpr Axis kOne{1, 0, 0};
    alignas(64) char gathered[static_cast<std::size_t>(kGathered * kSize)];
    alignas(64) char made[static_cast<std::size_t>(kGathered) * 2 * sizeof(long double)];
    const bool gathers = !dense_source(conversion, walk);
    const bool scatters = !dense_target(conversion, walk);
    for (std::int64_t k = 0; k < walk.other.extent; ++k) {
        for (std::int64_t i = 0; i < walk.along.extent; i += kGathered) {
            const Axis part{std::min(kGathered, walk.along.extent - i), walk.along.dst,
                            walk.along.src};
            char* const to = dst + k * walk.other.dst + i * walk.along.dst;
            const char* const from = src + k * walk.other.src + i * walk.along.src;
            if (gathers) {
                rows::row(rows::Exact<T>{}, gathered, from, {part.extent, kSize, part.src});
            }
            conversion.run(scatters ? made : to, gathers ? gathered : from, part.extent);
            if (scatters) scatter(to, made, part, kOne, conversion.dst_size());
        }
    }
}

/// True if the rows of the plane were such.
bool converts_strided(const NumberConversion& conversion, const rows::Walk& walk, char* dst,
                      const char* src) noexcept {
    if (walk.pattern != rows::Pattern::kRows || walk.along.extent < kRowItems) return false;
    if (dense_target(conversion, walk) && dense_source(conversion, walk)) return false;
    switch (conversion.src_size()) {
        case 1:
            convert_strided<std::uint8_t>(conversion, walk, dst, src);
            return true;
        case 2:
            convert_strided<std::uint16_t>(conversion, walk, dst, src);
            return true;
        case 4:
            convert_strided<std::uint32_t>(conversion, walk, dst, src);
            return true;
        case 8:
            convert_strided<std::uint64_t>(conversion, walk, dst, src);
            return true;
        case 16:
            convert_strided<rows::Bytes16>(conversion, walk, dst, src);
            return true;
        default:
            return false;
    }
}

}  // namespace

void convert_plane(const NumberConversion& conversion, const rows::Walk& walk, char* dst,
                   const char* src) noexcept {
    if (converts_strided(conversion, walk, dst, src)) return;
    const Blocks blocks = choose_blocks(conversion, walk);
    for (std::int64_t i = 0; i < walk.along.extent; i += blocks.along) {
        const Axis along{std::min(blocks.along, walk.along.extent - i), walk.along.dst,
                         walk.along.src};
        for (std::int64_t k = 0; k < walk.other.extent; k += blocks.other) {
            const Axis other{std::min(blocks.other, walk.other.extent - k), walk.other.dst,
                             walk.other.src};
            convert_block(conversion, walk, along, other, dst + i * along.dst + k * other.dst,
                          src + i * along.src + k * other.src);
        }
    }
}

}  // namespace devview::convert
