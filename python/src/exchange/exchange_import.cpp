// DLPack's C exchange API, the consumer: another library's table, believed in nothing that can be
// looked at.
//
// Memory comes in as a managed tensor. A borrowed DLTensor would be cheaper, but it is valid only
// until the caller returns, and it has no flags: read-only memory would come in writable.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "exchange/dlpack_tensor.hpp"
#include "exchange/exchange.hpp"
#include "protocols.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

using dlpack::ExchangeApi;
using dlpack::ExchangeHeader;

[[noreturn]] void refuse(const std::string& why) {
    throw BufferError(std::string(kExchangeAttribute) + ": " + why);
}

// --- Finding the table ---

const ExchangeHeader* first_header(PyObject* value) {
    if (PyLong_Check(value)) {
        refuse("an int, as drafts of DLPack had it: an address that nothing vouches for");
    }
    if (!PyCapsule_CheckExact(value)) {
        refuse(std::string("expected a capsule, got '") + Py_TYPE(value)->tp_name + "'");
    }
    void* const table = PyCapsule_GetPointer(value, kExchangeCapsule);
    if (table != nullptr) return static_cast<const ExchangeHeader*>(table);
    PyErr_Clear();
    const char* const name = PyCapsule_GetName(value);
    PyErr_Clear();
    refuse("the capsule's name is " + shown_name(name) + ", expected '" + kExchangeCapsule + "'");
}

/// The newest table that we understand of a chain, which may be a ring. What follows the header is
/// another struct in another major version.
const ExchangeApi& table_of(PyObject* value) {
    constexpr int kMaxTables = 16;
    const ExchangeHeader* const first = first_header(value);
    const ExchangeHeader* header = first;
    for (int i = 0; i < kMaxTables && header != nullptr; ++i, header = header->previous) {
        if (reinterpret_cast<std::uintptr_t>(header) % alignof(ExchangeApi) != 0) {
            refuse("a table at address " +
                   std::to_string(reinterpret_cast<std::uintptr_t>(header)) + ", no multiple of 8");
        }
        if (header->version.major == dlpack::kMajor) {
            return *reinterpret_cast<const ExchangeApi*>(header);
        }
    }
    refuse("version " + std::to_string(first->version.major) + "." +
           std::to_string(first->version.minor) +
           " and no older table of major version 1, which is understood, within " +
           std::to_string(kMaxTables));
}

/// The same, remembered for the capsule that came last: it is held, so that no other one is at its
/// address, and tables are static for the life of the process (dlpack.h).
const ExchangeApi& known_table(const py::object& offer) {
    static PyObject* last = nullptr;
    static const ExchangeApi* table = nullptr;
    if (offer.ptr() == last) return *table;
    const ExchangeApi& found = table_of(offer.ptr());
    table = &found;
    Py_XDECREF(std::exchange(last, py::object(offer).release().ptr()));
    return found;
}

// --- Calling it ---

/// What an entry has told by its status: the producer's exception is kept.
[[noreturn]] void refuse_failure(int status, const char* entry) {
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    refuse(std::string(entry) + " returned " + std::to_string(status) + " and set no exception");
}

void require_success(int status, const char* entry) {
    if (status != 0 || PyErr_Occurred() != nullptr) refuse_failure(status, entry);
}

/// A tensor that is ours to give back until it is released.
class OwnedTensor {
public:
    ~OwnedTensor() {
        if (tensor_ != nullptr) delete_dlpack(dlpack::tag(tensor_));
    }
    OwnedTensor() = default;
    OwnedTensor(const OwnedTensor&) = delete;
    OwnedTensor& operator=(const OwnedTensor&) = delete;

