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
    unsigned part = 0;
    const void* other = nullptr;  ///< null: no second source
    Range other_range{};
};

/// Where the launch's memory really is.
struct Addresses {
    void* dst;
    const void* src;
    const void* other;
};
using Body = void (*)(const Launch& launch, const Addresses& at);

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

cudaError_t run_body(const Launch& launch, Body body, const Addresses& at) {
    const DeviceWork unseen;
    try {
        body(launch, at);
    } catch (const std::exception&) {
        return cudaErrorLaunchFailure;
    }
    return cudaSuccess;
}

cudaError_t execute(const Launch& launch, int device, Body body) {
    const Access reads{"cudaLaunchKernel", device, Actor::kernel, false};
    const Access writes{"cudaLaunchKernel", device, Actor::kernel, true};
    Lock lock(machine().mutex);
    bool touchable = true;
    const auto find = [&](const Access& access, const void* base, const Range& range) {
        if (!base || !touchable) return Target{};
        const Target target = resolve(access, base, range.low, range.high);
        touchable = target.at != nullptr;
        return target;
    };
    const Target src = find(reads, launch.src, launch.src_range);
    const Target other = find(reads, launch.other, launch.other_range);
    const Target dst = find(writes, launch.dst, launch.dst_range);
    lock.unlock();
    const cudaError_t status =
        touchable ? run_body(launch, body, {dst.at, src.at, other.at}) : cudaErrorIllegalAddress;
    lock.lock();
    let_go(src);
    let_go(other);
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
            [](const Launch& l, const Addresses& at) {
                kernels::host_pack(l.plan, at.dst, at.src, l.first, l.units);
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
            [](const Launch& l, const Addresses& at) {
                kernels::host_unpack(l.plan, at.dst, at.src, l.first, l.units);
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
            [](const Launch& l, const Addresses& at) {
                kernels::host_copy(l.plan, at.dst, at.src);
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
            [](const Launch& l, const Addresses& at) {
                kernels::host_fill(l.plan, at.dst, l.item);
            },
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
            [](const Launch& l, const Addresses& at) {
                kernels::host_cast(l.plan, at.dst, l.to, at.src, l.from);
            },
            stream);
    });
}

cudaError_t byteswap(const CopyPlan& plan, void* dst, const void* src, unsigned part,
                     cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        const bool known = part == 2 || part == 4 || part == 8 || part == 16;
        if (!valid_plan(plan) || !known || plan.unit % part != 0) return cudaErrorInvalidValue;
        auto launch = make_launch(plan, dst, src, 0, plan.count);
        launch->part = part;
        if (plan.count != 0 &&
            (!dst || !src || !bounds(plan, plan.dst_shift, plan.dst_strides, launch->dst_range) ||
             !bounds(plan, plan.src_shift, plan.src_strides, launch->src_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, const Addresses& at) {
                kernels::host_byteswap(l.plan, at.dst, at.src, l.part);
            },
            stream);
    });
}

/// Bytes of a unit on one side: where the sides' items differ in size, a unit is one of each.
std::int64_t compared_bytes(const CopyPlan& plan, const NumberType& type, const NumberType& other) {
    return item_size(type) == item_size(other) ? plan.unit : item_size(type);
}

cudaError_t compare(const CopyPlan& plan, const void* a, const NumberType& a_type, const void* b,
                    const NumberType& b_type, std::uint32_t* different, cudaStream_t stream) {
    return gated(Call::LaunchKernel, [&] {
        const bool bytes = a_type.number == Number::none && b_type.number == Number::none;
        if (!valid_plan(plan) || !(bytes || (device_number(a_type) && device_number(b_type)))) {
            return cudaErrorInvalidValue;
        }
        auto launch = make_launch(plan, different, a, 0, plan.count);
        launch->to = a_type;
        launch->from = b_type;
        launch->other = b;
        launch->dst_range = {0, sizeof(std::uint32_t)};
        const std::int64_t a_bytes = bytes ? plan.unit : compared_bytes(plan, a_type, b_type);
        const std::int64_t b_bytes = bytes ? plan.unit : compared_bytes(plan, b_type, a_type);
        if (plan.count != 0 &&
            (!a || !b || !different ||
             !bounds(plan, plan.dst_shift, plan.dst_strides, a_bytes, launch->src_range) ||
             !bounds(plan, plan.src_shift, plan.src_strides, b_bytes, launch->other_range))) {
            return cudaErrorInvalidValue;
        }
        return submit(
            std::move(launch),
            [](const Launch& l, const Addresses& at) {
                kernels::host_compare(l.plan, at.src, l.to, at.other, l.from,
                                      static_cast<std::uint32_t*>(at.dst));
            },
            stream);
    });
}

}  // namespace

KernelTable kernel_table() { return {pack, unpack, copy, fill, cast, byteswap, compare}; }

}  // namespace devview::cuda::emulator
