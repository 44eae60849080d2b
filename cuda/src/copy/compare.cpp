// Which comparisons a kernel does, and the flag that it answers with.
#include "devview/cuda/compare.hpp"

#include <cstdint>

#include "devview/compare.hpp"
#include "devview/copy_plan.hpp"
#include "devview/number.hpp"
#include "src/copy/copy_checks.hpp"
#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"

namespace devview::cuda {

namespace {

struct Types {
    NumberType a;
    NumberType b;
};

std::optional<Types> comparable_types(const View& a, const View& b) {
    const FormatNode& left = *a.format().node();
    const FormatNode& right = *b.format().node();
    if (equal_as_bytes(left, right)) {
        constexpr NumberType bytes{Number::none, FloatKind::ieee, 0, false, false};
        return Types{bytes, bytes};
    }
    const Types types{number_type(left), number_type(right)};
    if (!kernel_knows(types.a) || !kernel_knows(types.b)) return std::nullopt;
    return types;
}

bool device_sees_both(const View& a, const View& b) noexcept {
    return on_device(a) && a.device() == b.device() && a.suboffsets() == nullptr &&
           b.suboffsets() == nullptr && !a.format().is_packed() && !b.format().is_packed() &&
           a.itemsize() != 0 && b.itemsize() != 0;
}

/// A flag on the device, unset at first.
class Flag {
public:
    explicit Flag(const Stream& stream) : stream_(stream), memory_(sizeof(std::uint32_t), stream) {
        check(runtime().MemsetAsync(memory_.data(), 0, memory_.nbytes(), handle_of(stream_)),
              "memset");
    }
    std::uint32_t* data() const noexcept { return static_cast<std::uint32_t*>(memory_.data()); }
    /// Waits for the stream.
    bool read() const {
        std::uint32_t value = 0;
        try {
            check(runtime().MemcpyAsync(&value, memory_.data(), sizeof value,
                                        cudaMemcpyDeviceToHost, handle_of(stream_)),
                  "memcpy");
            synchronize(stream_);
        } catch (...) {
            quiesce(stream_);  // nothing may write to `value` any more
            throw;
        }
        return value != 0;
    }

private:
    const Stream& stream_;
    DeviceTemp memory_;
};

}  // namespace

std::optional<bool> equal_on_device(const View& a, const View& b) {
    if (!device_sees_both(a, b)) return std::nullopt;
    const std::optional<Types> types = comparable_types(a, b);
    if (!types) return std::nullopt;
    const CopyPlan plan =
        plan_pairs(a.layout(), b.layout(), a.itemsize() == b.itemsize() ? a.itemsize() : 0);
    if (plan.count == 0) return true;
    const Stream stream = work_stream(a.device().id, {}, a.stream(), b.stream());
    // Else a graph would keep the copy of the flag to this function's stack.
    require_no_capture("compare", stream, "the host waits for the answer");
    Work work(stream);
    work.uses(*a.allocation());
    work.uses(*b.allocation());
    const Flag different(work.stream());
    check(runtime().kernels.compare(plan, a.data(), types->a, b.data(), types->b, different.data(),
                                    handle_of(work.stream())),
          "compare kernel");
    work.done();
    return !different.read();
}

}  // namespace devview::cuda
