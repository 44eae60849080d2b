// Python objects that own the memory of an allocation, and how they are let go.
#pragma once

#include "devview/allocation.hpp"
#include "python.hpp"

namespace devview::python {

/// An allocation over a buffer that was asked for; PyBuffer_Release gives it back. Takes `buffer`
/// over (it is left empty). @throws std::bad_alloc  then the buffer was released.
std::shared_ptr<Allocation> adopt_buffer(Py_buffer& buffer, void* data, std::size_t nbytes);

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

/// True if a Python callable will be called when the memory is given back.
bool has_release_callback(const Allocation& allocation) noexcept;

/// Shows the Python objects that the allocation holds to the collector.
int visit_owner(const Allocation& allocation, visitproc visit, void* arg);

}  // namespace devview::python
