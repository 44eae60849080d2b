// Calls that copy and fill: their arguments turned into boxes.
#include "emulator/api.hpp"
#include "emulator/copy_engine.hpp"

namespace devview::cuda::emulator::api {
namespace {

// cudaDevAttrMaxPitch: of every device so far.
constexpr std::size_t kLongestPitch = 2147483647;

// Pointers only: rows of bytes, `pos.x` in bytes.
Side side_of(const cudaPitchedPtr& pointer, const cudaPos& pos) {
    const std::size_t slice = pointer.pitch * pointer.ysize;
    const auto* base = static_cast<const char*>(pointer.ptr);
    return {base ? base + pos.z * slice + pos.y * pointer.pitch + pos.x : nullptr, pointer.pitch,
            slice};
}

cudaError_t check_side(const cudaPitchedPtr& pointer, const cudaPos& pos,
                       const cudaExtent& extent) {
    if (pointer.pitch > kLongestPitch) return cudaErrorInvalidPitchValue;
    const bool rows = extent.height > 1 || extent.depth > 1;
    if (rows && extent.width + pos.x > pointer.pitch) return cudaErrorInvalidPitchValue;
    if (extent.depth > 1 && extent.height + pos.y > pointer.ysize) return cudaErrorInvalidValue;
    return cudaSuccess;
}

}  // namespace

cudaError_t MemcpyAsync(void* dst, const void* src, std::size_t nbytes, cudaMemcpyKind kind,
                        cudaStream_t stream) {
    return submit_copy("cudaMemcpyAsync", {dst, 0, 0}, {src, 0, 0}, {nbytes, 1, 1}, kind, stream,
                       Actor::copy);
}

cudaError_t Memcpy2DAsync(void* dst, std::size_t dst_pitch, const void* src, std::size_t src_pitch,
                          std::size_t width, std::size_t height, cudaMemcpyKind kind,
                          cudaStream_t stream) {
    if (width > dst_pitch || width > src_pitch) return cudaErrorInvalidPitchValue;
    if (dst_pitch > kLongestPitch || src_pitch > kLongestPitch) return cudaErrorInvalidPitchValue;
    return submit_copy("cudaMemcpy2DAsync", {dst, dst_pitch, 0}, {src, src_pitch, 0},
                       {width, height, 1}, kind, stream, Actor::copy);
}

cudaError_t Memcpy3DAsync(const cudaMemcpy3DParms* p, cudaStream_t stream) {
    if (!p) return cudaErrorInvalidValue;
    if (p->srcArray || p->dstArray) return cudaErrorNotSupported;
    if (const cudaError_t error = check_side(p->dstPtr, p->dstPos, p->extent)) return error;
    if (const cudaError_t error = check_side(p->srcPtr, p->srcPos, p->extent)) return error;
    return submit_copy(
        "cudaMemcpy3DAsync", side_of(p->dstPtr, p->dstPos), side_of(p->srcPtr, p->srcPos),
        {p->extent.width, p->extent.height, p->extent.depth}, p->kind, stream, Actor::copy);
}

cudaError_t MemcpyPeerAsync(void* dst, int dst_device, const void* src, int src_device,
                            std::size_t nbytes, cudaStream_t stream) {
    {
        const Lock lock(machine().mutex);
        if (!machine().device(dst_device) || !machine().device(src_device)) {
            return cudaErrorInvalidDevice;
        }
        const Block* to = machine().blocks.find(address_of(dst));
        const Block* from = machine().blocks.find(address_of(src));
        if ((to && to->place == Place::device && to->device != dst_device) ||
            (from && from->place == Place::device && from->device != src_device)) {
            return cudaErrorInvalidValue;
        }
    }
    return submit_copy("cudaMemcpyPeerAsync", {dst, 0, 0}, {src, 0, 0}, {nbytes, 1, 1},
                       cudaMemcpyDeviceToDevice, stream, Actor::peer_copy);
}

cudaError_t MemsetAsync(void* dst, int value, std::size_t nbytes, cudaStream_t stream) {
    return submit_fill("cudaMemsetAsync", dst, value, nbytes, stream);
}

}  // namespace devview::cuda::emulator::api
