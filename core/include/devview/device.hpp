// Where memory lives: a device tag with DLPack's numbers, and its name. Talks to no device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "devview/export.hpp"

namespace devview {

/// Kinds of memory, with the values of DLDeviceType (DLPack 1.3).
enum class DeviceType : std::int32_t {
    cpu = 1,
    cuda = 2,
    cuda_host = 3,
    opencl = 4,
    vulkan = 7,
    metal = 8,
    vpi = 9,
    rocm = 10,
    rocm_host = 11,
    ext_dev = 12,
    cuda_managed = 13,
    oneapi = 14,
    webgpu = 15,
    hexagon = 16,
    maia = 17,
    trainium = 18,
};

/// A device tag. Pinned and managed memory have id 0, as DLPack wants it.
struct Device {
    DeviceType type = DeviceType::cpu;
    std::int32_t id = 0;

    friend constexpr bool operator==(Device a, Device b) noexcept {
        return a.type == b.type && a.id == b.id;
    }
    friend constexpr bool operator!=(Device a, Device b) noexcept { return !(a == b); }
};

/// True where the host may dereference the pointer: cpu, pinned and managed memory.
constexpr bool host_accessible(Device device) noexcept {
    return device.type == DeviceType::cpu || device.type == DeviceType::cuda_host ||
           device.type == DeviceType::cuda_managed || device.type == DeviceType::rocm_host;
}

/// True where the CUDA runtime owns the memory: device, pinned and managed.
constexpr bool is_cuda(Device device) noexcept {
    return device.type == DeviceType::cuda || device.type == DeviceType::cuda_host ||
           device.type == DeviceType::cuda_managed;
}

/// "cpu", "cuda:1", "pinned", "managed"; other types by DLPack's name and the id ("rocm:0").
DEVVIEW_CORE_API std::string to_string(Device device);

/// The device of a name as to_string prints it; "cuda" is "cuda:0".
/// @throws NameError  the name is none of these, or its number is out of range.
DEVVIEW_CORE_API Device parse_device(std::string_view name);

}  // namespace devview
