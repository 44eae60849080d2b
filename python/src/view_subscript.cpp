// v[...]: items and sub-views, read and written.
#include <cstring>
#include <string>

#include "arguments.hpp"
#include "devview/error.hpp"
#include "host_access.hpp"
#include "import.hpp"
#include "item.hpp"
#include "view_object.hpp"
#include "view_slots.hpp"

namespace devview::python {

namespace {

/// What a key selects: a sub-view, or one item (0-d, asked for by integers alone).
struct Selection {
    View view;
    bool item;
};

View sliced(const View& view, int axis, PyObject* slice) {
    Py_ssize_t start = 0;
    Py_ssize_t stop = 0;
    Py_ssize_t step = 0;
    if (PySlice_Unpack(slice, &start, &stop, &step) != 0) throw py::error_already_set();
    const Py_ssize_t extent =
        PySlice_AdjustIndices(static_cast<Py_ssize_t>(view.shape()[axis]), &start, &stop, step);
    std::int64_t shift = 0;
    Layout layout = view.layout().slice(axis, start, step, extent, shift);
    return View(view.allocation(), static_cast<char*>(view.data()) + shift, view.format(),
                std::move(layout), view.readonly(), view.own_stream());
}

Py_ssize_t index_value(PyObject* key) {
    const Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) throw py::error_already_set();
    return index;
}

View indexed(const View& view, int axis, PyObject* key) {
    return view.index(axis, index_value(key));
}

/// Axes of the view that a tuple key speaks of; at most one Ellipsis stands for the rest.
int consumed_axes(PyObject* const* keys, Py_ssize_t count, int ndim) {
    int axes = 0;
    bool ellipsis = false;
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (keys[i] == Py_Ellipsis) {
            if (ellipsis) throw py::index_error("index: more than one ellipsis");
            ellipsis = true;
        } else if (keys[i] != Py_None) {
            ++axes;
        }
    }
    if (axes > ndim) {
        PyErr_Format(PyExc_TypeError, "index: %d axes given, the view has %d", axes, ndim);
        throw py::error_already_set();
    }
    return axes;
}

[[noreturn]] void wrong_key(PyObject* key) {
    PyErr_Format(PyExc_TypeError,
                 "index: a %.100s is none of int, slice, None, Ellipsis, field name",
                 Py_TYPE(key)->tp_name);
    throw py::error_already_set();
}

Selection select_tuple(const View& base, PyObject* const* keys, Py_ssize_t count) {
    const int skipped = base.ndim() - consumed_axes(keys, count, base.ndim());
    View view = base;  // holds the memory while __index__ of a key runs user code
    bool item = true;
    int axis = 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* const key = keys[i];
        if (key == Py_Ellipsis) {
            axis += skipped;
            item = false;
        } else if (key == Py_None) {
            view = view.insert_axis(axis++);
            item = false;
        } else if (PySlice_Check(key)) {
            view = sliced(view, axis++, key);
            item = false;
        } else if (PyIndex_Check(key)) {
            view = indexed(view, axis, key);
        } else {
            wrong_key(key);
        }
    }
    return {std::move(view), item && skipped == 0};
}

/// What a key of integers and slices selects of up to three plain axes.
struct SmallSelection {
    int axes = 0;
    std::int64_t shape[3];
    std::int64_t strides[3];
    std::int64_t shift = 0;  ///< bytes from the view's data pointer
};

/// Its bounds and step are read without running user code.
bool plain_slice(PyObject* key) noexcept {
    if (!PySlice_Check(key)) return false;
    const auto* const slice = reinterpret_cast<PySliceObject*>(key);
    const auto plain = [](PyObject* value) { return value == Py_None || PyLong_CheckExact(value); };
    return plain(slice->start) && plain(slice->stop) && plain(slice->step);
}

