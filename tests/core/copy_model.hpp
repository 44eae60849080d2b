// Random layouts for copies and their oracle, one memcpy per item.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "layout_model.hpp"

namespace devview::test {

inline Layout strided(const Shape& shape, const Shape& strides, std::int64_t itemsize,
                      const Shape& suboffsets = {}) {
    return Layout::strided(rank(shape), shape.data(), strides.data(),
                           suboffsets.empty() ? nullptr : suboffsets.data(), itemsize);
}

inline Layout dense(const Shape& shape, std::int64_t itemsize) {
    return Layout::contiguous(rank(shape), shape.data(), itemsize);
}

// A block is exactly as long as its layout reaches, so that ASan sees every step out.

struct Block {
    Layout layout;
    std::vector<char> bytes;
    std::int64_t origin;  // of the first item, in bytes

    Block(Layout of, std::int64_t itemsize, int misaligned) : layout(std::move(of)) {
        const ByteBounds bounds = layout.bounds(itemsize);
        bytes.resize(static_cast<std::size_t>(bounds.high - bounds.low + misaligned));
        origin = misaligned - bounds.low;
    }
    char* data() { return bytes.data() + origin; }
};

// A dense or gappy arrangement of the axes in any order and direction; no two items overlap.
inline Layout random_layout(std::mt19937& random, const Shape& shape, std::int64_t itemsize) {
    std::vector<int> order(shape.size());
    std::iota(order.begin(), order.end(), 0);
    if (random_int(random, 0, 2) > 0) std::shuffle(order.begin(), order.end(), random);
    Shape strides(shape.size());
    std::int64_t stride = itemsize;
    for (std::size_t k = shape.size(); k-- > 0;) {
        const std::size_t axis = at(order[k]);
        if (random_int(random, 0, 4) == 0) stride += random_int(random, 1, 5);
        if (random_int(random, 0, 7) == 0) stride *= 2;
        strides[axis] = random_int(random, 0, 4) == 0 ? -stride : stride;
        stride *= shape[axis];
    }
    return strided(shape, strides, itemsize);
}

inline Layout random_source(std::mt19937& random, const Shape& shape, std::int64_t itemsize) {
    Layout layout = random_layout(random, shape, itemsize);
    Shape strides(layout.strides(), layout.strides() + layout.ndim());
    for (std::int64_t& stride : strides) {
        if (random_int(random, 0, 9) == 0) stride = 0;
    }
    return strided(shape, strides, itemsize);
}

// Every eighth has up to two long axes.
inline Shape random_shape(std::mt19937& random, int round) {
    const int ndim = random_int(random, 1, 6);
    Shape shape;
    for (int k = 0; k < ndim; ++k)
        shape.push_back(random_int(random, 1, ndim > 3 ? 3 : 9));
    for (int k = 0; k < std::min(ndim, 2) && round % 8 == 0; ++k) {
        shape[at(random_int(random, 0, ndim - 1))] = random_int(random, 15, 80);
    }
    if (random_int(random, 0, 30) == 0) shape[0] = 0;
    return shape;
}

inline std::int64_t random_itemsize(std::mt19937& random) {
    const std::int64_t usual[] = {1, 2, 4, 8, 16};
    if (random_int(random, 0, 1) == 0) return usual[random_int(random, 0, 4)];
    return random_int(random, 1, 40);
}

inline void randomise(std::mt19937& random, Block& block) {
    for (char& byte : block.bytes)
        byte = static_cast<char>(random() % 128);
}

inline void count_up(std::vector<char>& bytes, std::size_t first) {
    for (char& byte : bytes)
        byte = static_cast<char>(first++ % 100);
}

// One memcpy per item, in C order, at positions that are enumerated without plans.
inline void copy_naively(Block& dst, Block& src, std::int64_t itemsize) {
    const std::vector<Wide> to = positions(dst.layout);
    const std::vector<Wide> from = positions(src.layout);
    for (std::size_t k = 0; k < to.size(); ++k) {
        std::memcpy(dst.data() + static_cast<std::int64_t>(to[k]),
                    src.data() + static_cast<std::int64_t>(from[k]),
                    static_cast<std::size_t>(itemsize));
    }
}

}  // namespace devview::test
