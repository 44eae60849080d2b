// Capsules that own a tensor, and taking a tensor out of one.
//
// Ownership is the name (DLPack's python_spec): "dltensor" owns, "used_dltensor" does not. The
// names are static strings, since a capsule keeps the pointer.
#include "exchange/dlpack_capsule.hpp"

#include <cstring>
#include <string>

#include "devview/cuda/pointer.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

template <class Tensor>
struct Names;
template <>
struct Names<DLManagedTensorVersioned> {
    static constexpr const char* kOwns = "dltensor_versioned";
    static constexpr const char* kUsed = "used_dltensor_versioned";
};
template <>
struct Names<DLManagedTensor> {
    static constexpr const char* kOwns = "dltensor";
    static constexpr const char* kUsed = "used_dltensor";
};

/// Runs with an exception pending, too: what the deleter calls keeps it aside where it runs Python,
/// and leaves Python alone once the interpreter is going away.
template <class Tensor>
void destroy_capsule(PyObject* capsule) noexcept {
    // A consumer renames it to a string of its own: ours by address is ours by name.
    if (PyCapsule_GetName(capsule) != Names<Tensor>::kOwns &&
        !PyCapsule_IsValid(capsule, Names<Tensor>::kOwns)) {
        return;
    }
    delete_dlpack(static_cast<Tensor*>(PyCapsule_GetPointer(capsule, Names<Tensor>::kOwns)));
}

template <class Tensor>
PyObject* make_capsule(Tensor* tensor) noexcept {
    PyObject* const capsule = PyCapsule_New(tensor, Names<Tensor>::kOwns, destroy_capsule<Tensor>);
    if (capsule == nullptr) delete_dlpack(tensor);
    return capsule;
}

/// Null, without an error, if the capsule has another name.
template <class Tensor>
Tensor* tensor_of(PyObject* capsule, const char* name) noexcept {
    if (std::strcmp(name, Names<Tensor>::kOwns) != 0) return nullptr;
    return static_cast<Tensor*>(PyCapsule_GetPointer(capsule, name));
}

/// Where a producer that was told of no stream has made managed memory ready: the host, which reads
/// it in place, waits for that stream.
Stream made_ready_on() {
    const GilRelease unlocked;
    return cuda::legacy_stream(cuda::current_device());
}

void require_name(PyObject* capsule, const char* name) {
    if (PyCapsule_GetName(capsule) == name) return;
    throw BufferError("dlpack: the capsule was consumed or renamed meanwhile");
}

/// From here on the tensor is the caller's.
template <class Tensor>
void claim(PyObject* capsule) {
    if (PyCapsule_SetName(capsule, Names<Tensor>::kUsed) != 0) throw py::error_already_set();
}

template <class Tensor>
View take_out(PyObject* capsule, const char* name, Tensor* tensor,
              const std::function<Stream(Device)>& stream_on) {
    TensorDescription read = read_dlpack(tensor);
    Stream stream = stream_on(read.device);
    require_place(read);
    if (!stream && read.device.type == DeviceType::cuda_managed) stream = made_ready_on();
    require_name(capsule, name);  // both may have let other threads run, and any Python code
    claim<Tensor>(capsule);
    return take_tensor(tensor, std::move(read), std::move(stream));
}

[[noreturn]] void refuse_name(PyObject* capsule) {
    const char* const name = PyCapsule_GetName(capsule);
    if (name == nullptr) PyErr_Clear();
    if (name != nullptr && (std::strcmp(name, Names<DLManagedTensor>::kUsed) == 0 ||
                            std::strcmp(name, Names<DLManagedTensorVersioned>::kUsed) == 0)) {
        throw BufferError("dlpack: the capsule was consumed before, its name is '" +
                          std::string(name) + "'");
    }
    throw BufferError("dlpack: a capsule named " + shown_name(name) +
                      ", expected 'dltensor_versioned' or 'dltensor'");
}

}  // namespace

PyObject* new_capsule(DLManagedTensorVersioned* tensor) noexcept { return make_capsule(tensor); }
PyObject* new_capsule(DLManagedTensor* tensor) noexcept { return make_capsule(tensor); }

View take_capsule(PyObject* capsule, const std::function<Stream(Device)>& stream_on) {
    if (!PyCapsule_CheckExact(capsule)) {
        throw BufferError(std::string("dlpack: expected a capsule, got '") +
                          Py_TYPE(capsule)->tp_name + "'");
    }
    if (const char* const name = PyCapsule_GetName(capsule)) {
        if (auto* const tensor = tensor_of<DLManagedTensorVersioned>(capsule, name)) {
            return take_out(capsule, name, tensor, stream_on);
        }
        if (auto* const tensor = tensor_of<DLManagedTensor>(capsule, name)) {
            return take_out(capsule, name, tensor, stream_on);
        }
    }
    refuse_name(capsule);
}

namespace {

/// Claims the tensor that `read` tells of; null for take_capsule().
DLManagedTensorVersioned* claim_host_tensor(PyObject* capsule, HostTensor& read) {
    using Tensor = DLManagedTensorVersioned;
    if (!PyCapsule_CheckExact(capsule)) return nullptr;
    // Compares the name: once, for the usual capsule.
    auto* const tensor = static_cast<Tensor*>(PyCapsule_GetPointer(capsule, Names<Tensor>::kOwns));
    if (tensor == nullptr) {
        PyErr_Clear();
        return nullptr;
    }
    if (!read_host_tensor(tensor, read)) return nullptr;
    if (cuda::runtime_chosen()) {
        const char* const name = PyCapsule_GetName(capsule);
        require_host(read);
        require_name(capsule, name);  // other threads may have run
    }
    claim<Tensor>(capsule);
    return tensor;
}

}  // namespace

PyObject* new_capsule_view(PyObject* capsule) {
    NewView room;  // before the look at the tensor: it may run any code
    HostTensor read;
    auto* const tensor = claim_host_tensor(capsule, read);
    return tensor != nullptr ? new_host_view(room, tensor, read) : nullptr;
}

View take_host_capsule(PyObject* capsule) {
    HostTensor read;
    auto* const tensor = claim_host_tensor(capsule, read);
    return tensor != nullptr ? take_host_tensor(tensor, read) : View();
}

}  // namespace devview::python