/// False if the key or the layout is of another kind, or an index out of range: the general path
/// tells. Runs no user code.
bool select_small(const View& view, PyObject* const* keys, Py_ssize_t count, SmallSelection& to) {
    const Layout layout = view.layout();
    const int ndim = layout.ndim();
    if (ndim > 3 || layout.suboffsets() != nullptr || count > ndim) return false;
    bool empty = false;
    for (int axis = 0; axis < ndim; ++axis) {
        std::int64_t extent = layout.shape()[axis];
        std::int64_t stride = layout.strides()[axis];
        empty = empty || extent == 0;
        if (axis < count && PyLong_CheckExact(keys[axis])) {
            const Py_ssize_t index = index_value(keys[axis]);
            const std::int64_t at = index < 0 ? index + extent : index;
            if (at < 0 || at >= extent) return false;
            to.shift += at * stride;
            continue;
        }
        if (axis < count) {
            if (!plain_slice(keys[axis])) return false;
            Py_ssize_t start = 0;
            Py_ssize_t stop = 0;
            Py_ssize_t step = 0;
            if (PySlice_Unpack(keys[axis], &start, &stop, &step) != 0) {
                throw py::error_already_set();
            }
            extent = PySlice_AdjustIndices(static_cast<Py_ssize_t>(extent), &start, &stop, step);
            empty = empty || extent == 0;
            if (extent > 0) to.shift += start * stride;
            if (__builtin_mul_overflow(stride, std::int64_t{step}, &stride)) return false;
        }
        to.shape[to.axes] = extent;
        to.strides[to.axes++] = stride;
    }
    if (empty) to.shift = 0;  // an empty view never points past its memory
    return true;
}

View small_view(const View& view, const SmallSelection& selection) {
    return View(view.allocation(), static_cast<char*>(view.data()) + selection.shift, view.format(),
                Layout::small(selection.axes, selection.shape, selection.strides), view.readonly(),
                view.own_stream());
}

Selection select(PyObject* object, PyObject* key) {
    const bool tuple = PyTuple_Check(key);
    PyObject* const* const keys = tuple ? &PyTuple_GET_ITEM(key, 0) : &key;
    const Py_ssize_t count = tuple ? PyTuple_GET_SIZE(key) : 1;
    SmallSelection small;
    if (select_small(live_view(object), keys, count, small)) {
        return {small_view(live_view(object), small), small.axes == 0};
    }
    const View& base = live_view(object);
    if (PyUnicode_Check(key)) {
        if (base.format().kind() != Kind::record) {
            PyErr_Format(PyExc_TypeError, "index: '%U' is a field name, format '%s' has no fields",
                         key, base.format().text());
            throw py::error_already_set();
        }
        Py_ssize_t size = 0;
        const char* const name = PyUnicode_AsUTF8AndSize(key, &size);
        if (name == nullptr) throw py::error_already_set();
        return {base.field(std::string_view(name, static_cast<std::size_t>(size))), false};
    }
    if (base.ndim() == 0 && !tuple && key != Py_None && key != Py_Ellipsis) {
        PyErr_SetString(PyExc_TypeError, "invalid indexing of 0-dim memory");
        throw py::error_already_set();
    }
    return select_tuple(base, keys, count);
}

PyObject* read_item(const View& item) {
    if (plain_host(item)) {
        return unpack_item(*item.format().node(), static_cast<const char*>(item.data()));
    }
    const HostItems host(item, "index");
    return unpack_item(*item.format().node(), host.data());
}

/// The address of item `index` of a plain 1-d host view: the path of most reads and writes.
char* plain_item(const View& view, Py_ssize_t index) {
    const std::int64_t extent = view.shape()[0];
    const std::int64_t at = index < 0 ? index + extent : index;
    if (at < 0 || at >= extent) {
        throw std::out_of_range("index out of bounds on dimension 1: index " +
                                std::to_string(index) + ", extent " + std::to_string(extent));
    }
    return static_cast<char*>(view.data()) + at * view.strides()[0];
}

bool plain_vector(const View& view) noexcept {
    return view.ndim() == 1 && plain_host(view) && view.suboffsets() == nullptr;
}

