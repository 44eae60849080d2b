// DLPack's C exchange API, View's side: the table of functions that consumers call instead of
// __dlpack__. A consumer names no stream here, it asks for ours: work of devview that names none
// goes to the legacy stream, so that is the current work stream, and what was done to a view on
// others is ordered into it at the hand-over.
#include <algorithm>
#include <new>
#include <optional>
#include <string>

#include "callback_scope.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "exchange/dlpack_tensor.hpp"
#include "exchange/exchange.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

using dlpack::ExchangeApi;
using dlpack::ManagedTensorVersioned;
using dlpack::Tensor;

/// Runs an entry of the table: 0, or -1 with the Python error that stands for what was thrown.
template <class F>
int status_of(F&& body) {
    return guarded(-1, [&] {
        body();
        return 0;
    });
}

void require(const void* pointer, const char* argument) {
    if (pointer == nullptr) throw py::value_error(std::string(argument) + ": null");
}

/// The object of an entry's first argument: this very type, as dlpack.h wants it.
PyObject* exported(void* object) {
    require(object, "py_object");
    auto* const view = static_cast<PyObject*>(object);
    if (!is_view(view)) {
        throw py::type_error(std::string("py_object: expected a devview.View, got '") +
                             Py_TYPE(view)->tp_name + "'");
    }
    return view;
}

int managed_from_object(void* object, ManagedTensorVersioned** out) {
    return status_of([&] {
        require(out, "out");
        *out = nullptr;
        const View& view = live_view(exported(object));
        if (!is_cuda(view.device())) {
            *out = dlpack::abi(export_tensor(view));
            return;
        }
        // A copy: another thread may release the View object while the GIL is let go.
        const View held(view);
        auto* const tensor = export_tensor(held);
        try {
            order_for_consumer(held, {});
        } catch (...) {
            delete_dlpack(tensor);
            throw;
        }
        *out = dlpack::abi(tensor);
    });
}

/// Shape and strides of a View object, which keeps them for its life (see ViewObject).
std::int64_t* lent_axes(ViewObject* self, const std::int64_t* axes, int ndim) {
    const int count = 2 * ndim;
    if (self->lent_axes == nullptr) {
        std::int64_t* const kept = count <= ViewObject::kSmallAxes
                                       ? self->small_axes
                                       : PyMem_New(std::int64_t, static_cast<std::size_t>(count));
        if (kept == nullptr) throw std::bad_alloc();
        std::copy_n(axes, count, kept);
        self->lent_axes = kept;  // written once: a borrower without the GIL may be reading them
    }
    return self->lent_axes;
}

int tensor_from_object(void* object, Tensor* out) {
    return status_of([&] {
        require(out, "out");
        PyObject* const self = exported(object);
        const View& view = live_view(self);
        std::int64_t axes[2 * kMaxNdim];
        const int ndim = view.ndim();
        Tensor tensor;
        const std::uint64_t flags = describe_dlpack(view, tensor, axes, axes + ndim);
        if (flags != 0) {
            throw BufferError(
                (flags & dlpack::kReadOnly)
                    ? "dlpack: read-only memory, which a DLTensor without flags cannot say"
                    : "dlpack: padded items under 8 bits, which a DLTensor cannot say");
        }
        tensor.shape = lent_axes(view_object(self), axes, ndim);
        tensor.strides = tensor.shape + ndim;
        if (is_cuda(view.device())) {
            order_for_consumer(View(view), {});
            live_view(self);  // another thread may have released it meanwhile
        }
        *out = tensor;
    });
}

/// Consumers take a tensor back that was refused (tvm-ffi calls its deleter), so a failure must
/// leave it theirs: without its deleter nothing here can give it away until all has gone well.
class Untaken {
public:
    explicit Untaken(ManagedTensorVersioned* tensor) noexcept
        : tensor_(tensor), deleter_(tensor->deleter) {
        if (deleter_ != nullptr) tensor_->deleter = nullptr;
    }
    ~Untaken() {
        if (deleter_ != nullptr) tensor_->deleter = deleter_;
    }
    Untaken(const Untaken&) = delete;
    Untaken& operator=(const Untaken&) = delete;

private:
    ManagedTensorVersioned* tensor_;
    void (*deleter_)(ManagedTensorVersioned*);
};

