// The pipeline of pinned chunks: the host fills or empties one while the device works on the other.
#include "src/copy/chunked_copy.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "src/copy/host_runs.hpp"
#include "src/copy/packing.hpp"
#include "src/stream/stream.hpp"

namespace devview::cuda {

namespace {

constexpr std::int64_t kSmallestChunk = std::int64_t{64} << 10;
constexpr std::int64_t kMediumChunk = std::int64_t{4} << 20;
constexpr std::int64_t kLargestChunk = std::int64_t{16} << 20;

struct Chunk {
    PinnedBlock pinned{};
    std::unique_ptr<std::byte[]> pageable{};
    Event event{};            ///< the device is done with the chunk
    std::int64_t offset = 0;  ///< of the range that the chunk holds
    std::int64_t nbytes = 0;  ///< 0: holds none

    void* data() const noexcept { return pinned ? pinned.data() : pageable.get(); }
};

/// Few sizes, so that the exact-size cache serves them again; four of the largest fit in the limit.
std::int64_t preferred_chunk(std::int64_t total) {
    const std::int64_t most = total >= 4 * kLargestChunk ? kLargestChunk : kMediumChunk;
    std::int64_t size = kSmallestChunk;
    while (size < total && size < most)
        size *= 2;
    const auto limit = static_cast<std::int64_t>(
        std::min(pinned_limit(), static_cast<std::size_t>(4 * kLargestChunk)));
    while (size > limit / 4 && size > kSmallestChunk)
        size /= 2;
    return size;
}

/// Two chunks used in turn; one where a second does not fit or is not needed. The device packs and
/// sends one while the host works on the other. Where the host's part is the longest, as it is with
/// one thread on most buses, neither a third chunk nor packing beside the bus would gain anything.
class Ring {
public:
    Ring(std::int64_t total, const Stream& stream) : stream_(stream) {
        for (size_ = preferred_chunk(total); size_ >= kSmallestChunk; size_ /= 2) {
            chunks_[0].pinned = PinnedBlock::take(static_cast<std::size_t>(size_));
            if (chunks_[0].pinned) break;
        }
        if (!chunks_[0].pinned) {
            size_ = std::min(kMediumChunk, std::max(total, std::int64_t{1}));
            chunks_[0].pageable = std::make_unique<std::byte[]>(static_cast<std::size_t>(size_));
        } else if (total > size_) {
            chunks_[1].pinned = PinnedBlock::take(static_cast<std::size_t>(size_));
        }
        count_ = chunks_[1].pinned ? 2 : 1;
    }

    /// After an exception the device may still work on the chunks.
    ~Ring() {
        if (busy_) quiesce(stream_);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    std::int64_t size() const noexcept { return size_; }

    /// The chunk whose turn it is; its last range is not dealt with yet.
    Chunk& next() noexcept { return chunks_[turn_++ % count_]; }
    std::size_t count() const noexcept { return count_; }

    /// Before and after the device is given work on a chunk.
    void begin() noexcept { busy_ = true; }
    void enqueued(Chunk& chunk, std::int64_t offset, std::int64_t nbytes) {
        chunk.event = Event::record(stream_);
        chunk.offset = offset;
        chunk.nbytes = nbytes;
    }
    void finished() noexcept { busy_ = false; }

private:
    Stream stream_;
    std::array<Chunk, 2> chunks_{};
    std::int64_t size_ = 0;
    std::size_t count_ = 1;
    std::size_t turn_ = 0;
    bool busy_ = false;
};

/// Calls `each(offset, nbytes)` for ranges that fit a chunk and keep to the grain.
template <class Each>
void for_ranges(std::int64_t total, std::int64_t chunk, std::int64_t grain, const Each& each) {
    const std::int64_t step = chunk / grain * grain;
    for (std::int64_t offset = 0; offset < total; offset += step) {
        each(offset, std::min(step, total - offset));
    }
}

}  // namespace

void chunked_to_host(TransferSide host, TransferSide device, std::int64_t itemsize,
                     const Stream& stream) {
    const std::int64_t total = device.layout.nbytes(itemsize);
    const CopyPlan to_dense = plan_to_dense(host.layout, itemsize);
    Ring ring(total, stream);
    Packing packing(device.data, device.layout, itemsize, ring.size(), stream);
    const auto empty = [&](Chunk& chunk) {
        if (chunk.nbytes == 0) return;
        chunk.event.wait();
        scatter_run(to_dense, host.data, chunk.data(), chunk.offset, chunk.nbytes);
        chunk.nbytes = 0;
    };
    ring.begin();
    for_ranges(total, ring.size(), packing.grain(), [&](std::int64_t offset, std::int64_t nbytes) {
        Chunk& chunk = ring.next();
        empty(chunk);
        packing.to_host(chunk.data(), offset, nbytes);
        ring.enqueued(chunk, offset, nbytes);
    });
    for (std::size_t k = 0; k < ring.count(); ++k)
        empty(ring.next());
    ring.finished();
}

void chunked_to_device(TransferSide device, TransferSide host, std::int64_t itemsize,
                       const Stream& stream) {
    const std::int64_t total = device.layout.nbytes(itemsize);
    const CopyPlan to_dense = plan_to_dense(host.layout, itemsize);
    Ring ring(total, stream);
    Packing packing(device.data, device.layout, itemsize, ring.size(), stream);
    ring.begin();
    for_ranges(total, ring.size(), packing.grain(), [&](std::int64_t offset, std::int64_t nbytes) {
        Chunk& chunk = ring.next();
        chunk.event.wait();
        gather_run(to_dense, chunk.data(), host.data, offset, nbytes);
        packing.from_host(chunk.data(), offset, nbytes);
        ring.enqueued(chunk, offset, nbytes);
    });
    for (std::size_t k = 0; k < ring.count(); ++k)
        ring.next().event.wait();
    ring.finished();
}

}  // namespace devview::cuda
