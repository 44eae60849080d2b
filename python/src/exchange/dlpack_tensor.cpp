// Managed tensors and the interpreter: who may hold the GIL when memory comes and goes.
#include "exchange/dlpack_tensor.hpp"

#include <cstring>
#include <optional>

#include "callback_scope.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "view/view_object.hpp"

namespace devview::python {

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
    std::optional<CallbackScope> scope;
    if (PyErr_Occurred() != nullptr) scope.emplace();
    delete_dlpack(tensor);
    if (PyErr_Occurred() == nullptr) return;
    count_release_error();
    PyErr_WriteUnraisable(nullptr);
}

template <class Managed>
void release_tensor(Managed* tensor) noexcept {
    const bool known = KnownGil::take();
    if (!python_alive()) return;
    if (known || holds_gil()) {
        delete_with_gil(tensor);
    } else {
        delete_dlpack(tensor);
    }
}

void release_legacy(void* context, Stream) noexcept {
    release_tensor(static_cast<DLManagedTensor*>(context));
}

Release release_of(DLManagedTensorVersioned*) noexcept { return release_versioned; }
Release release_of(DLManagedTensor*) noexcept { return release_legacy; }

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
    block.release = release_of(tensor);
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

/// Host memory has no streams, and its first view is counted at once.
std::shared_ptr<Allocation> adopt_host(DLManagedTensorVersioned* tensor, const HostTensor& read) {
    try {
        return Allocation::adopt_viewed(read.begin(), read.nbytes(), Device{}, release_versioned,
                                        tensor);
    } catch (...) {
        delete_dlpack(tensor);
        throw;
    }
}

View first_view(std::shared_ptr<Allocation>&& allocation, const HostTensor& read) {
    return View(
        View::Counted{}, std::move(allocation), read.data, Format::attach(read.format),
        [&] { return read.layout(); }, read.readonly);
}

}  // namespace

void release_versioned(void* context, Stream) noexcept {
    release_tensor(static_cast<DLManagedTensorVersioned*>(context));
}

std::string shown_name(const char* name) {
    if (name == nullptr) return "null";
    std::string text(name, strnlen(name, 100));
    for (char& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    return "'" + text + "'";
}

void wait_on_host(const View& view) {
    if (view.allocation()->uses() == nullptr) return;
    const GilRelease unlocked;
    wait_for_host(*view.allocation());
}

void order_for_consumer(const View& view, const Stream& asked) {
    StreamUses* const uses = view.allocation()->uses();
    if (uses == nullptr || !is_cuda(view.device())) return;
    const bool on_device = view.device().type == DeviceType::cuda;
    if (!asked && !on_device) return wait_on_host(view);
    const Stream stream = asked ? asked : cuda::legacy_stream(view.device().id);
    const GilRelease unlocked;
    uses->order(stream);
    const Stream& own = view.own_stream();
    if (own && own.held() && own != stream) cuda::order_after(own, stream);
    if (stream.held()) uses->record(stream);
}

DLManagedTensorVersioned* export_tensor(const View& view, std::uint64_t flags) {
    return dlpack::tag(with_deleter(view, dlpack::abi(to_dlpack(view, flags))));
}

DLManagedTensor* export_legacy_tensor(const View& view) {
    return dlpack::tag(with_deleter(view, dlpack::abi(to_dlpack_legacy(view))));
}

void require_place(const TensorDescription& read) {
    const bool host_alone = read.device == Device{} && !cuda::runtime_chosen();
    if (host_alone || !(is_cuda(read.device) || read.device == Device{})) return;
    const GilRelease unlocked;
    require_memory_on(read.device, static_cast<char*>(read.data) + read.bounds.low,
                      static_cast<std::size_t>(read.bounds.high - read.bounds.low));
}

void require_host(const HostTensor& read) {
    if (!cuda::runtime_chosen()) return;
    const GilRelease unlocked;
    require_memory_on(Device{}, read.begin(), read.nbytes());
}

View take_tensor(DLManagedTensorVersioned* tensor, TensorDescription&& read, Stream stream) {
    return take(tensor, std::move(read), std::move(stream));
}

View take_tensor(DLManagedTensor* tensor, TensorDescription&& read, Stream stream) {
    return take(tensor, std::move(read), std::move(stream));
}

PyObject* new_host_view(NewView& room, DLManagedTensorVersioned* tensor, const HostTensor& read) {
    auto allocation = adopt_host(tensor, read);
    PyObject* const made = room.make_first([&] { return first_view(std::move(allocation), read); });
    if (tracing) trace_origin(*view_object(made)->view.allocation());
    return made;
}

View take_host_tensor(DLManagedTensorVersioned* tensor, const HostTensor& read) {
    return first_view(adopt_host(tensor, read), read);
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
