#include "arrow/arrow_capsule.hpp"

#include <optional>

#include "callback_scope.hpp"
#include "devview/allocation.hpp"
#include "devview/device.hpp"

namespace devview::python {

namespace {

/// What a release raises has nobody to go to; what was raised before stays.
template <class T>
void release_with_gil(T& structure) noexcept {
    const CallbackScope scope;
    structure.release(&structure);
    if (PyErr_Occurred() == nullptr) return;
    count_release_error();
    PyErr_WriteUnraisable(nullptr);
}

template <class T>
void call_release(T& structure, bool without_gil = false) noexcept {
    if (structure.release == nullptr) return;
    const bool held = holds_gil();
    if (held && !without_gil) {
        release_with_gil(structure);
    } else {
        std::optional<GilRelease> unlocked;
        if (held) unlocked.emplace();
        structure.release(&structure);
    }
    structure.release = nullptr;  // the producer's duty, not always done
}

}  // namespace

void release_now(ArrowSchema& structure) noexcept { call_release(structure); }
void release_now(ArrowArray& structure) noexcept { call_release(structure); }
void release_now(ArrowArrayStream& structure) noexcept { call_release(structure); }
void release_now(ArrowDeviceArrayStream& structure) noexcept { call_release(structure); }

void release_now(ArrowDeviceArray& structure) noexcept {
    const Device device{static_cast<DeviceType>(structure.device_type), 0};
    call_release(structure.array, is_cuda(device));
}

}  // namespace devview::python
