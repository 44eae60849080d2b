// The seam: one table of CUDA runtime calls and kernels, filled by the real runtime or the
// emulator.
//
// Nothing in cuda/ calls a cuda* function by name but the real filler. A process has one runtime,
// chosen at its first use, and keeps it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "devview/copy_plan.hpp"
#include "devview/cuda/abi.hpp"
#include "devview/export.hpp"
#include "devview/number.hpp"

namespace devview::cuda {

// CUDA 13 tells the edges' data as well.
#if CUDART_VERSION >= 13000
#define DEVVIEW_CUDA_CAPTURE_INFO                                               \
    (cudaStream_t, cudaStreamCaptureStatus*, unsigned long long*, cudaGraph_t*, \
     const cudaGraphNode_t**, const cudaGraphEdgeData**, std::size_t*)
#else
#define DEVVIEW_CUDA_CAPTURE_INFO                                               \
    (cudaStream_t, cudaStreamCaptureStatus*, unsigned long long*, cudaGraph_t*, \
     const cudaGraphNode_t**, std::size_t*)
#endif

/// The runtime's functions that devview uses, with the runtime's own signatures. X(name,
/// parameters) with the name less its "cuda" prefix; fillers, the call log and fault injection
/// share this list.
#define DEVVIEW_CUDA_CALLS(X)                                                                 \
    X(GetDeviceCount, (int*))                                                                 \
    X(GetDevice, (int*))                                                                      \
    X(SetDevice, (int))                                                                       \
    X(DeviceGetAttribute, (int*, cudaDeviceAttr, int))                                        \
    X(DeviceSynchronize, ())                                                                  \
    X(DeviceCanAccessPeer, (int*, int, int))                                                  \
    X(DeviceEnablePeerAccess, (int, unsigned))                                                \
    X(DriverGetVersion, (int*))                                                               \
    X(RuntimeGetVersion, (int*))                                                              \
    X(GetLastError, ())                                                                       \
    X(PeekAtLastError, ())                                                                    \
    X(MemGetInfo, (std::size_t*, std::size_t*))                                               \
    X(Malloc, (void**, std::size_t))                                                          \
    X(Free, (void*))                                                                          \
    X(MallocAsync, (void**, std::size_t, cudaStream_t))                                       \
    X(FreeAsync, (void*, cudaStream_t))                                                       \
    X(MallocFromPoolAsync, (void**, std::size_t, cudaMemPool_t, cudaStream_t))                \
    X(DeviceGetDefaultMemPool, (cudaMemPool_t*, int))                                         \
    X(MemPoolCreate, (cudaMemPool_t*, const cudaMemPoolProps*))                               \
    X(MemPoolDestroy, (cudaMemPool_t))                                                        \
    X(MemPoolTrimTo, (cudaMemPool_t, std::size_t))                                            \
    X(MemPoolSetAttribute, (cudaMemPool_t, cudaMemPoolAttr, void*))                           \
    X(MemPoolGetAttribute, (cudaMemPool_t, cudaMemPoolAttr, void*))                           \
    X(MemPoolSetAccess, (cudaMemPool_t, const cudaMemAccessDesc*, std::size_t))               \
    X(MemPoolExportToShareableHandle,                                                         \
      (void*, cudaMemPool_t, cudaMemAllocationHandleType, unsigned))                          \
    X(MemPoolImportFromShareableHandle,                                                       \
      (cudaMemPool_t*, void*, cudaMemAllocationHandleType, unsigned))                         \
    X(MemPoolExportPointer, (cudaMemPoolPtrExportData*, void*))                               \
    X(MemPoolImportPointer, (void**, cudaMemPool_t, cudaMemPoolPtrExportData*))               \
    X(HostAlloc, (void**, std::size_t, unsigned))                                             \
    X(FreeHost, (void*))                                                                      \
    X(MallocManaged, (void**, std::size_t, unsigned))                                         \
    X(PointerGetAttributes, (cudaPointerAttributes*, const void*))                            \
    X(MemcpyAsync, (void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t))           \
    X(Memcpy2DAsync, (void*, std::size_t, const void*, std::size_t, std::size_t, std::size_t, \
                      cudaMemcpyKind, cudaStream_t))                                          \
    X(Memcpy3DAsync, (const cudaMemcpy3DParms*, cudaStream_t))                                \
    X(MemcpyPeerAsync, (void*, int, const void*, int, std::size_t, cudaStream_t))             \
    X(MemsetAsync, (void*, int, std::size_t, cudaStream_t))                                   \
    X(StreamCreateWithFlags, (cudaStream_t*, unsigned))                                       \
    X(StreamDestroy, (cudaStream_t))                                                          \
    X(StreamSynchronize, (cudaStream_t))                                                      \
    X(StreamQuery, (cudaStream_t))                                                            \
    X(StreamWaitEvent, (cudaStream_t, cudaEvent_t, unsigned))                                 \
    X(StreamIsCapturing, (cudaStream_t, cudaStreamCaptureStatus*))                            \
    X(StreamGetCaptureInfo, DEVVIEW_CUDA_CAPTURE_INFO)                                        \
    X(StreamBeginCapture, (cudaStream_t, cudaStreamCaptureMode))                              \
    X(StreamEndCapture, (cudaStream_t, cudaGraph_t*))                                         \
    X(ThreadExchangeStreamCaptureMode, (cudaStreamCaptureMode*))                              \
    X(GraphInstantiate, (cudaGraphExec_t*, cudaGraph_t, unsigned long long))                  \
    X(GraphLaunch, (cudaGraphExec_t, cudaStream_t))                                           \
    X(GraphExecDestroy, (cudaGraphExec_t))                                                    \
    X(GraphDestroy, (cudaGraph_t))                                                            \
    X(LaunchHostFunc, (cudaStream_t, cudaHostFn_t, void*))                                    \
    X(EventCreateWithFlags, (cudaEvent_t*, unsigned))                                         \
    X(EventDestroy, (cudaEvent_t))                                                            \
    X(EventRecord, (cudaEvent_t, cudaStream_t))                                               \
    X(EventQuery, (cudaEvent_t))                                                              \
    X(EventSynchronize, (cudaEvent_t))                                                        \
    X(EventElapsedTime, (float*, cudaEvent_t, cudaEvent_t))

/// Items of a fill are passed by value; larger ones are broadcast by a strided copy.
constexpr std::int64_t kMaxFillBytes = 64;
struct FillItem {
    std::int64_t nbytes;
    alignas(16) unsigned char bytes[kMaxFillBytes];
};

/// The kernels. Each enqueues one launch on `stream` of the current device and returns its status.
/// Pointers are the views' data pointers (the plan's shifts are applied inside). `first` and
/// `units` choose a run of units in the plan's order, so that a large pack can be done in slices.
struct KernelTable {
    /// Strided source to a dense destination: unit k of the run goes to dst + k * plan.unit.
    cudaError_t (*pack)(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                        std::int64_t units, cudaStream_t stream);
    /// Dense source to a strided destination.
    cudaError_t (*unpack)(const CopyPlan& plan, void* dst, const void* src, std::int64_t first,
                          std::int64_t units, cudaStream_t stream);
    /// Strided to strided, the whole plan.
    cudaError_t (*copy)(const CopyPlan& plan, void* dst, const void* src, cudaStream_t stream);
    /// `item` to every unit of the plan's destination (plan.unit == item.nbytes).
    cudaError_t (*fill)(const CopyPlan& plan, void* dst, const FillItem& item, cudaStream_t stream);
    /// Numbers converted by value, the whole of a plan_items(); neither type a long double.
    cudaError_t (*cast)(const CopyPlan& plan, void* dst, const NumberType& to, const void* src,
                        const NumberType& from, cudaStream_t stream);
    /// As copy, with the bytes of every `part` (2, 4, 8 or 16) in the other order; plan.unit is
    /// whole parts.
    cudaError_t (*byteswap)(const CopyPlan& plan, void* dst, const void* src, unsigned part,
                            cudaStream_t stream);
    /// *different, in memory that the device writes, becomes 1 if an item of `a` (the plan's dst
    /// side) does not equal its partner in `b`, and stays as it is otherwise. Numbers as
    /// equal_host() has them; both types `none`: bytes. The plan is a plan_pairs() of the items'
    /// size, or of size 1 where the sides' sizes differ; neither type a long double.
    cudaError_t (*compare)(const CopyPlan& plan, const void* a, const NumberType& a_type,
                           const void* b, const NumberType& b_type, std::uint32_t* different,
                           cudaStream_t stream);
};

struct Runtime {
#define DEVVIEW_CUDA_ENTRY(name, parameters) cudaError_t(*name) parameters;
    DEVVIEW_CUDA_CALLS(DEVVIEW_CUDA_ENTRY)
#undef DEVVIEW_CUDA_ENTRY
    const char* (*GetErrorName)(cudaError_t);
    const char* (*GetErrorString)(cudaError_t);
    /// Name of a device ("NVIDIA H100", "devview emulated device"), at most `size` bytes with NUL.
    cudaError_t (*DeviceName)(char* name, int size, int device);
    KernelTable kernels;
    bool emulated;
};

/// The runtime of this process. The first call decides: the emulator if emulate() came before or
/// DEVVIEW_EMULATE_CUDA=N is set (N devices), else the real one. Never throws for want of a driver:
/// then every call of the table returns its error.
DEVVIEW_CUDA_API const Runtime& runtime();

/// True once runtime() was called.
DEVVIEW_CUDA_API bool runtime_chosen() noexcept;

struct EmulatorOptions {
    int devices = 1;                 ///< 1..16
    std::size_t memory = 0;          ///< bytes a device; 0: 4 GiB
    std::int64_t delay_us = 0;       ///< sleep of a stream's worker before every operation
    bool lazy = false;               ///< streams run only as far as somebody waits for or asks them
    bool recycle_streams = false;    ///< a new stream gets the handle of the one destroyed last
    bool peer_access = true;         ///< devices can reach each other's memory once enabled
    bool concurrent_managed = true;  ///< cudaDevAttrConcurrentManagedAccess
    bool hasty = false;              ///< out of memory at once: no trim, no wait for queued frees
    std::size_t addresses = 0;       ///< bytes of addresses a device, then reused; 0: 64 GiB
};

/// Chooses the emulator for this process; again only when nothing of it is alive (it then starts
/// anew with the new options).
/// @throws BufferError  something emulated is alive (names the count); DeviceError  the real
/// runtime is in use; LayoutError  options out of range.
DEVVIEW_CUDA_API void emulate(const EmulatorOptions& options);

/// Names a function that empties a cache of emulated objects (streams, events, pinned blocks).
/// emulate() calls all of them, in order, before it counts what is alive. Never unregistered.
DEVVIEW_CUDA_API void at_restart(void (*drop_caches)());

/// The real filler's table; built without CUDA, every call returns cudaErrorNotSupported.
const Runtime& real_runtime();

}  // namespace devview::cuda
