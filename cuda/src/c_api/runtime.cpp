// The runtime, the emulator and pinned memory through the C interface.
#include "devview/cuda/runtime.hpp"

#include "devview/c_api/errors.hpp"
#include "devview/cuda/c_api.h"
#include "devview/cuda/emulation.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"

using namespace devview;
using namespace devview::c_api;
using namespace devview::cuda;

devview_status devview_cuda_describe_runtime(devview_cuda_runtime_info* info) {
    return guarded([&] {
        require_struct(info, "devview_cuda_describe_runtime", "info");
        const RuntimeInfo told = runtime_info();
        info->devices = static_cast<int32_t>(told.devices.size());
        info->driver_version = told.driver_version;
        info->runtime_version = told.runtime_version;
        info->emulated = told.emulated ? 1 : 0;
    });
}

devview_status devview_cuda_emulate(const devview_cuda_emulator* options) {
    return guarded([&] {
        require_struct(options, "devview_cuda_emulate", "options");
        EmulatorOptions wanted;
        wanted.devices = options->devices;
        wanted.memory = options->memory;
        wanted.delay_us = options->delay_us;
        wanted.lazy = options->lazy != 0;
        emulate(wanted);
    });
}

devview_status devview_cuda_emulator_calls(const char* name, size_t* count) {
    return guarded([&] {
        require(name, "devview_cuda_emulator_calls", "name");
        require(count, "devview_cuda_emulator_calls", "count");
        *count = emulation::count(name);
    });
}

devview_status devview_cuda_emulator_fail(const char* name, int32_t nth, int32_t error) {
    return guarded([&] {
        require(name, "devview_cuda_emulator_fail", "name");
        emulation::fail(name, nth, error);
    });
}

devview_status devview_cuda_emulator_describe(devview_cuda_emulator_objects* objects) {
    return guarded([&] {
        require_struct(objects, "devview_cuda_emulator_describe", "objects");
        const emulation::Objects alive = emulation::objects();
        objects->device_blocks = alive.device_blocks;
        objects->device_bytes = alive.device_bytes;
        objects->pinned_blocks = alive.pinned_blocks;
        objects->managed_blocks = alive.managed_blocks;
        objects->streams = alive.streams;
        objects->events = alive.events;
        objects->queued = alive.queued;
    });
}

devview_status devview_cuda_describe_pinned(devview_cuda_pinned_info* info) {
    return guarded([&] {
        require_struct(info, "devview_cuda_describe_pinned", "info");
        const PinnedGauge gauge = pinned_gauge();
        info->live_bytes = gauge.live_bytes;
        info->cached_bytes = gauge.cached_bytes;
        info->peak_bytes = gauge.peak_bytes;
        info->limit_bytes = gauge.limit_bytes;
    });
}

devview_status devview_cuda_set_pinned_limit(size_t nbytes) {
    return guarded([&] { set_pinned_limit(nbytes); });
}

devview_status devview_cuda_trim(size_t* freed) {
    return guarded([&] {
        const std::size_t bytes = trim();
        if (freed != nullptr) *freed = bytes;
    });
}
