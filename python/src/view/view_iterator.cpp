// Iteration over the first axis: items of a 1-d view, else sub-views. What is written meanwhile is
// seen, a view released meanwhile is a ValueError; as memoryview. Items of device memory come
// through the host block by block, and are as new as their block.
#include "view/view_iterator.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "buffer/host_access.hpp"
#include "devview/copy_plan.hpp"
#include "devview/host_memory.hpp"
#include "item/item.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

constexpr std::int64_t kBlockBytes = 65536;

/// Items of a device view that have come to the host.
struct Block {
    std::vector<char> bytes{};
    Py_ssize_t first = 0;
    Py_ssize_t end = 0;
};

struct ViewIterator {
    PyObject_HEAD PyObject* view;  ///< null once it is exhausted
    Py_ssize_t index;
    Py_ssize_t length;
    Block* block;  ///< of device memory, else null
};

PyTypeObject* iterator_type = nullptr;

ViewIterator* iterator_of(PyObject* object) noexcept {
    return reinterpret_cast<ViewIterator*>(object);
}

bool is_on_device(const View& view) noexcept {
    return view.ndim() == 1 && !host_accessible(view.device());
}

Block fetch(const View& view, Py_ssize_t first) {
    const std::int64_t itemsize = view.itemsize();
    const std::int64_t count = std::min<std::int64_t>(
        std::max<std::int64_t>(1, kBlockBytes / std::max<std::int64_t>(1, itemsize)),
        view.shape()[0] - first);
    const View part = view.slice(0, first, first + count);
    const HostItems host(part, "iter");
    std::vector<char> bytes(static_cast<std::size_t>(count * itemsize));
    copy_host(bytes.data(), Layout::vector(count, itemsize), host.data(), host.layout(), itemsize);
    return {std::move(bytes), first, first + static_cast<Py_ssize_t>(count)};
}

PyObject* next_on_device(ViewIterator* self, Py_ssize_t index) {
    const View view = live_view(self->view);  // a copy: the GIL goes while the block comes
    if (index < self->block->first || index >= self->block->end) {
        Block fetched = fetch(view, index);
        *self->block = std::move(fetched);
    }
    // A copy of the item: unpacking may come back here and fetch another block.
    const auto size = static_cast<std::size_t>(view.itemsize());
    const char* const data =
        self->block->bytes.data() + static_cast<std::size_t>(index - self->block->first) * size;
    alignas(std::max_align_t) char small[64];
    std::vector<char> large;
    if (size > sizeof small) large.resize(size);
    char* const item = large.empty() ? small : large.data();
    std::memcpy(item, data, size);
    return unpack_item(*view.format().node(), item);
}

PyObject* next_item(ViewIterator* self, Py_ssize_t index) {
    const View& view = live_view(self->view);
    if (self->block != nullptr) return next_on_device(self, index);
    if (view.ndim() == 1 && plain_host(view) && view.suboffsets() == nullptr) {
        return read_plain(view, static_cast<const char*>(view.data()) + index * view.strides()[0]);
    }
    return view_item(self->view, index);
}

PyObject* iterator_next(PyObject* object) {
    auto* const self = iterator_of(object);
    if (self->view == nullptr) return nullptr;
    if (self->index < self->length) {
        const Py_ssize_t index = self->index++;
        // An item that runs user code may exhaust the iterator, which lets go of the view.
        const auto held = py::reinterpret_borrow<py::object>(self->view);
        return guarded<PyObject*>(nullptr, [&] { return next_item(self, index); });
    }
    Py_CLEAR(self->view);
    return nullptr;
}

int iterator_traverse(PyObject* object, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(iterator_of(object)->view);
    return 0;
}

int iterator_clear(PyObject* object) {
    Py_CLEAR(iterator_of(object)->view);
    return 0;
}

void iterator_dealloc(PyObject* object) {
    auto* const self = iterator_of(object);
    PyTypeObject* const type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    delete self->block;
    Py_CLEAR(self->view);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The items of a View, one by one.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(iterator_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(iterator_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(iterator_clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(iterator_next)},
    {0, nullptr},
};

PyType_Spec spec = {
    "devview._ViewIterator",
    sizeof(ViewIterator),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
        Py_TPFLAGS_DISALLOW_INSTANTIATION,
    slots,
};

}  // namespace

void make_view_iterator_type() {
    iterator_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (iterator_type == nullptr) throw py::error_already_set();
}

PyObject* view_iter(PyObject* object) {
    return guarded<PyObject*>(nullptr, [&] {
        const View& view = live_view(object);
        if (view.ndim() == 0) throw py::type_error("invalid indexing of 0-dim memory");
        auto block = is_on_device(view) ? std::make_unique<Block>() : nullptr;
        const auto length = static_cast<Py_ssize_t>(view.shape()[0]);
        auto* const self =
            reinterpret_cast<ViewIterator*>(PyObject_GC_New(ViewIterator, iterator_type));
        if (self == nullptr) throw py::error_already_set();
        Py_INCREF(object);
        self->view = object;
        self->index = 0;
        self->length = length;
        self->block = block.release();
        PyObject_GC_Track(self);
        return reinterpret_cast<PyObject*>(self);
    });
}

}  // namespace devview::python
