// What devview's Python module offers to other extension modules: one table of C functions in a
// capsule. No call of it runs Python code of devview's; <devview/pybind11.hpp> is its user.
//
// Both sides share libdevview_core: views and allocations cross as C++ values. Every function needs
// the GIL, throws nothing, and on failure sets a Python error and has taken nothing.
#pragma once

#include <Python.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "devview/allocation.hpp"
#include "devview/ledger.hpp"
#include "devview/view.hpp"

namespace devview::python {

/// Of the table below: functions are only ever added at its end, and each addition counts it up.
inline constexpr std::uint32_t kTableVersion = 1;
inline constexpr const char* kTableCapsule = "devview._devview._extension_table";

struct Table {
    std::uint32_t version;
    std::uint32_t view_bytes;  ///< sizeof(View): another one is another libdevview_core
    const void* core;          ///< core_mark() of the libdevview_core that the module uses

    /// What dv.view(object) views; a released view with dv.view's error.
    View (*import_view)(PyObject* object) noexcept;
    /// A devview.View of `view`, which is left empty (new reference); null with an error, and
    /// `view` is as it was.
    PyObject* (*new_view)(View* view) noexcept;
    /// A dense copy of `view` in `order` as items of `format` on `device`: numbers are converted as
    /// View.astype does under "same_kind". A released view with an error.
    View (*copy_view)(const View* view, const Format* format, Device device, Order order) noexcept;
    /// Takes `block` over, with the bookkeeping of streams for CUDA's memory; a
    /// std::shared_ptr<Allocation> is made at `place`. 0 or -1.
    int (*adopt)(Allocation::Block* block, void* place) noexcept;
    /// The same for memory that `owner` keeps alive.
    int (*adopt_owner)(void* data, std::size_t nbytes, Device device, const Stream* stream,
                       PyObject* owner, void* place) noexcept;
    /// The C++ exception in flight (call it in a catch block) as the Python error that stands for
    /// it.
    void (*set_error)() noexcept;
};

/// An address in libdevview_core: two of them in a process would count views apart.
inline const void* core_mark() noexcept {
    return reinterpret_cast<const void*>(&live_allocation_count);
}

namespace detail {

/// The module's table; null with an ImportError that tells what is missing.
inline const Table* import_table() {
    const auto* const table = static_cast<const Table*>(PyCapsule_Import(kTableCapsule, 0));
    if (table == nullptr) {
        PyObject *type, *cause, *traceback;
        PyErr_Fetch(&type, &cause, &traceback);
        PyErr_NormalizeException(&type, &cause, &traceback);
        PyErr_Format(PyExc_ImportError,
                     "this extension module needs the Python package devview with its table of C "
                     "functions (version %u): %S",
                     kTableVersion, cause);
        Py_XDECREF(type);
        Py_XDECREF(cause);
        Py_XDECREF(traceback);
        return nullptr;
    }
    if (table->version < kTableVersion || table->view_bytes != sizeof(View)) {
        PyErr_Format(PyExc_ImportError,
                     "this extension module was built for version %u of devview's table of C "
                     "functions and views of %zu bytes, the installed devview has version %u and "
                     "%u bytes",
                     kTableVersion, sizeof(View), table->version, table->view_bytes);
        return nullptr;
    }
    if (table->core != core_mark()) {
        PyErr_SetString(PyExc_ImportError,
                        "this extension module has a devview_core of its own (static, or another "
                        "file): link the shared one of the installed devview");
        return nullptr;
    }
    return table;
}

}  // namespace detail

/// The table, imported once; null with an ImportError. Needs the GIL. No static local: while one
/// thread is in its initialiser without the GIL, another would wait for it with the GIL.
inline const Table* table() noexcept {
    static std::atomic<const Table*> known{nullptr};
    if (const Table* const found = known.load(std::memory_order_acquire)) return found;
    const Table* const found = detail::import_table();
    if (found != nullptr) known.store(found, std::memory_order_release);
    return found;
}

}  // namespace devview::python
