// Runs the kernels' functors by Thrust's host policy, or by a plain loop where Thrust is not there.
#include "kernels/host_kernels.hpp"

#if __has_include(<thrust/for_each.h>)
// The host policy needs nothing of CUDA's back end, which is the default.
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#define DEVVIEW_HAS_THRUST 1
#else
#define DEVVIEW_HAS_THRUST 0
#endif

#include "kernels/cast.hpp"
#include "kernels/compare.hpp"
#include "kernels/dispatch.hpp"
#include "kernels/fill.hpp"

namespace devview::cuda::kernels {
namespace {

struct HostEach {
    template <typename Functor>
    void operator()(Index count, const Functor& functor) const {
#if DEVVIEW_HAS_THRUST
        thrust::for_each_n(thrust::host, thrust::counting_iterator<Index>(0), count, functor);
#else
        for (Index position = 0; position < count; ++position)
            functor(position);
#endif
    }
    /// Host memory needs no tiles.
    bool transpose(const Transpose&) const { return false; }
};

}  // namespace

void host_pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
               std::int64_t units) {
    run_pack(plan, dst, src, first, units, HostEach{});
}

void host_unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                 std::int64_t units) {
    run_unpack(plan, dst, src, first, units, HostEach{});
}

void host_copy(const CopyPlan& plan, void* dst, const void* src) {
    run_copy(plan, dst, src, HostEach{});
}

void host_fill(const CopyPlan& plan, void* dst, const FillItem& item) {
    run_fill(plan, dst, item, HostEach{});
}

void host_cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
               const NumberType& from) {
    run_cast(plan, dst, to, src, from, HostEach{});
}

void host_byteswap(const CopyPlan& plan, void* dst, const void* src, unsigned part) {
    run_byteswap(plan, dst, src, part, HostEach{});
}

void host_compare(const CopyPlan& plan, const void* a, const NumberType& a_type, const void* b,
                  const NumberType& b_type, std::uint32_t* different) {
    run_compare(plan, a, a_type, b, b_type, different, HostEach{});
}

}  // namespace devview::cuda::kernels
