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

template <class Tensor>
View take_out(PyObject* capsule, const char* name, Tensor* tensor,
              const std::function<Stream(Device)>& stream_on) {
    TensorDescription read = read_dlpack(tensor);
    Stream stream = stream_on(read.device);
    require_place(read);
    if (!stream && read.device.type == DeviceType::cuda_managed) stream = made_ready_on();
    // Both may have let other threads run, and any Python code.
    if (PyCapsule_GetName(capsule) != name) {
        throw BufferError("dlpack: the capsule was consumed or renamed meanwhile");
    }
    if (PyCapsule_SetName(capsule, Names<Tensor>::kUsed) != 0) throw py::error_already_set();
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

PyObject* new_host_view(PyObject* capsule) {
    using Owns = Names<DLManagedTensorVersioned>;
    if (!PyCapsule_IsValid(capsule, Owns::kOwns)) return nullptr;
    auto* const tensor =
        static_cast<DLManagedTensorVersioned*>(PyCapsule_GetPointer(capsule, Owns::kOwns));
    NewView room;  // before the look at the tensor: it may run any code
    TensorDescription read = read_dlpack(tensor);
    // Once there is a runtime, an address is looked up, which lets other threads run:
    // take_capsule().
    if (read.device != Device{} || cuda::runtime_chosen()) return nullptr;
    if (PyCapsule_SetName(capsule, Owns::kUsed) != 0) throw py::error_already_set();
    return new_view_of_tensor(room, tensor, std::move(read));
}

View take_host_view(PyObject* capsule) {
    using Owns = Names<DLManagedTensorVersioned>;
    const char* const name = PyCapsule_CheckExact(capsule) ? PyCapsule_GetName(capsule) : nullptr;
    DLManagedTensorVersioned* const tensor =
        name != nullptr ? tensor_of<DLManagedTensorVersioned>(capsule, name) : nullptr;
    if (tensor == nullptr) return View();
    TensorDescription read = read_dlpack(tensor);
    if (read.device != Device{} || cuda::runtime_chosen()) return View();  // see new_host_view()
    if (PyCapsule_SetName(capsule, Owns::kUsed) != 0) throw py::error_already_set();
    return view_of_tensor(tensor, std::move(read));
}

}  // namespace devview::python
