// Layouts against brute force: random chains of views, also through tables of pointers.
#include <algorithm>
#include <numeric>
#include <string>

#include <gtest/gtest.h>

#include "devview/error.hpp"
#include "devview/layout.hpp"
#include "layout_model.hpp"

namespace devview {
namespace {

using test::at;
using test::Model;
using test::random_int;
using test::rank;
using test::Shape;
using test::shape_of;
using test::Wide;

// A layout with its data pointer, and the same array as a list.
struct Pair {
    Layout layout;
    Wide base;
    Model model;
    std::int64_t itemsize;

    std::string text() const {
        const int ndim = layout.ndim();
        std::string all = Layout::to_string(ndim, layout.shape()) + " strides " +
                          Layout::to_string(ndim, layout.strides());
        if (layout.suboffsets() != nullptr) {
            all += " suboffsets " + Layout::to_string(ndim, layout.suboffsets());
        }
        return all;
    }
    bool has_suboffset(int axis) const {
        return layout.suboffsets() != nullptr && layout.suboffsets()[axis] >= 0;
    }
};

Pair random_pair(std::mt19937& random) {
    const int ndim = random_int(random, 0, 4);
    const std::int64_t itemsize = random_int(random, 1, 4);
    Shape shape;
    Shape strides;
    for (int k = 0; k < ndim; ++k) {
        shape.push_back(random_int(random, 0, 5) > 0 ? random_int(random, 1, 5) : 0);
        strides.push_back(random_int(random, -30, 30));
    }
    Layout layout = Layout::strided(ndim, shape.data(), strides.data(), nullptr, itemsize);
    if (random_int(random, 0, 2) == 0) {
        const Order order = random_int(random, 0, 1) == 0 ? Order::C : Order::F;
        layout = Layout::contiguous(ndim, shape.data(), itemsize, order);
    }
    Model model{shape, test::positions(layout)};
    return {std::move(layout), 0, std::move(model), itemsize};
}

void expect_same(const Pair& pair) {
    ASSERT_EQ(shape_of(pair.layout), pair.model.shape);
    ASSERT_EQ(pair.layout.size(), static_cast<std::int64_t>(pair.model.items.size()));
    ASSERT_TRUE(test::positions(pair.layout, pair.base) == pair.model.items) << pair.text();
}

// Contiguity and bounds, from the items' positions alone.
void expect_properties(const Pair& pair) {
    if (pair.layout.suboffsets() != nullptr) return;
    std::vector<int> reversed(pair.model.shape.size());
    std::iota(reversed.rbegin(), reversed.rend(), 0);
    const Layout transposed = pair.layout.transpose(reversed.data());
    const auto dense = [&](const std::vector<Wide>& items) {
        for (std::size_t k = 0; k < items.size(); ++k) {
            if (items[k] != static_cast<Wide>(k) * pair.itemsize) return false;
        }
        return true;
    };
    EXPECT_EQ(pair.layout.contiguous(pair.itemsize, Order::C), dense(test::positions(pair.layout)))
        << pair.text();
    EXPECT_EQ(pair.layout.contiguous(pair.itemsize, Order::F), dense(test::positions(transposed)))
        << pair.text();
    const ByteBounds bounds = pair.layout.bounds(pair.itemsize);
    const std::vector<Wide> items = test::positions(pair.layout);
    const auto ends = std::minmax_element(items.begin(), items.end());
    EXPECT_TRUE(bounds.low == (items.empty() ? 0 : *ends.first)) << pair.text();
    EXPECT_TRUE(bounds.high == (items.empty() ? 0 : *ends.second + pair.itemsize)) << pair.text();
}

void slice(std::mt19937& random, Pair& pair) {
    if (pair.layout.ndim() == 0) return;
    const int axis = random_int(random, 0, pair.layout.ndim() - 1);
    const auto old = static_cast<int>(pair.layout.shape()[axis]);
    const std::int64_t start = random_int(random, 0, std::max(old - 1, 0));
    const std::int64_t step =
        random_int(random, 0, 1) == 0 ? random_int(random, 1, 3) : random_int(random, -3, -1);
    const std::int64_t room = step > 0 ? (old - 1 - start) / step : -start / step;
    const std::int64_t extent = old == 0 ? 0 : random_int(random, 0, static_cast<int>(room + 1));
    std::int64_t shift = 0;
    pair.layout = pair.layout.slice(axis, start, step, extent, shift);
    pair.base += shift;
    Shape shape = pair.model.shape;
    shape[at(axis)] = extent;
    pair.model = pair.model.mapped(shape, [&](Shape index) {
        index[at(axis)] = start + step * index[at(axis)];
        return index;
    });
}

void index(std::mt19937& random, Pair& pair) {
    if (pair.layout.ndim() == 0) return;
    const int axis = random_int(random, 0, pair.layout.ndim() - 1);
    if (pair.layout.shape()[axis] == 0) return;
    const int item = random_int(random, 0, static_cast<int>(pair.layout.shape()[axis]) - 1);
    std::int64_t shift = 0;
    if (pair.has_suboffset(axis)) {
        EXPECT_THROW(pair.layout.index(axis, item, shift), LayoutError);
        return;
    }
    pair.layout = pair.layout.index(axis, item, shift);
    pair.base += shift;
    Shape shape = pair.model.shape;
    shape.erase(shape.begin() + axis);
    pair.model = pair.model.mapped(shape, [&](Shape index) {
        index.insert(index.begin() + axis, item);
        return index;
    });
}

void transpose(std::mt19937& random, Pair& pair) {
    std::vector<int> axes(pair.model.shape.size());
    std::iota(axes.begin(), axes.end(), 0);
    std::shuffle(axes.begin(), axes.end(), random);
    const auto run = [&](int axis) {
        int before = 0;
        for (int k = 0; k < axis; ++k)
            before += pair.has_suboffset(k) ? 1 : 0;
        return before;
    };
    for (int k = 0; k < rank(pair.model.shape); ++k) {
        if (run(k) == run(axes[at(k)])) continue;
        EXPECT_THROW(pair.layout.transpose(axes.data()), LayoutError);
        return;
    }
    pair.layout = pair.layout.transpose(axes.data());
    Shape shape;
    for (const int axis : axes)
        shape.push_back(pair.model.shape[at(axis)]);
    pair.model = pair.model.mapped(shape, [&](const Shape& index) {
        Shape old(index.size());
        for (std::size_t k = 0; k < index.size(); ++k)
            old[at(axes[k])] = index[k];
        return old;
    });
}

void insert_and_remove(std::mt19937& random, Pair& pair) {
    const int place = random_int(random, 0, pair.layout.ndim());
    if (pair.layout.ndim() < 6) {
        pair.layout = pair.layout.insert_axis(place);
        pair.model.shape.insert(pair.model.shape.begin() + place, 1);
    }
    const int axis = random_int(random, 0, pair.layout.ndim() - 1);
    if (pair.layout.shape()[axis] != 1 || pair.has_suboffset(axis)) {
        EXPECT_THROW(pair.layout.remove_axis(axis), LayoutError);
        return;
    }
    pair.layout = pair.layout.remove_axis(axis);
    pair.model.shape.erase(pair.model.shape.begin() + axis);
}

void broadcast(std::mt19937& random, Pair& pair) {
    Shape shape = pair.model.shape;
    for (std::int64_t& extent : shape) {
        if (extent == 1 && random_int(random, 0, 1) == 0) extent = random_int(random, 0, 3);
    }
    if (rank(shape) < 5 && pair.model.items.size() < 300) {
        shape.insert(shape.begin(), random_int(random, 1, 3));
    }
    const auto added = rank(shape) - rank(pair.model.shape);
    pair.layout = pair.layout.broadcast_to(rank(shape), shape.data(), pair.itemsize);
    const Shape old_shape = pair.model.shape;
    pair.model = pair.model.mapped(shape, [&](Shape index) {
        index.erase(index.begin(), index.begin() + added);
        for (std::size_t k = 0; k < index.size(); ++k) {
            if (old_shape[k] == 1) index[k] = 0;
        }
        return index;
    });
}

// Splits and joins extents at random, so that the number of items stays.
Shape random_reshape(std::mt19937& random, std::int64_t items) {
    Shape shape;
    for (std::int64_t factor = 2; items > 1 && factor <= items; ++factor) {
        while (items % factor == 0) {
            items /= factor;
            if (shape.empty() || random_int(random, 0, 1) == 0) shape.push_back(1);
            shape.back() *= factor;
        }
    }
    if (random_int(random, 0, 2) == 0) shape.push_back(1);
    std::shuffle(shape.begin(), shape.end(), random);
    if (items == 0) shape.push_back(0);
    return shape;
}

void reshape(std::mt19937& random, Pair& pair, int& refused) {
    if (pair.layout.suboffsets() != nullptr) return;
    Model model{random_reshape(random, pair.layout.size()), pair.model.items};
    const int ndim = rank(model.shape);
    if (model.affine()) {
        pair.layout = pair.layout.reshape(ndim, model.shape.data(), pair.itemsize);
        pair.model = std::move(model);
    } else {
        EXPECT_THROW(pair.layout.reshape(ndim, model.shape.data(), pair.itemsize), LayoutError)
            << pair.text() << " to " << Layout::to_string(ndim, model.shape.data());
        ++refused;
    }
}

void random_views(std::mt19937& random, Pair& pair, int& refused) {
    for (int step = 0; step < 6; ++step) {
        switch (random_int(random, 0, 5)) {
            case 0:
                slice(random, pair);
                break;
            case 1:
                index(random, pair);
                break;
            case 2:
                transpose(random, pair);
                break;
            case 3:
                insert_and_remove(random, pair);
                break;
            case 4:
                broadcast(random, pair);
                break;
            default:
                reshape(random, pair, refused);
        }
        ASSERT_NO_FATAL_FAILURE(expect_same(pair));
        expect_properties(pair);
    }
}

TEST(LayoutRandom, ChainsOfViewsKeepEveryItem) {
    std::mt19937 random(20240611);
    int refused = 0;
    for (int round = 0; round < 4000; ++round) {
        Pair pair = random_pair(random);
        expect_properties(pair);
        ASSERT_NO_FATAL_FAILURE(random_views(random, pair, refused)) << "round " << round;
    }
    EXPECT_GT(refused, 100);
}

TEST(LayoutRandom, ChainsOfViewsFollowPointers) {
    // 2 x 3 pointers to rows of 4 pointers to 5 items, at byte offsets 32 and 6 of their blocks.
    std::vector<std::vector<char>> items(24, std::vector<char>(16));
    std::vector<std::vector<char*>> tables(6, std::vector<char*>(8));
    std::vector<char*> top(6);
    for (std::size_t k = 0; k < 24; ++k)
        tables[k / 4][4 + k % 4] = items[k].data();
    for (std::size_t k = 0; k < 6; ++k)
        top[k] = reinterpret_cast<char*>(tables[k].data());
    const Shape shape = {2, 3, 4, 5};
    const Shape strides = {24, 8, 8, 2};
    const Shape suboffsets = {-1, 32, 6, -1};
    const Layout layout = Layout::strided(4, shape.data(), strides.data(), suboffsets.data(), 1);
    const Wide base = reinterpret_cast<std::intptr_t>(top.data());
    std::mt19937 random(7);
    int refused = 0;
    for (int round = 0; round < 4000; ++round) {
        Pair pair{layout, base, Model{shape, test::positions(layout, base)}, 1};
        ASSERT_NO_FATAL_FAILURE(random_views(random, pair, refused)) << "round " << round;
    }
}

}  // namespace
}  // namespace devview
