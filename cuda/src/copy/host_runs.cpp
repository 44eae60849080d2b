// Cuts a range of C order into whole boxes, which core's copy runs, and the ragged ends.
#include "src/copy/host_runs.hpp"

#include <algorithm>
#include <cstring>

namespace devview::cuda {

namespace {

class Runner {
public:
    Runner(const CopyPlan& plan, bool gather) noexcept : plan_(plan), gather_(gather) {
        std::int64_t step = plan.unit;
        for (int axis = plan.ndim - 1; axis >= 0; --axis) {
            steps_[axis] = step;
            step *= plan.extents[axis];
        }
    }

    /// `strided` stands at index 0 of `axis`; the range begins `offset` bytes into it.
    void run(int axis, char* dense, char* strided, std::int64_t offset, std::int64_t nbytes) const {
        if (axis == plan_.ndim) return move(dense, strided + offset, nbytes);
        const std::int64_t step = steps_[axis];
        const std::int64_t stride = plan_.src_strides[axis];
        strided += offset / step * stride;
        if (const std::int64_t rest = offset % step) {
            const std::int64_t part = std::min(step - rest, nbytes);
            run(axis + 1, dense, strided, rest, part);
            dense += part;
            nbytes -= part;
            strided += stride;
        }
        if (const std::int64_t whole = nbytes / step) {
            box(axis, whole, dense, strided);
            dense += whole * step;
            nbytes -= whole * step;
            strided += whole * stride;
        }
        if (nbytes > 0) run(axis + 1, dense, strided, 0, nbytes);
    }

private:
    void move(char* dense, char* strided, std::int64_t nbytes) const {
        std::memcpy(gather_ ? dense : strided, gather_ ? strided : dense,
                    static_cast<std::size_t>(nbytes));
    }

    /// `extent` indices of `axis` and all of the axes inside.
    void box(int axis, std::int64_t extent, char* dense, char* strided) const {
        CopyPlan part;
        part.ndim = plan_.ndim - axis;
        part.unit = plan_.unit;
        part.count = extent * (steps_[axis] / plan_.unit);
        part.dst_shift = part.src_shift = 0;
        const std::int64_t* const strides = plan_.src_strides + axis;
        std::copy_n(plan_.extents + axis, part.ndim, part.extents);
        part.extents[0] = extent;
        std::copy_n(steps_ + axis, part.ndim, gather_ ? part.dst_strides : part.src_strides);
        std::copy_n(strides, part.ndim, gather_ ? part.src_strides : part.dst_strides);
        run_host(part, gather_ ? dense : strided, gather_ ? strided : dense);
    }

    const CopyPlan& plan_;
    bool gather_;
    std::int64_t steps_[kMaxNdim] = {};  ///< dense bytes of one index
};

}  // namespace

void gather_run(const CopyPlan& plan, void* dense, const void* strided, std::int64_t offset,
                std::int64_t nbytes) {
    char* const from = const_cast<char*>(static_cast<const char*>(strided));
    Runner(plan, true).run(0, static_cast<char*>(dense), from + plan.src_shift, offset, nbytes);
}

void scatter_run(const CopyPlan& plan, void* strided, const void* dense, std::int64_t offset,
                 std::int64_t nbytes) {
    char* const from = const_cast<char*>(static_cast<const char*>(dense));
    Runner(plan, false).run(0, from, static_cast<char*>(strided) + plan.src_shift, offset, nbytes);
}

}  // namespace devview::cuda
