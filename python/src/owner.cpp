// Release functions of memory that Python objects own. They take the GIL, and leak after the end.
#include "owner.hpp"

#include <cstring>
#include <memory>

#include "callback_scope.hpp"
#include "device/stream_object.hpp"
#include "devview/cuda/memory.hpp"

namespace devview::python {

namespace {

struct BufferOwner {
    Py_buffer buffer;

    // Made and deleted with the GIL held, once for every import: kept for reuse.
    static void* operator new(std::size_t size) {
        return free_count > 0 ? free_blocks[--free_count] : ::operator new(size);
    }
    static void operator delete(void* block) noexcept {
        if (free_count < kMaxFree) {
            free_blocks[free_count++] = block;
        } else {
            ::operator delete(block);
        }
    }
    static constexpr int kMaxFree = 64;
    static inline void* free_blocks[kMaxFree];
    static inline int free_count = 0;
};

struct ObjectOwner {
    PyObject* owner;
    PyObject* release;
};

/// True if its buffer's release runs nothing of anybody's: Python's own types, held elsewhere too.
bool releases_quietly(PyObject* exporter) noexcept {
    return exporter != nullptr &&
           (PyByteArray_CheckExact(exporter) || PyMemoryView_Check(exporter)) &&
           Py_REFCNT(exporter) > 1;
}

void release_buffer(void* context, Stream) noexcept {
    if (!python_alive()) return;  // the interpreter's memory goes with the process
    auto* const held = static_cast<BufferOwner*>(context);
    if (PyGILState_Check() == 1 && releases_quietly(held->buffer.obj)) {
        PyBuffer_Release(&held->buffer);
        delete held;
        return;
    }
    const CallbackScope scope;  // outlives the owner, whose memory the GIL guards
    const std::unique_ptr<BufferOwner> owner(held);
    PyBuffer_Release(&owner->buffer);
}

/// The context is the owner itself.
void release_reference(void* context, Stream) noexcept {
    if (!python_alive()) return;
    auto* const owner = static_cast<PyObject*>(context);
    if (PyGILState_Check() == 1 && Py_REFCNT(owner) > 1) {
        Py_DECREF(owner);  // runs nothing
        return;
    }
    const CallbackScope scope;
    Py_DECREF(owner);
}

void release_object(void* context, Stream stream) noexcept {
    std::unique_ptr<ObjectOwner> owner(static_cast<ObjectOwner*>(context));
    if (!python_alive()) {
        owner.release();
        return;
    }
    const CallbackScope scope;
    if (owner->release != nullptr) {
        PyObject* const argument = new_stream_object(stream);
        PyObject* const result = argument ? PyObject_CallOneArg(owner->release, argument) : nullptr;
        if (result == nullptr) {
            count_release_error();
            PyErr_WriteUnraisable(owner->release);
        }
        Py_XDECREF(result);
        Py_XDECREF(argument);
    }
    Py_XDECREF(owner->release);
    Py_XDECREF(owner->owner);
}

}  // namespace

std::shared_ptr<Allocation> adopt_buffer(Py_buffer& buffer, void* data, std::size_t nbytes) {
    std::unique_ptr<BufferOwner> owner;
    try {
        owner = std::make_unique<BufferOwner>();
        Allocation::Block block;
        block.data = data;
        block.nbytes = nbytes;
        block.release = release_buffer;
        block.context = owner.get();
        // PyBuffer_FillInfo points shape and strides into the struct itself, and from Python 3.12
        // on a class's __release_buffer__ reads them.
        owner->buffer = buffer;
        if (buffer.shape == &buffer.len) owner->buffer.shape = &owner->buffer.len;
        if (buffer.strides == &buffer.itemsize) owner->buffer.strides = &owner->buffer.itemsize;
        auto allocation = Allocation::adopt(std::move(block));
        owner.release();
        buffer.obj = nullptr;
        return allocation;
    } catch (...) {
        PyBuffer_Release(&buffer);
        throw;
    }
}

std::shared_ptr<Allocation> adopt_exported(PyObject* exporter) {
    auto owner = std::make_unique<BufferOwner>();
    Py_buffer& buffer = owner->buffer;
    if (PyObject_GetBuffer(exporter, &buffer, PyBUF_FULL_RO) != 0) throw py::error_already_set();
    try {
        auto allocation = Allocation::adopt_viewed(buffer.buf, static_cast<std::size_t>(buffer.len),
                                                   Device{}, release_buffer, &*owner);
        owner.release();
        return allocation;
    } catch (...) {
        PyBuffer_Release(&buffer);
        throw;
    }
}

std::shared_ptr<Allocation> adopt_reference(PyObject* owner, void* data, std::size_t nbytes) {
    auto allocation = Allocation::adopt_viewed(data, nbytes, Device{}, release_reference, owner);
    Py_INCREF(owner);
    return allocation;
}

std::shared_ptr<Allocation> adopt_object(void* data, std::size_t nbytes, Device device,
                                         PyObject* owner, PyObject* release, Stream stream,
                                         std::unique_ptr<StreamUses> uses) {
    auto held = std::make_unique<ObjectOwner>(ObjectOwner{owner, release});
    Allocation::Block block;
    block.data = data;
    block.nbytes = nbytes;
    block.device = device;
    block.stream = std::move(stream);
    block.release = release_object;
    block.context = held.get();
    block.uses = std::move(uses);
    auto allocation = is_cuda(device) && block.uses == nullptr
                          ? adopt_device(std::move(block))
                          : Allocation::adopt(std::move(block));
    Py_XINCREF(owner);
    Py_XINCREF(release);
    held.release();
    return allocation;
}

PyObject* owner_of(const Allocation& allocation) noexcept {
    const Release release = allocation.release_function();
    if (release == release_reference) return static_cast<PyObject*>(allocation.context());
    if (release == release_buffer) {
        return static_cast<BufferOwner*>(allocation.context())->buffer.obj;
    }
    if (release == release_object) return static_cast<ObjectOwner*>(allocation.context())->owner;
    return nullptr;
}

bool has_collected_owner(const Allocation& allocation) noexcept {
    // Of other memory, at most imports, nothing more is looked at.
    if (!has_python_owner(allocation)) return false;
    PyObject* const owner = owner_of(allocation);
    return (owner != nullptr && PyObject_IS_GC(owner)) || has_release_callback(allocation);
}

bool owner_stays(const Allocation& allocation) noexcept {
    const Release release = allocation.release_function();
    if (release == release_reference) {
        return Py_REFCNT(static_cast<PyObject*>(allocation.context())) > 1;
    }
    return release == release_buffer &&
           releases_quietly(static_cast<BufferOwner*>(allocation.context())->buffer.obj);
}

bool has_release_callback(const Allocation& allocation) noexcept {
    return !allocation.freed() && allocation.release_function() == release_object &&
           static_cast<ObjectOwner*>(allocation.context())->release != nullptr;
}

bool has_python_owner(const Allocation& allocation) noexcept {
    const Release release = allocation.release_function();
    return release == release_reference || release == release_buffer || release == release_object;
}

int visit_owner(const Allocation& allocation, visitproc visit, void* arg) {
    if (allocation.freed()) return 0;
    PyObject* const owner = owner_of(allocation);
#if PY_VERSION_HEX < 0x030D0000
    // Before 3.13 the collector breaks a memoryview that is exported: an error, then a crash.
    // A class's __buffer__ gives one inside a _buffer_wrapper (3.12).
    if (owner != nullptr && allocation.release_function() == release_buffer &&
        (PyMemoryView_Check(owner) ||
         std::strcmp(Py_TYPE(owner)->tp_name, "_buffer_wrapper") == 0)) {
        return 0;
    }
#endif
    Py_VISIT(owner);
    if (has_release_callback(allocation)) {
        Py_VISIT(static_cast<ObjectOwner*>(allocation.context())->release);
    }
    return 0;
}

}  // namespace devview::python
