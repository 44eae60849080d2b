// Methods of a View that move its items: to another device, another format, or another view.
#include "view/view_moves.hpp"

#include <string>
#include <utility>

#include "arguments.hpp"
#include "buffer/host_access.hpp"
#include "devview/copy.hpp"
#include "devview/error.hpp"
#include "import.hpp"
#include "view/call_arguments.hpp"
#include "view/view_object.hpp"

namespace devview::python {

void assign_items(const char* function, const View& dst, const View& src, const Stream& stream) {
    require_convertible(function, src.format(), dst.format(), Casting::same_kind);
    require_movable(function, dst, src);
    if (dst.format() == src.format()) return copy_items(dst, src, stream);
    const GilRelease release_gil;
    convert(dst, src, Casting::same_kind, stream);
}

Order lying_order(const View& view, PyObject* value) {
    // 'A': Fortran order where the view is Fortran- and not C-contiguous (memoryview.tobytes).
    const bool fortran = !view.contiguous(Order::C) && view.contiguous(Order::F);
    return read_order(value, fortran ? Order::F : Order::C);
}

PyObject* view_to(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "to", {"device"}, {"stream", "copy"});
    const View view = live_view(self);
    if (arguments.require(0) == Py_None) throw py::type_error("to: device is None, name it");
    const Device where = read_device(arguments.require(0));
    const Stream stream = read_stream(arguments[1], stream_device(where, view.device()));
    const bool must = arguments.truth(2, false);
    const bool never = arguments[2] != nullptr && !must;
    if (where == view.device() && !must) {
        Py_INCREF(self);
        return self;
    }
    if (never) {
        throw BufferError("to: copy=False, but " + to_string(view.device()) + " to " +
                          to_string(where) + " needs a copy");
    }
    require_no_objects("to", view);
    View moved = [&] {
        const GilRelease release_gil;
        return copy_to(view, where, Order::C, stream);
    }();
    return new_view(std::move(moved));
}

PyObject* view_copy(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "copy", {}, {"device", "order", "stream"});
    const View view = live_view(self);
    const Device where = read_device(arguments[0], view.device());
    const Stream stream = read_stream(arguments[2], stream_device(where, view.device()));
    const Order order = lying_order(view, arguments[1]);
    require_no_objects("copy", view);
    View made = [&] {
        const GilRelease release_gil;
        return copy_to(view, where, order, stream);
    }();
    return new_view(std::move(made));
}

PyObject* view_copy_from(PyObject* self, PyObject* const* values, Py_ssize_t count,
                         PyObject* names) {
    const Arguments arguments(values, count, names, "copy_from", {"obj"}, {"stream"});
    const View source = import_view(arguments.require(0));
    const View target = live_view(self);
    assign_items("copy_from", target, source,
                 read_stream(arguments[1], stream_device(target.device(), source.device())));
    Py_INCREF(self);
    return self;
}

PyObject* view_copy_to(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "copy_to", {"obj"}, {"stream"});
    const View target = import_view(arguments.require(0));
    const View source = live_view(self);
    assign_items("copy_to", target, source,
                 read_stream(arguments[1], stream_device(source.device(), target.device())));
    Py_INCREF(arguments[0]);
    return arguments[0];
}

PyObject* view_astype(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "astype", {"format"},
                              {"order", "copy", "stream"});
    const Format format = read_format(arguments.require(0));
    const bool must = arguments.truth(2, true);
    const View view = live_view(self);
    const Order order = lying_order(view, arguments[1]);
    const Stream stream = read_stream(arguments[3], view.device());
    if (!must && format == view.format()) {
        Py_INCREF(self);
        return self;
    }
    require_convertible("astype", view.format(), format, Casting::unsafe);
    require_no_objects("astype", view);
    if (format.itemsize() == 0) {
        throw FormatError("astype: format '" + format.str() + "' has itemsize 0", 0);
    }
    View made = [&] {
        const GilRelease release_gil;
        return convert_to(view, format, Casting::unsafe, order, stream);
    }();
    return new_view(std::move(made));
}

}  // namespace devview::python
