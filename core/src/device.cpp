// Names of devices.
#include "devview/device.hpp"

#include <array>
#include <cstddef>
#include <limits>

#include "devview/error.hpp"
#include "src/quote.hpp"

namespace devview {
namespace {

struct NamedType {
    DeviceType type;
    std::string_view name;
    bool numbered;  // printed with its id
};

constexpr std::array<NamedType, 16> kNames{{
    {DeviceType::cpu, "cpu", false},
    {DeviceType::cuda, "cuda", true},
    {DeviceType::cuda_host, "pinned", false},
    {DeviceType::cuda_managed, "managed", false},
    {DeviceType::opencl, "opencl", true},
    {DeviceType::vulkan, "vulkan", true},
    {DeviceType::metal, "metal", true},
    {DeviceType::vpi, "vpi", true},
    {DeviceType::rocm, "rocm", true},
    {DeviceType::rocm_host, "rocm_host", true},
    {DeviceType::ext_dev, "ext_dev", true},
    {DeviceType::oneapi, "oneapi", true},
    {DeviceType::webgpu, "webgpu", true},
    {DeviceType::hexagon, "hexagon", true},
    {DeviceType::maia, "maia", true},
    {DeviceType::trainium, "trainium", true},
}};

[[noreturn]] void unknown_name(std::string_view name) {
    throw NameError("device: unknown name " + detail::quote(name) +
                    ", expected cpu, cuda, cuda:N, pinned or managed");
}

std::int32_t parse_id(std::string_view name, std::string_view digits) {
    constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();
    if (digits.empty()) throw NameError("device: no number after ':' in " + detail::quote(name));
    std::int64_t id = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') {
            throw NameError("device: not a number after ':' in " + detail::quote(name));
        }
        id = id * 10 + (c - '0');
        if (id > kMaxId) {
            throw NameError("device: number out of range in " + detail::quote(name) + ", limit " +
                            std::to_string(kMaxId));
        }
    }
    return static_cast<std::int32_t>(id);
}

}  // namespace

std::string to_string(Device device) {
    for (const NamedType& known : kNames) {
        if (known.type != device.type) continue;
        std::string name(known.name);
        return known.numbered ? name + ":" + std::to_string(device.id) : name;
    }
    return "type" + std::to_string(static_cast<std::int32_t>(device.type)) + ":" +
           std::to_string(device.id);
}

Device parse_device(std::string_view name) {
    const std::size_t colon = name.find(':');
    const std::string_view head = name.substr(0, colon);
    for (const NamedType& known : kNames) {
        if (known.name != head) continue;
        if (colon == std::string_view::npos) {
            if (known.numbered && known.type != DeviceType::cuda) break;
            return Device{known.type, 0};
        }
        if (!known.numbered) break;
        return Device{known.type, parse_id(name, name.substr(colon + 1))};
    }
    unknown_name(name);
}

}  // namespace devview
