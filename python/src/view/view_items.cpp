// tolist, count, index and fill.
#include "view/view_items.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "buffer/host_access.hpp"
#include "devview/copy.hpp"
#include "devview/error.hpp"
#include "item/item.hpp"
#include "view/call_arguments.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

PyObject* list_axis(const FormatNode& format, const Layout& layout, int axis, const char* data) {
    if (axis == layout.ndim()) return unpack_item(format, data);
    const std::int64_t extent = layout.shape()[axis];
    const std::int64_t stride = layout.strides()[axis];
    const bool pointers = layout.suboffsets() != nullptr && layout.suboffsets()[axis] >= 0;
    if (axis == layout.ndim() - 1 && !pointers) {
        return unpack_row(format, data, stride, static_cast<Py_ssize_t>(extent));
    }
    py::object list =
        py::reinterpret_steal<py::object>(PyList_New(static_cast<Py_ssize_t>(extent)));
    if (!list) throw py::error_already_set();
    for (std::int64_t i = 0; i < extent; ++i) {
        const char* const at = follow(layout, axis, data + i * stride);
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i),
                        list_axis(format, layout, axis + 1, at));
    }
    return list.release().ptr();
}

/// Calls `visit(i, item)` for the items of a 1-d view from `start` on until it returns false.
template <class F>
void each_item(PyObject* self, const char* operation, std::int64_t start, std::int64_t stop,
               F&& visit) {
    const View view = live_view(self);  // a copy: comparing items runs user code
    if (view.ndim() != 1) {
        throw LayoutError(std::string(operation) + ": ndim " + std::to_string(view.ndim()) +
                          ", needs 1");
    }
    const HostItems host(view, operation);
    const Layout& layout = host.layout();
    const FormatNode& format = *view.format().node();
    for (std::int64_t i = start; i < std::min(stop, view.shape()[0]); ++i) {
        const char* const at = follow(layout, 0, host.data() + i * layout.strides()[0]);
        const auto item = py::reinterpret_steal<py::object>(unpack_item(format, at));
        if (!visit(i, item.ptr())) return;
        if ((i & 0xffff) == 0xffff && PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
}

bool equals(PyObject* item, PyObject* value) {
    const int equal = PyObject_RichCompareBool(item, value, Py_EQ);
    if (equal < 0) throw py::error_already_set();
    return equal == 1;
}

// --- fill: a value whose packing releases the view is not written, as by v[i] = value ---

/// Calls `visit(data)` for every item of a host layout; several may share one address.
template <class F>
void each_place(const Layout& layout, int axis, char* data, const F& visit) {
    if (axis == layout.ndim()) return visit(data);
    for (std::int64_t i = 0; i < layout.shape()[axis]; ++i) {
        char* const at = data + i * layout.strides()[axis];
        each_place(layout, axis + 1, const_cast<char*>(follow(layout, axis, at)), visit);
    }
}

/// Objects that are let go at the end of a scope: that may run user code.
struct References {
    ~References() {
        for (PyObject* const object : objects)
            Py_DECREF(object);
    }
    std::vector<PyObject*> objects{};
};

/// Each item gets references of its own. What was there goes last; until then no user code runs.
void fill_objects(PyObject* self, const View& view, PyObject* value) {
    const FormatNode& format = *view.format().node();
    const auto size = static_cast<std::size_t>(view.itemsize());
    std::vector<char> item(size, 0);
    pack_item(format, item.data(), value);
    References added;
    collect_objects(format, item.data(), added.objects);
    live_view(self);
    References dropped;
    dropped.objects.reserve(added.objects.size() * static_cast<std::size_t>(view.size()));
    const HostItems written(view, nullptr);  // waits for what is queued on pinned memory
    each_place(view.layout(), 0, static_cast<char*>(view.data()), [&](char* at) {
        collect_objects(format, at, dropped.objects);
        std::memcpy(at, item.data(), size);
        for (PyObject* const object : added.objects)
            Py_INCREF(object);
    });
}

/// A bit field may share its bytes with others: item by item, never whole bytes.
bool shares_bytes(const FormatNode& format) noexcept {
    return format.kind == Kind::bits && format.bits % 8 != 0;
}

void fill_bits(PyObject* self, const View& view, PyObject* value) {
    const FormatNode& format = *view.format().node();
    std::vector<char> checked(static_cast<std::size_t>(view.itemsize()), 0);
    pack_item(format, checked.data(), value);
    live_view(self);
    const auto number = py::reinterpret_steal<py::object>(unpack_item(format, checked.data()));
    const View host = copy_to(view, Device{}, Order::C);
    each_place(host.layout(), 0, static_cast<char*>(host.data()),
               [&](char* at) { pack_item(format, at, number.ptr()); });
    copy_items(view, host);
}

void fill_bytes(PyObject* self, const View& view, PyObject* value, PyObject* stream_value) {
    std::vector<char> item(static_cast<std::size_t>(view.itemsize()), 0);
    pack_item(*view.format().node(), item.data(), value);
    const Stream stream = read_stream(stream_value, view.device());
    live_view(self);
    const GilRelease release_gil;
    fill(view, item.data(), stream);
}

}  // namespace

PyObject* list_items(PyObject* self) {
    const View view = live_view(self);
    const HostItems host(view, "tolist");
    return list_axis(*view.format().node(), host.layout(), 0, host.data());
}

PyObject* count_items(PyObject* self, PyObject* value) {
    return guarded<PyObject*>(nullptr, [&] {
        Py_ssize_t found = 0;
        each_item(self, "count", 0, PY_SSIZE_T_MAX, [&](std::int64_t, PyObject* item) {
            found += equals(item, value) ? 1 : 0;
            return true;
        });
        return PyLong_FromSsize_t(found);
    });
}

PyObject* index_of_item(PyObject* self, PyObject* const* values, Py_ssize_t count,
                        PyObject* names) {
    const Arguments arguments(values, count, names, "index", {"value", "start", "stop"});
    PyObject* const value = arguments.require(0);
    const View& view = live_view(self);
    const std::int64_t extent = view.ndim() > 0 ? view.shape()[0] : 0;
    const auto bound = [&](std::size_t which, std::int64_t fallback) {
        if (arguments[which] == nullptr) return fallback;
        const std::int64_t given = read_integer(arguments[which], which == 1 ? "start" : "stop");
        return std::max<std::int64_t>(0, given < 0 ? given + extent : given);
    };
    const std::int64_t start = bound(1, 0);
    const std::int64_t stop = bound(2, extent);
    std::int64_t found = -1;
    each_item(self, "index", start, stop, [&](std::int64_t i, PyObject* item) {
        if (equals(item, value)) found = i;
        return found < 0;
    });
    if (found < 0) throw py::value_error("index: the value is not in the view");
    return PyLong_FromLongLong(found);
}

PyObject* fill_items(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    const Arguments arguments(values, count, names, "fill", {"value"}, {"stream"});
    const View view = live_view(self);  // a copy: packing may run user code
    PyObject* const value = arguments.require(0);
    if (view.readonly()) throw py::type_error("cannot modify read-only memory");
    if (view.format().has_objects()) {
        fill_objects(self, view, value);
    } else if (shares_bytes(*view.format().node())) {
        fill_bits(self, view, value);
    } else {
        fill_bytes(self, view, value, arguments[1]);
    }
    Py_INCREF(self);
    return self;
}

}  // namespace devview::python
