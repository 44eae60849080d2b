// v[...]: items and sub-views, read and written.
#include <string>
#include <string_view>
#include <utility>

#include "arguments.hpp"
#include "buffer/host_access.hpp"
#include "devview/error.hpp"
#include "import.hpp"
#include "item/item.hpp"
#include "view/view_keys.hpp"
#include "view/view_object.hpp"
#include "view/view_select.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

/// What a key selects: a sub-view, or one item (0-d, asked for by integers alone).
struct Selection {
    View view;
    bool item;
};

/// memoryview's text to the letter, which its tests compare; the note tells value and limit.
[[noreturn]] void out_of_bounds(int dimension, Py_ssize_t index, std::int64_t extent) {
    const auto error = py::reinterpret_steal<py::object>(PyObject_CallFunction(
        PyExc_IndexError, "N",
        PyUnicode_FromFormat("index out of bounds on dimension %d", dimension)));
    if (!error) throw py::error_already_set();
    py::list notes;
    notes.append("index " + std::to_string(index) + ", extent " + std::to_string(extent));
    error.attr("__notes__") = notes;
    PyErr_SetObject(PyExc_IndexError, error.ptr());
    throw py::error_already_set();
}

View sliced(const View& view, int axis, const Key& key) {
    Py_ssize_t start = key.start;
    Py_ssize_t stop = key.stop;
    const Py_ssize_t extent =
        PySlice_AdjustIndices(static_cast<Py_ssize_t>(view.shape()[axis]), &start, &stop, key.step);
    std::int64_t shift = 0;
    Layout layout = view.layout().slice(axis, start, key.step, extent, shift);
    return View(view.allocation(), static_cast<char*>(view.data()) + shift, view.format(),
                std::move(layout), view.readonly(), view.own_stream());
}

Py_ssize_t index_value(PyObject* key) {
    const Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) throw py::error_already_set();
    return index;
}

/// Any key on any layout.
Selection select_any(const View& base, const Keys& keys) {
    if (base.ndim() == 0 && !keys.is_tuple() && keys.is_plain()) {
        throw py::type_error("invalid indexing of 0-dim memory");
    }
    if (keys.axes() > base.ndim()) {
        PyErr_Format(PyExc_TypeError, "index: %zd axes given, the view has %d", keys.axes(),
                     base.ndim());
        throw py::error_already_set();
    }
    const int skipped = base.ndim() - static_cast<int>(keys.axes());
    View view = base;
    bool item = skipped == 0;
    int axis = 0;
    int base_axis = 0;
    for (const Key& key : keys) {
        if (key.kind == Key::Kind::index) {
            const std::int64_t extent = base.shape()[base_axis++];
            if (key.start < -extent || key.start >= extent) {
                out_of_bounds(base_axis, key.start, extent);
            }
            view = view.index(axis, key.start);
            continue;
        }
        item = false;
        if (key.kind == Key::Kind::slice) {
            view = sliced(view, axis++, key);
            ++base_axis;
        } else if (key.kind == Key::Kind::new_axis) {
            view = view.insert_axis(axis++);
        } else {
            axis += skipped;
            base_axis += skipped;
        }
    }
    return {std::move(view), item};
}

/// What a key selects of packed items: a view, or the item at `index` in C order.
struct PackedSelection {
    View view;
    std::int64_t index;  ///< -1: a view
};

PackedSelection select_packed(const View& base, const Keys& keys) {
    // As if there were a byte to each item: only the arithmetic is used. The end alone must be a
    // view of packed items, not the steps to it.
    const View bytes(base.allocation(), base.data(), Format(), base.layout(), base.readonly(),
                     base.own_stream());
    const Selection chosen = select_any(bytes, keys);
    const std::int64_t shift =
        static_cast<const char*>(chosen.view.data()) - static_cast<const char*>(base.data());
    if (chosen.item) return {base, shift};
    return {base.window(chosen.view.layout(), shift), -1};
}

View plain_view(const View& view, const PlainSelection& picked) {
    return View(view.allocation(), static_cast<char*>(view.data()) + picked.shift, view.format(),
                picked.layout(view.itemsize()), view.readonly(), view.own_stream());
}

/// Of the memory that the View object `parent` views.
PyObject* new_plain_view(PyObject* parent, const PlainSelection& picked) {
    if (picked.axes > Layout::kMaxSmall) {
        return new_sub_view(parent, plain_view(live_view(parent), picked));
    }
    return new_window(parent, picked.shift,
                      [&] { return Layout::small(picked.axes, picked.shape, picked.strides); });
}

