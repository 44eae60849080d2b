// What a user can ask of device memory, one call after the other, for tests that make each step
// fail.
#pragma once

#include <functional>
#include <vector>

#include "devview/cuda/compare.hpp"
#include "devview/cuda/pluggable.h"
#include "devview/cuda/pointer.hpp"
#include "devview/staging.hpp"
#include "emulated.hpp"

namespace devview::testing {

struct Operation {
    const char* name;
    std::function<void()> run;
};

/// No call of the test's own is made for it.
inline View strided(Device device) {
    return dense_view(allocate(256, device), {8, 8}).slice(1, 0, 8, 2);
}

/// Everything a user can ask for, on devices 1 and 2. Each leaves nothing behind.
inline std::vector<Operation> operations() {
    using namespace cuda;
    Filler::need_devices(3);
    // Not cuda_device(): it asks for the number of devices, which may be the call that fails.
    const auto on = [](int id) { return Device{DeviceType::cuda, id}; };
    return {
        {"allocate", [=] { allocate(100, on(1)); }},
        {"allocate zeroed", [=] { allocate_zeroed(100, on(1), make_stream(1)); }},
        {"allocate pinned", [=] { allocate(100, kPinned); }},
        {"allocate managed", [=] { allocate_zeroed(100, kManaged); }},
        {"resize", [=] { resize(allocate(100, on(1)), 200); }},
        {"stream", [=] { synchronize(make_stream(2)); }},
        {"query", [=] { (void)query(make_stream(2)); }},
        {"event", [=] { Event::record(make_stream(1)).order(make_stream(2)); }},
        {"elapsed",
         [=] {
             const Stream stream = make_stream(1);
             const Event first = Event::record(stream, true), last = Event::record(stream, true);
             last.wait();
             (void)first.elapsed(last);
         }},
        {"memory info", [=] { device_memory(1); }},
        {"copy up", [=] { copy(strided(on(1)), strided(kCpu)); }},
        {"copy down", [=] { copy(strided(kCpu), strided(on(2)), make_stream(2)); }},
        {"copy across", [=] { copy(strided(on(1)), strided(on(2))); }},
        {"fill", [=] { fill(strided(on(1)), "abcd", make_stream(1)); }},
        {"stage", [=] { stage(strided(on(1)), true, make_stream(1))->wait(); }},
        {"trim", [=] { trim(); }},
        {"pointer",
         [=] {
             const auto block = allocate(10, on(1));
             require_memory_on(on(1), block->data(), 10);
         }},
        {"convert",
         [=] {
             const View to = dense_view(allocate(512, on(1)), {8, 8}, Format("d"));
             convert(to.slice(1, 0, 8, 2), strided(on(1)), Casting::unsafe);
         }},
        {"compare", [=] { (void)equal_on_device(strided(on(2)), strided(on(2))); }},
        {"lend",
         [=] { devview_torch_free(devview_torch_alloc(100, 1, nullptr), 100, 1, nullptr); }},
    };
}

}  // namespace devview::testing
