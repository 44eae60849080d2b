#include "arrow_capsule.hpp"

#include <optional>

#include "devview/device.hpp"

namespace devview::python {

namespace {

/// Keeps an exception that is set aside, if this thread may ask: a release may run anything.
class PendingError {
public:
    PendingError() : held_(python_alive() && PyGILState_Check() == 1) {
        if (held_) PyErr_Fetch(&type_, &value_, &traceback_);
    }
    ~PendingError() {
        if (held_) PyErr_Restore(type_, value_, traceback_);
    }
    PendingError(const PendingError&) = delete;
    PendingError& operator=(const PendingError&) = delete;

private:
    bool held_;
    PyObject* type_ = nullptr;
    PyObject* value_ = nullptr;
    PyObject* traceback_ = nullptr;
};

template <class T>
void call_release(T& structure) noexcept {
    if (structure.release == nullptr) return;
    const PendingError pending;
    structure.release(&structure);
    structure.release = nullptr;  // the specification's duty of the producer, not always done
}

}  // namespace

void release_now(ArrowSchema& structure) noexcept { call_release(structure); }
void release_now(ArrowArray& structure) noexcept { call_release(structure); }
void release_now(ArrowArrayStream& structure) noexcept { call_release(structure); }
void release_now(ArrowDeviceArrayStream& structure) noexcept { call_release(structure); }

void release_now(ArrowDeviceArray& structure) noexcept {
    if (structure.array.release == nullptr) return;
    const PendingError pending;
    const Device device{static_cast<DeviceType>(structure.device_type), 0};
    std::optional<GilRelease> unlocked;
    if (is_cuda(device) && python_alive() && PyGILState_Check() == 1) unlocked.emplace();
    structure.array.release(&structure.array);
    structure.array.release = nullptr;
}

}  // namespace devview::python
