// Life of View and Allocation objects: made, shown to the collector, released.
#include "view/view_object.hpp"

#include <new>

#include "callback_scope.hpp"
#include "devview/error.hpp"
#include "exchange/dlpack_tensor.hpp"
#include "owner.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

PyTypeObject* view_type = nullptr;
PyTypeObject* allocation_type = nullptr;

namespace {

// Dead objects kept for reuse, as CPython keeps tuples: guarded by the GIL.
struct FreeList {
    static constexpr int kMax = 64;
    PyObject* objects[kMax];
    int count = 0;

    template <class T>
    PyObject* take(PyTypeObject* type) {
        if (count > 0) return PyObject_Init(objects[--count], type);
        PyObject* const object = reinterpret_cast<PyObject*>(PyObject_GC_New(T, type));
        if (object == nullptr) throw py::error_already_set();
        return object;
    }
    void give(PyObject* object) noexcept {
        // A collected object keeps its mark of having been finalised.
        if (count < kMax && !PyObject_GC_IsFinalized(object)) {
            objects[count++] = object;
        } else {
            PyObject_GC_Del(object);
        }
    }
};
FreeList free_views;
FreeList free_allocations;

/// Something of Python (a release callback, an exporter) may run, or a driver lock be taken.
bool takes_driver_lock(const std::shared_ptr<Allocation>& allocation) noexcept {
    return allocation && is_cuda(allocation->device());
}

/// True if what giving the memory back runs first takes KnownGil's word.
bool knows_gil(const View& view) noexcept {
    const auto& memory = view.allocation();
    return memory && memory->release_function() == release_versioned;
}

void point_to(ViewObject* self, AllocationObject* allocation) noexcept {
    Py_INCREF(allocation);
    ++allocation->python_views;
    self->allocation = allocation;
}

void let_go(ViewObject* self) {
    if (takes_driver_lock(self->view.allocation())) {
        drop(std::move(self->view));
    } else if (self->view.bound() && self->allocation != nullptr && self->allocation->allocation &&
               !self->allocation->spare) {
        self->allocation->spare = self->view.detach();
    } else {
        const KnownGil here(knows_gil(self->view));
        self->view.release();
    }
    if (AllocationObject* const allocation = std::exchange(self->allocation, nullptr)) {
        --allocation->python_views;
        Py_DECREF(allocation);
    }
}

}  // namespace

NewView::NewView() : object_(view_object(free_views.take<ViewObject>(view_type))) {}

void NewView::give_back() noexcept {
    PyTypeObject* const type = Py_TYPE(object_);
    free_views.give(reinterpret_cast<PyObject*>(object_));
    Py_DECREF(type);
}

PyObject* NewView::finish() noexcept {
    ViewObject* const self = start();
    const auto& allocation = self->view.allocation();
    if (void* const known = allocation->binding.load(std::memory_order_acquire)) {
        point_to(self, static_cast<AllocationObject*>(known));
    }
    auto* const object = reinterpret_cast<PyObject*>(self);
    if (self->allocation != nullptr ? self->allocation->tracked
                                    : has_collected_owner(*allocation)) {
        PyObject_GC_Track(object);
    }
    return object;
}

PyObject* new_view(View&& view) {
    PyObject* const object = NewView().make([&] { return View(std::move(view)); });
    if (tracing) trace_origin(*view_object(object)->view.allocation());
    return object;
}

std::shared_ptr<Allocation> bound_handle(PyObject* parent) {
    if (takes_driver_lock(view_object(parent)->view.allocation())) return {};
    AllocationObject* const allocation = allocation_of(parent);
    View& view = view_object(parent)->view;
    view.bind();
    if (allocation->spare) return std::move(allocation->spare);
    return view.allocation();
}

PyObject* new_sub_view(PyObject* parent, View&& view) {
    if (view_object(parent)->allocation == nullptr && has_python_owner(*view.allocation())) {
        allocation_of(parent);
    }
    return new_view(std::move(view));
}

AllocationObject* allocation_of(PyObject* view) {
    auto* const self = view_object(view);
    if (self->allocation == nullptr) {
        AllocationObject* const made = object_of(live_view(view).allocation());
        // Making it may have run the collector, and with it anything.
        if (self->allocation == nullptr && !self->view.released()) point_to(self, made);
        Py_DECREF(made);
        live_view(view);
    }
    return self->allocation;
}

void refuse_released() { throw ReleasedError("operation forbidden on released View object"); }

void release_view(ViewObject* self) {
    if (self->exports > 0) {
        throw BufferError("release: View has " + std::to_string(self->exports) +
                          (self->exports == 1 ? " export" : " exports") + ", limit 0");
    }
    let_go(self);
}

void drop(std::shared_ptr<Allocation> allocation) {
    if (!takes_driver_lock(allocation)) return;
    const GilRelease release;
    allocation.reset();
}

void drop(View view) {
    if (!takes_driver_lock(view.allocation())) return;
    const GilRelease release;
    view.release();
}

