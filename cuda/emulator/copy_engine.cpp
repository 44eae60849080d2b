// Checks at the call, staging of pageable sources, and the copy itself on the stream's worker.
#include "emulator/copy_engine.hpp"

#include <cstring>
#include <vector>

#include "emulator/capture.hpp"

namespace devview::cuda::emulator {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 46;

// Bytes from the first to behind the last; false if that is absurd.
bool extent_of(const Side& side, const Box& box, std::size_t& result) {
    std::size_t rows = 0;
    std::size_t slices = 0;
    return !__builtin_mul_overflow(box.height - 1, side.pitch, &rows) &&
           !__builtin_mul_overflow(box.depth - 1, side.slice, &slices) &&
           !__builtin_add_overflow(rows, slices, &result) &&
           !__builtin_add_overflow(result, box.width, &result) && result <= kLargest;
}

void copy_box(void* dst, const Side& dst_side, const void* src, const Side& src_side,
              const Box& box) {
    const DeviceWork unseen;
    for (std::size_t z = 0; z < box.depth; ++z) {
        for (std::size_t y = 0; y < box.height; ++y) {
            std::memmove(static_cast<char*>(dst) + z * dst_side.slice + y * dst_side.pitch,
                         static_cast<const char*>(src) + z * src_side.slice + y * src_side.pitch,
                         box.width);
        }
    }
}

bool host_side(Place place) { return place != Place::device; }
bool device_side(Place place) { return place != Place::pageable; }

cudaError_t check_kind(cudaMemcpyKind kind, Place dst, Place src) {
    bool right = false;
    switch (kind) {
        case cudaMemcpyHostToHost:
            right = host_side(dst) && host_side(src);
            break;
        case cudaMemcpyHostToDevice:
            right = device_side(dst) && host_side(src);
            break;
        case cudaMemcpyDeviceToHost:
            right = host_side(dst) && device_side(src);
            break;
        case cudaMemcpyDeviceToDevice:
            right = device_side(dst) && device_side(src);
            break;
        case cudaMemcpyDefault:
            right = true;
            break;
        default:
            return cudaErrorInvalidMemcpyDirection;
    }
    return right ? cudaSuccess : cudaErrorInvalidValue;
}

struct Transfer {
    Side dst;
    Side src;
    Box box;
    std::size_t dst_extent = 0;
    std::size_t src_extent = 0;
    std::vector<unsigned char> staged{};  ///< the source's bytes, if it was pageable
    bool is_staged = false;
    const char* name = "";
    int device = 0;
    Actor actor = Actor::copy;
};

void stage(Transfer& transfer) {
    const Box& box = transfer.box;
    transfer.staged.resize(box.width * box.height * box.depth);
    const Side dense{transfer.staged.data(), box.width, box.width * box.height};
    copy_box(transfer.staged.data(), dense, transfer.src.base, transfer.src, box);
    transfer.src = dense;
    transfer.is_staged = true;
}

cudaError_t run(const Transfer& transfer) {
    const Access reads{transfer.name, transfer.device, transfer.actor, false};
    const Access writes{transfer.name, transfer.device, transfer.actor, true};
    Lock lock(machine().mutex);
    Target src;
    if (transfer.is_staged) {
        src.at = const_cast<void*>(transfer.src.base);
    } else {
        src = resolve(reads, transfer.src.base, 0, static_cast<std::int64_t>(transfer.src_extent));
    }
    Target dst;
    if (src.at) {
        dst = resolve(writes, transfer.dst.base, 0, static_cast<std::int64_t>(transfer.dst_extent));
    }
    const bool allowed = src.at && dst.at;
    lock.unlock();
    if (allowed) copy_box(dst.at, transfer.dst, src.at, transfer.src, transfer.box);
    lock.lock();
    let_go(src);
    let_go(dst);
    return allowed ? cudaSuccess : cudaErrorIllegalAddress;
}

// What the call must do about the host's memory before it returns.
struct Manner {
    bool stage = false;
    bool wait = false;
};

Manner manner(Place dst, Place src) {
    if (host_side(dst) && host_side(src) && dst != Place::managed && src != Place::managed) {
        return {false, true};
    }
    return {src == Place::pageable, dst == Place::pageable};
}

cudaError_t enqueue_transfer(Lock& lock, const std::shared_ptr<StreamState>& stream,
                             std::shared_ptr<Transfer> transfer, bool wait) {
    transfer->device = stream->device;
    Operation operation;
    operation.kind = OperationKind::copy;
    operation.name = transfer->name;
    operation.run = [transfer] { return run(*transfer); };
    const Ticket ticket = enqueue(stream, std::move(operation));
    if (!wait || stream->capture) return cudaSuccess;
    wait_finished(lock, stream, ticket);
    return machine().device(stream->device)->sticky;
}

}  // namespace

cudaError_t submit_copy(const char* name, const Side& dst, const Side& src, const Box& box,
                        cudaMemcpyKind kind, cudaStream_t handle, Actor actor) {
    Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    if (static_cast<int>(kind) < 0 || kind > cudaMemcpyDefault)
        return cudaErrorInvalidMemcpyDirection;
    if (box.empty()) return cudaSuccess;
    auto transfer = std::make_shared<Transfer>();
    transfer->dst = dst;
    transfer->src = src;
    transfer->box = box;
    transfer->name = name;
    transfer->actor = actor;
    if (!dst.base || !src.base || !extent_of(dst, box, transfer->dst_extent) ||
        !extent_of(src, box, transfer->src_extent)) {
        return cudaErrorInvalidValue;
    }
    const Place to = place_of(address_of(dst.base));
    const Place from = place_of(address_of(src.base));
    if (const cudaError_t error = check_kind(kind, to, from)) return error;
    const Manner how = manner(to, from);
    // A replay would find other bytes in pageable memory, or none.
    if (stream->capture && (to == Place::pageable || from == Place::pageable)) {
        return refuse_captured(*stream->capture);
    }
    if (how.stage) {
        lock.unlock();
        stage(*transfer);
        lock.lock();
        if (const cudaError_t error = usable_stream(handle, stream)) return error;
    }
    return enqueue_transfer(lock, stream, std::move(transfer), how.wait);
}

cudaError_t submit_fill(const char* name, void* dst, int value, std::size_t nbytes,
                        cudaStream_t handle) {
    const Lock lock(machine().mutex);
    std::shared_ptr<StreamState> stream;
    if (const cudaError_t error = usable_stream(handle, stream)) return error;
    if (nbytes == 0) return cudaSuccess;
    if (!device_side(place_of(address_of(dst))) || nbytes > kLargest) return cudaErrorInvalidValue;
    Operation operation;
    operation.kind = OperationKind::memset;
    operation.name = name;
    const Access access{name, stream->device, Actor::copy, true};
    operation.run = [access, dst, value, nbytes] {
        Lock inner(machine().mutex);
        const Target target = resolve(access, dst, 0, static_cast<std::int64_t>(nbytes));
        if (!target.at) return cudaErrorIllegalAddress;
        inner.unlock();
        {
            const DeviceWork unseen;
            std::memset(target.at, value, nbytes);
        }
        inner.lock();
        let_go(target);
        return cudaSuccess;
    };
    enqueue(stream, std::move(operation));
    return cudaSuccess;
}

}  // namespace devview::cuda::emulator
