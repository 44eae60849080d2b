// What tests of a copy's route share: the calls that move data, counted, and layouts at random.
#pragma once

#include <algorithm>
#include <map>
#include <random>

#include "devview/error.hpp"
#include "emulated.hpp"

namespace devview::testing {

using Calls = std::map<std::string, std::size_t>;

/// Calls since the last clear_calls() that move data, take memory for it, or make the host wait.
inline Calls moves() {
    Calls calls;
    for (const auto& [call, times] : cuda::filler().counts()) {
        if (call.rfind("cudaMemcpy", 0) == 0 || call == "cudaLaunchKernel" ||
            call == "cudaMallocAsync" || call == "cudaFreeAsync" || call == "cudaHostAlloc" ||
            call.find("Synchronize") != std::string::npos) {
            calls[call] = times;
        }
    }
    return calls;
}

class Routes : public Emulated {
protected:
    static void restart(bool peer_access, bool lazy = false) {
        cuda::EmulatorOptions options = machine();
        options.peer_access = peer_access;
        options.lazy = lazy;
        start(options);
    }

    /// Copies twice, counts the second time, and expects the items in place and every other byte of
    /// the destination's block untouched.
    static void expect_route(const std::string& what, const View& dst, const View& src,
                             const Calls& wanted, const Stream& stream = {}) {
        const Bytes bytes = with_items(block_bytes(*dst.allocation()), dst, items(src));
        copy(dst, src, stream);
        EXPECT_EQ(block_bytes(*dst.allocation()), bytes) << what;
        put_block(*dst.allocation(), with_items(bytes, dst, Bytes(items(src).size(), 0)));
        cuda::filler().clear_calls();
        copy(dst, src, stream);
        if (cuda::filler().has(cuda::Feature::counts)) {
            EXPECT_EQ(moves(), wanted) << what;
        }
        EXPECT_EQ(block_bytes(*dst.allocation()), bytes) << what;
    }
};

/// A view at random: up to 6 axes, slices, steps, both directions, axes in any order; with
/// `repeats`, axes that stand still as well. The same seed gives the same shape on both sides.
class RandomViews {
public:
    explicit RandomViews(unsigned seed) : random_(seed) {
        static constexpr const char* kFormats[] = {"B", "h", "3s", "i", "d", "Zd", "24s", "100s"};
        format_ = Format(kFormats[below(8)]);
        shape_.resize(below(7));
        for (std::int64_t& extent : shape_)
            extent = static_cast<std::int64_t>(1 + below(shape_.size() > 3 ? 4 : 9));
    }

    View make(Device device, unsigned seed, bool repeats) {
        const std::size_t ndim = shape_.size();
        std::vector<int> axes(ndim);
        for (std::size_t k = 0; k < ndim; ++k)
            axes[k] = static_cast<int>(k);
        if (below(2)) std::shuffle(axes.begin(), axes.end(), random_);
        Shape outer(ndim), steps(ndim, 1), starts(ndim, 0);
        std::vector<bool> still(ndim, false);
        for (std::size_t k = 0; k < ndim; ++k) {
            const std::int64_t extent = shape_[static_cast<std::size_t>(axes[k])];
            still[k] = repeats && below(8) == 0;
            steps[k] = below(3) ? 1 : static_cast<std::int64_t>(1 + below(3));
            starts[k] = below(3) ? 0 : static_cast<std::int64_t>(below(3));
            outer[k] = still[k] ? 1 : starts[k] + extent * steps[k];
        }
        View view = make_view(outer, device, seed, format_);
        for (std::size_t k = 0; k < ndim; ++k) {
            const int axis = static_cast<int>(k);
            if (still[k]) continue;
            view = view.slice(axis, starts[k], {}, steps[k]);
            if (below(4) == 0) view = view.slice(axis, {}, {}, -1);
        }
        std::vector<int> back(ndim);
        for (std::size_t k = 0; k < ndim; ++k)
            back[static_cast<std::size_t>(axes[k])] = static_cast<int>(k);
        if (ndim > 0) view = view.transpose(back.data());
        return view.broadcast_to(static_cast<int>(ndim), shape_.data());
    }

    std::size_t below(std::size_t bound) { return random_() % bound; }

private:
    std::mt19937 random_;
    Format format_{};
    Shape shape_{};
};

}  // namespace devview::testing
