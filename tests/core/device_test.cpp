// Device names: printing, reading, refusals.
#include "devview/device.hpp"

#include <string>

#include <gtest/gtest.h>

#include "devview/error.hpp"

namespace devview {
namespace {

std::string message_of(std::string_view name) {
    try {
        parse_device(name);
    } catch (const NameError& error) {
        return error.what();
    }
    return "accepted";
}

TEST(Device, NamesRoundTrip) {
    const Device devices[] = {
        {DeviceType::cpu, 0},          {DeviceType::cuda, 0},      {DeviceType::cuda, 2147483647},
        {DeviceType::cuda_host, 0},    {DeviceType::opencl, 1},    {DeviceType::vulkan, 0},
        {DeviceType::metal, 0},        {DeviceType::vpi, 0},       {DeviceType::rocm, 3},
        {DeviceType::rocm_host, 0},    {DeviceType::ext_dev, 0},   {DeviceType::oneapi, 0},
        {DeviceType::cuda_managed, 0}, {DeviceType::webgpu, 0},    {DeviceType::hexagon, 0},
        {DeviceType::maia, 0},         {DeviceType::trainium, 12},
    };
    for (const Device device : devices) {
        EXPECT_EQ(parse_device(to_string(device)), device) << to_string(device);
    }
}

TEST(Device, PrintsNames) {
    EXPECT_EQ(to_string(Device{}), "cpu");
    EXPECT_EQ(to_string({DeviceType::cuda, 1}), "cuda:1");
    EXPECT_EQ(to_string({DeviceType::cuda_host, 0}), "pinned");
    EXPECT_EQ(to_string({DeviceType::cuda_managed, 0}), "managed");
    EXPECT_EQ(to_string({DeviceType::rocm, 0}), "rocm:0");
    EXPECT_EQ(to_string({static_cast<DeviceType>(99), 4}), "type99:4");
}

TEST(Device, CudaAloneIsTheFirst) {
    EXPECT_EQ(parse_device("cuda"), (Device{DeviceType::cuda, 0}));
    EXPECT_EQ(parse_device("cuda:007"), (Device{DeviceType::cuda, 7}));
}

TEST(Device, RefusesUnknownNames) {
    EXPECT_EQ(message_of("gpu"),
              "device: unknown name 'gpu', expected cpu, cuda, cuda:N, pinned or managed");
    for (const char* name : {"", " cpu", "CPU", "cpu:0", "pinned:0", "managed:1", "rocm", "cud"}) {
        EXPECT_NE(message_of(name).find("device: unknown name"), std::string::npos) << name;
    }
    EXPECT_EQ(message_of(std::string("cpu\0", 4)),
              "device: unknown name 'cpu\\x00', expected cpu, cuda, cuda:N, pinned or managed");
}

TEST(Device, RefusesBadNumbers) {
    EXPECT_EQ(message_of("cuda:"), "device: no number after ':' in 'cuda:'");
    for (const char* name : {"cuda:-1", "cuda:+1", "cuda:1 ", "cuda:x", "cuda:1:2", "cuda: 1"}) {
        EXPECT_NE(message_of(name).find("device: not a number"), std::string::npos) << name;
    }
    EXPECT_EQ(message_of("cuda:2147483648"),
              "device: number out of range in 'cuda:2147483648', limit 2147483647");
    EXPECT_NE(message_of("cuda:" + std::string(1 << 20, '9')).find("out of range"),
              std::string::npos);
}

}  // namespace
}  // namespace devview