View named_field(const View& view, PyObject* key) {
    if (view.format().kind() != Kind::record) {
        PyErr_Format(PyExc_TypeError, "index: '%U' is a field name, format '%.200s' has no fields",
                     key, view.format().text());
        throw py::error_already_set();
    }
    Py_ssize_t size = 0;
    const char* const name = PyUnicode_AsUTF8AndSize(key, &size);
    if (name == nullptr) throw py::error_already_set();
    return view.field(std::string_view(name, static_cast<std::size_t>(size)));
}

PyObject* read_item(const View& item) {
    if (plain_host(item)) {
        return unpack_item(*item.format().node(), static_cast<const char*>(item.data()));
    }
    const HostItems host(item, "index");
    return unpack_item(*item.format().node(), host.data());
}

std::int64_t in_bounds(const View& view, Py_ssize_t index) {
    const std::int64_t extent = view.shape()[0];
    const std::int64_t at = index < 0 ? index + extent : index;
    if (at < 0 || at >= extent) out_of_bounds(1, index, extent);
    return at;
}

/// The address of item `index` of a plain 1-d host view: the path of most reads and writes.
char* plain_item(const View& view, Py_ssize_t index) {
    return static_cast<char*>(view.data()) + in_bounds(view, index) * view.strides()[0];
}

/// The address that a tuple of ints selects in a plain host view of as many axes; null for other
/// keys and for indices out of range, of which the general path tells.
const char* plain_element(const View& view, PyObject* key) noexcept {
    const int ndim = view.ndim();
    if (PyTuple_GET_SIZE(key) != ndim || !plain_host(view) || view.suboffsets() != nullptr) {
        return nullptr;
    }
    const auto* data = static_cast<const char*>(view.data());
    for (int axis = 0; axis < ndim; ++axis) {
        PyObject* const part = PyTuple_GET_ITEM(key, axis);
        if (!PyLong_CheckExact(part)) return nullptr;
        const Py_ssize_t index = PyLong_AsSsize_t(part);
        if (index == -1 && PyErr_Occurred()) {
            PyErr_Clear();
            return nullptr;
        }
        const std::int64_t extent = view.shape()[axis];
        const std::int64_t at = index < 0 ? index + extent : index;
        if (at < 0 || at >= extent) return nullptr;
        data += at * view.strides()[axis];
    }
    return data;
}

/// Packing runs no user code ('O' would drop what was there) and cannot release the view.
bool packs_alone(const FormatNode& format, PyObject* value) noexcept {
    switch (format.kind) {
        case Kind::boolean:
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::floating:
            return PyLong_CheckExact(value) || PyFloat_CheckExact(value) || PyBool_Check(value);
        case Kind::character:
            return PyBytes_CheckExact(value);
        default:
            return false;
    }
}

bool plain_vector(const View& view) noexcept {
    return view.ndim() == 1 && plain_host(view) && view.suboffsets() == nullptr;
}

/// Packs an item of a plain host view at `data`.
void pack_plain(PyObject* object, const View& view, char* data, PyObject* value) {
    const FormatNode& format = *view.format().node();
    if (packs_alone(format, value)) return pack_item(format, data, value);
    write_item(object, View(view.allocation(), data, view.format(), Layout(), false), value);
}

bool is_single_value(PyObject* value) noexcept {
    return PyLong_Check(value) || PyFloat_Check(value) || PyComplex_Check(value) ||
           PyUnicode_Check(value) || PyTuple_Check(value) || PyDict_Check(value) ||
           value == Py_None;
}

/// What is assigned to a sub-view.
View read_source(PyObject* value) {
    if (is_single_value(value) && !PyObject_CheckBuffer(value)) {
        PyErr_Format(PyExc_TypeError,
                     "assign: a buffer is needed, not '%.100s'; fill(value) writes one value to "
                     "every item",
                     Py_TYPE(value)->tp_name);
        throw py::error_already_set();
    }
    return import_view(value);
}

/// As memoryview, whose error is a plain ValueError.
void require_same_structure(const View& target, const View& source) {
    try {
        if (target.format() != source.format()) {
            throw FormatError(std::string("assign: format '") + source.format().text() +
                                  "' into '" + target.format().text() + "'; copyto converts",
                              0);
        }
        require_movable("assign", target, source);
    } catch (const Error& error) {
        throw py::value_error(error.what());
    }
}

