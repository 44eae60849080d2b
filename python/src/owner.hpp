// Python objects that own the memory of an allocation, and how they are let go.
#pragma once

#include "devview/allocation.hpp"
#include "python.hpp"

namespace devview::python {

/// An allocation over a buffer that was asked for; PyBuffer_Release gives it back. Takes `buffer`
/// over (it is left empty). @throws std::bad_alloc  then the buffer was released.
std::shared_ptr<Allocation> adopt_buffer(Py_buffer& buffer, void* data, std::size_t nbytes);

/// An allocation over the dense bytes that `exporter` gives, its buffer held in place, born with
/// its first view (View::Counted). @throws std::bad_alloc, py::error_already_set
std::shared_ptr<Allocation> adopt_exported(PyObject* exporter);

/// An allocation over host memory that lives as long as `owner` does, born with its first view
/// (View::Counted). @throws std::bad_alloc
std::shared_ptr<Allocation> adopt_reference(PyObject* owner, void* data, std::size_t nbytes);

/// An allocation over memory that `owner` keeps alive (may be null) and that `release(stream)`, a
/// callable or null, gives back. `on_device` routes it through the stream bookkeeping.
/// If this throws, `release` never runs. `uses`: another block keeps the book of streams.
std::shared_ptr<Allocation> adopt_object(void* data, std::size_t nbytes, Device device,
                                         PyObject* owner, PyObject* release, Stream stream,
                                         std::unique_ptr<StreamUses> uses = {});

/// The Python object that owns the memory, borrowed; null if none does.
PyObject* owner_of(const Allocation& allocation) noexcept;

/// True if Python objects are held, which the collector must see.
bool has_python_owner(const Allocation& allocation) noexcept;

/// True if Python objects are held that can be part of a cycle: the collector must see them.
bool has_collected_owner(const Allocation& allocation) noexcept;

/// True if giving the memory back now would run nothing but one decrement of a count.
bool owner_stays(const Allocation& allocation) noexcept;

/// True if a Python callable will be called when the memory is given back.
bool has_release_callback(const Allocation& allocation) noexcept;

/// Shows the Python objects that the allocation holds to the collector.
int visit_owner(const Allocation& allocation, visitproc visit, void* arg);

}  // namespace devview::python
