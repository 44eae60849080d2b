// The arguments of cudaMemcpy2DAsync and cudaMemcpy3DAsync, and when they are worth their call.
#include "src/copy/pitched_copy.hpp"

#include <limits>

#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

/// The copy engine handles every row by itself, so that short rows fall far behind the speed of the
/// bus or the memory; a kernel packs them as fast as memory is. Rows of less than two sectors of
/// memory (32 bytes each) are a kernel's; "rows" of bench/device.py shows where the lines cross.
constexpr std::int64_t kShortestRow = 64;

/// cudaDevAttrMaxPitch of every device so far. Larger pitches are cudaErrorInvalidPitchValue.
constexpr std::int64_t kLongestPitch = std::numeric_limits<std::int32_t>::max();

std::size_t bytes(std::int64_t n) noexcept { return static_cast<std::size_t>(n); }

/// Slices are told by rows of the pitch (`ysize`), not by bytes; the logical width is not used.
cudaPitchedPtr side_of(const CopyPlan& plan, const std::int64_t* strides, const char* first) {
    cudaPitchedPtr side{};
    side.ptr = const_cast<char*>(first);
    side.pitch = bytes(strides[1]);
    side.xsize = bytes(plan.unit);
    side.ysize = bytes(strides[0] / strides[1]);
    return side;
}

}  // namespace

bool copies_pitched(const CopyPlan& plan) noexcept {
    if (!(plan.pitched() || plan.pitched_slices()) || plan.unit < kShortestRow) return false;
    const int rows = plan.ndim - 1;
    return plan.dst_strides[rows] <= kLongestPitch && plan.src_strides[rows] <= kLongestPitch;
}

void copy_pitched(const CopyPlan& plan, void* dst, const void* src, cudaMemcpyKind kind,
                  const Stream& stream) {
    const DeviceGuard guard(device_of(stream));
    char* const to = static_cast<char*>(dst) + plan.dst_shift;
    const char* const from = static_cast<const char*>(src) + plan.src_shift;
    if (plan.ndim == 1) {
        check(runtime().Memcpy2DAsync(to, bytes(plan.dst_strides[0]), from,
                                      bytes(plan.src_strides[0]), bytes(plan.unit),
                                      bytes(plan.extents[0]), kind, handle_of(stream)),
              "memcpy 2d");
        return;
    }
    cudaMemcpy3DParms copy{};
    copy.dstPtr = side_of(plan, plan.dst_strides, to);
    copy.srcPtr = side_of(plan, plan.src_strides, from);
    copy.extent = {bytes(plan.unit), bytes(plan.extents[1]), bytes(plan.extents[0])};
    copy.kind = kind;
    check(runtime().Memcpy3DAsync(&copy, handle_of(stream)), "memcpy 3d");
}

}  // namespace devview::cuda