void assign(PyObject* object, const Selection& target, PyObject* value) {
    if (target.item || target.view.ndim() == 0) {
        write_item(object, target.view, value);
        return;
    }
    const View source = read_source(value);
    live_view(object);  // the exporter's code may have released it
    require_same_structure(target.view, source);
    copy_items(target.view, source);
}

void assign(PyObject* object, PyObject* key, PyObject* value) {
    if (value == nullptr) throw py::type_error("cannot delete memory");
    if (live_view(object).readonly()) throw py::type_error("cannot modify read-only memory");
    if (PyUnicode_Check(key)) {
        return assign(object, {named_field(live_view(object), key), false}, value);
    }
    const Keys keys(key);
    const View& view = live_view(object);  // now: reading the keys may have released it
    if (view.format().is_packed()) {
        const PackedSelection chosen = select_packed(view, keys);
        if (chosen.index >= 0) return write_packed(object, chosen.view, chosen.index, value);
        return assign(object, {chosen.view, false}, value);
    }
    PlainSelection picked;
    if (!select_plain_keys(view, keys, picked)) {
        return assign(object, select_any(view, keys), value);
    }
    if (picked.axes == 0 && plain_host(view)) {
        return pack_plain(object, view, static_cast<char*>(view.data()) + picked.shift, value);
    }
    assign(object, {plain_view(view, picked), picked.axes == 0}, value);
}

/// Reading the keys has released the view: as memoryview, which holds the memory before it reads
/// them, a sub-view is given all the same, an item is refused (cpython#92888).
PyObject* released_subscript(PyObject* object, const View& held, const Keys& keys) {
    if (held.format().is_packed()) {
        PackedSelection packed = select_packed(held, keys);
        if (packed.index >= 0) live_view(object);
        return new_view(std::move(packed.view));
    }
    Selection chosen = select_any(held, keys);
    if (chosen.item) live_view(object);
    return new_view(std::move(chosen.view));
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
            return read_plain(view, plain_item(view, index));
        }
        if (view.ndim() == 0) throw py::type_error("invalid indexing of 0-dim memory");
        if (view.ndim() == 1 && view.format().is_packed()) {
            return read_packed(view, in_bounds(view, index));
        }
        const View rest = view.index(0, index);
        return rest.ndim() == 0 ? read_item(rest) : new_sub_view(object, View(rest));
    });
}

PyObject* view_subscript(PyObject* object, PyObject* key) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        if (PyLong_CheckExact(key) && plain_vector(live_view(object))) {
            const View& view = view_object(object)->view;
            return read_plain(view, plain_item(view, index_value(key)));
        }
        if (PyTuple_Check(key)) {
            const View& view = live_view(object);
            if (const char* const data = plain_element(view, key)) return read_plain(view, data);
        }
        PlainSelection plain;
        if (select_plain(live_view(object), key, plain)) return new_plain_view(object, plain);
        if (PyUnicode_Check(key)) {
            return new_sub_view(object, named_field(live_view(object), key));
        }
        View held;
        if (!Keys::are_inert(key)) held = live_view(object);
        const Keys keys(key);
        if (view_object(object)->view.released() && !held.released()) {
            return released_subscript(object, held, keys);
        }
        const View& view = live_view(object);
        if (view.format().is_packed()) {
            PackedSelection packed = select_packed(view, keys);
            if (packed.index >= 0) return read_packed(packed.view, packed.index);
            return new_sub_view(object, std::move(packed.view));
        }
        PlainSelection picked;
        if (select_plain_keys(view, keys, picked)) {
            if (picked.axes > 0) return new_plain_view(object, picked);
            if (plain_host(view)) {
                return read_plain(view, static_cast<const char*>(view.data()) + picked.shift);
            }
            return read_item(plain_view(view, picked));
        }
        Selection chosen = select_any(view, keys);
        if (chosen.item) return read_item(chosen.view);
        return new_sub_view(object, std::move(chosen.view));
    });
}

int view_assign_subscript(PyObject* object, PyObject* key, PyObject* value) {
    return guarded<int>(-1, [&] {
        const View& view = live_view(object);
        if (value != nullptr && PyLong_CheckExact(key) && !view.readonly() && plain_vector(view)) {
            pack_plain(object, view, plain_item(view, index_value(key)), value);
            return 0;
        }
        assign(object, key, value);
        return 0;
    });
}

}  // namespace devview::python
