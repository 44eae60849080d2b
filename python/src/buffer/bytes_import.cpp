// Python's own bytes: no protocol before the buffer's, and no layout but one dense axis.
#include "buffer/bytes_import.hpp"

#include <utility>

#include "owner.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

PyObject* new_vector(NewView& room, std::shared_ptr<Allocation>&& allocation, bool readonly) {
    static const Format bytes;
    void* const data = allocation->data();
    const auto extent = static_cast<std::int64_t>(allocation->nbytes());
    PyObject* const made = room.make([&] {
        return View(
            View::Counted{}, std::move(allocation), data, bytes,
            [&] { return Layout::vector(extent, 1); }, readonly);
    });
    if (tracing) trace_origin(*view_object(made)->view.allocation());
    return made;
}

}  // namespace

PyObject* new_bytes_view(PyObject* object) {
    NewView room;
    if (!PyBytes_CheckExact(object)) return new_vector(room, adopt_exported(object), false);
    auto allocation = adopt_reference(object, PyBytes_AS_STRING(object),
                                      static_cast<std::size_t>(PyBytes_GET_SIZE(object)));
    return new_vector(room, std::move(allocation), true);
}

}  // namespace devview::python
