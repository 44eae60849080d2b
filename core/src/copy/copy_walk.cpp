// Chooses the inner loops of a walk, and cuts layouts where pointers end.
#include "src/copy/copy_walk.hpp"

#include "src/checked.hpp"

namespace devview::rows {
namespace {

// The axis along which the source moves least, -1 if it stands still on all of them.
int fastest_source(const Walk& walk) noexcept {
    int fastest = -1;
    for (int k = walk.ndim - 1; k >= 0; --k) {
        const auto step = checked::magnitude(walk.outer[k].src);
        if (step == 0) continue;
        if (fastest < 0 || step < checked::magnitude(walk.outer[fastest].src)) fastest = k;
    }
    return fastest;
}

void choose_pattern(Walk& walk, bool crosswise) noexcept {
    walk.pattern = crosswise ? Pattern::kTiles : Pattern::kRows;
    if (walk.along.extent >= kShort && walk.other.extent >= kShort) return;
    const bool swaps = walk.along.extent < kShort && walk.along.extent < walk.other.extent;
    if (swaps) std::swap(walk.along, walk.other);
    if (swaps || crosswise) walk.pattern = Pattern::kBlocks;
}

template <typename Move>
void move_plane(const Move& move, char* dst, const char* src, const Walk& walk) noexcept {
    if (walk.pattern == Pattern::kRows) {
        plane_of_rows(move, dst, src, walk.along, walk.other);
    } else {
        plane_of_blocks(move, dst, src, walk.along, walk.other);
    }
}

template <typename T>
void move_plane(const Exact<T>& move, char* dst, const char* src, const Walk& walk) noexcept {
    if (walk.pattern == Pattern::kTiles) {
        plane_of_tiles<T>(dst, src, walk.along, walk.other);
    } else if (walk.pattern == Pattern::kRows) {
        plane_of_rows(move, dst, src, walk.along, walk.other);
    } else {
        plane_of_blocks(move, dst, src, walk.along, walk.other);
    }
}

template <typename Move>
void run(const Move& move, char* dst, const char* src, const CopyPlan& plan) noexcept {
    const Walk walk = arrange(plan);
    each_plane(walk, dst, src,
               [&](char* to, const char* from) { move_plane(move, to, from, walk); });
}

}  // namespace

Walk arrange(const CopyPlan& plan) noexcept {
    Walk walk;
    walk.pattern = Pattern::kRows;
    walk.ndim = plan.ndim - 1;
    walk.other = {1, 0, 0};
    for (int k = 0; k < walk.ndim; ++k) {
        walk.outer[k] = {plan.extents[k], plan.dst_strides[k], plan.src_strides[k]};
    }
    const int last = plan.ndim - 1;
    walk.along = {plan.extents[last], plan.dst_strides[last], plan.src_strides[last]};
    if (walk.ndim == 0) return walk;
    const int fastest = fastest_source(walk);
    const bool crosswise = fastest >= 0 && checked::magnitude(walk.outer[fastest].src) <
                                               checked::magnitude(walk.along.src);
    const int beside = crosswise ? fastest : walk.ndim - 1;
    walk.other = walk.outer[beside];
    std::copy(walk.outer + beside + 1, walk.outer + walk.ndim, walk.outer + beside);
    --walk.ndim;
    choose_pattern(walk, crosswise);
    return walk;
}

void run_walk(const CopyPlan& plan, char* dst, const char* src) noexcept {
    with_move(plan.unit, [&](const auto& move) { run(move, dst, src, plan); });
}

int axes_with_pointers(const Layout& layout) noexcept {
    int ndim = layout.suboffsets() == nullptr ? 0 : layout.ndim();
    while (ndim > 0 && layout.suboffsets()[ndim - 1] < 0)
        --ndim;
    return ndim;
}

Layout axes_from(const Layout& layout, int axis, std::int64_t itemsize) {
    return Layout::strided(layout.ndim() - axis, layout.shape() + axis, layout.strides() + axis,
                           nullptr, itemsize);
}

}  // namespace devview::rows
