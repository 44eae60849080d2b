// The table that other extension modules import, see devview/python_table.hpp.
#include <new>
#include <utility>

#include "bindings.hpp"
#include "buffer/host_access.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/python_table.hpp"
#include "import.hpp"
#include "owner.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

View import_view_of(PyObject* object) noexcept {
    try {
        return import_argument(object);
    } catch (...) {
        set_error_from_exception();
    }
    return View();
}

PyObject* new_view_of(View* view) noexcept {
    return guarded<PyObject*>(nullptr, [&] { return new_view(std::move(*view)); });
}

/// `made` on `device`; where it is a view of the source's own memory, a copy all the same.
View copied_to(View made, Device device, Order order, const View& source) {
    if (made.device() == device && made.allocation() != source.allocation()) return made;
    return copy_to(made, device, order);
}

View copy_view_of(const View* view, const Format* format, Device device, Order order) noexcept {
    try {
        require_no_objects("conversion", *view);
        if (host_accessible(device) && !host_accessible(view->device())) {
            guard_transfer(*view, "conversion of an argument");
        }
        require_convertible("conversion", view->format(), *format, Casting::same_kind);
        const GilRelease release;
        View made = *view;
        if (made.format() != *format) made = convert_to(made, *format, Casting::same_kind, order);
        return copied_to(std::move(made), device, order, *view);
    } catch (...) {
        set_error_from_exception();
    }
    return View();
}

int adopt_at(Allocation::Block* block, void* place) noexcept {
    return guarded<int>(-1, [&] {
        std::shared_ptr<Allocation> made;
        if (is_cuda(block->device)) {
            const GilRelease release;
            made = adopt_device(std::move(*block));
        } else {
            made = Allocation::adopt(std::move(*block));
        }
        new (place) std::shared_ptr<Allocation>(std::move(made));
        return 0;
    });
}

int adopt_owner_at(void* data, std::size_t nbytes, Device device, const Stream* stream,
                   PyObject* owner, void* place) noexcept {
    return guarded<int>(-1, [&] {
        new (place) std::shared_ptr<Allocation>(
            adopt_object(data, nbytes, device, owner, nullptr, *stream));
        return 0;
    });
}

const Table kTable = {
    kTableVersion, sizeof(View), core_mark(),    import_view_of,           new_view_of,
    copy_view_of,  adopt_at,     adopt_owner_at, set_error_from_exception,
};

}  // namespace

void bind_extension_table(py::module_& module) {
    module.add_object("_extension_table",
                      py::capsule(static_cast<const void*>(&kTable), kTableCapsule));
}

}  // namespace devview::python
