// Launches of the kernels that move items: pack, unpack, copy, byteswap and fill.
#include "kernels/device_kernels.hpp"
#include "kernels/dispatch.hpp"
#include "kernels/fill.hpp"
#include "kernels/launch.cuh"
#include "kernels/transpose.cuh"

namespace devview::cuda::kernels {

cudaError_t device_pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                        std::int64_t units, cudaStream_t stream) {
    return launch_all(
        stream, [&](const StreamEach& each) { run_pack(plan, dst, src, first, units, each); });
}

cudaError_t device_unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                          std::int64_t units, cudaStream_t stream) {
    return launch_all(
        stream, [&](const StreamEach& each) { run_unpack(plan, dst, src, first, units, each); });
}

cudaError_t device_copy(const CopyPlan& plan, void* dst, const void* src, cudaStream_t stream) {
    return launch_all(stream, [&](const StreamEach& each) { run_copy(plan, dst, src, each); });
}

cudaError_t device_byteswap(const CopyPlan& plan, void* dst, const void* src, unsigned part,
                            cudaStream_t stream) {
    return launch_all(stream,
                      [&](const StreamEach& each) { run_byteswap(plan, dst, src, part, each); });
}

cudaError_t device_fill(const CopyPlan& plan, void* dst, const FillItem& item,
                        cudaStream_t stream) {
    return launch_all(stream, [&](const StreamEach& each) { run_fill(plan, dst, item, each); });
}

const KernelTable& device_kernels() {
    static constexpr KernelTable kTable = {device_pack, device_unpack,   device_copy,   device_fill,
                                           device_cast, device_byteswap, device_compare};
    return kTable;
}

void limit_grid(unsigned blocks) noexcept { largest_grid.store(blocks); }

}  // namespace devview::cuda::kernels