    void ask(const ExchangeApi& api, PyObject* object) {
        constexpr const char* kEntry = "managed_tensor_from_py_object_no_sync";
        const auto entry = api.managed_tensor_from_py_object_no_sync;
        if (entry == nullptr) refuse(std::string(kEntry) + " is null");
        dlpack::ManagedTensorVersioned* tensor = nullptr;
        const int status = entry(object, &tensor);
        if (status == 0) tensor_ = tensor;
        require_success(status, kEntry);
        if (tensor_ == nullptr) refuse(std::string(kEntry) + " returned 0 and no tensor");
    }
    DLManagedTensorVersioned* get() const noexcept { return dlpack::tag(tensor_); }
    DLManagedTensorVersioned* release() noexcept {
        return dlpack::tag(std::exchange(tensor_, nullptr));
    }

private:
    dlpack::ManagedTensorVersioned* tensor_ = nullptr;
};

/// The stream that the producer works on, and so the one its memory is ready on.
Stream producer_stream(const ExchangeApi& api, Device device) {
    if (!is_cuda(device)) return {};
    if (api.current_work_stream == nullptr) {
        refuse("current_work_stream is null, for memory on " + to_string(device));
    }
    void* handle = nullptr;
    const int status =
        api.current_work_stream(static_cast<std::int32_t>(device.type), device.id, &handle);
    require_success(status, "current_work_stream");
    // Null: the legacy stream; of host memory (as PyTorch tells it) that there is nothing to wait.
    if (handle == nullptr && device.type != DeviceType::cuda) return {};
    const Device gpu{DeviceType::cuda, device.id};
    return handle == nullptr ? cuda::legacy_stream(gpu.id) : Stream::raw(gpu, handle);
}

/// The tensor is taken over if it is good.
View import_tensor(OwnedTensor& tensor, const ExchangeApi& api, PyObject* stream) {
    TensorDescription read = read_dlpack(tensor.get());
    require_place(read);
    Stream ready = producer_stream(api, read.device);
    // The caller's stream is ordered after the producer's by place_view(); here it is only checked.
    if (stream != nullptr) read_stream(stream, read.device);
    return take_tensor(tensor.release(), std::move(read), std::move(ready));
}

bool is_host(const OwnedTensor& tensor, HostTensor& read) {
    if (!read_host_tensor(tensor.get(), read)) return false;
    require_host(read);
    return true;
}

}  // namespace

// Types without a table are the usual case: no AttributeError is made for them. Only descriptors
// and metaclasses with a mind of their own run code.
py::object exchange_offer(PyTypeObject* type) {
    static PyObject* const name = PyUnicode_InternFromString(kExchangeAttribute);
    if (name == nullptr) throw py::error_already_set();
    PyTypeObject* const meta = Py_TYPE(type);
    PyObject* const found = _PyType_Lookup(type, name);
    const bool plain = meta == &PyType_Type || (meta->tp_getattro == PyType_Type.tp_getattro &&
                                                _PyType_Lookup(meta, name) == nullptr);
    if (plain && (found == nullptr || found == Py_None)) return {};
    if (plain && PyCapsule_CheckExact(found)) return py::reinterpret_borrow<py::object>(found);
    py::object value = attribute_or_null(reinterpret_cast<PyObject*>(type), name);
    return value.is_none() ? py::object() : value;
}

std::optional<View> import_exchange(const ImportRequest& request) {
    const py::object offer = exchange_offer(Py_TYPE(request.object));
    if (!offer) return std::nullopt;
    const ExchangeApi& api = known_table(offer);
    OwnedTensor tensor;
    tensor.ask(api, request.object);
    return import_tensor(tensor, api, request.stream);
}

PyObject* new_exchange_view(PyObject* object, const py::object& offer) {
    const ExchangeApi& api = known_table(offer);
    NewView room;  // before the tensor is looked at: it may run any code
    HostTensor read;
    OwnedTensor tensor;
    tensor.ask(api, object);
    if (is_host(tensor, read)) return new_host_view(room, tensor.release(), read);
    return new_view(import_tensor(tensor, api, nullptr));
}

View exchange_view(PyObject* object, const py::object& offer) {
    const ExchangeApi& api = known_table(offer);
    HostTensor read;
    OwnedTensor tensor;
    tensor.ask(api, object);
    return is_host(tensor, read) ? take_host_tensor(tensor.release(), read)
                                 : import_tensor(tensor, api, nullptr);
}

}  // namespace devview::python
