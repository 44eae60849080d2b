// Copies between two devices: dense bytes by a peer copy; what one pitched copy or one kernel can
// write to the peer by that, where the devices reach each other; the rest packed, and unpacked
// where it landed.
#include <cstdint>

#include "devview/copy_plan.hpp"
#include "src/copy/copy_routes.hpp"
#include "src/copy/packing.hpp"
#include "src/copy/peer_access.hpp"
#include "src/copy/pitched_copy.hpp"
#include "src/copy/staged_peer_copy.hpp"
#include "src/memory/device_memory.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"
#include "src/stream/work.hpp"

namespace devview::cuda {

namespace {

bool belongs(const Stream& stream, const View& view) noexcept {
    return stream && stream.device() == view.device();
}

/// Either device's stream will do; the destination's is preferred.
Stream choose_stream(const View& dst, const View& src, const Stream& asked) {
    if (asked) return asked;
    if (durable(dst.stream()) && belongs(dst.stream(), dst)) return dst.stream();
    if (durable(src.stream()) && belongs(src.stream(), src)) return src.stream();
    return legacy_stream(dst.device().id);
}

Stream stream_beside(const Stream& chosen, const View& view) {
    return belongs(chosen, view) ? chosen : work_stream(view.device().id, {}, view.stream());
}

/// Words of a driver for "not between these two": then we do what it does elsewhere by itself.
bool refuses_peers(cudaError_t status) noexcept {
    return status == cudaErrorPeerAccessUnsupported || status == cudaErrorNotSupported ||
           status == cudaErrorNotPermitted;
}

/// cudaMemcpyPeerAsync needs no access: without it, the driver stages.
void peer_copy(PeerSide dst, PeerSide src, std::int64_t nbytes, const Stream& stream) {
    const DeviceGuard guard(device_of(stream));
    const cudaError_t status =
        runtime().MemcpyPeerAsync(dst.data, dst.device, src.data, src.device,
                                  static_cast<std::size_t>(nbytes), handle_of(stream));
    if (refuses_peers(status)) {
        clear_error(status);
        return staged_peer_copy(dst, src, nbytes, stream);
    }
    check(status, "memcpy peer");
}

void copy_dense(const CopyPlan& plan, const View& dst, const View& src, const Stream& stream) {
    Work work(stream);
    work.uses(*src.allocation());
    work.uses(*dst.allocation());
    peer_copy({static_cast<char*>(dst.data()) + plan.dst_shift, dst.device().id},
              {static_cast<char*>(src.data()) + plan.src_shift, src.device().id},
              plan.unit * plan.count, stream);
    work.done();
}

/// One copy engine reads here and writes there.
void copy_pitched_to_peer(const CopyPlan& plan, const View& dst, const View& src,
                          const Stream& stream) {
    Work work(stream);
    work.uses(*src.allocation());
    work.uses(*dst.allocation());
    copy_pitched(plan, dst.data(), src.data(), cudaMemcpyDeviceToDevice, stream);
    work.done();
}

/// A warp's store of 4 bytes a thread, and a line of the cache: what is written to a peer in less
/// travels in many small packets.
constexpr std::int64_t kShortestPeerRun = 128;

/// The destination without gaps, in the order in which a kernel writes it.
bool writes_long_runs(const CopyPlan& plan) noexcept {
    std::int64_t run = plan.unit;
    for (int axis = plan.ndim - 1; axis >= 0 && plan.dst_strides[axis] == run; --axis)
        run *= plan.extents[axis];
    return run >= kShortestPeerRun;
}

/// A kernel of the source's device: it gathers at home and writes whole lines to the peer. Writes
/// are sent and forgotten, while reads from a peer would wait for their answer; so there is no such
/// way for a strided destination.
void copy_by_kernel(const CopyPlan& plan, const View& dst, const View& src, const Stream& home) {
    const Stream stream = stream_beside(home, src);
    link(home, stream);
    Work work(stream);
    work.uses(*src.allocation());
    work.uses(*dst.allocation());
    check(runtime().kernels.copy(plan, dst.data(), src.data(), handle_of(stream)), "copy kernel");
    link(stream, home);
    work.done();
}

/// Waits on the host if the work broke off: the temporaries go back in the order of one stream
/// only.
class Streams {
public:
    Streams(const Stream& home, const Stream& source, const Stream& target)
        : home_(home), source_(source), target_(target) {
        link(home, source);
        link(home, target);
    }
    ~Streams() {
        if (finished_) return;
        for (const Stream* stream : {&source_, &home_, &target_})
            quiesce(*stream);
    }
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    void before_peer_copy() {
        link(source_, home_);
        link(target_, home_);
    }
    void after_peer_copy() {
        link(home_, source_);
        link(home_, target_);
    }
    void finish() {
        link(target_, home_);
        finished_ = true;
    }

private:
    const Stream& home_;
    const Stream& source_;
    const Stream& target_;
    bool finished_ = false;
};

void copy_packed(const View& dst, const View& src, const Stream& home) {
    const std::int64_t itemsize = dst.itemsize();
    const std::int64_t nbytes = dst.nbytes();
    const Stream source = stream_beside(home, src);
    const Stream target = stream_beside(home, dst);
    Work reads(source);
    reads.uses(*src.allocation());
    Work writes(target);
    writes.uses(*dst.allocation());
    DeviceTemp packed, landed;
    Streams streams(home, source, target);
    void* from = src.data();
    void* to = dst.data();
    const Layout dense = Layout::contiguous(src.ndim(), src.shape(), itemsize);
    if (!src.contiguous()) {
        packed = DeviceTemp(static_cast<std::size_t>(nbytes), source);
        from = packed.data();
        copy_on_device(plan_copy(dense, src.layout(), itemsize), from, src.data(), source);
    }
    if (!dst.contiguous()) {
        landed = DeviceTemp(static_cast<std::size_t>(nbytes), target);
        to = landed.data();
    }
    streams.before_peer_copy();
    peer_copy({to, dst.device().id}, {from, src.device().id}, nbytes, home);
    streams.after_peer_copy();
    if (to != dst.data()) {
        copy_on_device(plan_copy(dst.layout(), dense, itemsize), dst.data(), to, target);
    }
    streams.finish();
    writes.done();
    reads.done();
}

}  // namespace

void copy_between_devices(const View& dst, const View& src, const Stream& asked) {
    const Stream home = choose_stream(dst, src, asked);
    enable_peer_access(src.device().id, dst.device().id, home);
    const CopyPlan plan = plan_copy(dst.layout(), src.layout(), dst.itemsize());
    if (plan.contiguous()) return copy_dense(plan, dst, src, home);
    const int here = device_of(home);
    if (copies_pitched(plan) && reaches(here, *dst.allocation()) &&
        reaches(here, *src.allocation())) {
        return copy_pitched_to_peer(plan, dst, src, home);
    }
    const bool by_kernel = writes_long_runs(plan) && reaches(src.device().id, *dst.allocation());
    if (!by_kernel || !belongs(home, src)) {
        require_no_capture("copy", home, "packing on another device takes a stream of that device");
    }
    if (by_kernel) return copy_by_kernel(plan, dst, src, home);
    copy_packed(dst, src, home);
}

}  // namespace devview::cuda
