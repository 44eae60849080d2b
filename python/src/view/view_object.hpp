// The Python objects behind dv.View and dv.Allocation: their structs and how they come and go.
//
// Ownership on this side: a ViewObject holds a core View, which holds the core Allocation. Where a
// Python object owns the memory, the garbage collector must see that object once: a view that is
// the only holder shows it itself; with the second view (or v.allocation) the one AllocationObject
// of the memory is made, all views point to it, and it shows the owner while every holder of the
// core Allocation is a Python object. So cycles through the owner are found, and nothing else is:
// where the owner is no object of the collector (bytes, ndarray), views are not shown to it at all.
//
// Views that point to an AllocationObject of host memory are bound: the GIL is the lock under which
// they are counted, and the handle of one that goes is kept for the next.
#pragma once

#include <memory>
#include <utility>

#include "devview/view.hpp"
#include "python.hpp"

namespace devview::python {

struct AllocationObject {
    PyObject_HEAD std::shared_ptr<Allocation> allocation;  ///< null after clear by the collector
    std::shared_ptr<Allocation> spare;  ///< a handle for the next view: a copy costs two atomics
    Py_ssize_t python_views;            ///< ViewObjects that point here
    PyObject* weakrefs;
    bool tracked;  ///< by the collector, as all views that point here
};

struct ViewObject {
    PyObject_HEAD View view;       ///< released() after release()
    AllocationObject* allocation;  ///< strong; null if there is none (see above)
    Py_ssize_t exports;            ///< live Py_buffers and stagings of this view
    Py_hash_t hash;                ///< -1: not computed
    PyObject* weakrefs;
    /// Shape and item strides, once DLPack's dltensor_from_py_object_no_sync has lent them; null
    /// before. They live as long as the object: in `small_axes`, or in a block of PyMem.
    std::int64_t* lent_axes;
    static constexpr int kSmallAxes = 6;
    std::int64_t small_axes[kSmallAxes];
};

extern PyTypeObject* view_type;
extern PyTypeObject* allocation_type;

inline bool is_view(PyObject* object) noexcept { return Py_TYPE(object) == view_type; }
inline ViewObject* view_object(PyObject* object) noexcept {
    return reinterpret_cast<ViewObject*>(object);
}
inline AllocationObject* allocation_object(PyObject* object) noexcept {
    return reinterpret_cast<AllocationObject*>(object);
}

[[noreturn]] void refuse_released();

/// The view of a View object. @throws ReleasedError.
inline const View& live_view(PyObject* object) {
    const View& view = view_object(object)->view;
    if (view.released()) refuse_released();
    return view;
}

/// A new View object (new reference). @throws py::error_already_set on memory exhaustion.
PyObject* new_view(View&& view);

/// Room for a View object that is not made yet. Getting it may run the collector, and with it
/// anything; what is looked at afterwards stays as it is until make().
class NewView {
public:
    /// @throws py::error_already_set on memory exhaustion.
    NewView();
    ~NewView() {
        if (object_ != nullptr) give_back();
    }
    NewView(const NewView&) = delete;
    NewView& operator=(const NewView&) = delete;
    /// The object with the View that `make`, which must not throw, returns (new reference).
    template <class Make>
    PyObject* make(Make&& make) noexcept {
        new (&object_->view) View(make());
        return finish();
    }
    /// The same for the first view of memory that holds nothing for the collector.
    template <class Make>
    PyObject* make_first(Make&& make) noexcept {
        new (&object_->view) View(make());
        return reinterpret_cast<PyObject*>(start());
    }

private:
    PyObject* finish() noexcept;
    void give_back() noexcept;
    /// What is not the View, of an object that is handed out.
    ViewObject* start() noexcept {
        ViewObject* const self = std::exchange(object_, nullptr);
        self->allocation = nullptr;
        self->exports = 0;
        self->hash = -1;
        self->weakrefs = nullptr;
        self->lent_axes = nullptr;
        return self;
    }
    ViewObject* object_;
};

/// The same for a view of the memory that the View object `parent` views.
PyObject* new_sub_view(PyObject* parent, View&& view);

/// A handle for one more bound view of the memory that the live View object `parent` views, whose
/// AllocationObject is made if need be; null where views are not bound.
std::shared_ptr<Allocation> bound_handle(PyObject* parent);

/// A view of `parent`'s memory, items and all, made in its place: `shift` bytes from its data on,
/// laid out as `make_layout()`, which must not throw, says. @throws ReleasedError
template <class MakeLayout>
PyObject* new_window(PyObject* parent, std::int64_t shift, const MakeLayout& make_layout) {
    std::shared_ptr<Allocation> handle = bound_handle(parent);
    NewView room;
    const View& view = live_view(parent);  // the collector may have run
    auto* const data = static_cast<char*>(view.data()) + shift;
    if (!handle) {
        return room.make([&] {
            return View(view.allocation(), data, view.format(), make_layout(), view.readonly(),
                        view.own_stream());
        });
    }
    return room.make(
        [&] { return View(View::Bound{}, view, std::move(handle), data, make_layout); });
}

/// The AllocationObject of a live View object, which points to it from then on (borrowed).
AllocationObject* allocation_of(PyObject* view);

/// As memoryview.release(). @throws BufferError  naming the exports.
void release_view(ViewObject* object);

/// The AllocationObject of an allocation, made if there is none (new reference).
AllocationObject* object_of(std::shared_ptr<Allocation> allocation);

/// Drops what may be the last holder: the GIL is released where a driver lock may be taken.
void drop(std::shared_ptr<Allocation> allocation);
void drop(View view);

/// dv.trace: allocations remember the Python line that they were made on (guarded by the GIL).
extern bool tracing;
void trace_origin(Allocation& allocation);

void make_view_type(py::module_& module);
void make_allocation_type(py::module_& module);

}  // namespace devview::python