/// As memoryview, whose error is a plain ValueError.
void require_same_structure(const View& target, const View& source) {
    try {
        require_copyable(target, source, "assign");
    } catch (const Error& error) {
        throw py::value_error(error.what());
    }
}

void assign(PyObject* object, PyObject* key, PyObject* value) {
    if (value == nullptr) {
        PyErr_SetString(PyExc_TypeError, "cannot delete memory");
        throw py::error_already_set();
    }
    if (live_view(object).readonly()) {
        PyErr_SetString(PyExc_TypeError, "cannot modify read-only memory");
        throw py::error_already_set();
    }
    const Selection target = select(object, key);
    if (target.item || target.view.ndim() == 0) {
        write_item(object, target.view, value);
        return;
    }
    const View source = import_view(value);
    live_view(object);  // a key's __index__, or the exporter's code, may have released it
    require_same_structure(target.view, source);
    copy_items(target.view, source);
}

}  // namespace

Py_ssize_t view_length(PyObject* object) {
    return guarded<Py_ssize_t>(-1, [&]() -> Py_ssize_t {
        const View& view = live_view(object);
        if (view.ndim() == 0) {
#if PY_VERSION_HEX >= 0x030C0000
            PyErr_SetString(PyExc_TypeError, "0-dim memory has no length");
            return -1;
#else
            return 1;  // as this Python's memoryview
#endif
        }
        return static_cast<Py_ssize_t>(view.shape()[0]);
    });
}

PyObject* view_item(PyObject* object, Py_ssize_t index) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const View& view = live_view(object);
        if (plain_vector(view)) {
            return unpack_item(*view.format().node(), plain_item(view, index));
        }
        if (view.ndim() == 0) throw py::type_error("invalid indexing of 0-dim memory");
        const View rest = view.index(0, index);
        return rest.ndim() == 0 ? read_item(rest) : new_sub_view(object, View(rest));
    });
}

PyObject* view_subscript(PyObject* object, PyObject* key) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        if (PyLong_CheckExact(key) && plain_vector(live_view(object))) {
            const View& view = view_object(object)->view;
            return unpack_item(*view.format().node(), plain_item(view, index_value(key)));
        }
        const bool tuple = PyTuple_Check(key);
        SmallSelection small;
        if (select_small(live_view(object), tuple ? &PyTuple_GET_ITEM(key, 0) : &key,
                         tuple ? PyTuple_GET_SIZE(key) : 1, small)) {
            const View& view = live_view(object);
            if (small.axes > 0) return new_sub_view(object, small_view(view, small));
            if (plain_host(view)) {
                return unpack_item(*view.format().node(),
                                   static_cast<const char*>(view.data()) + small.shift);
            }
        }
        Selection chosen = select(object, key);
        // __index__ of a key may have released the view: as memoryview, an item is refused then,
        // a sub-view lives on (cpython#92888).
        if (!chosen.item && view_object(object)->view.released()) {
            return new_view(std::move(chosen.view));
        }
        live_view(object);
        return chosen.item ? read_item(chosen.view) : new_sub_view(object, std::move(chosen.view));
    });
}

int view_assign_subscript(PyObject* object, PyObject* key, PyObject* value) {
    return guarded<int>(-1, [&] {
        const View& view = live_view(object);
        if (value != nullptr && PyLong_CheckExact(key) && !view.readonly() && plain_vector(view)) {
            const Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
            if (index == -1 && PyErr_Occurred()) return -1;
            if (PyLong_CheckExact(value) || PyFloat_CheckExact(value)) {
                pack_item(*view.format().node(), plain_item(view, index), value);
                return 0;
            }
            const View held = view;  // packing may run user code that releases the object
            View item(held.allocation(), plain_item(held, index), held.format(), Layout(), false);
            write_item(object, item, value);
            return 0;
        }
        assign(object, key, value);
        return 0;
    });
}

}  // namespace devview::python
