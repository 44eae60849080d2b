// Two pinned chunks between the streams of two devices.
#include "src/copy/staged_peer_copy.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "src/runtime/check.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

constexpr std::int64_t kSmallestChunk = std::int64_t{64} << 10;
constexpr std::int64_t kLargestChunk = std::int64_t{4} << 20;

Stream stream_of(int device, const Stream& home) {
    return device_of(home) == device ? home : legacy_stream(device);
}

void enqueue(void* dst, const void* src, std::int64_t nbytes, cudaMemcpyKind kind,
             const Stream& stream) {
    const DeviceGuard guard(device_of(stream));
    check(
        runtime().MemcpyAsync(dst, src, static_cast<std::size_t>(nbytes), kind, handle_of(stream)),
        "memcpy");
}

class Relay {
public:
    Relay(int dst_device, int src_device, std::int64_t nbytes, const Stream& home)
        : source_(stream_of(src_device, home)), target_(stream_of(dst_device, home)) {
        take_chunks(nbytes);
        link(home, source_);
    }

    /// After an exception the devices may still work on the chunks.
    ~Relay() {
        if (finished_) return;
        quiesce(source_);
        quiesce(target_);
    }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    void run(char* dst, const char* src, std::int64_t nbytes) {
        for (std::size_t turn = 0; nbytes > 0; ++turn) {
            const std::int64_t part = std::min(size_, nbytes);
            pass(turn % chunks_.size(), dst, src, part);
            dst += part;
            src += part;
            nbytes -= part;
        }
    }

    /// The target is behind every read of the source.
    void finish(const Stream& home) {
        link(target_, home);
        finished_ = true;
    }

private:
    /// Two that fit under the limit together; else the first waits for itself.
    void take_chunks(std::int64_t nbytes) {
        const auto most = static_cast<std::int64_t>(
            std::min(pinned_limit() / 2, static_cast<std::size_t>(kLargestChunk)));
        size_ = kSmallestChunk;
        while (size_ < nbytes && 2 * size_ <= most)
            size_ *= 2;
        for (; size_ >= kSmallestChunk; size_ /= 2) {
            chunks_[0] = PinnedBlock::take(static_cast<std::size_t>(size_));
            if (chunks_[0]) break;
        }
        if (!chunks_[0]) no_room();
        if (nbytes > size_) chunks_[1] = PinnedBlock::take(static_cast<std::size_t>(size_));
    }

    [[noreturn]] static void no_room() {
        const PinnedGauge gauge = pinned_gauge();
        throw OutOfMemory(
            "copy: between devices without peer copies: " + std::to_string(kSmallestChunk) +
                " pinned bytes requested, " + std::to_string(gauge.live_bytes) + " used, limit " +
                std::to_string(gauge.limit_bytes),
            static_cast<std::size_t>(kSmallestChunk), gauge.live_bytes, gauge.limit_bytes);
    }

    void pass(std::size_t turn, char* dst, const char* src, std::int64_t nbytes) {
        const std::size_t k = chunks_[turn] ? turn : 0;
        if (emptied_[k]) emptied_[k].order(source_);
        enqueue(chunks_[k].data(), src, nbytes, cudaMemcpyDeviceToHost, source_);
        link(source_, target_);
        enqueue(dst, chunks_[k].data(), nbytes, cudaMemcpyHostToDevice, target_);
        emptied_[k] = Event::record(target_);
        chunks_[k].busy_until(emptied_[k]);
    }

    Stream source_;
    Stream target_;
    std::array<PinnedBlock, 2> chunks_{};
    std::array<Event, 2> emptied_{};
    std::int64_t size_ = 0;
    bool finished_ = false;
};

}  // namespace

void staged_peer_copy(PeerSide dst, PeerSide src, std::int64_t nbytes, const Stream& home) {
    Relay relay(dst.device, src.device, nbytes, home);
    relay.run(static_cast<char*>(dst.data), static_cast<const char*>(src.data), nbytes);
    relay.finish(home);
}

}  // namespace devview::cuda
