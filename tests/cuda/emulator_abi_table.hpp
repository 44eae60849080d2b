// Values, sizes and offsets of the types in abi.hpp, listed by every translation unit that asks.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

struct AbiNumber {
    std::string name;
    long long value;
};
using AbiNumbers = std::vector<AbiNumber>;

#define ABI_VALUE(name) \
    AbiNumber { #name, static_cast < long long>(name) }
#define ABI_SIZE(type) \
    AbiNumber { "sizeof " #type, static_cast<long long>(sizeof(type)) }
#define ABI_FIELD(type, field) \
    AbiNumber { #type "." #field, static_cast < long long>(offsetof(type, field)) }

// A macro: each unit expands it with its own declarations.
#define ABI_NUMBERS                                                                                \
    ABI_VALUE(cudaSuccess), ABI_VALUE(cudaErrorInvalidValue),                                      \
        ABI_VALUE(cudaErrorMemoryAllocation), ABI_VALUE(cudaErrorInitializationError),             \
        ABI_VALUE(cudaErrorInvalidPitchValue), ABI_VALUE(cudaErrorInvalidMemcpyDirection),         \
        ABI_VALUE(cudaErrorInsufficientDriver), ABI_VALUE(cudaErrorNoDevice),                      \
        ABI_VALUE(cudaErrorInvalidDevice), ABI_VALUE(cudaErrorPeerAccessUnsupported),              \
        ABI_VALUE(cudaErrorInvalidResourceHandle), ABI_VALUE(cudaErrorNotReady),                   \
        ABI_VALUE(cudaErrorIllegalAddress), ABI_VALUE(cudaErrorPeerAccessAlreadyEnabled),          \
        ABI_VALUE(cudaErrorPeerAccessNotEnabled), ABI_VALUE(cudaErrorSetOnActiveProcess),          \
        ABI_VALUE(cudaErrorLaunchFailure), ABI_VALUE(cudaErrorNotPermitted),                       \
        ABI_VALUE(cudaErrorNotSupported), ABI_VALUE(cudaErrorStreamCaptureUnsupported),            \
        ABI_VALUE(cudaErrorStreamCaptureInvalidated), ABI_VALUE(cudaErrorStreamCaptureMerge),      \
        ABI_VALUE(cudaErrorStreamCaptureUnmatched), ABI_VALUE(cudaErrorStreamCaptureUnjoined),     \
        ABI_VALUE(cudaErrorStreamCaptureIsolation), ABI_VALUE(cudaErrorStreamCaptureImplicit),     \
        ABI_VALUE(cudaErrorCapturedEvent), ABI_VALUE(cudaErrorStreamCaptureWrongThread),           \
        ABI_VALUE(cudaStreamCaptureModeGlobal), ABI_VALUE(cudaStreamCaptureModeThreadLocal),       \
        ABI_VALUE(cudaStreamCaptureModeRelaxed), ABI_SIZE(cudaStreamCaptureMode),                  \
        ABI_SIZE(cudaGraph_t), ABI_SIZE(cudaGraphExec_t), ABI_SIZE(cudaGraphNode_t),               \
        ABI_VALUE(cudaErrorUnknown), ABI_VALUE(cudaMemcpyHostToHost),                              \
        ABI_VALUE(cudaMemcpyHostToDevice), ABI_VALUE(cudaMemcpyDeviceToHost),                      \
        ABI_VALUE(cudaMemcpyDeviceToDevice), ABI_VALUE(cudaMemcpyDefault),                         \
        ABI_VALUE(cudaMemoryTypeUnregistered), ABI_VALUE(cudaMemoryTypeHost),                      \
        ABI_VALUE(cudaMemoryTypeDevice), ABI_VALUE(cudaMemoryTypeManaged),                         \
        ABI_VALUE(cudaStreamDefault), ABI_VALUE(cudaStreamNonBlocking),                            \
        ABI_VALUE(cudaEventDefault), ABI_VALUE(cudaEventBlockingSync),                             \
        ABI_VALUE(cudaEventDisableTiming), ABI_VALUE(cudaEventInterprocess),                       \
        ABI_VALUE(cudaEventWaitDefault), ABI_VALUE(cudaHostAllocDefault),                          \
        ABI_VALUE(cudaHostAllocPortable), ABI_VALUE(cudaHostAllocMapped),                          \
        ABI_VALUE(cudaHostAllocWriteCombined), ABI_VALUE(cudaMemAttachGlobal),                     \
        ABI_VALUE(cudaMemAttachHost), ABI_VALUE(cudaMemAttachSingle), ABI_VALUE(cudaCpuDeviceId),  \
        ABI_VALUE(cudaInvalidDeviceId), ABI_VALUE(cudaStreamCaptureStatusNone),                    \
        ABI_VALUE(cudaStreamCaptureStatusActive), ABI_VALUE(cudaStreamCaptureStatusInvalidated),   \
        ABI_VALUE(cudaMemPoolReuseFollowEventDependencies),                                        \
        ABI_VALUE(cudaMemPoolReuseAllowOpportunistic),                                             \
        ABI_VALUE(cudaMemPoolReuseAllowInternalDependencies),                                      \
        ABI_VALUE(cudaMemPoolAttrReleaseThreshold), ABI_VALUE(cudaMemPoolAttrReservedMemCurrent),  \
        ABI_VALUE(cudaMemPoolAttrReservedMemHigh), ABI_VALUE(cudaMemPoolAttrUsedMemCurrent),       \
        ABI_VALUE(cudaMemPoolAttrUsedMemHigh), ABI_VALUE(cudaMemAllocationTypePinned),             \
        ABI_VALUE(cudaMemHandleTypeNone), ABI_VALUE(cudaMemHandleTypePosixFileDescriptor),         \
        ABI_VALUE(cudaMemHandleTypeFabric), ABI_VALUE(cudaMemLocationTypeDevice),                  \
        ABI_VALUE(cudaMemLocationTypeHost), ABI_VALUE(cudaMemAccessFlagsProtNone),                 \
        ABI_VALUE(cudaMemAccessFlagsProtRead), ABI_VALUE(cudaMemAccessFlagsProtReadWrite),         \
        ABI_VALUE(cudaDevAttrMaxThreadsPerBlock), ABI_VALUE(cudaDevAttrWarpSize),                  \
        ABI_VALUE(cudaDevAttrMaxPitch), ABI_VALUE(cudaDevAttrTextureAlignment),                    \
        ABI_VALUE(cudaDevAttrMultiProcessorCount), ABI_VALUE(cudaDevAttrIntegrated),               \
        ABI_VALUE(cudaDevAttrCanMapHostMemory), ABI_VALUE(cudaDevAttrConcurrentKernels),           \
        ABI_VALUE(cudaDevAttrPciBusId), ABI_VALUE(cudaDevAttrPciDeviceId),                         \
        ABI_VALUE(cudaDevAttrPciDomainId), ABI_VALUE(cudaDevAttrMemoryClockRate),                  \
        ABI_VALUE(cudaDevAttrGlobalMemoryBusWidth), ABI_VALUE(cudaDevAttrL2CacheSize),             \
        ABI_VALUE(cudaDevAttrAsyncEngineCount), ABI_VALUE(cudaDevAttrUnifiedAddressing),           \
        ABI_VALUE(cudaDevAttrComputeCapabilityMajor),                                              \
        ABI_VALUE(cudaDevAttrComputeCapabilityMinor), ABI_VALUE(cudaDevAttrManagedMemory),         \
        ABI_VALUE(cudaDevAttrPageableMemoryAccess), ABI_VALUE(cudaDevAttrConcurrentManagedAccess), \
        ABI_VALUE(cudaDevAttrHostRegisterSupported),                                               \
        ABI_VALUE(cudaDevAttrDirectManagedMemAccessFromHost),                                      \
        ABI_VALUE(cudaDevAttrMemoryPoolsSupported),                                                \
        ABI_VALUE(cudaDevAttrMemoryPoolSupportedHandleTypes),                                      \
        ABI_VALUE(cudaDevAttrIpcEventSupport), ABI_SIZE(cudaError_t), ABI_SIZE(cudaStream_t),      \
        ABI_SIZE(cudaEvent_t), ABI_SIZE(cudaMemPool_t), ABI_SIZE(cudaHostFn_t),                    \
        ABI_SIZE(cudaMemcpyKind), ABI_SIZE(cudaDeviceAttr), ABI_SIZE(cudaMemPoolAttr),             \
        ABI_SIZE(cudaPointerAttributes), ABI_FIELD(cudaPointerAttributes, type),                   \
        ABI_FIELD(cudaPointerAttributes, device), ABI_FIELD(cudaPointerAttributes, devicePointer), \
        ABI_FIELD(cudaPointerAttributes, hostPointer), ABI_SIZE(cudaPos), ABI_FIELD(cudaPos, z),   \
        ABI_SIZE(cudaExtent), ABI_FIELD(cudaExtent, depth), ABI_SIZE(cudaPitchedPtr),              \
        ABI_FIELD(cudaPitchedPtr, pitch), ABI_FIELD(cudaPitchedPtr, ysize),                        \
        ABI_SIZE(cudaMemcpy3DParms), ABI_FIELD(cudaMemcpy3DParms, srcPos),                         \
        ABI_FIELD(cudaMemcpy3DParms, srcPtr), ABI_FIELD(cudaMemcpy3DParms, dstArray),              \
        ABI_FIELD(cudaMemcpy3DParms, dstPos), ABI_FIELD(cudaMemcpy3DParms, dstPtr),                \
        ABI_FIELD(cudaMemcpy3DParms, extent), ABI_FIELD(cudaMemcpy3DParms, kind),                  \
        ABI_SIZE(cudaMemLocation), ABI_FIELD(cudaMemLocation, id), ABI_SIZE(cudaMemAccessDesc),    \
        ABI_FIELD(cudaMemAccessDesc, flags), ABI_SIZE(cudaMemPoolProps),                           \
        ABI_FIELD(cudaMemPoolProps, handleTypes), ABI_FIELD(cudaMemPoolProps, location),           \
        ABI_FIELD(cudaMemPoolProps, win32SecurityAttributes),                                      \
        ABI_FIELD(cudaMemPoolProps, maxSize), ABI_SIZE(cudaMemPoolPtrExportData)

AbiNumbers own_abi_numbers();
