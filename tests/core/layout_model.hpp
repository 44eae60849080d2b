// What layouts mean, by brute force: the position of every item, enumerated in 128 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "devview/layout.hpp"

namespace devview::test {

__extension__ using Wide = __int128;
using Shape = std::vector<std::int64_t>;

inline int rank(const Shape& shape) { return static_cast<int>(shape.size()); }

inline std::size_t at(int k) { return static_cast<std::size_t>(k); }

inline Shape shape_of(const Layout& layout) {
    return Shape(layout.shape(), layout.shape() + layout.ndim());
}

inline int random_int(std::mt19937& random, int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
}

/// Calls `visit` with every index of `shape`, in C order.
inline void for_each_index(const Shape& shape, const std::function<void(const Shape&)>& visit) {
    for (const std::int64_t extent : shape) {
        if (extent == 0) return;
    }
    Shape index(shape.size(), 0);
    for (;;) {
        visit(index);
        int k = rank(shape) - 1;
        while (k >= 0 && ++index[at(k)] == shape[at(k)])
            index[at(k--)] = 0;
        if (k < 0) return;
    }
}

/// PEP 3118's way to an item: strides are added, then a suboffset's pointer is followed.
inline Wide position(const Layout& layout, Wide base, const Shape& index) {
    Wide place = base;
    for (int k = 0; k < layout.ndim(); ++k) {
        place += Wide{layout.strides()[k]} * index[at(k)];
        if (layout.suboffsets() == nullptr || layout.suboffsets()[k] < 0) continue;
        char* pointer = nullptr;
        std::memcpy(&pointer, reinterpret_cast<char*>(static_cast<std::intptr_t>(place)),
                    sizeof(pointer));
        place = Wide{reinterpret_cast<std::intptr_t>(pointer)} + layout.suboffsets()[k];
    }
    return place;
}

/// The positions of all items of `layout`, in C order.
inline std::vector<Wide> positions(const Layout& layout, Wide base = 0) {
    std::vector<Wide> all;
    for_each_index(shape_of(layout),
                   [&](const Shape& index) { all.push_back(position(layout, base, index)); });
    return all;
}

/// An array as a list of items in C order: knows nothing of strides.
struct Model {
    Shape shape;
    std::vector<Wide> items;

    Wide item(const Shape& index) const {
        std::size_t place = 0;
        for (std::size_t k = 0; k < shape.size(); ++k) {
            place = place * static_cast<std::size_t>(shape[k]) + static_cast<std::size_t>(index[k]);
        }
        return items.at(place);
    }

    /// The array of `new_shape` whose items are found at `old_index(new_index)`.
    Model mapped(const Shape& new_shape, const std::function<Shape(Shape)>& old_index) const {
        Model result{new_shape, {}};
        for_each_index(new_shape,
                       [&](const Shape& index) { result.items.push_back(item(old_index(index))); });
        return result;
    }

    /// True if some strides place the items so: each position is the sum of its axes' steps.
    bool affine() const {
        if (items.empty()) return true;
        std::vector<Wide> steps(shape.size(), 0);
        for (std::size_t k = 0; k < shape.size(); ++k) {
            Shape one(shape.size(), 0);
            one[k] = 1;
            if (shape[k] > 1) steps[k] = item(one) - items[0];
        }
        bool fits = true;
        for_each_index(shape, [&](const Shape& index) {
            Wide place = items[0];
            for (std::size_t k = 0; k < shape.size(); ++k)
                place += steps[k] * index[k];
            fits = fits && place == item(index);
        });
        return fits;
    }
};

}  // namespace devview::test
