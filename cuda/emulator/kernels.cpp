// Kernel launches: bounds checked when they run, then the host kernels on the touchable addresses.
#include <exception>
#include <memory>

#include "emulator/access.hpp"
#include "emulator/api.hpp"
#include "emulator/capture.hpp"
#include "emulator/gate.hpp"
#include "kernels/host_kernels.hpp"

namespace devview::cuda::emulator {
namespace {

/// Bytes relative to a view's data pointer.
struct Range {
    std::int64_t low = 0;
    std::int64_t high = 0;
};

struct Launch {
    CopyPlan plan{};
    void* dst = nullptr;
    const void* src = nullptr;  ///< null: no source
    Range dst_range{};
    Range src_range{};
    std::int64_t first = 0;
    std::int64_t units = 0;
    FillItem item{};
    NumberType to{};
    NumberType from{};
};
using Body = void (*)(const Launch& launch, void* dst, const void* src);

bool add(std::int64_t& sum, std::int64_t term) { return !__builtin_add_overflow(sum, term, &sum); }

// Every byte that the plan touches on one side.
bool bounds(const CopyPlan& plan, std::int64_t shift, const std::int64_t* strides,
            std::int64_t unit, Range& range) {
    range = {shift, shift};
    for (std::int32_t axis = 0; axis < plan.ndim; ++axis) {
        std::int64_t reach = 0;
        if (__builtin_mul_overflow(plan.extents[axis] - 1, strides[axis], &reach)) return false;
        if (!add(reach < 0 ? range.low : range.high, reach)) return false;
    }
    return add(range.high, unit);
}

bool bounds(const CopyPlan& plan, std::int64_t shift, const std::int64_t* strides, Range& range) {
    return bounds(plan, shift, strides, plan.unit, range);
}

std::int64_t item_size(const NumberType& type) {
    return type.is_complex ? 2 * type.part_size : type.part_size;
}

bool device_number(const NumberType& type) {
    return type.number != Number::none && type.number != Number::long_double;
}

bool dense(const Launch& launch, Range& range) {
    return !__builtin_mul_overflow(launch.units, launch.plan.unit, &range.high);
}

bool valid_plan(const CopyPlan& plan) {
    if (plan.ndim < 0 || plan.ndim > kMaxNdim || plan.unit <= 0 || plan.count < 0) return false;
    std::int64_t count = 1;
    for (std::int32_t axis = 0; axis < plan.ndim; ++axis) {
        if (plan.extents[axis] < 0) return false;
        if (__builtin_mul_overflow(count, plan.extents[axis], &count)) return false;
    }
    return count == plan.count || plan.count == 0;
}

bool valid_run(const CopyPlan& plan, std::int64_t first, std::int64_t units) {
    return valid_plan(plan) && first >= 0 && units >= 0 && units <= plan.count &&
           first <= plan.count - units;
}

cudaError_t run_body(const Launch& launch, Body body, const Target& dst, const Target& src) {
    const DeviceWork unseen;
    try {
        body(launch, dst.at, src.at);
    } catch (const std::exception&) {
        return cudaErrorLaunchFailure;
    }
    return cudaSuccess;
}

cudaError_t execute(const Launch& launch, int device, Body body) {
    const Access reads{"cudaLaunchKernel", device, Actor::kernel, false};
    const Access writes{"cudaLaunchKernel", device, Actor::kernel, true};
    Lock lock(machine().mutex);
    Target src;
    if (launch.src) src = resolve(reads, launch.src, launch.src_range.low, launch.src_range.high);
    Target dst;
    if (!launch.src || src.at) {
        dst = resolve(writes, launch.dst, launch.dst_range.low, launch.dst_range.high);
    }
    lock.unlock();
    const cudaError_t status = dst.at ? run_body(launch, body, dst, src) : cudaErrorIllegalAddress;
    lock.lock();
    let_go(src);
    let_go(dst);
    return status;
}

cudaError_t submit(std::shared_ptr<Launch> launch, Body body, cudaStream_t handle) {
    const Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    // A launch needs the stream's device to be current (Programming Guide, "Stream and Event
    // Behavior").
    if (stream->device != this_thread().device) return cudaErrorInvalidResourceHandle;
    if (launch->units == 0) return cudaSuccess;
    Operation operation;
    operation.kind = OperationKind::kernel;
    operation.name = "cudaLaunchKernel";
    operation.run = [launch = std::move(launch), body, device = stream->device] {
        return execute(*launch, device, body);
    };
    enqueue(stream, std::move(operation));
    return cudaSuccess;
}

std::shared_ptr<Launch> make_launch(const CopyPlan& plan, void* dst, const void* src,
                                    std::int64_t first, std::int64_t units) {
    auto launch = std::make_shared<Launch>();
    launch->plan = plan;
    launch->dst = dst;
    launch->src = src;
    launch->first = first;
    launch->units = units;
    return launch;
}

cudaError_t pack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                 std::int64_t units, cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        if (!valid_run(plan, first, units)) return cudaErrorInvalidValue;
        auto launch = make_launch(plan, dst, src, first, units);
        if (units != 0 && (!dst || !src || !dense(*launch, launch->dst_range) ||
                           !bounds(plan, plan.src_shift, plan.src_strides, launch->src_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, void* to, const void* from) {
                kernels::host_pack(l.plan, to, from, l.first, l.units);
            },
            stream);
    });
}

