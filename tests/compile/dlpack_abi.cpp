// Our own copy of DLPack's structs and numbers against a released dlpack.h: compiles if they agree.
#include <dlpack/dlpack.h>

#include <cstddef>
#include <type_traits>

#include "devview/device.hpp"
#include "devview/dlpack.hpp"

namespace ours = devview::dlpack;
using devview::DeviceType;

static_assert(ours::kMajor == DLPACK_MAJOR_VERSION, "the major version");
static_assert(ours::kMinor >= DLPACK_MINOR_VERSION, "a later header: look at what it adds");

#define SAME_MEMBER(theirs, theirs_member, mine, mine_member)                       \
    static_assert(offsetof(theirs, theirs_member) == offsetof(mine, mine_member) && \
                      sizeof(theirs::theirs_member) == sizeof(mine::mine_member),   \
                  #theirs "." #theirs_member)
#define SAME_SIZE(theirs, mine) \
    static_assert(sizeof(theirs) == sizeof(mine) && alignof(theirs) == alignof(mine), #theirs)

SAME_SIZE(DLPackVersion, ours::Version);
SAME_MEMBER(DLPackVersion, major, ours::Version, major);
SAME_MEMBER(DLPackVersion, minor, ours::Version, minor);

SAME_SIZE(DLDevice, ours::DeviceTag);
SAME_MEMBER(DLDevice, device_type, ours::DeviceTag, type);
SAME_MEMBER(DLDevice, device_id, ours::DeviceTag, id);

SAME_SIZE(DLDataType, ours::DataType);
SAME_MEMBER(DLDataType, code, ours::DataType, code);
SAME_MEMBER(DLDataType, bits, ours::DataType, bits);
SAME_MEMBER(DLDataType, lanes, ours::DataType, lanes);

SAME_SIZE(DLTensor, ours::Tensor);
SAME_MEMBER(DLTensor, data, ours::Tensor, data);
SAME_MEMBER(DLTensor, device, ours::Tensor, device);
SAME_MEMBER(DLTensor, ndim, ours::Tensor, ndim);
SAME_MEMBER(DLTensor, dtype, ours::Tensor, dtype);
SAME_MEMBER(DLTensor, shape, ours::Tensor, shape);
SAME_MEMBER(DLTensor, strides, ours::Tensor, strides);
SAME_MEMBER(DLTensor, byte_offset, ours::Tensor, byte_offset);

SAME_SIZE(DLManagedTensor, ours::ManagedTensor);
SAME_MEMBER(DLManagedTensor, dl_tensor, ours::ManagedTensor, dl_tensor);
SAME_MEMBER(DLManagedTensor, manager_ctx, ours::ManagedTensor, manager_ctx);
SAME_MEMBER(DLManagedTensor, deleter, ours::ManagedTensor, deleter);

SAME_SIZE(DLManagedTensorVersioned, ours::ManagedTensorVersioned);
SAME_MEMBER(DLManagedTensorVersioned, version, ours::ManagedTensorVersioned, version);
SAME_MEMBER(DLManagedTensorVersioned, manager_ctx, ours::ManagedTensorVersioned, manager_ctx);
SAME_MEMBER(DLManagedTensorVersioned, deleter, ours::ManagedTensorVersioned, deleter);
SAME_MEMBER(DLManagedTensorVersioned, flags, ours::ManagedTensorVersioned, flags);
SAME_MEMBER(DLManagedTensorVersioned, dl_tensor, ours::ManagedTensorVersioned, dl_tensor);
static_assert(ours::kReadOnly == DLPACK_FLAG_BITMASK_READ_ONLY &&
                  ours::kIsCopied == DLPACK_FLAG_BITMASK_IS_COPIED &&
                  ours::kSubbytePadded == DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED,
              "flags");

#define SAME_ENTRY(name) SAME_MEMBER(DLPackExchangeAPI, name, ours::ExchangeApi, name)
SAME_SIZE(DLPackExchangeAPI, ours::ExchangeApi);
SAME_SIZE(DLPackExchangeAPIHeader, ours::ExchangeHeader);
SAME_MEMBER(DLPackExchangeAPIHeader, version, ours::ExchangeHeader, version);
SAME_MEMBER(DLPackExchangeAPIHeader, prev_api, ours::ExchangeHeader, previous);
SAME_ENTRY(header);
SAME_ENTRY(managed_tensor_allocator);
SAME_ENTRY(managed_tensor_from_py_object_no_sync);
SAME_ENTRY(managed_tensor_to_py_object_no_sync);
SAME_ENTRY(dltensor_from_py_object_no_sync);
SAME_ENTRY(current_work_stream);

#define CODE(mine, theirs) static_assert(int(ours::mine) == int(theirs), #theirs)
CODE(kInt, kDLInt);
CODE(kUInt, kDLUInt);
CODE(kFloat, kDLFloat);
CODE(kOpaqueHandle, kDLOpaqueHandle);
CODE(kBfloat, kDLBfloat);
CODE(kComplex, kDLComplex);
CODE(kBool, kDLBool);
CODE(kFloat8_e3m4, kDLFloat8_e3m4);
CODE(kFloat8_e4m3, kDLFloat8_e4m3);
CODE(kFloat8_e4m3b11fnuz, kDLFloat8_e4m3b11fnuz);
CODE(kFloat8_e4m3fn, kDLFloat8_e4m3fn);
CODE(kFloat8_e4m3fnuz, kDLFloat8_e4m3fnuz);
CODE(kFloat8_e5m2, kDLFloat8_e5m2);
CODE(kFloat8_e5m2fnuz, kDLFloat8_e5m2fnuz);
CODE(kFloat8_e8m0fnu, kDLFloat8_e8m0fnu);
CODE(kFloat6_e2m3fn, kDLFloat6_e2m3fn);
CODE(kFloat6_e3m2fn, kDLFloat6_e3m2fn);
CODE(kFloat4_e2m1fn, kDLFloat4_e2m1fn);

#define DEVICE(mine, theirs) static_assert(int(DeviceType::mine) == int(theirs), #theirs)
DEVICE(cpu, kDLCPU);
DEVICE(cuda, kDLCUDA);
DEVICE(cuda_host, kDLCUDAHost);
DEVICE(opencl, kDLOpenCL);
DEVICE(vulkan, kDLVulkan);
DEVICE(metal, kDLMetal);
DEVICE(vpi, kDLVPI);
DEVICE(rocm, kDLROCM);
DEVICE(rocm_host, kDLROCMHost);
DEVICE(ext_dev, kDLExtDev);
DEVICE(cuda_managed, kDLCUDAManaged);
DEVICE(oneapi, kDLOneAPI);
DEVICE(webgpu, kDLWebGPU);
DEVICE(hexagon, kDLHexagon);
DEVICE(maia, kDLMAIA);
DEVICE(trainium, kDLTrn);

// Our functions take the header's own structs.
static_assert(std::is_same_v<decltype(devview::to_dlpack(std::declval<const devview::View&>())),
                             DLManagedTensorVersioned*>,
              "to_dlpack");
