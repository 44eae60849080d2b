// Copies within the host, within a device, and across the bus.
#include "src/copy/copy_routes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>

#include "devview/copy.hpp"
#include "devview/copy_plan.hpp"
#include "devview/cuda/memory.hpp"
#include "src/copy/chunked_copy.hpp"
#include "src/copy/copy_checks.hpp"
#include "src/copy/packing.hpp"
#include "src/copy/pitched_copy.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"

namespace devview::cuda {

namespace {

/// Through a temporary.
void copy_aside(const View& dst, const View& src) {
    const View temp = dense_on(Device{}, src, src.format(), Order::C, {});
    copy_host(temp.data(), temp.layout(), src.data(), src.layout(), src.itemsize());
    copy_host(dst.data(), dst.layout(), temp.data(), temp.layout(), dst.itemsize());
}

bool same_items(const View& a, const View& b) noexcept {
    return a.data() == b.data() && a.layout() == b.layout();
}

Layout dense_like(const View& view) {
    return Layout::contiguous(view.ndim(), view.shape(), view.itemsize());
}

/// Both layouts with their axes in the order in which the host's memory runs, long steps first.
struct Turned {
    Layout host;
    Layout device;
};

Turned turn_to_host(const Layout& host, const Layout& device) {
    std::array<int, kMaxNdim> axes{};
    std::iota(axes.begin(), axes.end(), 0);
    const auto step = [&](int axis) {
        const std::int64_t stride = host.strides()[axis];
        return stride < 0 ? -static_cast<std::uint64_t>(stride)
                          : static_cast<std::uint64_t>(stride);
    };
    std::stable_sort(axes.begin(), axes.begin() + host.ndim(), [&](int a, int b) {
        if (host.shape()[a] == 1 || host.shape()[b] == 1) return false;
        return step(a) > step(b);
    });
    return {host.transpose(axes.data()), device.transpose(axes.data())};
}

/// The work of copy_across once the host side is free of suboffsets.
class Crossing {
public:
    Crossing(const View& host, const View& device, bool to_host, const Stream& stream)
        : host_(host), device_(device), to_host_(to_host), stream_(stream) {}

    void run() {
        if (host_.device().type != DeviceType::cpu && run_direct()) return;
        require_no_capture("copy", stream_, "the host waits for this copy of its memory");
        wait_for_host(*host_.allocation());
        const Turned turned = turn_to_host(host_.layout(), device_.layout());
        const TransferSide host{host_.data(), turned.host};
        const TransferSide device{device_.data(), turned.device};
        Work work(stream_);
        work.uses(*device_.allocation());
        if (to_host_) {
            chunked_to_host(host, device, host_.itemsize(), stream_);
        } else {
            chunked_to_device(device, host, host_.itemsize(), stream_);
        }
        work.done();
    }

private:
    /// Memory that the device reaches by itself: rows, or dense; false if the host side is neither.
    bool run_direct() {
        const View& dst = to_host_ ? host_ : device_;
        const View& src = to_host_ ? device_ : host_;
        const CopyPlan plan = plan_copy(dst.layout(), src.layout(), dst.itemsize());
        const bool rows = copies_pitched(plan);
        const Turned turned = turn_to_host(host_.layout(), device_.layout());
        if (!rows && !turned.host.contiguous(host_.itemsize(), Order::C)) return false;
        Work work(stream_);
        work.uses(*dst.allocation());
        work.uses(*src.allocation());
        if (rows) {
            const auto kind = to_host_ ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice;
            copy_pitched(plan, dst.data(), src.data(), kind, stream_);
        } else {
            const std::int64_t nbytes = host_.nbytes();
            Packing packing(device_.data(), turned.device, host_.itemsize(), nbytes, stream_);
            if (to_host_) {
                packing.to_host(host_.data(), 0, nbytes);
            } else {
                packing.from_host(host_.data(), 0, nbytes);
            }
        }
        work.done();
        return true;
    }

    const View& host_;
    const View& device_;
    bool to_host_;
    Stream stream_;
};

}  // namespace

void copy_on_host(const View& dst, const View& src) {
    if (same_items(dst, src)) return;
    wait_for_host(*src.allocation());
    if (dst.allocation() != src.allocation()) wait_for_host(*dst.allocation());
    if (may_overlap(dst, src)) return copy_aside(dst, src);
    copy_host(dst.data(), dst.layout(), src.data(), src.layout(), dst.itemsize());
}

void copy_within_device(const View& dst, const View& src, const Stream& asked) {
    if (same_items(dst, src)) return;
    const std::int64_t itemsize = dst.itemsize();
    Work work(work_stream(dst.device().id, asked, dst.stream(), src.stream()));
    work.uses(*src.allocation());
    work.uses(*dst.allocation());
    const Stream& stream = work.stream();
    if (may_overlap(dst, src)) {
        const Layout dense = dense_like(src);
        const DeviceTemp temp(static_cast<std::size_t>(src.nbytes()), stream);
        copy_on_device(plan_copy(dense, src.layout(), itemsize), temp.data(), src.data(), stream);
        copy_on_device(plan_copy(dst.layout(), dense, itemsize), dst.data(), temp.data(), stream);
    } else {
        const CopyPlan plan = plan_copy(dst.layout(), src.layout(), itemsize);
        copy_on_device(plan, dst.data(), src.data(), stream);
    }
    work.done();
}

void copy_across(const View& dst, const View& src, const Stream& asked) {
    const bool to_host = dst.device().type != DeviceType::cuda;
    const View& host = to_host ? dst : src;
    const View& device = to_host ? src : dst;
    const Stream stream = work_stream(device.device().id, asked, dst.stream(), src.stream());
    if (!host.suboffsets()) return Crossing(host, device, to_host, stream).run();
    const View dense = dense_on(Device{}, host, host.format(), Order::C, {});
    if (!to_host) copy_on_host(dense, host);
    Crossing(dense, device, to_host, stream).run();
    if (to_host) copy_on_host(host, dense);
}

}  // namespace devview::cuda