cudaError_t unpack(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                   std::int64_t units, cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        if (!valid_run(plan, first, units)) return cudaErrorInvalidValue;
        auto launch = make_launch(plan, dst, src, first, units);
        if (units != 0 && (!dst || !src || !dense(*launch, launch->src_range) ||
                           !bounds(plan, plan.dst_shift, plan.dst_strides, launch->dst_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, void* to, const void* from) {
                kernels::host_unpack(l.plan, to, from, l.first, l.units);
            },
            stream);
    });
}

cudaError_t copy(const CopyPlan& plan, void* dst, const void* src, cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        if (!valid_plan(plan)) return cudaErrorInvalidValue;
        auto launch = make_launch(plan, dst, src, 0, plan.count);
        if (plan.count != 0 &&
            (!dst || !src || !bounds(plan, plan.dst_shift, plan.dst_strides, launch->dst_range) ||
             !bounds(plan, plan.src_shift, plan.src_strides, launch->src_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, void* to, const void* from) {
                kernels::host_copy(l.plan, to, from);
            },
            stream);
    });
}

cudaError_t fill(const CopyPlan& plan, void* dst, const FillItem& item, cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        if (!valid_plan(plan) || item.nbytes < 1 || item.nbytes > kMaxFillBytes ||
            plan.unit != item.nbytes) {
            return cudaErrorInvalidValue;
        }
        auto launch = make_launch(plan, dst, nullptr, 0, plan.count);
        launch->item = item;
        if (plan.count != 0 &&
            (!dst || !bounds(plan, plan.dst_shift, plan.dst_strides, launch->dst_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, void* to, const void*) { kernels::host_fill(l.plan, to, l.item); },
            stream);
    });
}

cudaError_t cast(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
                 const NumberType& from, cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        if (!valid_plan(plan) || !device_number(to) || !device_number(from)) {
            return cudaErrorInvalidValue;
        }
        auto launch = make_launch(plan, dst, src, 0, plan.count);
        launch->to = to;
        launch->from = from;
        if (plan.count != 0 &&
            (!dst || !src ||
             !bounds(plan, plan.dst_shift, plan.dst_strides, item_size(to), launch->dst_range) ||
             !bounds(plan, plan.src_shift, plan.src_strides, item_size(from), launch->src_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, void* to_at, const void* from_at) {
                kernels::host_cast(l.plan, to_at, l.to, from_at, l.from);
            },
            stream);
    });
}

}  // namespace

KernelTable kernel_table() { return {pack, unpack, copy, fill, cast}; }

}  // namespace devview::cuda::emulator