namespace {

/// True if nothing else goes with the view, or nothing that has something to let go in its turn.
bool ends_chain(const ViewObject* self) noexcept {
    if (self->weakrefs != nullptr) return false;
    if (self->allocation != nullptr) return Py_REFCNT(self->allocation) > 1;
    return self->view.released() || owner_stays(*self->view.allocation());
}

void destroy(ViewObject* self) {
    auto* const object = reinterpret_cast<PyObject*>(self);
    PyTypeObject* const type = Py_TYPE(object);
    if (self->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
    if (self->allocation != nullptr || takes_driver_lock(self->view.allocation())) let_go(self);
    {
        const KnownGil here(knows_gil(self->view));
        self->view.~View();
    }
    if (self->lent_axes != nullptr && self->lent_axes != self->small_axes) {
        PyMem_Free(self->lent_axes);
    }
    free_views.give(object);
    Py_DECREF(type);
}

}  // namespace

void view_dealloc(PyObject* object) {
    PyObject_GC_UnTrack(object);
    if (ends_chain(view_object(object))) return destroy(view_object(object));
    // A view of a memoryview of a view of ...: the chain must not become a recursion.
    Py_TRASHCAN_BEGIN(object, view_dealloc) destroy(view_object(object));
    Py_TRASHCAN_END
}

int view_traverse(PyObject* object, visitproc visit, void* arg) {
    const auto* const self = view_object(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->allocation);
    if (self->allocation == nullptr && self->view.allocation().use_count() == 1) {
        return visit_owner(*self->view.allocation(), visit, arg);
    }
    return 0;
}

// The collector finalises a whole cycle before it clears any part of it: a release callback still
// has its closure then. All other memory stays for the finalisers of the cycle's other objects.
void view_finalize(PyObject* object) {
    const View& view = view_object(object)->view;
    if (!view.released() && has_release_callback(*view.allocation())) view_clear(object);
}

int view_clear(PyObject* object) {
    auto* const self = view_object(object);
    if (self->exports == 0) let_go(self);
    return 0;
}

/// What the object takes, and the block of a layout or of lent axes that is not inside it.
PyObject* view_sizeof(PyObject* self, PyObject*) {
    const auto* const object = view_object(self);
    const View& view = object->view;
    const auto axes = static_cast<std::size_t>(view.ndim());
    const auto at = reinterpret_cast<std::uintptr_t>(view.shape());
    const auto begin = reinterpret_cast<std::uintptr_t>(object);
    const bool inside = at >= begin && at < begin + sizeof(ViewObject);
    std::size_t bytes = sizeof(ViewObject);
    if (!inside) bytes += axes * (view.suboffsets() ? 3 : 2) * sizeof(std::int64_t);
    if (object->lent_axes != nullptr && object->lent_axes != object->small_axes) {
        bytes += axes * 2 * sizeof(std::int64_t);
    }
    return PyLong_FromSize_t(bytes);
}

AllocationObject* object_of(std::shared_ptr<Allocation> allocation) {
    // Made before the look at the binding: an allocation of memory may run the collector.
    auto* self = allocation_object(free_allocations.take<AllocationObject>(allocation_type));
    void* const known = allocation->binding.load(std::memory_order_acquire);
    new (&self->allocation) std::shared_ptr<Allocation>(std::move(allocation));
    new (&self->spare) std::shared_ptr<Allocation>();
    self->python_views = 0;
    self->weakrefs = nullptr;
    self->tracked = has_collected_owner(*self->allocation);
    if (self->tracked) PyObject_GC_Track(reinterpret_cast<PyObject*>(self));
    if (known != nullptr) {
        Py_DECREF(self);
        Py_INCREF(static_cast<PyObject*>(known));
        return static_cast<AllocationObject*>(known);
    }
    self->allocation->binding.store(self, std::memory_order_release);
    return self;
}

/// No longer the object that stands for the allocation.
void unbind(AllocationObject* self) noexcept {
    if (!self->allocation) return;
    void* expected = self;
    self->allocation->binding.compare_exchange_strong(expected, nullptr);
}

void allocation_dealloc(PyObject* object) {
    auto* const self = allocation_object(object);
    PyTypeObject* const type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    unbind(self);  // first: a weakref callback must not find the dying object
    if (self->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
    self->spare.reset();
    drop(std::move(self->allocation));
    self->spare.~shared_ptr();
    self->allocation.~shared_ptr();
    free_allocations.give(object);
    Py_DECREF(type);
}

int allocation_traverse(PyObject* object, visitproc visit, void* arg) {
    const auto* const self = allocation_object(object);
    Py_VISIT(Py_TYPE(object));
    // Every holder is known to the collector: this object and the views that point to it.
    const Py_ssize_t known = self->python_views + (self->spare ? 2 : 1);
    if (self->allocation && self->allocation.use_count() == known) {
        return visit_owner(*self->allocation, visit, arg);
    }
    return 0;
}

void allocation_finalize(PyObject* object) {
    const auto* const self = allocation_object(object);
    if (self->allocation && has_release_callback(*self->allocation)) allocation_clear(object);
}

int allocation_clear(PyObject* object) {
    auto* const self = allocation_object(object);
    unbind(self);
    self->spare.reset();
    drop(std::move(self->allocation));
    return 0;
}

}  // namespace devview::python