int managed_to_object(ManagedTensorVersioned* tensor, void** out) {
    return status_of([&] {
        require(out, "out_py_object");
        *out = nullptr;
        require(tensor, "tensor");
        TensorDescription read = read_dlpack(dlpack::tag(tensor));
        require_place(read);
        // Its maker has worked on it where we would, or has ordered that: nothing is known of it.
        const Stream ready = is_cuda(read.device) ? cuda::legacy_stream(read.device.id) : Stream{};
        const Untaken untaken(tensor);
        *out = new_view(take_tensor(dlpack::tag(tensor), std::move(read), ready));
    });
}

// --- The allocator: no Python, and any thread, with or without the GIL ---

using SetError = void (*)(void* context, const char* kind, const char* message);

/// The exception in flight by the name of a Python class: consumers raise by it.
void report(void* context, SetError set_error) {
    const auto tell = [&](const char* kind, const char* message) {
        if (set_error != nullptr) set_error(context, kind, message);
    };
    try {
        throw;
    } catch (const OutOfMemory& error) {
        tell("MemoryError", error.what());
    } catch (const std::bad_alloc&) {
        tell("MemoryError", "allocate: memory is exhausted");
    } catch (const BufferError& error) {
        tell("BufferError", error.what());
    } catch (const NameError& error) {
        tell("ValueError", error.what());
    } catch (const DeviceError& error) {
        tell("RuntimeError", error.what());
    } catch (const Error& error) {  // formats and layouts
        tell("ValueError", error.what());
    } catch (const std::exception& error) {
        tell("RuntimeError", error.what());
    }
}

/// What a prototype asks for: a tensor but for its memory. Only device, ndim, dtype and shape of it
/// mean anything.
TensorDescription read_prototype(const Tensor* prototype) {
    if (prototype == nullptr) throw LayoutError("prototype: null");
    if (prototype->dtype.lanes != 1) {  // of packed items they would become a longer last axis
        throw FormatError(
            "prototype: dtype: " + std::to_string(prototype->dtype.lanes) + " lanes, limit 1", 0);
    }
    alignas(256) static char placeholder;
    Tensor asked{};
    asked.data = &placeholder;
    asked.device = prototype->device;
    asked.ndim = prototype->ndim;
    asked.dtype = prototype->dtype;
    asked.shape = prototype->shape;
    return read_dlpack(asked, 0);
}

ManagedTensorVersioned* allocate_like(const Tensor* prototype) {
    TensorDescription asked = read_prototype(prototype);
    std::optional<GilRelease> unlocked;
    if (is_cuda(asked.device) && holds_gil()) unlocked.emplace();
    auto block = allocate(static_cast<std::size_t>(asked.bounds.high), asked.device);
    void* const data = block->data();
    const View view(std::move(block), data, std::move(asked.format), std::move(asked.layout),
                    false);
    return dlpack::abi(export_tensor(view));
}

int allocate_tensor(Tensor* prototype, ManagedTensorVersioned** out, void* context,
                    SetError set_error) {
    if (out == nullptr) {
        if (set_error != nullptr) set_error(context, "ValueError", "out: null");
        return -1;
    }
    *out = nullptr;
    try {
        *out = allocate_like(prototype);
        return 0;
    } catch (const std::exception&) {
        report(context, set_error);
        return -1;
    }
}

/// cudaStreamLegacy rather than null, which is another stream in code that was compiled with
/// --default-stream per-thread. Other devices than CUDA's: devview has no work there.
int current_work_stream(std::int32_t type, std::int32_t id, void** out) {
    return status_of([&] {
        require(out, "out_current_stream");
        *out = nullptr;
        const Device device = dlpack_device(type, id);
        if (!is_cuda(device)) return;
        const GilRelease unlocked;
        cuda::require_device(device.id);
        *out = cuda::handle_of(Stream{});
    });
}

ExchangeApi table = {
    {{dlpack::kMajor, dlpack::kMinor}, nullptr},
    allocate_tensor,
    managed_from_object,
    managed_to_object,
    tensor_from_object,
    current_work_stream,
};

}  // namespace

void bind_exchange(py::module_&) {
    const auto capsule =
        py::reinterpret_steal<py::object>(PyCapsule_New(&table, kExchangeCapsule, nullptr));
    // The type is immutable for Python code, which has not seen it yet.
    if (!capsule ||
        PyDict_SetItemString(view_type->tp_dict, kExchangeAttribute, capsule.ptr()) != 0) {
        throw py::error_already_set();
    }
    PyType_Modified(view_type);
}

}  // namespace devview::python
