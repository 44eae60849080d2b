// Managed tensors and the interpreter: who may hold the GIL when memory comes and goes.
#include "dlpack_tensor.hpp"

#include <optional>

#include "callback_scope.hpp"
#include "devview/cuda/memory.hpp"

namespace devview::python {

bool holds_gil() noexcept {
    if (!python_alive()) return false;
#if PY_VERSION_HEX >= 0x030D0000
    const PyThreadState* const current = PyThreadState_GetUnchecked();
#else
    const PyThreadState* const current = _PyThreadState_UncheckedGet();
#endif
    return current != nullptr && current == PyGILState_GetThisThreadState();
}

namespace {

/// The core's deleter, the same one for all tensors of this type.
template <class Managed>
void (*native_deleter)(Managed*) = nullptr;

// Consumers call deleters from their destructors, which mostly run with the GIL.
template <class Managed>
void delete_unlocked(Managed* tensor) {
    std::optional<GilRelease> unlocked;
    if (holds_gil()) unlocked.emplace();
    native_deleter<Managed>(tensor);
}

template <class Managed>
Managed* with_deleter(const View& view, Managed* tensor) noexcept {
    if (!is_cuda(view.device())) return tensor;
    native_deleter<Managed> = tensor->deleter;
    tensor->deleter = delete_unlocked<Managed>;
    return tensor;
}

/// What a deleter raises has nobody to go to; what was raised before stays.
template <class Managed>
void delete_with_gil(Managed* tensor) noexcept {
    const CallbackScope scope;
    delete_dlpack(tensor);
    if (PyErr_Occurred() == nullptr) return;
    count_release_error();
    PyErr_WriteUnraisable(nullptr);
}

template <class Managed>
void release_tensor(void* context, Stream) noexcept {
    if (!python_alive()) return;
    auto* const tensor = static_cast<Managed*>(context);
    if (holds_gil()) {
        delete_with_gil(tensor);
    } else {
        delete_dlpack(tensor);
    }
}

std::shared_ptr<Allocation> adopt(Allocation::Block&& block) {
    if (!is_cuda(block.device)) return Allocation::adopt(std::move(block));
    const GilRelease unlocked;  // events are made
    return adopt_waiting(std::move(block));
}

template <class Managed>
View take(Managed* tensor, TensorDescription&& read, Stream stream) {
    Allocation::Block block;
    block.data = static_cast<char*>(read.data) + read.bounds.low;
    block.nbytes = static_cast<std::size_t>(read.bounds.high - read.bounds.low);
    block.device = read.device;
    block.stream = std::move(stream);
    block.release = release_tensor<Managed>;
    block.context = tensor;
    std::shared_ptr<Allocation> allocation;
    try {
        allocation = adopt(std::move(block));
    } catch (...) {
        delete_dlpack(tensor);
        throw;
    }
    return View(std::move(allocation), read.data, std::move(read.format), std::move(read.layout),
                read.readonly);
}

}  // namespace

DLManagedTensorVersioned* export_tensor(const View& view, std::uint64_t flags) {
    return dlpack::tag(with_deleter(view, dlpack::abi(to_dlpack(view, flags))));
}

DLManagedTensor* export_legacy_tensor(const View& view) {
    return dlpack::tag(with_deleter(view, dlpack::abi(to_dlpack_legacy(view))));
}

void require_place(const TensorDescription& read) {
    if (!is_cuda(read.device)) return;
    const GilRelease unlocked;
    require_memory_on(read.device, static_cast<char*>(read.data) + read.bounds.low,
                      static_cast<std::size_t>(read.bounds.high - read.bounds.low));
}

View take_tensor(DLManagedTensorVersioned* tensor, TensorDescription&& read, Stream stream) {
    return take(tensor, std::move(read), std::move(stream));
}

View take_tensor(DLManagedTensor* tensor, TensorDescription&& read, Stream stream) {
    return take(tensor, std::move(read), std::move(stream));
}

View take_tensor(DLManagedTensorVersioned* tensor, Stream stream) {
    std::optional<TensorDescription> read;
    try {
        read = read_dlpack(tensor);
        require_place(*read);
    } catch (...) {
        if (tensor != nullptr) delete_dlpack(tensor);
        throw;
    }
    return take(tensor, std::move(*read), std::move(stream));
}

}  // namespace devview::python
