// DLPack 1.3 as it lies in memory: structs, flags and enumerators, under names of our own, so that
// a program's own dlpack.h can be included beside it. tests hold it against a released dlpack.h.
#pragma once

#include <cstdint>

// The tags of dlpack.h; public functions name these.
struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace devview::dlpack {

inline constexpr std::uint32_t kMajor = 1;
inline constexpr std::uint32_t kMinor = 3;

/// DLManagedTensorVersioned::flags.
inline constexpr std::uint64_t kReadOnly = 1u << 0;
inline constexpr std::uint64_t kIsCopied = 1u << 1;       ///< the consumer is the only owner
inline constexpr std::uint64_t kSubbytePadded = 1u << 2;  ///< else items under 8 bits are packed

/// DLDataTypeCode.
enum Code : std::uint8_t {
    kInt = 0,
    kUInt = 1,
    kFloat = 2,
    kOpaqueHandle = 3,
    kBfloat = 4,
    kComplex = 5,
    kBool = 6,
    kFloat8_e3m4 = 7,
    kFloat8_e4m3 = 8,
    kFloat8_e4m3b11fnuz = 9,
    kFloat8_e4m3fn = 10,
    kFloat8_e4m3fnuz = 11,
    kFloat8_e5m2 = 12,
    kFloat8_e5m2fnuz = 13,
    kFloat8_e8m0fnu = 14,
    kFloat6_e2m3fn = 15,
    kFloat6_e3m2fn = 16,
    kFloat4_e2m1fn = 17,
};

struct Version {
    std::uint32_t major;
    std::uint32_t minor;
};

struct DeviceTag {
    std::int32_t type;
    std::int32_t id;
};

struct DataType {
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
};

/// Strides are elements; null before 1.2 means C-contiguous.
struct Tensor {
    void* data;
    DeviceTag device;
    std::int32_t ndim;
    DataType dtype;
    std::int64_t* shape;
    std::int64_t* strides;
    std::uint64_t byte_offset;
};

/// Legacy: no version, no flags.
struct ManagedTensor {
    Tensor dl_tensor;
    void* manager_ctx;
    void (*deleter)(ManagedTensor* self);
};

/// All up to `flags` stays where it is in every major version.
struct ManagedTensorVersioned {
    Version version;
    void* manager_ctx;
    void (*deleter)(ManagedTensorVersioned* self);
    std::uint64_t flags;
    Tensor dl_tensor;
};

/// The C exchange API's table. All functions return 0, or -1 with a Python error set.
struct ExchangeHeader {
    Version version;
    ExchangeHeader* previous;  ///< dlpack.h: prev_api, of an older version
};

struct ExchangeApi {
    ExchangeHeader header;
    int (*managed_tensor_allocator)(Tensor* prototype, ManagedTensorVersioned** out,
                                    void* error_context,
                                    void (*set_error)(void* error_context, const char* kind,
                                                      const char* message));
    int (*managed_tensor_from_py_object_no_sync)(void* object, ManagedTensorVersioned** out);
    int (*managed_tensor_to_py_object_no_sync)(ManagedTensorVersioned* tensor, void** out_object);
    int (*dltensor_from_py_object_no_sync)(void* object, Tensor* out);
    int (*current_work_stream)(std::int32_t device_type, std::int32_t device_id, void** out);
};

static_assert(sizeof(Tensor) == 48 && sizeof(ManagedTensor) == 64 &&
                  sizeof(ManagedTensorVersioned) == 80 && sizeof(ExchangeApi) == 56,
              "DLPack's sizes on 64-bit systems");

inline ManagedTensorVersioned* abi(DLManagedTensorVersioned* tensor) noexcept {
    return reinterpret_cast<ManagedTensorVersioned*>(tensor);
}
inline ManagedTensor* abi(DLManagedTensor* tensor) noexcept {
    return reinterpret_cast<ManagedTensor*>(tensor);
}
inline const ManagedTensorVersioned* abi(const DLManagedTensorVersioned* tensor) noexcept {
    return reinterpret_cast<const ManagedTensorVersioned*>(tensor);
}
inline const ManagedTensor* abi(const DLManagedTensor* tensor) noexcept {
    return reinterpret_cast<const ManagedTensor*>(tensor);
}
inline DLManagedTensorVersioned* tag(ManagedTensorVersioned* tensor) noexcept {
    return reinterpret_cast<DLManagedTensorVersioned*>(tensor);
}
inline DLManagedTensor* tag(ManagedTensor* tensor) noexcept {
    return reinterpret_cast<DLManagedTensor*>(tensor);
}

}  // namespace devview::dlpack
